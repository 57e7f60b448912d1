// The explorer, 1 of 4: what is shown, unpacked from the page's data and kept in its address.
const app = document.getElementById("explorer-app");
const source = document.getElementById("explorer-data");
const data = JSON.parse(source.textContent);
const SVG = "http://www.w3.org/2000/svg";
const CELL = 18,
  LETTERS = 14,
  FONT = 11;
const KINDS = ["attention", "plan"];
const state = { pair: 0, translator: 0, view: 0, layer: 1, head: null, mode: "maps", pin: null }; // head null: the mean
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
const graphemes = (word) =>
  "Segmenter" in Intl ? Array.from(new Intl.Segmenter().segment(word), (part) => part.segment) : Array.from(word);
const shortened = (word, most = LETTERS) => {
  const parts = graphemes(word);
  return parts.length > most ? `${parts.slice(0, most - 1).join("")}…` : word;
};
const fixed = (value) => (value === null ? "–" : value.toFixed(2));

const pair = () => data.pairs[state.pair];
const translator = () => data.translators[state.translator];
const view = () => translator().views[state.view];
const maps = (k = state.pair) => translator().maps[k];

// Stored as steps of the root of the mass, 255 or (single heads) 85, in zlib's form: attention then plan, view, layer,
// (head,) target word, source word.
await Promise.all(
  data.translators.flatMap((entry) =>
    entry.maps.filter(Boolean).map(async (one) => {
      one.blocks = await unpack(one.blocks);
      one.heads = one.heads && (await unpack(one.heads)).map((step) => 3 * step);
    }),
  ),
);
const bytes = (kind, layer = state.layer) => {
  const { layers, heads, views } = translator();
  const size = pair().src.length * pair().tgt.length,
    at = state.view * layers + layer - 1;
  if (kind === "attention" && state.head !== null) {
    const from = (at * heads + state.head) * size;
    return maps().heads.subarray(from, from + size);
  }
  const from = (at + (kind === "plan" ? views.length * layers : 0)) * size;
  return maps().blocks.subarray(from, from + size);
};
const mass = (kind, tgt, src, layer) => (bytes(kind, layer)[tgt * pair().src.length + src] / 255) ** 2;
const has = (links, tgt, src) => links.some(([i, j]) => i === src && j === tgt);
const kindOf = (tgt, src) => {
  const { gold, links } = pair();
  return [
    gold && has(gold.sure, tgt, src) && "sure link",
    gold && has(gold.possible, tgt, src) && "possible link",
    has(links, tgt, src) && "dictionary link",
  ].filter(Boolean);
};
const onLinks = (kind) => {
  const { links } = pair();
  return links.length ? links.reduce((sum, [i, j]) => sum + mass(kind, j, i), 0) / links.length : null;
};
// The sentence of the paper's Figure 1 is no row of the corpus.
const called = (entry) => (entry.id < 0 ? "The sentence of the paper’s Figure 1" : `Pair ${entry.id}`);
const score = (k) => {
  const found = maps(k);
  return found && found.score ? found.score[state.view][state.layer - 1] : null;
};

const STOPS = [
  [68, 1, 84],
  [72, 40, 120],
  [62, 74, 137],
  [49, 104, 142],
  [38, 130, 142],
  [31, 158, 137],
  [53, 183, 121],
  [109, 205, 89],
  [180, 222, 44],
  [253, 231, 37],
];
const colour = (byte) => {
  const at = (byte / 255) * (STOPS.length - 1),
    low = Math.min(Math.floor(at), STOPS.length - 2);
  return `rgb(${STOPS[low].map((from, k) => Math.round(from + (at - low) * (STOPS[low + 1][k] - from))).join(",")})`;
};

// the state in the address
const toFragment = () => {
  const parts = [pair().id, translator().name, view().id, state.layer, state.head ?? "mean", state.mode];
  if (state.pin) parts.push([state.pin.tgt, state.pin.src].map((at) => at ?? "").join("-"));
  return `#x=${parts.map((part) => encodeURIComponent(part)).join("/")}`;
};
const fromFragment = () => {
  if (!location.hash.startsWith("#x=")) return false;
  let parts;
  try {
    parts = location.hash.slice(3).split("/").map(decodeURIComponent);
  } catch {
    return false;
  }
  const [id, name, viewId, layer, head, mode, words] = parts;
  const at = data.pairs.findIndex((entry) => String(entry.id) === id);
  const who = data.translators.findIndex((entry) => entry.name === name);
  if (at < 0 || who < 0) return false;
  const looks = data.translators[who].views.findIndex((entry) => entry.id === viewId);
  Object.assign(state, { pair: at, translator: who, view: Math.max(0, looks), pin: null });
  state.layer = Math.min(Math.max(1, Number.parseInt(layer, 10) || 1), translator().layers);
  state.head = /^\d+$/.test(head) ? Number(head) : null;
  state.mode = mode === "ribbons" ? "ribbons" : "maps";
  const [tgt, src] = (words || "-").split("-").map((text) => (/^\d+$/.test(text) ? Number(text) : null));
  const inside = (word, side) => (word !== null && word < pair()[side].length ? word : null);
  const pin = { tgt: inside(tgt, "tgt"), src: inside(src, "src") };
  if (pin.tgt !== null || pin.src !== null) state.pin = pin;
  return true;
};
