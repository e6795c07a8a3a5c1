// Where the picture lies in the window: pan and zoom.

const stage = id("stage");
const view = { x: 0, y: 0, scale: 1 };
const natural = picture?.viewBox.baseVal;
const size = { width: natural?.width || 1, height: natural?.height || 1 };
const LARGEST = 8;
const READABLE = 0.45;
const FAR = 0.2;
let drawing = 0; // the frame that is asked for
let thick = 0; // the width of lines seen from afar
let gliding = 0; // the timer of a movement

function draw() {
  drawing = 0;
  if (!picture) return;
  picture.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
  // From afar, lines keep a width that is seen. It doubles, for each change costs a restyling.
  const width = view.scale < FAR ? 2 ** Math.round(Math.log2(0.6 / view.scale)) : 0;
  if (width === thick) return;
  thick = width;
  picture.classList.toggle("far", width > 0);
  picture.style.setProperty("--width", `${width}px`);
}

function place({ x, y, scale }) {
  Object.assign(view, { x, y, scale });
  drawing ||= requestAnimationFrame(draw);
}

/** What no card covers, in the window's pixels. */
function free() {
  const { clientWidth: width, clientHeight: height } = stage;
  const room = { left: 24, top: 76, right: width - 24, bottom: height - 24 };
  const [panel, player] = [id("panel"), id("player")];
  if (!player.hidden) room.bottom = player.offsetTop - 16;
  if (!panel.hidden) {
    if (panel.offsetWidth > width * 0.8) room.bottom = Math.min(room.bottom, panel.offsetTop - 16);
    else room.right = panel.offsetLeft - 16;
  }
  return room;
}

const smallest = () => Math.min(READABLE, fitting()) / 2;

function fitting() {
  const room = free();
  const [across, down] = [room.right - room.left, room.bottom - room.top];
  return Math.min(across / size.width, down / size.height, 1.6);
}

function fitted(scale, top) {
  const room = free();
  const x = (room.left + room.right - size.width * scale) / 2;
  const y = (room.top + room.bottom - size.height * scale) / 2;
  return { x, y: top ? Math.max(y, room.top) : y, scale };
}

const fit = () => glide(fitted(Math.max(fitting(), 0.005), false));

/** The first sight: all of the picture, or where that is too small to read the beginning of it. */
function open() {
  const scale = fitting();
  if (scale >= READABLE) return place(fitted(scale, false));
  place(fitted(0.8, true));
  const first = boxes[0]?.element;
  if (first) place(towards(first.getBBox(), 0.5, 0.12));
}

function zoom(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  cancelAnimationFrame(gliding);
  const scale = Math.min(Math.max(view.scale * factor, smallest()), LARGEST);
  const ratio = scale / view.scale;
  place({ x: x - (x - view.x) * ratio, y: y - (y - view.y) * ratio, scale });
}

function pan(dx, dy) {
  cancelAnimationFrame(gliding);
  place({ x: view.x + dx, y: view.y + dy, scale: view.scale });
}

/** Move there in a fifth of a second, or at once for readers who want no motion. */
function glide(there) {
  cancelAnimationFrame(gliding);
  if (calm.matches) return place(there);
  const from = { ...view };
  const start = performance.now();
  const step = (now) => {
    const t = Math.min(Math.max((now - start) / 220, 0), 1);
    const eased = 1 - (1 - t) ** 3;
    const between = (name) => from[name] + (there[name] - from[name]) * eased;
    place({ x: between("x"), y: between("y"), scale: between("scale") });
    if (t < 1) gliding = requestAnimationFrame(step);
  };
  gliding = requestAnimationFrame(step);
}

id("larger").addEventListener("click", () => zoom(1.25));
id("smaller").addEventListener("click", () => zoom(0.8));
id("fit").addEventListener("click", fit);
