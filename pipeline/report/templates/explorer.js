"use strict";
// One sentence pair at a time: attention and plan as maps or ribbons on the same words, a strip of layers, bars, a curve.
(() => {
  const app = document.getElementById("explorer-app");
  const source = document.getElementById("explorer-data");
  if (!app || !source) return;
  const data = JSON.parse(source.textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const CELL = 18, LETTERS = 14, FONT = 11;
  const KINDS = ["attention", "plan"];
  const state = { pair: 0, translator: 0, view: 0, layer: 1, mode: "maps", pin: null };
  let hover = null; // {tgt, src}, either may be missing
  const rtl = { src: app.dataset.srcDir === "rtl", tgt: app.dataset.tgtDir === "rtl" };

  // Every text goes in as text, never as markup: it comes from a corpus.
  const make = (tag, properties = {}, children = []) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const draw = (tag, attributes = {}, text = null) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
    if (text !== null) element.textContent = text;
    return element;
  };
  const graphemes = (word) => "Segmenter" in Intl
    ? Array.from(new Intl.Segmenter().segment(word), (part) => part.segment) : Array.from(word);
  const shortened = (word, most = LETTERS) => {
    const parts = graphemes(word);
    return parts.length > most ? `${parts.slice(0, most - 1).join("")}…` : word;
  };
  const fixed = (value) => (value === null ? "–" : value.toFixed(2));

  const pair = () => data.pairs[state.pair];
  const translator = () => data.translators[state.translator];
  const view = () => translator().views[state.view];
  const maps = (k = state.pair) => translator().maps[k];

  // Stored as 255 times the root of the mass: view, layer, target word, source word; of plans only what holds mass.
  const unpacked = new Map();
  const bytes = (kind, layer = state.layer) => {
    const key = [kind, state.translator, state.pair, state.view, layer].join(" ");
    if (!unpacked.has(key)) {
      const size = pair().src.length * pair().tgt.length;
      const block = new Uint8Array(size);
      const at = state.view * translator().layers + layer - 1;
      if (kind === "attention") {
        const all = atob(maps().attention);
        for (let k = 0; k < size; k += 1) block[k] = all.charCodeAt(at * size + k);
      } else {
        const plan = maps().plan[state.view][layer - 1];
        for (let k = 0; k < plan.length; k += 3) block[plan[k] * pair().src.length + plan[k + 1]] = plan[k + 2];
      }
      unpacked.set(key, block);
    }
    return unpacked.get(key);
  };
  const mass = (kind, tgt, src, layer) => (bytes(kind, layer)[tgt * pair().src.length + src] / 255) ** 2;
  const has = (links, tgt, src) => links.some(([i, j]) => i === src && j === tgt);
  const kindOf = (tgt, src) => {
    const { gold, links } = pair();
    return [gold && has(gold.sure, tgt, src) && "sure link", gold && has(gold.possible, tgt, src) && "possible link",
      has(links, tgt, src) && "dictionary link"].filter(Boolean);
  };
  const onLinks = (kind) => {
    const { links } = pair();
    return links.length ? links.reduce((sum, [i, j]) => sum + mass(kind, j, i), 0) / links.length : null;
  };
  const score = (k) => {
    const found = maps(k);
    return found && found.score ? found.score[state.view][state.layer - 1] : null;
  };

  const STOPS = [[68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137],
    [53, 183, 121], [109, 205, 89], [180, 222, 44], [253, 231, 37]];
  const colour = (byte) => {
    const at = (byte / 255) * (STOPS.length - 1), low = Math.min(Math.floor(at), STOPS.length - 2);
    return `rgb(${STOPS[low].map((from, k) => Math.round(from + (at - low) * (STOPS[low + 1][k] - from))).join(",")})`;
  };

  // ---- the state in the address
  const toFragment = () => {
    const parts = [pair().id, translator().name, view().id, state.layer, state.mode];
    if (state.pin) parts.push([state.pin.tgt, state.pin.src].map((at) => at ?? "").join("-"));
    return `#x=${parts.map((part) => encodeURIComponent(part)).join("/")}`;
  };
  const fromFragment = () => {
    if (!location.hash.startsWith("#x=")) return false;
    let parts;
    try { parts = location.hash.slice(3).split("/").map(decodeURIComponent); } catch { return false; }
    const [id, name, viewId, layer, mode, words] = parts;
    const at = data.pairs.findIndex((entry) => String(entry.id) === id);
    const who = data.translators.findIndex((entry) => entry.name === name);
    if (at < 0 || who < 0) return false;
    const looks = data.translators[who].views.findIndex((entry) => entry.id === viewId);
    Object.assign(state, { pair: at, translator: who, view: Math.max(0, looks), pin: null });
    state.layer = Math.min(Math.max(1, Number.parseInt(layer, 10) || 1), translator().layers);
    state.mode = mode === "ribbons" ? "ribbons" : "maps";
    const [tgt, src] = (words || "-").split("-").map((text) => (/^\d+$/.test(text) ? Number(text) : null));
    const inside = (word, side) => (word !== null && word < pair()[side].length ? word : null);
    const pin = { tgt: inside(tgt, "tgt"), src: inside(src, "src") };
    if (pin.tgt !== null || pin.src !== null) state.pin = pin;
    return true;
  };

  // ---- controls
  const option = (text, value) => make("option", { value: String(value), textContent: text });
  const labelled = (text, input, className = "") => make("label", { textContent: text, className }, [input]);
  const search = make("input", { type: "search", placeholder: "a word or a part of one" });
  const order = make("select", {}, [option("by number", "number"), option("best first", "best"), option("worst first", "worst")]);
  const list = make("select", { size: 5 });
  const who = make("select", {}, data.translators.map((entry, k) => option(entry.name, k)));
  const looks = make("select");
  const button = (text, onClick) => {
    const element = make("button", { type: "button", textContent: text });
    element.addEventListener("click", onClick);
    return element;
  };
  const ranked = () => data.pairs.map((_, k) => k).filter((k) => score(k) !== null).sort((a, b) => score(b) - score(a));
  const chip = (text, choose) => button(text, () => { const k = choose(ranked()); if (k !== undefined && k !== null) go({ pair: k, pin: null }); });
  const chips = make("div", { className: "chips" }, [
    chip("best", (all) => all[0]), chip("median", (all) => all[Math.floor(all.length / 2)]),
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
  const stem = () => `pair${pair().id}_${translator().name}_${view().id}_layer${state.layer}`;
  const quoted = (value) => `"${String(value).replaceAll('"', '""')}"`;
  const table = () => {
    const rows = [["tgt", "src", "tgt_word", "src_word", "attention", "plan", "links"]];
    pair().tgt.forEach((tgtWord, tgt) => pair().src.forEach((srcWord, src) => rows.push([tgt, src, quoted(tgtWord),
      quoted(srcWord), ...KINDS.map((kind) => mass(kind, tgt, src).toFixed(4)), kindOf(tgt, src).join(" ")])));
    return `${rows.map((row) => row.join(",")).join("\n")}\n`;
  };
  const whole = () => {
    const drawn = KINDS.map((kind) => panels[kind].querySelector("svg"));
    const sizes = drawn.map((svg) => svg.viewBox.baseVal);
    const both = draw("svg", { xmlns: SVG, viewBox: `0 0 ${sizes[0].width + sizes[1].width + 20} ${sizes[0].height}`,
      color: "#1a1a1a", style: "background: #fff; font: 11px sans-serif" });
    drawn.forEach((svg, k) => {
      const group = draw("g", { transform: `translate(${k ? sizes[0].width + 20 : 0} 0)` });
      group.append(...[...svg.childNodes].map((node) => node.cloneNode(true)));
      both.append(group);
    });
    return new XMLSerializer().serializeToString(both);
  };
  const saving = [button("save SVG", () => save(`${stem()}.svg`, "image/svg+xml", whole())),
    button("save CSV", () => save(`${stem()}.csv`, "text/csv", table()))];
  search.addEventListener("input", () => fillList());
  order.addEventListener("change", () => fillList());
  list.addEventListener("change", () => go({ pair: Number(list.value), pin: null }));
  who.addEventListener("change", () => go({ translator: Number(who.value), view: 0 }));
  looks.addEventListener("change", () => go({ view: Number(looks.value) }));

  const fillList = () => {
    const wanted = search.value.trim().toLocaleLowerCase();
    const inside = (k) => [...data.pairs[k].src, ...data.pairs[k].tgt].join(" ").toLocaleLowerCase().includes(wanted);
    const low = order.value === "best" ? -Infinity : Infinity;
    const by = (k) => score(k) ?? low;
    const shown = data.pairs.map((_, k) => k).filter(inside);
    if (order.value !== "number") shown.sort((a, b) => (order.value === "best" ? by(b) - by(a) : by(a) - by(b)) || a - b);
    list.replaceChildren(...shown.map((k) => option(`${fixed(score(k))}  ${shortened(data.pairs[k].src.join(" "), 90)}`, k)));
    if (!shown.length) list.append(make("option", { disabled: true, textContent: "no sentence holds this" }));
    list.value = String(state.pair);
  };

  // ---- strip of layers
  const strip = make("div", { className: "strip", role: "radiogroup" });
  strip.setAttribute("aria-label", "layer: attention above, plan below");
  const thumbnail = (kind, layer) => {
    const canvas = make("canvas", { width: pair().src.length, height: pair().tgt.length });
    const context = canvas.getContext("2d"), block = bytes(kind, layer);
    for (let tgt = 0; tgt < canvas.height; tgt += 1) {
      for (let src = 0; src < canvas.width; src += 1) {
        context.fillStyle = colour(block[tgt * canvas.width + src]);
        context.fillRect(rtl.src ? canvas.width - 1 - src : src, tgt, 1, 1);
      }
    }
    return canvas;
  };
  const fillStrip = () => {
    strip.replaceChildren(...Array.from({ length: translator().layers }, (_, k) => {
      const layer = k + 1, chosen = layer === state.layer;
      const item = make("button", { type: "button", tabIndex: chosen ? 0 : -1 }, [
        ...KINDS.map((kind) => thumbnail(kind, layer)), make("span", { textContent: `${layer}` })]);
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
    }));
  };

  // ---- maps and ribbons: both are SVG of the same words
  const panels = Object.fromEntries(KINDS.map((kind) => [kind, make("figure", { className: "panel" })]));
  const place = (side, word) => (side === "src" && rtl.src ? pair().src.length - 1 - word : word);
  const label = (side, word, attributes) => {
    const text = draw("text", { "font-size": FONT, fill: "currentColor", class: "label", "data-side": side,
      "data-word": word, direction: app.dataset[`${side}Dir`], ...attributes }, shortened(pair()[side][word]));
    text.append(draw("title", {}, pair()[side][word]));
    return text;
  };
  const room = (words) => Math.min(LETTERS, Math.max(...words.map((word) => graphemes(word).length))) * FONT * 0.64 + 8;

  const drawMap = (kind) => {
    const { src, tgt } = pair();
    const left = room(tgt), top = room(src), width = left + src.length * CELL + 2, height = top + tgt.length * CELL + 2;
    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "grid", "aria-label": `${kind}, layer ${state.layer}` });
    svg.style.maxWidth = `${1.6 * width}px`;
    src.forEach((_, word) => {
      const x = left + (place("src", word) + 0.5) * CELL + FONT / 3;
      svg.append(label("src", word, { transform: `translate(${x} ${top - 5}) rotate(-90)`,
        "text-anchor": rtl.src ? "end" : "start" }));
    });
    tgt.forEach((_, word) => {
      const y = top + (word + 0.5) * CELL + FONT / 3;
      svg.append(label("tgt", word, { x: left - 5, y, "text-anchor": rtl.tgt ? "start" : "end" }));
      const row = draw("g", { role: "row" });
      src.forEach((__, other) => {
        const cell = draw("rect", { x: left + place("src", other) * CELL, y: top + word * CELL, width: CELL, height: CELL,
          fill: colour(bytes(kind)[word * src.length + other]), role: "gridcell", tabindex: -1, "data-tgt": word, "data-src": other });
        cell.setAttribute("aria-label", told(word, other));
        row.append(cell);
      });
      svg.append(row);
    });
    const ring = (at, attributes) => {
      for (const [stroke, wide] of [["#000", 3], ["#fff", 1.4]]) {
        svg.append(draw("circle", { cx: left + (place("src", at[0]) + 0.5) * CELL, cy: top + (at[1] + 0.5) * CELL,
          r: CELL * 0.36, fill: "none", stroke, "stroke-width": wide, "pointer-events": "none", ...attributes }));
      }
    };
    if (pair().gold) {
      pair().gold.sure.forEach((at) => ring(at, {}));
      pair().gold.possible.forEach((at) => ring(at, { "stroke-dasharray": "3 2.5" }));
    }
    pair().links.forEach((at) => ring(at, { r: 1.6, fill: "#fff" }));
    for (const name of ["row", "column"]) svg.append(draw("rect", { class: `cross ${name}`, fill: "none", "pointer-events": "none",
      stroke: "#ff9d57", "stroke-width": 2, x: left, y: top, width: 0, height: 0 }));
    Object.assign(svg.dataset, { left, top });
    return svg;
  };

  const drawRibbons = (kind) => {
    const { src, tgt } = pair();
    // Read from the side where both languages begin.
    const first = rtl.src && rtl.tgt ? "tgt" : "src", left = room(pair()[first]);
    const sides = first === "src" ? { src: left, tgt: left + 140 } : { src: left + 140, tgt: left };
    const width = room(src) + 140 + room(tgt), most = Math.max(src.length, tgt.length);
    const y = (side, word) => (word + 0.5 + (most - pair()[side].length) / 2) * CELL + 4;
    const svg = draw("svg", { viewBox: `0 0 ${width} ${most * CELL + 8}`, role: "group", "aria-label": `${kind}, layer ${state.layer}` });
    svg.style.maxWidth = `${1.6 * width}px`;
    const middle = (sides.src + sides.tgt) / 2;
    tgt.forEach((_, j) => src.forEach((__, i) => {
      const value = mass(kind, j, i);
      if (value < 0.02) return;
      const linked = kindOf(j, i).length > 0, from = y("src", i), to = y("tgt", j);
      svg.append(draw("path", { d: `M${sides.src} ${from}C${middle} ${from} ${middle} ${to} ${sides.tgt} ${to}`, fill: "none",
        stroke: linked ? "#0072b2" : "#8a8a8a", "stroke-width": Math.max(0.6, 11 * value), "stroke-opacity": linked ? 0.85 : 0.5,
        class: "ribbon", "data-tgt": j, "data-src": i }));
    }));
    for (const side of ["src", "tgt"]) {
      const outward = (side === "src") === (sides.src < sides.tgt) ? -5 : 5;
      const end = outward < 0 !== rtl[side];
      pair()[side].forEach((word, k) => {
        const text = label(side, k, { x: sides[side] + outward, y: y(side, k) + FONT / 3, "text-anchor": end ? "end" : "start",
          role: "button", tabindex: -1 });
        text.setAttribute("aria-label", word);
        svg.append(text);
      });
    }
    return svg;
  };

  // ---- what is pointed at
  const told = (tgt, src) => {
    const values = KINDS.map((kind) => `${kind} ${fixed(mass(kind, tgt, src))}`).join(", ");
    return [`${pair().tgt[tgt]} – ${pair().src[src]}: ${values}`, ...kindOf(tgt, src)].join(", ");
  };
  const readout = make("p", { className: "readout" });
  const live = make("p", { className: "unseen", ariaLive: "polite" });
  let later = 0;
  const describe = (at) => {
    if (!at) return "Point at a cell or a word, or move with the arrow keys; click or Enter pins, Esc frees.";
    const side = at.tgt === null ? "src" : "tgt", other = side === "tgt" ? "src" : "tgt";
    if (at.tgt !== null && at.src !== null) return told(at.tgt, at.src);
    const value = (kind, word) => (side === "tgt" ? mass(kind, at.tgt, word) : mass(kind, word, at.src));
    const top = (kind) => pair()[other].map((word, k) => [word, value(kind, k)]).sort((a, b) => b[1] - a[1]).slice(0, 3)
      .filter(([, found]) => found >= 0.005).map(([word, found]) => `${word} ${fixed(found)}`).join(", ") || "nothing";
    return `${pair()[side][at[side]]}: ${KINDS.map((kind) => `${kind} ${top(kind)}`).join("; ")}`;
  };
  const point = () => {
    const at = state.pin || hover;
    for (const kind of KINDS) {
      const svg = panels[kind].querySelector("svg");
      if (!svg) continue;
      svg.querySelectorAll(".label").forEach((text) => {
        const on = at !== null && at[text.dataset.side] === Number(text.dataset.word);
        text.setAttribute("font-weight", on ? 700 : 400);
      });
      svg.querySelectorAll(".ribbon").forEach((path) => {
        const on = !at || ((at.tgt === null || Number(path.dataset.tgt) === at.tgt) && (at.src === null || Number(path.dataset.src) === at.src));
        path.setAttribute("opacity", on ? 1 : 0.12);
      });
      const [row, column] = svg.querySelectorAll(".cross");
      if (!row) continue;
      const left = Number(svg.dataset.left), top = Number(svg.dataset.top), size = pair();
      const set = (rect, on, box) => Object.entries(on ? box : { width: 0, height: 0 }).forEach(([key, v]) => rect.setAttribute(key, v));
      set(row, at && at.tgt !== null, { x: left, y: top + (at?.tgt ?? 0) * CELL, width: size.src.length * CELL, height: CELL });
      set(column, at && at.src !== null, { x: left + place("src", at?.src ?? 0) * CELL, y: top, width: CELL, height: size.tgt.length * CELL });
    }
    readout.textContent = `${state.pin ? "Pinned. " : ""}${describe(at)}`;
  };
  const speak = () => {
    clearTimeout(later);
    later = setTimeout(() => { live.textContent = readout.textContent; }, 250);
  };
  const target = (element) => {
    const found = element.closest && element.closest("[data-tgt], [data-side]");
    if (!found) return null;
    const { tgt, src, side, word } = found.dataset;
    if (side) return { tgt: side === "tgt" ? Number(word) : null, src: side === "src" ? Number(word) : null };
    return { tgt: Number(tgt), src: Number(src) };
  };
  const pinned = (at) => {
    const same = state.pin && at && state.pin.tgt === at.tgt && state.pin.src === at.src;
    state.pin = same ? null : at;
    history.replaceState(null, "", toFragment());
    point();
    speak();
  };
  const reach = (panel, element) => {
    panel.querySelectorAll('[tabindex="0"]').forEach((other) => other.setAttribute("tabindex", -1));
    element.setAttribute("tabindex", 0);
    element.focus();
  };
  const move = (panel, event) => {
    const at = target(event.target), flip = rtl.src ? -1 : 1;
    const step = { ArrowLeft: [0, -flip], ArrowRight: [0, flip], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -1e6], End: [0, 1e6] }[event.key];
    if (!at || !step) return;
    event.preventDefault();
    const clamp = (value, side) => Math.min(Math.max(value, 0), pair()[side].length - 1);
    if (state.mode === "maps") {
      const [tgt, src] = [clamp(at.tgt + step[0], "tgt"), clamp(at.src + step[1], "src")];
      reach(panel, panel.querySelector(`rect[data-tgt="${tgt}"][data-src="${src}"]`));
    } else {
      const side = at.tgt === null ? "src" : "tgt", to = step[1] ? (side === "src" ? "tgt" : "src") : side;
      reach(panel, panel.querySelector(`[data-side="${to}"][data-word="${clamp(at[side] + step[0], to)}"]`));
    }
  };
  for (const panel of Object.values(panels)) {
    panel.addEventListener("pointerover", (event) => { hover = target(event.target) || hover; point(); });
    panel.addEventListener("pointerleave", () => { hover = null; point(); });
    panel.addEventListener("focusin", (event) => { hover = target(event.target); point(); speak(); });
    panel.addEventListener("click", (event) => { const at = target(event.target); if (at) pinned(at); });
    panel.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pinned(target(event.target)); } else move(panel, event);
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && (state.pin || hover)) { hover = null; if (state.pin) pinned(null); else point(); }
  });

  // ---- beside the maps
  const bars = make("div", { className: "bars" });
  const fillBars = () => {
    const position = translator().position[state.view][state.layer - 1];
    const rows = [["attention", onLinks("attention"), "var(--trained)"], ["plan", onLinks("plan"), "var(--random)"],
      ["position*", position ? position[0] : null, "var(--quiet)"]];
    bars.replaceChildren(make("p", { className: "note", textContent: "mass on dictionary links, mean over links" }),
      ...rows.map(([name, value, fill]) => {
        const bar = make("span", { className: "bar" });
        bar.style.width = `${100 * (value ?? 0)}%`;
        bar.style.background = fill;
        return make("p", { className: "line" }, [make("span", { textContent: name }), make("span", { className: "track" }, [bar]),
          make("b", { textContent: fixed(value) })]);
      }), make("p", { className: "note", textContent: "* word order alone: mean of the corpus" }));
  };
  const curve = make("figure", { className: "curve" });
  const fillCurve = () => {
    const own = maps() && maps().score ? maps().score[state.view] : [];
    const corpus = translator().corpus[state.view], width = 300, height = 120;
    const all = [...own, ...corpus.flat()].filter((value) => value !== null), most = Math.max(0.1, ...all), least = Math.min(0, ...all);
    const x = (k) => 34 + (k / Math.max(1, translator().layers - 1)) * (width - 50);
    const y = (value) => height - 22 - ((value - least) / (most - least)) * (height - 34);
    const line = (values) => values.map((value, k) => (value === null ? "" : `${x(k).toFixed(1)},${y(value).toFixed(1)}`)).join(" ");
    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
    svg.setAttribute("aria-label", `${translator().score} by layer, this sentence: ${own.map(fixed).join(", ")}; mean of the corpus: ${corpus.map((row) => fixed(row[0])).join(", ")}`);
    svg.append(draw("polygon", { points: `${line(corpus.map((row) => row[2]))} ${line(corpus.map((row) => row[1])).split(" ").reverse().join(" ")}`, class: "band" }),
      draw("polyline", { points: line(corpus.map((row) => row[0])), class: "mean" }), draw("polyline", { points: line(own), class: "own" }),
      draw("line", { x1: x(state.layer - 1), x2: x(state.layer - 1), y1: 6, y2: height - 22, class: "now" }),
      draw("text", { x: 30, y: y(most) + 8, "text-anchor": "end" }, most.toFixed(1)), draw("text", { x: 30, y: y(least), "text-anchor": "end" }, least.toFixed(1)),
      draw("text", { x: x(0), y: height - 6 }, "layer 1"), draw("text", { x: x(translator().layers - 1), y: height - 6, "text-anchor": "end" }, String(translator().layers)));
    curve.replaceChildren(svg, make("figcaption", { className: "note",
      textContent: `${translator().score}: this sentence (line), mean of all sentences with its interval (band)` }));
  };

  // ---- all of it
  const words = make("div", { className: "pair" }, ["src", "tgt"].map((side) =>
    make("p", { lang: app.dataset[`${side}Lang`], dir: app.dataset[`${side}Dir`] })));
  const where = make("p", { className: "where" });
  const key = make("p", { className: "note key" });
  const KEYS = {
    maps: "Rings: full, sure link made by hand; dashed, possible link; dot, dictionary link. Both maps share one scale (dark 0, yellow 1, square root).",
    ribbons: "Thickness: mass, where it is at least 0.02. Blue: a link, by hand or by the dictionary; grey: none.",
  };
  const go = (change) => { Object.assign(state, change); hover = null; show(); history.replaceState(null, "", toFragment()); };
  const show = () => {
    state.layer = Math.min(state.layer, translator().layers);
    const read = Boolean(maps());
    looks.replaceChildren(...translator().views.map((entry, k) => option(`${entry.name}: ${entry.looks}`, k)));
    Object.assign(who, { value: String(state.translator) });
    looks.value = String(state.view);
    key.textContent = KEYS[state.mode];
    mode.textContent = state.mode === "maps" ? "show ribbons" : "show maps";
    fillList();
    ["src", "tgt"].forEach((side, k) => { words.children[k].textContent = pair()[side].join(" "); });
    where.textContent = `Pair ${pair().id}, ${translator().name}, ${view().name}, layer ${state.layer} of ${translator().layers}` +
      `${read && maps().score ? `, ${translator().score} ${fixed(score(state.pair))}` : ""}${pair().gold ? "" : "; not linked by hand"}.`;
    strip.hidden = !read;
    bars.hidden = !read;
    for (const entry of saving) entry.disabled = !read;
    for (const kind of KINDS) {
      if (!read) { panels[kind].replaceChildren(); continue; }
      const svg = state.mode === "maps" ? drawMap(kind) : drawRibbons(kind);
      panels[kind].replaceChildren(make("figcaption", { textContent: kind }), make("div", { className: "scroll" }, [svg]));
      const first = state.pin && state.mode === "maps" && state.pin.tgt !== null && state.pin.src !== null
        ? svg.querySelector(`rect[data-tgt="${state.pin.tgt}"][data-src="${state.pin.src}"]`) : svg.querySelector("[tabindex]");
      if (first) first.setAttribute("tabindex", 0);
    }
    fillCurve();
    if (read) {
      fillStrip();
      fillBars();
      point();
    } else {
      readout.textContent = `${translator().name} did not read this pair. Left out of the corpus by the stage extract: ${translator().skipped}.`;
    }
  };

  app.append(
    make("div", { className: "controls" }, [labelled("search", search), labelled("order", order), labelled("translator", who),
      labelled("view", looks), chips, labelled("sentence pairs, each with its score", list, "pair")]),
    words, where, strip, make("div", { className: "controls tools" }, [mode, copy, ...saving, note, shared]),
    make("div", { className: "panels" }, Object.values(panels)), readout, live,
    key,
    make("div", { className: "beside" }, [bars, curve]),
  );
  const given = fromFragment();
  if (!given) Object.assign(state, { pair: data.example ?? 0, layer: translator().layers });
  document.getElementById("explorer-static").hidden = true;
  app.hidden = false;
  show();
  if (given) app.scrollIntoView();
  window.addEventListener("hashchange", () => { if (fromFragment()) { show(); app.scrollIntoView(); } });
})();
