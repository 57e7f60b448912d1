"use strict";
(() => {
  const app = document.getElementById("explorer-app");
  const source = document.getElementById("explorer-data");
  if (!app || !source) return;
  const data = JSON.parse(source.textContent);
  const state = { pair: 0, translator: 0, view: 0, layer: 1, side: "tgt", word: 0 };
  const other = { src: "tgt", tgt: "src" };
  const unpacked = new Map();

  // Every text goes in as text, never as markup: it comes from a corpus.
  const make = (tag, properties = {}, children = []) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const pair = () => data.pairs[state.pair];
  const translator = () => data.translators[state.translator];
  const view = () => translator().views[state.view];
  const sourceLooks = () => view().query_side === "src";

  // Stored as 255 times the square root of the mass: view, layer, target word, source word.
  const block = () => {
    const key = `${state.translator} ${state.pair}`;
    if (!unpacked.has(key)) {
      const packed = translator().blocks[state.pair];
      unpacked.set(key, packed === null ? null : Uint8Array.from(atob(packed), (c) => c.charCodeAt(0)));
    }
    return unpacked.get(key);
  };
  const mass = (tgt, src, layer = state.layer) => {
    const { src: { length: nSrc }, tgt: { length: nTgt } } = pair();
    const at = ((state.view * translator().layers + layer - 1) * nTgt + tgt) * nSrc + src;
    return (block()[at] / 255) ** 2;
  };
  const between = (side, word, opposite, layer) =>
    side === "tgt" ? mass(word, opposite, layer) : mass(opposite, word, layer);
  const partners = (links, side, word) => {
    const [own, opposite] = side === "src" ? [0, 1] : [1, 0];
    return links.filter((link) => link[own] === word).map((link) => link[opposite]);
  };

  // A pair begins with a linked word, where there is something to see.
  const begin = (number) => {
    const [link] = data.pairs[number].links;
    Object.assign(state, { pair: number, side: "tgt", word: link ? link[1] : 0 });
  };

  const select = (label, options, onChange, className = "") => {
    const input = make("select");
    options.forEach((text, index) => input.append(make("option", { value: String(index), textContent: text })));
    input.addEventListener("change", () => onChange(Number(input.value)));
    return [make("label", { textContent: label, className }, [input]), input];
  };
  const shortened = (words) => {
    const text = words.join(" ");
    return text.length > 90 ? `${text.slice(0, 89)}…` : text;
  };

  const [pairLabel] = select("sentence pair", data.pairs.map((entry, k) => `${k + 1}. ${shortened(entry.src)}`), (k) => {
    begin(k);
    draw();
  }, "pair");
  const [translatorLabel] = select("translator", data.translators.map((entry) => entry.name), (k) => {
    Object.assign(state, { translator: k, view: 0 });
    state.layer = Math.min(state.layer, translator().layers);
    drawControls();
    draw();
  });
  const [viewLabel, viewInput] = select("view", [], (k) => { state.view = k; update(); });
  const layerText = make("span");
  const layerInput = make("input", { type: "range", min: "1", step: "1" });
  layerInput.addEventListener("input", () => { state.layer = Number(layerInput.value); update(); });
  const layerLabel = make("label", {}, [layerText, layerInput]);
  const sentences = { src: make("div", { className: "sentence", dir: "auto" }), tgt: make("div", { className: "sentence", dir: "auto" }) };
  const readout = make("p", { className: "readout", ariaLive: "polite" });

  const drawControls = () => {
    viewInput.replaceChildren(...translator().views.map((entry, k) =>
      make("option", { value: String(k), textContent: `${entry.name}: ${entry.looks}`, selected: k === state.view })));
    layerInput.max = String(translator().layers);
    layerInput.value = String(state.layer);
  };

  const choose = (side, word) => { Object.assign(state, { side, word }); update(); };
  const move = (event, side, word) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const across = event.key === "ArrowUp" || event.key === "ArrowDown";
    if (step === undefined && !across) return;
    event.preventDefault();
    const row = sentences[across ? other[side] : side].children;
    const forward = getComputedStyle(sentences[side]).direction === "rtl" ? -step : step;
    row[Math.max(0, Math.min(row.length - 1, across ? word : word + forward))].focus();
  };

  const draw = () => {
    for (const side of ["src", "tgt"]) {
      sentences[side].lang = app.dataset[`${side}Lang`];
      sentences[side].setAttribute("role", "group");
      sentences[side].setAttribute("aria-label", side === "src" ? "source sentence" : "target sentence");
      sentences[side].replaceChildren(...pair()[side].map((text, word) => {
        const button = make("button", { type: "button", className: "word" }, [
          make("bdi", { textContent: text }), make("span", { className: "mass" }),
        ]);
        button.addEventListener("pointerenter", () => choose(side, word));
        button.addEventListener("focus", () => choose(side, word));
        button.addEventListener("click", () => choose(side, word));
        button.addEventListener("keydown", (event) => move(event, side, word));
        return button;
      }));
    }
    update();
  };

  const update = () => {
    layerText.textContent = `layer ${state.layer} of ${translator().layers}`;
    const opposite = other[state.side];
    const entry = pair();
    const read = block() !== null;
    const linked = partners(entry.links, state.side, state.word);
    const sure = entry.gold ? partners(entry.gold.sure, state.side, state.word) : [];
    const possible = entry.gold ? partners(entry.gold.possible, state.side, state.word) : [];
    for (const side of ["src", "tgt"]) {
      [...sentences[side].children].forEach((button, word) => {
        const chosen = side === state.side && word === state.word;
        const value = read && side === opposite ? between(state.side, state.word, word) : 0;
        button.setAttribute("aria-pressed", String(chosen));
        button.tabIndex = chosen || (side === opposite && word === 0) ? 0 : -1;
        button.style.setProperty("--mass", (0.75 * Math.sqrt(value)).toFixed(3));
        button.lastChild.textContent = value >= 0.005 ? value.toFixed(2) : "";
        button.classList.toggle("dictionary", side === opposite && linked.includes(word));
        button.classList.toggle("sure", side === opposite && sure.includes(word));
        button.classList.toggle("possible", side === opposite && possible.includes(word));
      });
    }
    readout.textContent = read ? describe(linked, sure, possible) : `${translator().name} did not read this pair.`;
  };

  const describe = (linked, sure, possible) => {
    const entry = pair();
    const opposite = other[state.side];
    const looks = sourceLooks() === (state.side === "src");
    const values = entry[opposite].map((text, word) => ({ text, value: between(state.side, state.word, word) }));
    const total = values.reduce((sum, item) => sum + item.value, 0);
    const top = [...values].sort((a, b) => b.value - a.value).slice(0, 3).map((item) => `${item.text} ${item.value.toFixed(2)}`);
    const names = (words) => words.map((word) => entry[opposite][word]).join(", ");
    const parts = [`“${entry[state.side][state.word]}” ${looks ? "looks at" : "is looked at by"} ${top.join(", ")}.`];
    if (looks) parts.push(`Elsewhere (special tokens, own sentence): ${Math.max(0, 1 - total).toFixed(2)}.`);
    if (linked.length) {
      const layers = Array.from({ length: translator().layers }, (_, k) =>
        linked.reduce((sum, word) => sum + between(state.side, state.word, word, k + 1), 0).toFixed(2));
      parts.push(`Dictionary: ${names(linked)}; mass there in layers 1 to ${layers.length}: ${layers.join(" ")}.`);
    } else {
      parts.push("Dictionary: no link.");
    }
    if (entry.gold) parts.push(`By hand, sure: ${names(sure) || "none"}; possible: ${names(possible) || "none"}.`);
    return parts.join(" ");
  };

  app.append(
    make("div", { className: "controls" }, [pairLabel, translatorLabel, viewLabel, layerLabel]),
    sentences.src, sentences.tgt, readout,
    make("p", { className: "note", textContent:
      "Point at a word, or move with the arrow keys. Shade and number: mass between it and each word of the other side. " +
      "Blue line below: dictionary link; double underline: sure link made by hand; dotted: possible link." }),
  );
  state.layer = translator().layers;
  begin(0);
  drawControls();
  draw();
  document.getElementById("explorer-static").hidden = true;
  app.hidden = false;
})();
