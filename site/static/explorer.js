// The neuron explorer: a film strip above the activation of the chosen neuron, drawn as SVG from the data in the page.
"use strict";
(() => {
  const films = JSON.parse(document.getElementById("explorer-data").textContent);
  const box = document.getElementById("explorer"), svg = box.querySelector("svg"), told = box.querySelector(".told");
  const shown = box.querySelector(".shown");                    // the picture next to the chosen step, large
  const field = Object.fromEntries([...box.querySelectorAll("select, input")].map(each => [each.name, each]));
  const left = 44, right = 14;                                  // pixels beside the axes
  const bytes = new Map();                                      // decoded levels of a layer

  const options = (select, names) => {
    const before = select.value;
    select.replaceChildren(...names.map(([value, text]) => new Option(text, value)));
    if (names.some(([value]) => String(value) === before)) select.value = before;
  };
  const element = (...what) => drawn(svg, ...what);
  const chosen = () => {
    const film = films[field.film.value], layer = film.networks[field.network.value][field.layer.value];
    if (!bytes.has(layer)) bytes.set(layer, Uint8Array.from(atob(layer.levels), c => c.charCodeAt(0)));
    const T = film.success.length, rank = Math.min(+field.rank.value, layer.neurons.length - 1);
    const values = [...bytes.get(layer).subarray(rank * T, (rank + 1) * T)].map(level => level * layer.top[rank] / 255);
    return {film, layer, rank, values, T, step: Math.min(+field.step.value, T - 1)};
  };

  const draw = () => {
    const {film, layer, rank, values, T, step} = chosen();
    const W = box.clientWidth, wide = W - left - right, strip = wide * 180 / (240 * film.steps.length), top = strip + 24, H = 180;
    const x = t => left + wide * t / (T - 1), high = Math.max(...values, 1e-9), y = v => top + H * (1 - v / high);
    const mean = values.reduce((a, b) => a + b) / T, score = layer.scores[rank];
    svg.replaceChildren();
    svg.setAttribute("width", W);
    svg.setAttribute("height", top + H + 40);
    element("image", {href: film.strip, x: left, y: 0, width: wide, height: strip, preserveAspectRatio: "none"});
    const frame = film.steps.reduce((best, s, i) => Math.abs(s - step) < Math.abs(film.steps[best] - step) ? i : best, 0);
    const side = wide / film.steps.length;
    element("rect", {x: left + frame * side, y: 0, width: side, height: strip, class: "frame"});
    shown.style.background = `url(${film.strip}) ${100 * frame / (film.steps.length - 1)}% 0 / ${100 * film.steps.length}% 100%`;
    film.steps.forEach((s, i) => element("text", {x: left + (i + 0.5) * side, y: strip + 14, "text-anchor": "middle"}, s));
    for (let from = 0; from < T; from++) {
      if (!film.success[from]) continue;
      let to = from;
      while (to + 1 < T && film.success[to + 1]) to++;
      element("rect", {x: x(from), y: top, width: Math.max(x(to) - x(from), 1), height: H, class: "goal"});
      from = to;
    }
    element("line", {x1: left, x2: left + wide, y1: y(mean), y2: y(mean), class: "mean"});
    element("polyline", {points: values.map((v, t) => `${x(t).toFixed(1)},${y(v).toFixed(1)}`).join(" "), class: "curve"});
    element("line", {x1: x(step), x2: x(step), y1: top, y2: top + H, class: "cursor"});
    element("circle", {cx: x(step), cy: y(values[step]), r: 4, class: "dot"});
    for (const v of [0, high / 2, high]) element("text", {x: left - 6, y: y(v) + 4, "text-anchor": "end"}, v.toFixed(v < 10 ? 1 : 0));
    for (const t of [0, 50, 100, 150, T - 1]) element("text", {x: x(t), y: top + H + 16, "text-anchor": "middle"}, t);
    element("text", {x: left + wide / 2, y: top + H + 34, "text-anchor": "middle"}, "step of the episode; dashed: the mean activation");
    const scored = score === null ? "not scored, the goal is never or always reached" : `score ${score.toFixed(2)}; a silent neuron has ${film.base.toFixed(2)}`;
    told.textContent = `${field.network.value}, layer ${+field.layer.value + 1}, neuron ${layer.neurons[rank]} `
      + `(rank ${rank} of ${layer.neurons.length} that fire, ${layer.width} in all): ${scored}. At step ${step}: ${values[step].toFixed(2)}`
      + `${film.success[step] ? ", goal reached" : ""}.`;
  };
  const refill = () => {
    const film = films[field.film.value];
    options(field.network, Object.keys(film.networks).map(name => [name, name]));
    options(field.layer, film.networks[field.network.value].map((_, i) => [i, i + 1]));
    field.rank.max = film.networks[field.network.value][field.layer.value].neurons.length - 1;
    field.step.max = film.success.length - 1;
    draw();
  };

  options(field.film, films.map((film, i) => [i, film.caption]));
  box.addEventListener("input", refill);
  svg.addEventListener("pointermove", event => {
    const wide = box.clientWidth - left - right, T = films[field.film.value].success.length;
    const share = (event.clientX - svg.getBoundingClientRect().left - left) / wide;
    field.step.value = Math.round(Math.min(Math.max(share, 0), 1) * (T - 1));
    draw();
  });
  addEventListener("resize", draw);
  refill();
})();
