// A figure opens alone at its full size; in a table, what is short (the name of an arm) and intervals stay on one line.
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
  for (const cell of document.querySelectorAll(".bd-article-container :is(td, th)")) {
    const said = cell.textContent.trim();
    if (said.length < 40 && (!/\s/.test(said) || cell.closest(".cell_output") && cell.tagName === "TD" && !said.includes("[")))
      cell.style.whiteSpace = "nowrap";
    for (const text of [...cell.querySelectorAll("*"), cell].flatMap(each => [...each.childNodes].filter(node => node.nodeType === 3))) {
      const found = text.textContent.match(/^(.*?)(\[[-+−.\d]+, [-+−.\d]+\]\*?)(.*)$/s);
      if (!found) continue;
      const interval = document.createElement("span");
      interval.style.whiteSpace = "nowrap";
      interval.textContent = found[2];
      text.replaceWith(found[1], interval, found[3]);
    }
  }
});
