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
  const matrix = picture.querySelector("g").transform.baseVal.consolidate()?.matrix;
  return { x: rectangle.x + (matrix?.e ?? 0), y: rectangle.y + (matrix?.f ?? 0) };
}

/** The view in which a rectangle's centre is at these parts of the free room. */
function towards(rectangle, across = 0.5, down = 0.5, scale = view.scale) {
  const room = free();
  const { x, y } = offset(rectangle);
  return {
    x: room.left + (room.right - room.left) * across - (x + rectangle.width / 2) * scale,
    y: room.top + (room.bottom - room.top) * down - (y + rectangle.height / 2) * scale,
    scale,
  };
}

/** Bring elements into the middle, large enough to read. */
function centre(elements) {
  const scale = Math.max(view.scale, READABLE * 1.5);
  if (elements.length) glide(towards(around(elements), 0.5, 0.5, scale));
}

/** Bring elements into sight, without a movement where they are; the first if not all have room. */
function reveal(elements) {
  if (!elements.length) return;
  const room = free();
  const all = around(elements);
  const [width, height] = [all.width * view.scale, all.height * view.scale];
  const fits = width <= room.right - room.left && height <= room.bottom - room.top;
  if (elements.length > 1 && !fits) return reveal(elements.slice(0, 1));
  const corner = offset(all);
  const left = view.x + corner.x * view.scale;
  const top = view.y + corner.y * view.scale;
  const right = left + width;
  const bottom = top + height;
  const seen = left >= room.left && right <= room.right && top >= room.top && bottom <= room.bottom;
  if (!seen || view.scale < READABLE / 3) centre(elements);
}
