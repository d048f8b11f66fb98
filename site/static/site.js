// A figure opens alone at its full size; words without a space, such as the name of an arm, stay on one line of a table.
"use strict";
addEventListener("DOMContentLoaded", () => {
  for (const picture of document.querySelectorAll(".cell_output img, .wide img")) {
    const link = document.createElement("a");
    link.href = picture.src;
    link.title = "Open the figure alone";
    picture.replaceWith(link);
    link.append(picture);
    const measure = () => picture.classList.toggle("large", picture.naturalWidth > 500);
    picture.complete ? measure() : picture.addEventListener("load", measure);
  }
  for (const cell of document.querySelectorAll(".bd-article-container :is(td, th)"))
    if (!/\s/.test(cell.textContent.trim()) && cell.textContent.length < 40) cell.style.whiteSpace = "nowrap";
});
