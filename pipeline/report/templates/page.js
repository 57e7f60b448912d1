(() => {
  "use strict";
  // What is folded prints open.
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const one of folded) one.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const one of folded) one.open = false;
  });

  // On a phone a row is a card: every cell tells its column.
  document.documentElement.classList.add("scripted");
  for (const table of document.querySelectorAll("table.data")) {
    const names = [...table.tHead.rows[0].cells].map((one) => one.textContent);
    for (const row of table.tBodies[0].rows) [...row.cells].forEach((one, k) => (one.dataset.head = names[k]));
  }

  // The page alone holds the data of its figures, as a file and as values to point at.
  const data = JSON.parse(document.getElementById("figure-data").textContent);
  const plain = (value) => (value === null ? "–" : String(Number(value.toPrecision(3))).replace("-", "−"));
  const share = (value, [low, high], log) =>
    log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  for (const figure of document.querySelectorAll("main figure[id]")) {
    const { csv, panels } = data[figure.id];
    const link = figure.querySelector("a.csv");
    link.addEventListener("click", async (event) => {
      event.preventDefault();
      const file = document.createElement("a");
      file.href = URL.createObjectURL(new Blob([await unpack(csv)], { type: "text/csv" }));
      file.download = link.download;
      file.click();
      setTimeout(() => URL.revokeObjectURL(file.href), 1000);
    });
    const values = figure.querySelector(".values");
    if (!values) continue;
    const region = figure.querySelector(".drawn"),
      svg = region.querySelector("svg");
    const stops = panels.flatMap((panel) =>
      [...new Set(panel.lines.flatMap(([, x]) => x))]
        .sort((a, b) => a - b)
        .map((x) => ({ panel, x, at: panel.box[0] + share(x, panel.limits[0], panel.logs[0]) * panel.box[2] })),
    );
    const guide = document.createElementNS("http://www.w3.org/2000/svg", "line");
    for (const [name, value] of Object.entries({ stroke: "currentColor", "stroke-width": 0.7, visibility: "hidden" }))
      guide.setAttribute(name, value);
    svg.append(guide);
    let now = -1;
    const read = (k) => {
      now = k;
      const { panel, x, at } = stops[k];
      const found = panel.lines
        .map(([name, xs, ys]) => [name, xs.indexOf(x) < 0 ? null : ys[xs.indexOf(x)]])
        .filter(([, y]) => y !== null);
      const place = `${panel.x.replace(/ \(.*/, "")} ${plain(x)}`;
      const told = found.map(([name, y]) => `${name} ${plain(y)}`).join("; ");
      values.textContent = `${[panel.title, place].filter(Boolean).join(", ")}: ${told}`;
      const line = { x1: at, x2: at, y1: panel.box[1], y2: panel.box[1] + panel.box[3], visibility: "visible" };
      for (const [name, value] of Object.entries(line)) guide.setAttribute(name, value);
    };
    region.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect(),
        size = svg.viewBox.baseVal;
      const x = ((event.clientX - box.left) * size.width) / box.width,
        y = ((event.clientY - box.top) * size.height) / box.height;
      let best = -1,
        least = Infinity;
      stops.forEach(
        (
          {
            panel: {
              box: [left, top, width, height],
            },
            at,
          },
          k,
        ) => {
          const inside = x > left - 8 && x < left + width + 8 && y > top - 8 && y < top + height + 8;
          if (inside && Math.abs(at - x) < least) [best, least] = [k, Math.abs(at - x)];
        },
      );
      if (best >= 0 && best !== now) read(best);
    });
    region.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step || now + step < 0 || now + step >= stops.length) return;
      event.preventDefault();
      read(now + step);
    });
  }
})();
