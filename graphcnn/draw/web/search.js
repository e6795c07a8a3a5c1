// Which boxes say what is asked for.

const query = id("query");
let hits = [];
let hit = -1;

const normal = (text) => text.normalize("NFKC").toLowerCase().replace(/\s+/g, " ").trim();

/** All that a box says, on itself and in its details. */
function wordsOf(box) {
  const { title = "", facts = [], formulas = [] } = box.detail ?? {};
  const lines = [...linesOf(box.element), ...formulas].map(plain);
  return (box.words ??= normal([title, ...facts.flat(), ...lines].join(" ")));
}

function search() {
  const asked = normal(query.value);
  for (const box of hits) box.element?.classList.remove("hit");
  hits = asked ? boxes.filter((box) => wordsOf(box).includes(asked)) : [];
  hit = -1;
  for (const box of hits) box.element?.classList.add("hit");
  picture?.classList.toggle("searching", Boolean(asked));
  id("search").classList.toggle("asked", Boolean(asked));
  count(asked);
}

function count(asked) {
  const place = hit < 0 ? `${hits.length || "none"}` : `${hit + 1} of ${hits.length}`;
  id("count").textContent = asked ? place : "";
  if (asked) say(`${hits.length} found`);
}

function next(by) {
  if (!hits.length) return;
  hit = hit < 0 ? (by > 0 ? 0 : hits.length - 1) : (hit + by + hits.length) % hits.length;
  count(true);
  const box = hits[hit];
  choose(box);
  if (box.element) centre([box.element]);
}

function forget() {
  query.value = "";
  search();
  query.blur();
}

query.addEventListener("input", search);
id("search").addEventListener("submit", (event) => event.preventDefault());
query.addEventListener("keydown", (event) => {
  if (event.key === "Enter") next(event.shiftKey ? -1 : 1);
  else if (event.key === "Escape") forget();
  else return;
  event.preventDefault();
  event.stopPropagation();
});
