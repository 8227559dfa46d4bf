// The time axis: where bars stand is the stylesheet's business, told in seconds since an epoch.
import { now, utc } from "./time.js";

const box = document.getElementById("timeline");
const axis = document.getElementById("axis");
const epoch = Number(document.body.dataset.now);
const PAST = 2 / 3; // of the width
const STEPS = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600];
const THIN = 360; // thousandths of a lane that hold no line of text
let width = 3600; // seconds
let pixels = 1000;
let moved = 0;

export function place(lane) {
  for (const bar of lane.querySelectorAll("[data-s]")) {
    const { s, e, b, h } = bar.dataset;
    bar.style.setProperty("--s", (s - epoch).toFixed(2));
    if (e === undefined) continue;
    bar.style.setProperty("--e", Math.max(e - epoch, s - epoch + 0.01).toFixed(2));
    bar.style.setProperty("--b", b);
    bar.style.setProperty("--h", h);
    bar.classList.toggle("thin", h < THIN);
  }
}

// Once time has gone on by half a pixel: each move is drawn anew, and less would not be seen.
export function advance() {
  if (now() - epoch - moved >= Math.max(1, width / pixels / 2)) move();
}

// The axis is as wide as it is until it is resized: asking with each move would lay out the page.
export function measure() {
  pixels = Math.max(1, axis.clientWidth);
  move();
}

// Only what moves: two numbers, from which every place follows.
export function move() {
  const at = (moved = now() - epoch);
  box.style.setProperty("--now", at.toFixed(2));
  box.style.setProperty("--t0", (at - width * PAST).toFixed(2));
  drawTicks(at + epoch);
}

export function setWindow(seconds) {
  width = seconds;
  box.style.setProperty("--span", String(seconds));
  axis.replaceChildren();
  move();
}

function drawTicks(at) {
  const from = at - width * PAST;
  const most = Math.max(2, Math.floor(pixels / 84));
  const step = STEPS.find((one) => width / one <= most) ?? STEPS.at(-1);
  const wanted = new Map();
  for (let t = Math.ceil(from / step) * step; t < from + width; t += step) wanted.set(`tick-${t}`, t);
  for (const tick of [...axis.children]) {
    if (tick.id !== "tick-now" && !wanted.delete(tick.id)) tick.remove();
  }
  for (const [id, t] of wanted) {
    const tick = document.createElement("span");
    tick.id = id;
    tick.className = "tick";
    tick.style.setProperty("--s", (t - epoch).toFixed(2));
    axis.append(tick);
  }
  // Where the present moment stands there is no room for another.
  const room = (48 * width) / pixels;
  for (const tick of axis.querySelectorAll(".tick")) {
    const t = Number(tick.id.slice(5));
    const text = t > at + room || t < at - room ? utc(t) : "";
    if (tick.textContent !== text) tick.textContent = text;
  }
  const mark = document.getElementById("tick-now") ?? axis.appendChild(document.createElement("span"));
  mark.id = "tick-now";
  mark.className = "now-label";
  mark.textContent = utc(at, width <= 900);
  axis.append(mark);
}
