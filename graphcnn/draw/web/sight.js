// Bringing parts of the picture into sight.

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
