// Everything by keyboard: see the dialog.
import * as panel from "./panel.js";

const search = document.getElementById("search");
const help = document.getElementById("help");

const rows = () => [...document.querySelectorAll("#jobs > tr:not([hidden])")];

function step(by) {
  const all = rows();
  if (!all.length) return;
  const here = all.findIndex((row) => row.contains(document.activeElement));
  const open = here < 0 ? all.findIndex((row) => row.classList.contains("open")) : here;
  const next = open < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, open + by));
  const link = all[next].querySelector("a");
  link.focus();
  link.scrollIntoView({ block: "nearest" });
}

function widen() {
  const windows = [...document.getElementsByName("window")];
  const next = windows[(windows.findIndex((one) => one.checked) + 1) % windows.length];
  next.click();
}

function escape() {
  if (document.activeElement === search) {
    if (search.value) {
      search.value = "";
      search.dispatchEvent(new Event("input"));
    } else search.blur();
  } else if (panel.isOpen()) panel.close();
}

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  "/": () => search.focus(),
  "?": () => help.showModal(),
  t: () => document.getElementById("theme").click(),
  w: widen,
};

export function listen() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    if (event.key === "Escape") return escape();
    if (event.target.matches("input:not([type=radio], [type=checkbox]), textarea")) return;
    const act = KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  document.getElementById("help-open").addEventListener("click", () => help.showModal());
}
