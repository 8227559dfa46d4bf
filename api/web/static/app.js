// The page: what it shows is the server's, kept up to date by one stream. See the files beside it.
import * as keys from "./keys.js";
import * as panel from "./panel.js";
import { patch } from "./patch.js";
import * as plots from "./plots.js";
import { Stream } from "./stream.js";
import { now, setNow, tell } from "./time.js";
import * as timeline from "./timeline.js";

const root = document.documentElement;
const element = (id) => document.getElementById(id);
const lists = { jobs: element("jobs"), lanes: element("lanes"), workers: element("workers") };
const search = element("search");

function filter(row) {
  const group = document.querySelector("input[name=group]:checked").value;
  const text = search.value.trim().toLowerCase();
  const fits = (!group || row.dataset.group === group) && row.textContent.toLowerCase().includes(text);
  if (row.hidden === fits) row.hidden = !fits;
}

const dress = {
  jobs: (row) => (filter(row), tell(row)),
  lanes: timeline.place,
  workers: tell,
};

function page(data) {
  // Another version of the controller has other scripts.
  if (data.assets && data.assets !== document.body.dataset.assets) return location.reload();
  setNow(data.now);
  if (data.tiles) element("tiles").innerHTML = data.tiles;
  if (data.more !== undefined) {
    element("more").hidden = !data.more;
    element("more").querySelector("b").textContent = data.more;
  }
  for (const [name, list] of Object.entries(lists)) {
    if (data[name]) patch(list, data[name], dress[name]);
  }
  const opened = document.querySelector("#job")?.dataset.job;
  if (data.jobs && opened) element(`job-${opened}`)?.classList.add("open");
}

function state(word) {
  const light = element("live");
  light.className = `live ${word}`;
  light.lastElementChild.textContent = word === "on" ? "live" : "reconnecting";
}

function setTheme() {
  const dark = getComputedStyle(root).colorScheme === "dark";
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("cumulus-theme", root.dataset.theme);
  plots.draw();
}

function follow(event) {
  if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (event.target.closest("[data-close]")) {
    event.preventDefault();
    panel.close();
    return;
  }
  const link = event.target.closest("a[data-panel]") ?? event.target.closest("#jobs > tr")?.querySelector("a");
  if (!link || getSelection().toString()) return;
  event.preventDefault();
  panel.open(link.getAttribute("href"));
}

setNow(Number(document.body.dataset.now));
for (const lane of lists.lanes.children) timeline.place(lane);
timeline.setWindow(3600);
tell();
plots.draw();
plots.load(3600);
panel.attach();
keys.listen();

new Stream((last) => `/ui/live?seen=${last || document.body.dataset.seen}`, { page, sample: plots.add }, state);

setInterval(() => {
  if (document.hidden) return;
  timeline.advance();
  tell();
}, 1000);
new ResizeObserver(() => (timeline.measure(), plots.fit())).observe(document.querySelector("main"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", plots.draw);
document.addEventListener("click", follow);
document.addEventListener("htmx:afterSwap", (event) => tell(event.target));
document.addEventListener("htmx:beforeRequest", (event) => document.hidden && event.preventDefault());
element("theme").addEventListener("click", setTheme);
search.addEventListener("input", () => [...lists.jobs.children].forEach(filter));
for (const choice of document.getElementsByName("group")) {
  choice.addEventListener("change", () => [...lists.jobs.children].forEach(filter));
}
for (const choice of document.getElementsByName("window")) {
  choice.addEventListener("change", () => {
    timeline.setWindow(Number(choice.value));
    plots.load(Number(choice.value));
  });
}
addEventListener("popstate", () => {
  if (location.pathname.startsWith("/ui/job/")) panel.open(location.pathname, { push: false });
  else if (panel.isOpen()) panel.close({ push: false });
});
