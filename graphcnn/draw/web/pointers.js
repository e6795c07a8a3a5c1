// What mouse, pen and fingers do to the view.

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
  const here = { x: event.clientX, y: event.clientY };
  pointers.set(event.pointerId, here);
  if (!other) return pan(dx, dy);
  const [before, after] = [last, here].map((p) => Math.hypot(p.x - other.x, p.y - other.y));
  zoom(after / Math.max(before, 1), (here.x + other.x) / 2, (here.y + other.y) / 2);
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
