// What the panel says of a box.

const panel = id("panel");
// Anchors of cividis, which rises evenly from dark to light for colour-blind readers too.
const CIVIDIS = [
  [0, 32, 77],
  [53, 71, 108],
  [102, 105, 112],
  [148, 142, 119],
  [200, 184, 102],
  [255, 234, 70],
];
let frame = 0;

/** Red, green and blue of a level from 0 to 255. */
function heatColour(level) {
  const at = (level / 255) * (CIVIDIS.length - 1);
  const k = Math.min(Math.floor(at), CIVIDIS.length - 2);
  return CIVIDIS[k].map((from, c) => Math.round(from + (CIVIDIS[k + 1][c] - from) * (at - k)));
}

function image(levels, width, height) {
  const canvas = make("canvas");
  Object.assign(canvas, { width, height });
  const pixels = new ImageData(width, height);
  for (let k = 0; k < width * height; k++) pixels.data.set([...heatColour(levels[k]), 255], 4 * k);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}

function heat(height, pixels, low, high) {
  const levels = Uint8Array.from(atob(pixels), (character) => character.charCodeAt(0));
  const width = levels.length / height;
  if (!Number.isInteger(width) || width < 1) return "";
  const map = image(levels, width, height);
  map.className = "heat";
  map.setAttribute("role", "img");
  map.setAttribute("aria-label", `heat map of ${height} by ${width} values from ${low} to ${high}`);
  const small = Math.min(16, 280 / width, 240 / height);
  map.style.width = `${Math.max(width * small, 24)}px`;
  const ramp = image(Uint8Array.from({ length: 64 }, (_, k) => k * 4), 64, 1);
  ramp.className = "ramp";
  const caption = make("figcaption", "", make("span", "", low), ramp, make("span", "", high));
  return make("figure", "", map, caption);
}

function values(list) {
  return list.flatMap(([letter, moments]) => {
    const [text, ...map] = moments[Math.min(frame, moments.length - 1)] ?? [""];
    const name = written([letter]);
    return [make("div", "value", name, make("pre", "", text), map.length ? heat(...map) : "")];
  });
}

/** The box's own lines stand in for formulas where nothing more is known. */
function formulas(box) {
  const lines = box.detail ? box.detail.formulas ?? [] : linesOf(box.element).slice(1);
  return lines.map(written);
}

function section(name, ...children) {
  return children.length ? [make("section", "", make("h3", "", name), ...children)] : [];
}

function neighbours(arrows, end) {
  const rows = arrows.map((arrow) => {
    const name = make("bdi", "", titleOf(arrow[end]));
    const button = make("button", "follow", name, make("small", "", labelOf(arrow)));
    button.type = "button";
    button.dataset.key = arrow[end].key;
    button.style.borderLeftColor = colour(arrow[end].role.outline);
    return button;
  });
  return rows.length ? [make("div", "neighbours", ...rows)] : [];
}

function code(text) {
  if (!text) return [];
  const block = make("pre", "code", make("code", "", text));
  block.tabIndex = 0;
  return [block];
}

/** Show the values of another moment, and leave the rest of the panel as it is. */
function tellValues(box) {
  panel.querySelector(".values")?.replaceChildren(...values(box.detail.values));
}

/** Fill the panel with a box, or hide it. */
function tell(box) {
  panel.hidden = !box;
  if (!box) return panel.replaceChildren();
  const detail = box.detail ?? {};
  const heading = make("h2", "", make("bdi", "", titleOf(box)));
  heading.tabIndex = -1;
  const chip = make("span", "chip", box.role.label);
  chip.style.background = colour(box.role.fill);
  chip.style.borderColor = colour(box.role.outline);
  const close = make("button", "close", "×");
  close.type = "button";
  close.setAttribute("aria-label", "Close");
  const facts = (detail.facts ?? []).flatMap(([name, what]) => [
    make("dt", "", name),
    make("dd", "", make("bdi", "", what)),
  ]);
  const moments = detail.values ? [make("div", "values", ...values(detail.values))] : [];
  panel.replaceChildren(
    make("div", "top", chip, close),
    heading,
    ...(facts.length ? [make("dl", "", ...facts)] : []),
    ...section("Formulas", ...formulas(box)),
    ...section("Values", ...moments),
    ...section("Inputs", ...neighbours(box.inputs, "tail")),
    ...section("Outputs", ...neighbours(box.outputs, "head")),
    ...section("Generated C", ...code(detail.code)),
  );
}
