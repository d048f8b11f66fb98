// Figures to point at: learning curves of one arm as lines, the R matrix as a table; a sentence says what is under the pointer.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("hover-data").textContent), box = document.getElementById("hover");
  const colours = ["#0173b2", "#de8f05", "#029e73", "#cc78bc", "#ca9161", "#56b4e9", "#d55e00", "#949494"];   // as the figures
  const number = value => value === null ? "not there" : value.toFixed(2);
  const told = make("p", {class: "told", "aria-live": "polite"});
  const mean = values => {
    const there = values.filter(value => value !== null);
    return there.length ? there.reduce((a, b) => a + b) / there.length : null;
  };

  const matrix = () => {
    const table = make("table", {class: "matrix"}), head = make("thead"), body = make("tbody"), M = data.tasks.length;
    const above = make("tr"), names = make("tr");
    above.append(make("th"));
    names.append(make("th"));
    data.trained.forEach((_, i) => {
      above.append(make("th", {colspan: M}, `after ${i + 1}`));
      data.tasks.forEach(task => names.append(make("th", {}, task)));
    });
    head.append(above, names);
    const means = Object.values(data.arms).map(arm => arm.cells.map(mean));
    const largest = data.tasks.map((_, t) => data.bounded ? 1 : Math.max(1e-9, ...means.flatMap(row => row.filter((_, c) => c % M === t))));
    Object.entries(data.arms).forEach(([arm, {seeds, cells}], row) => {
      const line = make("tr");
      line.append(make("th", {scope: "row"}, arm));
      cells.forEach((values, c) => {
        const position = Math.floor(c / M), task = data.tasks[c % M], value = means[row][c];
        const cell = make("td", {tabindex: 0}, value === null ? "–" : value.toFixed(2));
        const shade = value === null ? 0 : Math.min(Math.max(value / largest[c % M], 0), 1);
        cell.style.background = `rgba(8, 81, 156, ${(0.95 * shade).toFixed(3)})`;
        if (shade > 0.5) cell.style.color = "#fff";
        if (task === data.trained[position]) cell.className = "trained";
        const say = () => {
          told.textContent = `${arm}, ${task} after position ${position + 1} (${data.trained[position]} was trained): `
            + `mean ${number(value)}; ${seeds.map((seed, s) => `seed ${seed}: ${number(values[s])}`).join(", ")}.`;
        };
        for (const event of ["pointerenter", "focus", "click"]) cell.addEventListener(event, say);
        line.append(cell);
      });
      body.append(line);
    });
    table.append(head, body);
    const scroll = make("div", {class: "wide"});
    scroll.append(table);
    box.append(told, scroll);
    told.textContent = `Cells are means over seeds (${data.unit}); a frame is the task just trained.`;
  };

  const lines = () => {
    const arm = make("select"), seed = make("select"), left = 40, top = 20, H = 220;
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", "Success of the chosen arm on every task through the positions, a line for each seed");
    const choices = make("div", {class: "choices"});
    for (const [text, select] of [["arm", arm], ["seed", seed]]) {
      const label = make("label", {}, `${text} `);
      label.append(select);
      choices.append(label);
    }
    const key = make("div");
    data.tasks.forEach((task, t) => key.append(make("span", {class: "key", style: `color: ${colours[t]}`}, task)));
    box.append(choices, key, told, svg);
    arm.append(...Object.keys(data.arms).map(name => new Option(name)));
    const end = data.spans.at(-1)[3], values = Object.values(data.arms).flat().flatMap(line => line[3].flat());
    const high = data.bounded ? 1 : values.reduce((a, b) => Math.max(a, b), 1e-9), low = Math.min(0, values.reduce((a, b) => Math.min(a, b), 0));
    let points = [], near = null;
    const element = (...what) => drawn(svg, ...what);
    const draw = () => {
      const W = Math.max(box.clientWidth, 280), x = step => left + (W - left - 12) * step / end, y = v => top + H * (high - v) / (high - low);
      svg.replaceChildren();
      svg.setAttribute("width", W);
      svg.setAttribute("height", top + H + 38);
      points = [];
      for (const [position, task, from, to] of data.spans) {
        const colour = colours[data.tasks.indexOf(task)];
        element("rect", {x: x(from), y: top, width: x(to) - x(from), height: H, fill: colour, opacity: 0.1});
        element("text", {x: (x(from) + x(to)) / 2, y: top - 6, "text-anchor": "middle", style: `fill: ${colour}`},
          x(to) - x(from) > 7 * task.length + 20 ? `${position}: ${task}` : position);
        element("line", {x1: x(from), x2: x(from), y1: top, y2: top + H, class: "edge"});
      }
      for (const v of [low, (low + high) / 2, high]) element("text", {x: left - 6, y: y(v) + 4, "text-anchor": "end"}, v.toFixed(v % 1 ? 1 : 0));
      element("text", {x: left + (W - left) / 2, y: top + H + 32, "text-anchor": "middle"}, `environment steps of one seed, position after position: ${Math.round(end / 1000)}k`);
      for (const [number_, positions, steps, tasks] of data.arms[arm.value]) {
        const chosen = near ? near.seed === number_ : seed.value !== "all" && +seed.value === number_;
        const other = near || seed.value !== "all";
        tasks.forEach((own, t) => {
          const strong = chosen && (!near || near.task === t);
          data.spans.forEach(([position, , from]) => {
            const there = steps.flatMap((step, i) => positions[i] === position && own[i] !== null ? [[x(from + step), y(own[i]), step, own[i]]] : []);
            element("polyline", {points: there.map(([a, b]) => `${a.toFixed(1)},${b.toFixed(1)}`).join(" "), fill: "none",
              stroke: colours[t], "stroke-width": strong ? 2.5 : 1.2, opacity: strong ? 1 : other ? 0.25 : 0.7});
            if (seed.value === "all" || +seed.value === number_)
              points.push(...there.map(([a, b, step, value]) => ({a, b, step, value, position, seed: number_, task: t})));
          });
        });
      }
      if (near) element("circle", {cx: near.a, cy: near.b, r: 4, fill: colours[near.task]});
      told.textContent = near
        ? `${arm.value}, seed ${near.seed}, ${data.tasks[near.task]}: ${number(near.value)} at step ${near.step.toLocaleString("en")} of position ${near.position} (${data.spans.find(([p]) => p === near.position)[1]} in training).`
        : `${data.unit}, ${data.arms[arm.value].length} seeds of ${arm.value}; above: the task in training.`;
    };
    const refill = () => {
      const before = seed.value || "all", numbers = data.arms[arm.value].map(([each]) => String(each));
      seed.replaceChildren(new Option("all"), ...numbers.map(each => new Option(each)));
      seed.value = numbers.includes(before) ? before : "all";
      near = null;
      draw();
    };
    arm.addEventListener("input", refill);
    seed.addEventListener("input", () => { near = null; draw(); });
    svg.addEventListener("pointermove", event => {
      const at = svg.getBoundingClientRect(), px = event.clientX - at.left, py = event.clientY - at.top;
      near = points.reduce((best, p) => !best || Math.hypot(p.a - px, p.b - py) < Math.hypot(best.a - px, best.b - py) ? p : best, null);
      draw();
    });
    svg.addEventListener("pointerleave", event => { if (event.pointerType === "mouse") { near = null; draw(); } });
    addEventListener("resize", () => { near = null; draw(); });
    refill();
  };

  (data.kind === "r_matrix" ? matrix : lines)();
})();
