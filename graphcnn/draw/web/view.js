// Where the picture lies in the window: pan and zoom.

const stage = id("stage");
const view = { x: 0, y: 0, scale: 1 };
const size = { width: picture?.viewBox.baseVal.width || 1, height: picture?.viewBox.baseVal.height || 1 };
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
  // From afar, lines keep a width that is seen. It changes by doublings, each of which costs a restyling.
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
  return Math.min((room.right - room.left) / size.width, (room.bottom - room.top) / size.height, 1.6);
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

/** The rectangle of the SVG's own units that holds all of these elements. */
function around(elements) {
  const all = elements.map((element) => element.getBBox());
  const [left, top] = [Math.min(...all.map((b) => b.x)), Math.min(...all.map((b) => b.y))];
  const width = Math.max(...all.map((b) => b.x + b.width)) - left;
  return { x: left, y: top, width, height: Math.max(...all.map((b) => b.y + b.height)) - top };
}

/** Where the corner of a rectangle is from the corner of the picture. */
function offset(rectangle) {
  const { e, f } = picture.querySelector("g").transform.baseVal.consolidate()?.matrix ?? { e: 0, f: 0 };
  return { x: rectangle.x + e, y: rectangle.y + f };
}

/** The view in which a rectangle's centre is at these parts of the free room. */
function towards(rectangle, across = 0.5, down = 0.5, scale = view.scale) {
  const room = free();
  const corner = offset(rectangle);
  const x = room.left + (room.right - room.left) * across - (corner.x + rectangle.width / 2) * scale;
  const y = room.top + (room.bottom - room.top) * down - (corner.y + rectangle.height / 2) * scale;
  return { x, y, scale };
}

/** Bring elements into the middle, large enough to read. */
function centre(elements) {
  if (elements.length) glide(towards(around(elements), 0.5, 0.5, Math.max(view.scale, READABLE * 1.5)));
}

/** Bring elements into sight, without a movement where they are; the first where not all have room. */
function reveal(elements) {
  if (!elements.length) return;
  const room = free();
  const all = around(elements);
  const fits = all.width * view.scale <= room.right - room.left && all.height * view.scale <= room.bottom - room.top;
  if (elements.length > 1 && !fits) return reveal(elements.slice(0, 1));
  const corner = offset(all);
  const left = view.x + corner.x * view.scale;
  const top = view.y + corner.y * view.scale;
  const right = left + all.width * view.scale;
  const bottom = top + all.height * view.scale;
  const seen = left >= room.left && right <= room.right && top >= room.top && bottom <= room.bottom;
  if (!seen || view.scale < READABLE / 3) centre(elements);
}

// ── Pointers ─────────────────────────────────────────────────────────────────────────────────────

const pointers = new Map();
let dragged = false;

stage.addEventListener("mousedown", (event) => {
  // A drag selects neither text nor boxes.
  event.preventDefault();
  document.activeElement?.blur();
});
stage.addEventListener("pointerdown", (event) => {
  if (event.button > 1) return;
  if (!pointers.size) dragged = false;
  pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
});
stage.addEventListener("pointermove", (event) => {
  const last = pointers.get(event.pointerId);
  if (!last) return;
  const [dx, dy] = [event.clientX - last.x, event.clientY - last.y];
  if (!dragged && Math.hypot(dx, dy) < 4) return;
  if (!dragged) {
    dragged = true;
    stage.classList.add("dragging");
    stage.setPointerCapture(event.pointerId);
  }
  const other = [...pointers].find(([pointer]) => pointer !== event.pointerId)?.[1];
  pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  if (!other) return pan(dx, dy);
  const [before, after] = [last, { x: event.clientX, y: event.clientY }].map((p) => Math.hypot(p.x - other.x, p.y - other.y));
  zoom(after / Math.max(before, 1), (event.clientX + other.x) / 2, (event.clientY + other.y) / 2);
  pan(dx / 2, dy / 2);
});
for (const end of ["pointerup", "pointercancel"]) {
  addEventListener(end, (event) => {
    pointers.delete(event.pointerId);
    if (!pointers.size) stage.classList.remove("dragging");
  });
}
stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
  const fast = event.ctrlKey ? 0.01 : 0.0016; // a pinch on a touch pad comes with the control key
  zoom(Math.exp(-event.deltaY * lines * fast), event.clientX, event.clientY);
}, { passive: false });

id("larger").addEventListener("click", () => zoom(1.25));
id("smaller").addEventListener("click", () => zoom(0.8));
id("fit").addEventListener("click", fit);
