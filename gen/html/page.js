// Zoom, pan and read the timeline. Everything is drawn without it; it only changes the view.
"use strict";
(() => {
  const drawing = document.getElementById("timeline");
  const holder = document.getElementById("timeline-data");
  if (!drawing || !holder) return;
  const data = JSON.parse(holder.textContent);
  const plot = document.getElementById("plot");
  const axis = document.getElementById("axis");
  const cursor = document.getElementById("cursor");
  const readout = document.getElementById("readout");
  const height = plot.viewBox.baseVal.height;
  const top = Number(axis.dataset.top);
  const least = Math.min(20, data.cycles);
  let from = 0, span = data.cycles;

  const make = (name, attributes, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const count = (n) => n.toLocaleString("en-US");

  const show = (start, size) => {
    span = Math.min(data.cycles, Math.max(least, size));
    from = Math.min(data.cycles - span, Math.max(0, start));
    plot.setAttribute("viewBox", `${from} 0 ${span} ${height}`);
    cursor.setAttribute("width", span / data.plot * 1.5);
    const label = axis.lastElementChild;
    axis.replaceChildren();
    let step = 1;
    for (let n = 0; span / step > 10; n++) step = [1, 2, 5][n % 3] * 10 ** Math.floor(n / 3);
    for (let c = Math.ceil(from / step) * step; c <= from + span; c += step) {
      const x = data.left + (c - from) / span * data.plot;
      axis.append(make("line", { x1: x, x2: x, y1: top, y2: top + 5 }),
        make("text", { x, y: top + 19, "text-anchor": "middle" }, count(c)));
    }
    axis.append(label);
  };

  const cycleAt = (event) => {
    const box = drawing.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * drawing.viewBox.baseVal.width;
    return from + (x - data.left) / data.plot * span;
  };
  const zoom = (factor, around) => {
    const size = Math.min(data.cycles, Math.max(least, span * factor));
    show(around - (around - from) * size / span, size);
  };

  const exact = (cycle) => {
    let low = 0, high = data.runs.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (data.runs[middle][0] <= cycle) low = middle; else high = middle - 1;
    }
    const [start, length, layer, step, part] = data.runs[low];
    if (cycle < start || cycle >= start + length) return `cycle ${count(cycle)}: idle`;
    const tiles = length === 1 ? "one tile" : `${length} tiles from cycle ${count(start)}`;
    return `cycle ${count(cycle)}: ${data.names[layer]}, step ${step}, ` +
      `${data.parts[part]} columns, ${tiles}`;
  };
  const binned = (cycle) => {
    const place = Math.floor(cycle / data.bin);
    const size = Math.min(data.bin, data.cycles - place * data.bin);
    let idle = size;
    const told = data.bins[place].map(([layer, part, tiles]) => {
      idle -= tiles;
      return `${data.names[layer]} ${data.parts[part]} ${tiles}`;
    });
    if (idle) told.push(`idle ${idle}`);
    return `cycles ${count(place * data.bin)} to ${count(place * data.bin + size - 1)}: ` +
      told.join(", ");
  };
  const read = (cycle) => {
    if (cycle < 0 || cycle >= data.cycles) return;
    cursor.setAttribute("x", cycle);
    readout.textContent = (data.runs ? exact : binned)(Math.floor(cycle));
  };

  let grip = null;
  drawing.addEventListener("pointerdown", (event) => {
    grip = { x: event.clientX, from };
    drawing.setPointerCapture(event.pointerId);
  });
  drawing.addEventListener("pointermove", (event) => {
    if (grip && span < data.cycles) {
      const box = drawing.getBoundingClientRect();
      const unit = drawing.viewBox.baseVal.width / box.width * span / data.plot;
      show(grip.from - (event.clientX - grip.x) * unit, span);
    }
    read(cycleAt(event));
  });
  for (const end of ["pointerup", "pointercancel"]) {
    drawing.addEventListener(end, () => { grip = null; });
  }
  drawing.addEventListener("dblclick", (event) => zoom(0.4, cycleAt(event)));
  drawing.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, cycleAt(event));
  }, { passive: false });
  drawing.addEventListener("keydown", (event) => {
    const act = {
      ArrowLeft: () => show(from - span / 8, span), ArrowRight: () => show(from + span / 8, span),
      "+": () => zoom(0.5, from + span / 2), "-": () => zoom(2, from + span / 2),
      Home: () => show(0, data.cycles),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  document.getElementById("closer").addEventListener("click", () => zoom(0.5, from + span / 2));
  document.getElementById("farther").addEventListener("click", () => zoom(2, from + span / 2));
  document.getElementById("whole").addEventListener("click", () => show(0, data.cycles));
  show(0, data.cycles);
})();
