// Elements for the figures that a page draws itself: of the page, and of a drawing.
"use strict";
const SVG = "http://www.w3.org/2000/svg";

// gives an element its attributes and its text, and returns it
const filled = (made, attributes = {}, text) => {
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
};
// a new element of the page, not yet in it
const make = (name, attributes, text) => filled(document.createElement(name), attributes, text);
// a new element at the end of a drawing
const drawn = (svg, name, attributes, text) => svg.appendChild(filled(document.createElementNS(SVG, name), attributes, text));
