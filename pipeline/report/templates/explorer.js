// The explorer, 4 of 4: controls, bars, the curve, and all of it together.
// controls
const option = (text, value) => make("option", { value: String(value), textContent: text });
const labelled = (text, input, className = "") => make("label", { textContent: text, className }, [input]);
const search = make("input", { type: "search", placeholder: "a word or a part of one" });
const order = make("select", {}, [
  option("by number", "number"),
  option("best first", "best"),
  option("worst first", "worst"),
]);
const list = make("select", { size: 5 });
const who = make(
  "select",
  {},
  data.translators.map((entry, k) => option(entry.name, k)),
);
const looks = make("select");
const heads = make("select");
const button = (text, onClick) => {
  const element = make("button", { type: "button", textContent: text });
  element.addEventListener("click", onClick);
  return element;
};
const ranked = () =>
  data.pairs
    .map((_, k) => k)
    .filter((k) => score(k) !== null)
    .sort((a, b) => score(b) - score(a));
const chip = (text, choose) =>
  button(text, () => {
    const k = choose(ranked());
    if (k !== undefined && k !== null) go({ pair: k, pin: null });
  });
const chips = make("div", { className: "chips" }, [
  chip("best", (all) => all[0]),
  chip("median", (all) => all[Math.floor(all.length / 2)]),
  chip("worst", (all) => all[all.length - 1]),
  ...(data.example === null ? [] : [chip("Figure 1", () => data.example)]),
]);
const mode = button("", () => go({ mode: state.mode === "maps" ? "ribbons" : "maps" }));
const note = make("span", { className: "note", role: "status" });
const shared = make("input", { readOnly: true, hidden: true });
shared.setAttribute("aria-label", "link to what is shown");
const copy = button("copy link", async () => {
  history.replaceState(null, "", toFragment());
  try {
    await navigator.clipboard.writeText(location.href);
    note.textContent = "copied";
  } catch {
    Object.assign(shared, { hidden: false, value: location.href });
    shared.select();
    note.textContent = "";
  }
});
const save = (name, type, text) => {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
};
const stem = () =>
  `pair${pair().id}_${translator().name}_${view().id}_layer${state.layer}${state.head === null ? "" : `_head${state.head}`}`;
// As `csv` of page.py: a word that a spreadsheet would run as a formula has ' before it.
const plain = (word) => (/^[=+\-@\t\r＝＋－＠]/.test(word) && !/^[+-]?\d+(\.\d+)?$/.test(word) ? `'${word}` : word);
const quoted = (word) => `"${plain(word).replaceAll('"', '""')}"`;
const table = () => {
  const rows = [["tgt", "src", "tgt_word", "src_word", "attention", "plan", "links"]];
  pair().tgt.forEach((tgtWord, tgt) =>
    pair().src.forEach((srcWord, src) =>
      rows.push([
        tgt,
        src,
        quoted(tgtWord),
        quoted(srcWord),
        ...KINDS.map((kind) => mass(kind, tgt, src).toFixed(4)),
        kindOf(tgt, src).join(" "),
      ]),
    ),
  );
  return `${rows.map((row) => row.join(",")).join("\n")}\n`;
};
const whole = () => {
  const drawn = KINDS.map((kind) => panels[kind].querySelector("svg"));
  const sizes = drawn.map((svg) => svg.viewBox.baseVal);
  const both = draw("svg", {
    xmlns: SVG,
    viewBox: `0 0 ${sizes[0].width + sizes[1].width + 20} ${sizes[0].height}`,
    color: "#1a1a1a",
    style: "background: #fff; font: 11px sans-serif",
  });
  drawn.forEach((svg, k) => {
    const group = draw("g", { transform: `translate(${k ? sizes[0].width + 20 : 0} 0)` });
    group.append(...[...svg.childNodes].map((node) => node.cloneNode(true)));
    both.append(group);
  });
  return new XMLSerializer().serializeToString(both);
};
const saving = [
  button("save SVG", () => save(`${stem()}.svg`, "image/svg+xml", whole())),
  button("save CSV", () => save(`${stem()}.csv`, "text/csv", table())),
];
search.addEventListener("input", () => fillList());
order.addEventListener("change", () => fillList());
list.addEventListener("change", () => go({ pair: Number(list.value), pin: null }));
who.addEventListener("change", () => go({ translator: Number(who.value), view: 0 }));
looks.addEventListener("change", () => go({ view: Number(looks.value) }));
heads.addEventListener("change", () => go({ head: heads.value === "mean" ? null : Number(heads.value) }));

const fillList = () => {
  const wanted = search.value.trim().toLocaleLowerCase();
  const inside = (k) => [...data.pairs[k].src, ...data.pairs[k].tgt].join(" ").toLocaleLowerCase().includes(wanted);
  const low = order.value === "best" ? -Infinity : Infinity;
  const by = (k) => score(k) ?? low;
  const shown = data.pairs.map((_, k) => k).filter(inside);
  if (order.value !== "number") shown.sort((a, b) => (order.value === "best" ? by(b) - by(a) : by(a) - by(b)) || a - b);
  list.replaceChildren(
    ...shown.map((k) => option(`${fixed(score(k))}  ${shortened(data.pairs[k].src.join(" "), 90)}`, k)),
  );
  if (!shown.length) list.append(make("option", { disabled: true, textContent: "no sentence holds this" }));
  list.value = String(state.pair);
};

// beside the maps
const bars = make("div", { className: "bars" });
const fillBars = () => {
  const position = translator().position[state.view][state.layer - 1];
  const rows = [
    ["attention", onLinks("attention"), "var(--trained)"],
    ["plan", onLinks("plan"), "var(--random)"],
    ["position*", position ? position[0] : null, "var(--quiet)"],
  ];
  bars.replaceChildren(
    make("p", { className: "note", textContent: "mass on dictionary links, mean over links" }),
    ...rows.map(([name, value, fill]) => {
      const bar = make("span", { className: "bar" });
      bar.style.width = `${100 * (value ?? 0)}%`;
      bar.style.background = fill;
      return make("p", { className: "line" }, [
        make("span", { textContent: name }),
        make("span", { className: "track" }, [bar]),
        make("b", { textContent: fixed(value) }),
      ]);
    }),
    make("p", { className: "note", textContent: "* word order alone: mean of the corpus" }),
  );
};
const curve = make("figure", { className: "curve" });
const fillCurve = () => {
  const own = maps() && maps().score ? maps().score[state.view] : [];
  const corpus = translator().corpus[state.view],
    width = 300,
    height = 120;
  const all = [...own, ...corpus.flat()].filter((value) => value !== null),
    most = Math.max(0.1, ...all),
    least = Math.min(0, ...all);
  const x = (k) => 34 + (k / Math.max(1, translator().layers - 1)) * (width - 50);
  const y = (value) => height - 22 - ((value - least) / (most - least)) * (height - 34);
  const line = (values) =>
    values.map((value, k) => (value === null ? "" : `${x(k).toFixed(1)},${y(value).toFixed(1)}`)).join(" ");
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  svg.setAttribute(
    "aria-label",
    `${translator().score} by layer, this sentence: ${own.map(fixed).join(", ")}; ` +
      `mean of the corpus: ${corpus.map((row) => fixed(row[0])).join(", ")}`,
  );
  svg.append(
    draw("polygon", {
      points: `${line(corpus.map((row) => row[2]))} ${line(corpus.map((row) => row[1]))
        .split(" ")
        .reverse()
        .join(" ")}`,
      class: "band",
    }),
    draw("polyline", { points: line(corpus.map((row) => row[0])), class: "mean" }),
    draw("polyline", { points: line(own), class: "own" }),
    draw("line", { x1: x(state.layer - 1), x2: x(state.layer - 1), y1: 6, y2: height - 22, class: "now" }),
    draw("text", { x: 30, y: y(most) + 8, "text-anchor": "end" }, most.toFixed(1)),
    draw("text", { x: 30, y: y(least), "text-anchor": "end" }, least.toFixed(1)),
    draw("text", { x: x(0), y: height - 6 }, "layer 1"),
    draw("text", { x: x(translator().layers - 1), y: height - 6, "text-anchor": "end" }, String(translator().layers)),
  );
  curve.replaceChildren(
    svg,
    make("figcaption", {
      className: "note",
      textContent: `${translator().score}${own.length ? ": this sentence (line)," : ","} mean of all sentences with its interval (band)`,
    }),
  );
};

// all of it
const words = make(
  "div",
  { className: "pair" },
  ["src", "tgt"].map((side) => make("p", { lang: app.dataset[`${side}Lang`], dir: app.dataset[`${side}Dir`] })),
);
const where = make("p", { className: "where" });
const key = make("p", { className: "note key" });
const KEYS = {
  maps:
    "Rings: full, sure link made by hand; dashed, possible link; dot, dictionary link. " +
    "Both maps share one scale (dark 0, yellow 1, square root).",
  ribbons: "Thickness: mass, where it is at least 0.02. Blue: a link, by hand or by the dictionary; grey: none.",
};
const go = (change) => {
  Object.assign(state, change);
  hover = null;
  show();
  history.replaceState(null, "", toFragment());
};
const show = () => {
  state.layer = Math.min(state.layer, translator().layers);
  const read = Boolean(maps()),
    stored = read && maps().heads ? translator().heads : 0;
  if (state.head !== null && state.head >= stored) state.head = null;
  heads.replaceChildren(
    option("mean over heads", "mean"),
    ...Array.from({ length: stored }, (_, k) => option(`head ${k}`, k)),
  );
  heads.value = String(state.head ?? "mean");
  heads.disabled = stored === 0;
  looks.replaceChildren(...translator().views.map((entry, k) => option(`${entry.name}: ${entry.looks}`, k)));
  Object.assign(who, { value: String(state.translator) });
  looks.value = String(state.view);
  key.textContent = KEYS[state.mode];
  mode.textContent = state.mode === "maps" ? "show ribbons" : "show maps";
  fillList();
  ["src", "tgt"].forEach((side, k) => {
    words.children[k].textContent = pair()[side].join(" ");
  });
  where.textContent =
    `${called(pair())}, ${translator().name}, ${view().name}, layer ${state.layer} of ${translator().layers}, ` +
    `${state.head === null ? "mean over heads" : `head ${state.head}`}` +
    `${read && maps().score ? `, ${translator().score} ${fixed(score(state.pair))}` : ""}` +
    `${pair().gold ? "" : "; not linked by hand"}${stored || !read ? "" : "; its single heads are not on the page"}.`;
  strip.hidden = !read;
  bars.hidden = !read;
  for (const entry of saving) entry.disabled = !read;
  for (const kind of KINDS) {
    if (!read) {
      panels[kind].replaceChildren();
      continue;
    }
    const svg = state.mode === "maps" ? drawMap(kind) : drawRibbons(kind);
    panels[kind].replaceChildren(
      make("figcaption", { textContent: kind }),
      make("div", { className: "scroll" }, [svg]),
    );
    const first =
      state.pin && state.mode === "maps" && state.pin.tgt !== null && state.pin.src !== null
        ? svg.querySelector(`rect[data-tgt="${state.pin.tgt}"][data-src="${state.pin.src}"]`)
        : svg.querySelector("[tabindex]");
    if (first) first.setAttribute("tabindex", 0);
  }
  fillCurve();
  if (read) {
    fillStrip();
    fillBars();
    point();
  } else {
    readout.textContent =
      `${translator().name} did not read this pair. ` +
      `Left out of the corpus by the stage extract: ${translator().skipped}.`;
  }
};

app.append(
  make("div", { className: "controls" }, [
    labelled("search", search),
    labelled("order", order),
    labelled("translator", who),
    labelled("view", looks),
    labelled("head", heads),
    chips,
    labelled("sentence pairs, each with its score", list, "pair"),
  ]),
  words,
  where,
  strip,
  make("div", { className: "controls tools" }, [mode, copy, ...saving, note, shared]),
  make("div", { className: "panels" }, Object.values(panels)),
  readout,
  live,
  key,
  make("div", { className: "beside" }, [bars, curve]),
);
const given = fromFragment();
if (!given) Object.assign(state, { pair: data.example ?? 0, layer: translator().layers });
document.getElementById("explorer-static").hidden = true;
app.hidden = false;
show();
if (given) app.scrollIntoView();
window.addEventListener("hashchange", () => {
  if (fromFragment()) {
    show();
    app.scrollIntoView();
  }
});
