// What each key does; the help lists this table.

const STRIDE = 80;
const help = id("help");
const KEYS = [
  ["Move", {
    "←": () => pan(STRIDE, 0),
    "→": () => pan(-STRIDE, 0),
    "↑": () => pan(0, STRIDE),
    "↓": () => pan(0, -STRIDE),
  }],
  ["Zoom in and out", { "+": () => zoom(1.25), "−": () => zoom(0.8) }],
  ["Fit the picture", { f: fit, 0: fit }],
  ["Search, then Enter for the next", { "/": () => query.select() }],
  ["Next box, and into its details", { Tab: null, Enter: enter }],
  ["Back and forward one step", { "[": back, "]": forward }],
  ["Play and pause", { Space: () => order.length && play() }],
  ["First and last step", { Home: first, End: last }],
  ["Earlier and later moment", { ",": () => showFrame(frame - 1), ".": () => showFrame(frame + 1) }],
  ["Close, and show all again", { Esc: escape }],
  ["These keys", { "?": ask }],
];
const SPELLED = {
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  "-": "−",
  _: "−",
  "=": "+",
  " ": "Space",
  Escape: "Esc",
  F: "f",
};
const SCROLLING = new Set(["←", "→", "↑", "↓", "Home", "End", "Space"]);
const actions = Object.assign({}, ...KEYS.map(([, keys]) => keys));

function enter() {
  const box = boxOf(document.activeElement);
  if (!box) return;
  choose(box);
  panel.querySelector("h2").focus({ preventScroll: true });
}

function escape() {
  if (help.open) return ask();
  if (query.value) return forget();
  if (chosen || glanced) return leave();
  play(false);
  stepTo(null);
}

function ask() {
  if (help.open) help.close();
  else help.show();
  id("ask").setAttribute("aria-expanded", String(help.open));
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const name = SPELLED[event.key] ?? event.key;
  const target = event.target;
  const typing = target === query;
  const pressing = target.matches?.("button") && (name === "Space" || name === "Enter");
  const scrolling = (panel.contains(target) || target === slider) && SCROLLING.has(name);
  const action = actions[name];
  if (!action || typing || pressing || scrolling || (name === "Enter" && !boxOf(target))) return;
  event.preventDefault();
  action();
});

help.append(
  make("h2", "", "Keys"),
  make("dl", "", ...KEYS.flatMap(([what, keys]) => [
    make("dt", "", ...Object.keys(keys).map((key) => make("kbd", "", key))),
    make("dd", "", what),
  ])),
);
id("ask").addEventListener("click", ask);
