// What the picture consists of: boxes and arrows, each with its element of the SVG.

const id = (name) => document.getElementById(name);
const data = JSON.parse(await unpacked(id("data").textContent));
const picture = document.querySelector("#stage > svg");
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const boxes = data.boxes.map(([key, role], k) => {
  const [label, fill, outline] = data.roles[role];
  return {
    key,
    role: { label, fill, outline },
    element: id(`box-${key}`),
    detail: data.details[k],
    inputs: [],
    outputs: [],
  };
});
const arrows = data.arrows.map(([tail, head, up, values = []], k) => {
  const element = id(`arrow-${k}`);
  const arrow = { tail: boxes[tail], head: boxes[head], up: Boolean(up), values, element };
  if (arrow.tail && arrow.head) {
    arrow.tail.outputs.push(arrow);
    arrow.head.inputs.push(arrow);
  }
  return arrow;
});
/** The text of the data, which is compressed where it is long. */
async function unpacked(text) {
  if (text.startsWith("{")) return text;
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(inflated).text();
}

const byKey = new Map(boxes.map((box) => [box.key, box]));
const byElement = new Map(boxes.filter((box) => box.element).map((box) => [box.element, box]));

/** The box that an element of the SVG is a part of. */
const boxOf = (element) => byElement.get(element.closest?.("#stage .node"));

/** The lines that the SVG shows in a group: lists of pieces [text, colour, bold, subscript]. */
function linesOf(element) {
  const pieces = (text) => (text.children.length ? [...text.children] : [text]);
  const piece = (part) => [
    part.textContent.replaceAll("\u00a0", " "), // Graphviz' spelling of a space beside another
    part.getAttribute("fill") ?? undefined,
    part.getAttribute("font-weight") === "bold",
    part.getAttribute("baseline-shift") === "sub",
  ];
  return [...(element?.querySelectorAll("text") ?? [])].map((text) => pieces(text).map(piece));
}

const plain = (line) => line.map(([text]) => text).join("");
const firstLine = (box) => plain(linesOf(box.element)[0] ?? []).trim();
const titleOf = (box) => box.detail?.title || firstLine(box) || box.key;
const labelOf = (arrow) => linesOf(arrow.element).map((line) => plain(line).trim()).join(" ");

/** A colour of the picture, light or dark as the page is. */
const colour = (hex) => (/^#[0-9a-f]{6}$/.test(hex ?? "") ? `var(--c${hex.slice(1)}, ${hex})` : "");

/** An element with a class and children; text stays text. */
function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

/** A line of coloured pieces. */
function written(line) {
  return make("div", "line", ...line.map(([text, hex, bold, subscript]) => {
    const piece = make(subscript ? "sub" : bold ? "b" : "span", "", text);
    piece.style.color = colour(hex);
    return piece;
  }));
}

for (const box of byElement.values()) {
  box.element.setAttribute("tabindex", "0");
  box.element.setAttribute("role", "button");
  box.element.setAttribute("aria-label", `${titleOf(box).slice(0, 200)}, ${box.role.label}`);
}
