// The explorer, 3 of 4: what pointer and keys reach, in words.
// what is pointed at
const told = (tgt, src) => {
  const values = KINDS.map((kind) => `${kind} ${fixed(mass(kind, tgt, src))}`).join(", ");
  return [`${pair().tgt[tgt]} – ${pair().src[src]}: ${values}`, ...kindOf(tgt, src)].join(", ");
};
const readout = make("p", { className: "readout" });
const live = make("p", { className: "unseen", ariaLive: "polite" });
let later = 0;
const describe = (at) => {
  if (!at) return "Point at a cell or a word, or move with the arrow keys; click or Enter pins, Esc frees.";
  const side = at.tgt === null ? "src" : "tgt",
    other = side === "tgt" ? "src" : "tgt";
  if (at.tgt !== null && at.src !== null) return told(at.tgt, at.src);
  const value = (kind, word) => (side === "tgt" ? mass(kind, at.tgt, word) : mass(kind, word, at.src));
  const top = (kind) =>
    pair()
      [other].map((word, k) => [word, value(kind, k)])
      .sort((a, b) => b[1] - a[1])
      .slice(0, 3)
      .filter(([, found]) => found >= 0.005)
      .map(([word, found]) => `${word} ${fixed(found)}`)
      .join(", ") || "nothing";
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
      const on =
        !at ||
        ((at.tgt === null || Number(path.dataset.tgt) === at.tgt) &&
          (at.src === null || Number(path.dataset.src) === at.src));
      path.setAttribute("opacity", on ? 1 : 0.12);
    });
    const [row, column] = svg.querySelectorAll(".cross");
    if (!row) continue;
    const left = Number(svg.dataset.left),
      top = Number(svg.dataset.top),
      size = pair();
    const set = (rect, on, box) =>
      Object.entries(on ? box : { width: 0, height: 0 }).forEach(([key, v]) => rect.setAttribute(key, v));
    set(row, at && at.tgt !== null, {
      x: left,
      y: top + (at?.tgt ?? 0) * CELL,
      width: size.src.length * CELL,
      height: CELL,
    });
    set(column, at && at.src !== null, {
      x: left + place("src", at?.src ?? 0) * CELL,
      y: top,
      width: CELL,
      height: size.tgt.length * CELL,
    });
  }
  readout.textContent = `${state.pin ? "Pinned. " : ""}${describe(at)}`;
};
const speak = () => {
  clearTimeout(later);
  later = setTimeout(() => {
    live.textContent = readout.textContent;
  }, 250);
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
  const at = target(event.target),
    flip = rtl.src ? -1 : 1;
  const step = {
    ArrowLeft: [0, -flip],
    ArrowRight: [0, flip],
    ArrowUp: [-1, 0],
    ArrowDown: [1, 0],
    Home: [0, -1e6],
    End: [0, 1e6],
  }[event.key];
  if (!at || !step) return;
  event.preventDefault();
  const clamp = (value, side) => Math.min(Math.max(value, 0), pair()[side].length - 1);
  if (state.mode === "maps") {
    const [tgt, src] = [clamp(at.tgt + step[0], "tgt"), clamp(at.src + step[1], "src")];
    reach(panel, panel.querySelector(`rect[data-tgt="${tgt}"][data-src="${src}"]`));
  } else {
    const side = at.tgt === null ? "src" : "tgt",
      to = step[1] ? (side === "src" ? "tgt" : "src") : side;
    reach(panel, panel.querySelector(`[data-side="${to}"][data-word="${clamp(at[side] + step[0], to)}"]`));
  }
};
for (const panel of Object.values(panels)) {
  panel.addEventListener("pointerover", (event) => {
    hover = target(event.target) || hover;
    point();
  });
  panel.addEventListener("pointerleave", () => {
    hover = null;
    point();
  });
  panel.addEventListener("focusin", (event) => {
    hover = target(event.target);
    point();
    speak();
  });
  panel.addEventListener("click", (event) => {
    const at = target(event.target);
    if (at) pinned(at);
  });
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      pinned(target(event.target));
    } else move(panel, event);
  });
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && (state.pin || hover)) {
    hover = null;
    if (state.pin) pinned(null);
    else point();
  }
});
