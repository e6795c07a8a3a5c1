// The computation, step by step: boxes light up and the arrows into them flow.

const order = data.order.map((step) => step.map((k) => boxes[k]));
const pace = Math.min(Math.max(15000 / Math.max(order.length, 1), 120), 800); // milliseconds a step
let at = null; // the step that is shown; null before and after
let timer = 0;

const now = new Set(); // the boxes of that step

function light(box, on) {
  box.element?.classList.toggle("now", on);
  for (const arrow of box.inputs) {
    arrow.element?.classList.toggle("flow", on);
    // An arrow that points up is drawn from its head to its tail.
    arrow.element?.classList.toggle("upwards", on && arrow.up);
  }
}

function compute(box, done) {
  box.element?.classList.toggle("done", done);
  for (const arrow of box.inputs) arrow.element?.classList.toggle("done", done);
}

/** Show a step, or with null everything as it is without steps. */
function stepTo(k) {
  const to = k === null ? null : Math.min(Math.max(k, 0), order.length - 1);
  for (const box of now) light(box, false);
  now.clear();
  const [from, until] = [at ?? -1, to ?? -1];
  for (let j = from + 1; j <= until; j++) order[j].forEach((box) => compute(box, true));
  for (let j = from; j > until; j--) order[j].forEach((box) => compute(box, false));
  at = to;
  picture?.classList.toggle("playing", at !== null);
  id("progress").value = until + 1;
  id("step").textContent = at === null ? `${order.length} steps` : `${at + 1} / ${order.length}`;
  if (at === null) return;
  for (const box of order[at]) {
    now.add(box);
    light(box, true);
  }
  const fed = order[at].filter((box) => box.inputs.length); // where arrows flow is more to see
  reveal((fed.length ? fed : order[at]).map((box) => box.element).filter(Boolean));
  say(`Step ${at + 1}: ${order[at].slice(0, 5).map(titleOf).join(", ")}`);
}

function play(on = !timer) {
  clearInterval(timer);
  timer = 0;
  const button = id("play");
  button.classList.toggle("on", on);
  button.setAttribute("aria-label", on ? "Pause" : "Play");
  if (!on || !order.length) return;
  stepTo(at === null || at === order.length - 1 ? 0 : at + 1);
  timer = setInterval(() => (at < order.length - 1 ? stepTo(at + 1) : play(false)), pace);
}

function step(to) {
  play(false);
  if (order.length) stepTo(to);
}

const first = () => step(0);
const back = () => step((at ?? order.length) - 1);
const forward = () => step((at ?? -1) + 1);
const last = () => step(order.length - 1);

id("steps").hidden = !order.length;
id("progress").max = Math.max(order.length, 1);
id("player").hidden = !order.length && data.frames.length < 2;
id("first").addEventListener("click", first);
id("back").addEventListener("click", back);
id("play").addEventListener("click", () => play());
id("forward").addEventListener("click", forward);
id("last").addEventListener("click", last);
