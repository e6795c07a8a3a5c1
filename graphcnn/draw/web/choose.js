// Which box is looked at: by pointer, by key, or by the address.

let chosen = null;
let glanced = null; // the box under a resting pointer, told of while none is chosen
let resting = 0;
let returning = false; // focus comes back to a box that shall stay unchosen

/** Say something to readers who listen. */
const say = (text) => void (id("said").textContent = text);

function mark(box, name, on) {
  if (!box) return;
  box.element?.classList.toggle(name, on);
  for (const arrow of [...box.inputs, ...box.outputs]) {
    arrow.element?.classList.toggle(`${name}-arrow`, on);
    const other = arrow.tail === box ? arrow.head : arrow.tail;
    other.element?.classList.toggle(`${name}-near`, on);
  }
}

function choose(box) {
  glance(null);
  if (box === chosen) return;
  mark(chosen, "chosen", false);
  chosen = box;
  mark(box, "chosen", true);
  tell(box);
  panel.scrollTop = 0;
  if (box) {
    say(`${titleOf(box)}, ${box.role.label}`);
    if (box.element) reveal([box.element]);
  }
  const hash = box ? `#${box.key}` : "#";
  if (location.hash !== hash && (box || location.hash)) location.hash = hash;
}

function fromAddress() {
  let key = location.hash.slice(1);
  try {
    key = decodeURIComponent(key);
  } catch {
    // not an address of ours
  }
  choose(byKey.get(key) ?? null);
}

/** Tell of a box until the pointer leaves it. */
function glance(box) {
  clearTimeout(resting);
  if (glanced === box) return;
  mark(glanced, "glanced", false);
  glanced = box;
  mark(box, "glanced", true);
  if (!chosen) tell(box);
}

stage.addEventListener("pointerover", (event) => {
  clearTimeout(resting);
  const box = boxOf(event.target) ?? null;
  if (event.pointerType !== "mouse" || pointers.size) return;
  resting = setTimeout(glance, box ? 140 : 250, box);
});
panel.addEventListener("pointerenter", () => clearTimeout(resting));
panel.addEventListener("pointerleave", () => !chosen && (resting = setTimeout(glance, 250, null)));
stage.addEventListener("click", (event) => {
  if (dragged) return void (dragged = false);
  const box = boxOf(event.target) ?? null;
  box?.element.focus({ preventScroll: true });
  choose(box);
});
stage.addEventListener("focusin", (event) => {
  const box = boxOf(event.target);
  if (box && !returning) choose(box);
});
panel.addEventListener("click", (event) => {
  if (event.target.closest(".close")) return leave();
  const key = event.target.closest(".follow")?.dataset.key;
  if (!key) return;
  choose(byKey.get(key));
  panel.querySelector("h2")?.focus({ preventScroll: true });
});
addEventListener("hashchange", fromAddress);

/** Close the panel, and give the focus back to the box it told of. */
function leave() {
  const box = chosen ?? glanced;
  const inside = panel.contains(document.activeElement);
  glance(null);
  choose(null);
  if (!inside || !box?.element) return;
  returning = true;
  box.element.focus({ preventScroll: true });
  returning = false;
}
