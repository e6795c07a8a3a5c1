// Which moment the values are of: the slider, the arrows' labels and the panel.

const slider = id("frame");
const squeezed = (text) => text.replace(/\s+/g, " ").trim();
const carried = arrows.map((arrow) => ({ arrow, text: shown(arrow) })).filter(({ text }) => text);

/** The last piece of an arrow's label that says its first value. */
function shown({ element, values }) {
  if (!element || !values.length) return null;
  const said = squeezed(values[0]);
  const says = (piece) => !piece.children.length && squeezed(piece.textContent) === said;
  return [...element.querySelectorAll("text, tspan")].findLast(says);
}

function showFrame(k) {
  const last = data.frames.length - 1;
  frame = Math.min(Math.max(k, 0), Math.max(last, 0));
  slider.value = frame;
  id("moment").textContent = data.frames[frame] ?? "";
  slider.setAttribute("aria-valuetext", data.frames[frame] ?? "");
  for (const { arrow, text } of carried) {
    const padding = /^\s*/.exec(text.textContent)[0];
    text.textContent = `${padding}${arrow.values[Math.min(frame, arrow.values.length - 1)]}`;
  }
  tellValues(chosen ?? glanced);
}

id("moments").hidden = data.frames.length < 2;
slider.max = Math.max(data.frames.length - 1, 0);
slider.addEventListener("input", () => showFrame(Number(slider.value)));
