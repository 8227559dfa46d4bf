// The three plots, by uPlot. Their colours are those of the page, read anew when those change.
import { now, utc } from "./time.js";

const WIDTH = { width: 1.5, spanGaps: false };
const FONT = "11px system-ui, sans-serif";
let data = [[], [], [], [], []];
let seconds = 3600;
let plots = [];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function axes(label) {
  const common = { stroke: colour("muted"), font: FONT, ticks: { show: false }, grid: { stroke: colour("line"), width: 1 } };
  return [{ ...common, grid: { show: false }, size: 24, space: 64, values: clock }, { ...common, size: 40, space: 28, values: label }];
}

function make(id, series, columns, label, range) {
  const box = document.getElementById(id);
  box.replaceChildren();
  const size = { width: box.clientWidth, height: box.clientHeight };
  const plot = new uPlot({
    ...size,
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
    legend: { show: false },
    cursor: { sync: { key: "plots" }, drag: { x: false, y: false }, points: { size: 5 } },
    scales: { x: { range: () => [now() - seconds, now()] }, y: { range } },
    axes: axes(label),
    series: [{}, ...series],
    padding: [8, 8, 0, 0],
  }, pick(columns), box);
  return { plot, columns, box };
}

const pick = (columns) => [data[0], ...columns.map((n) => data[n])];
const clock = (_, values) => values.map((v) => utc(v, seconds < 300));
const whole = (_, values) => values.map((v) => (Number.isInteger(v) ? String(v) : ""));
const plain = (_, values) => values.map(String);
const line = (name) => ({ ...WIDTH, stroke: colour(name), points: { show: false } });

// Begins anew: in other colours, or with other data.
export function draw() {
  for (const { plot } of plots) plot.destroy();
  const area = { ...line("run"), fill: `${colour("run")}26` };
  const dots = { stroke: colour("late"), paths: () => null, points: { show: true, size: 5, fill: colour("late") } };
  plots = [
    make("plot-queue", [line("wait"), line("run")], [1, 2], whole, (_, __, top) => [0, Math.max(4, (top ?? 0) * 1.1)]),
    make("plot-use", [area], [3], plain, () => [0, 100]),
    make("plot-overrun", [dots], [4], plain, (_, __, top) => [0, Math.max(1, (top ?? 0) * 1.2)]),
  ];
}

export async function load(width) {
  seconds = width;
  const answer = await fetch(`/ui/series?window=${width}`, { headers: { accept: "application/json" } });
  if (!answer.ok) return;
  data = await answer.json();
  refresh();
}

export function add(columns) {
  const last = data[0].at(-1) ?? 0;
  columns[0].forEach((time, row) => {
    if (time > last) columns.forEach((column, n) => data[n].push(column[row]));
  });
  const from = (data[0].at(-1) ?? 0) - seconds;
  const old = data[0].findIndex((time) => time >= from);
  if (old > 0) data.forEach((column) => column.splice(0, old));
  refresh();
}

function refresh() {
  for (const { plot, columns } of plots) plot.setData(pick(columns));
}

export function fit() {
  for (const { plot, box } of plots) {
    if (plot.width !== box.clientWidth) plot.setSize({ width: box.clientWidth, height: box.clientHeight });
  }
}
