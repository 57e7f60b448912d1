// The explorer, 2 of 4: a strip of layers, maps and ribbons.
// strip of layers
const strip = make("div", { className: "strip", role: "radiogroup" });
strip.setAttribute("aria-label", "layer: attention above, plan below");
const thumbnail = (kind, layer) => {
  const canvas = make("canvas", { width: pair().src.length, height: pair().tgt.length });
  const context = canvas.getContext("2d"),
    block = bytes(kind, layer);
  for (let tgt = 0; tgt < canvas.height; tgt += 1) {
    for (let src = 0; src < canvas.width; src += 1) {
      context.fillStyle = colour(block[tgt * canvas.width + src]);
      context.fillRect(rtl.src ? canvas.width - 1 - src : src, tgt, 1, 1);
    }
  }
  return canvas;
};
const fillStrip = () => {
  strip.replaceChildren(
    ...Array.from({ length: translator().layers }, (_, k) => {
      const layer = k + 1,
        chosen = layer === state.layer;
      const item = make("button", { type: "button", tabIndex: chosen ? 0 : -1 }, [
        ...KINDS.map((kind) => thumbnail(kind, layer)),
        make("span", { textContent: `${layer}` }),
      ]);
      item.setAttribute("role", "radio");
      item.setAttribute("aria-checked", String(chosen));
      item.setAttribute("aria-label", `layer ${layer}`);
      item.addEventListener("click", () => go({ layer }));
      item.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
        const to = event.key === "Home" ? 1 : event.key === "End" ? translator().layers : layer + (step || 0);
        if (to === layer || to < 1 || to > translator().layers) return;
        event.preventDefault();
        go({ layer: to });
        strip.children[to - 1].focus();
      });
      return item;
    }),
  );
};

// maps and ribbons: both are SVG of the same words
const panels = Object.fromEntries(KINDS.map((kind) => [kind, make("figure", { className: "panel" })]));
const place = (side, word) => (side === "src" && rtl.src ? pair().src.length - 1 - word : word);
const label = (side, word, attributes) => {
  const text = draw(
    "text",
    {
      "font-size": FONT,
      fill: "currentColor",
      class: "label",
      "data-side": side,
      "data-word": word,
      direction: app.dataset[`${side}Dir`],
      ...attributes,
    },
    shortened(pair()[side][word]),
  );
  text.append(draw("title", {}, pair()[side][word]));
  return text;
};
const room = (words) => Math.min(LETTERS, Math.max(...words.map((word) => graphemes(word).length))) * FONT * 0.64 + 8;

const drawMap = (kind) => {
  const { src, tgt } = pair();
  const left = room(tgt),
    top = room(src),
    width = left + src.length * CELL + 2,
    height = top + tgt.length * CELL + 2;
  const svg = draw("svg", {
    viewBox: `0 0 ${width} ${height}`,
    role: "grid",
    "aria-label": `${kind}, layer ${state.layer}`,
  });
  svg.style.maxWidth = `${1.6 * width}px`;
  src.forEach((_, word) => {
    const x = left + (place("src", word) + 0.5) * CELL + FONT / 3;
    svg.append(
      label("src", word, {
        transform: `translate(${x} ${top - 5}) rotate(-90)`,
        "text-anchor": rtl.src ? "end" : "start",
      }),
    );
  });
  tgt.forEach((_, word) => {
    const y = top + (word + 0.5) * CELL + FONT / 3;
    svg.append(label("tgt", word, { x: left - 5, y, "text-anchor": rtl.tgt ? "start" : "end" }));
    const row = draw("g", { role: "row" });
    src.forEach((__, other) => {
      const cell = draw("rect", {
        x: left + place("src", other) * CELL,
        y: top + word * CELL,
        width: CELL,
        height: CELL,
        fill: colour(bytes(kind)[word * src.length + other]),
        role: "gridcell",
        tabindex: -1,
        "data-tgt": word,
        "data-src": other,
      });
      cell.setAttribute("aria-label", told(word, other));
      row.append(cell);
    });
    svg.append(row);
  });
  const ring = (at, attributes) => {
    for (const [stroke, wide] of [
      ["#000", 3],
      ["#fff", 1.4],
    ]) {
      svg.append(
        draw("circle", {
          cx: left + (place("src", at[0]) + 0.5) * CELL,
          cy: top + (at[1] + 0.5) * CELL,
          r: CELL * 0.36,
          fill: "none",
          stroke,
          "stroke-width": wide,
          "pointer-events": "none",
          ...attributes,
        }),
      );
    }
  };
  if (pair().gold) {
    pair().gold.sure.forEach((at) => ring(at, {}));
    pair().gold.possible.forEach((at) => ring(at, { "stroke-dasharray": "3 2.5" }));
  }
  pair().links.forEach((at) => ring(at, { r: 1.6, fill: "#fff" }));
  for (const name of ["row", "column"])
    svg.append(
      draw("rect", {
        class: `cross ${name}`,
        fill: "none",
        "pointer-events": "none",
        stroke: "#ff9d57",
        "stroke-width": 2,
        x: left,
        y: top,
        width: 0,
        height: 0,
      }),
    );
  Object.assign(svg.dataset, { left, top });
  return svg;
};

const drawRibbons = (kind) => {
  const { src, tgt } = pair();
  // Read from the side where both languages begin.
  const first = rtl.src && rtl.tgt ? "tgt" : "src",
    left = room(pair()[first]);
  const sides = first === "src" ? { src: left, tgt: left + 140 } : { src: left + 140, tgt: left };
  const width = room(src) + 140 + room(tgt),
    most = Math.max(src.length, tgt.length);
  const y = (side, word) => (word + 0.5 + (most - pair()[side].length) / 2) * CELL + 4;
  const svg = draw("svg", {
    viewBox: `0 0 ${width} ${most * CELL + 8}`,
    role: "group",
    "aria-label": `${kind}, layer ${state.layer}`,
  });
  svg.style.maxWidth = `${1.6 * width}px`;
  const middle = (sides.src + sides.tgt) / 2;
  tgt.forEach((_, j) =>
    src.forEach((__, i) => {
      const value = mass(kind, j, i);
      if (value < 0.02) return;
      const linked = kindOf(j, i).length > 0,
        from = y("src", i),
        to = y("tgt", j);
      svg.append(
        draw("path", {
          d: `M${sides.src} ${from}C${middle} ${from} ${middle} ${to} ${sides.tgt} ${to}`,
          fill: "none",
          stroke: linked ? "#0072b2" : "#8a8a8a",
          "stroke-width": Math.max(0.6, 11 * value),
          "stroke-opacity": linked ? 0.85 : 0.5,
          class: "ribbon",
          "data-tgt": j,
          "data-src": i,
        }),
      );
    }),
  );
  for (const side of ["src", "tgt"]) {
    const outward = (side === "src") === sides.src < sides.tgt ? -5 : 5;
    const end = outward < 0 !== rtl[side];
    pair()[side].forEach((word, k) => {
      const text = label(side, k, {
        x: sides[side] + outward,
        y: y(side, k) + FONT / 3,
        "text-anchor": end ? "end" : "start",
        role: "button",
        tabindex: -1,
      });
      text.setAttribute("aria-label", word);
      svg.append(text);
    });
  }
  return svg;
};
