// The panel of one job: opened by htmx, kept up to date by a stream of its own.
import { Stream } from "./stream.js";
import { append, clear } from "./log.js";
import { tell } from "./time.js";

const panel = document.getElementById("panel");
let stream = null;
let opener = null; // what had the focus before

export const isOpen = () => !panel.hidden;

export async function open(href, { push = true } = {}) {
  opener = document.activeElement;
  await htmx.ajax("GET", href, { target: panel, swap: "innerHTML" });
  if (push) history.pushState(null, "", href);
  attach();
}

// What the server put into the panel, or htmx has just now.
export function attach() {
  stream?.close();
  stream = null;
  panel.hidden = panel.childElementCount === 0;
  document.body.classList.toggle("with-panel", !panel.hidden);
  const job = panel.querySelector("#job")?.dataset.job;
  for (const row of document.querySelectorAll("tr.open")) row.classList.remove("open");
  document.getElementById(`job-${job}`)?.classList.add("open");
  tell(panel);
  if (!job) return;
  stream = new Stream(() => `/ui/job/${job}/live`, {
    attempt: (attempt) => clear(attempt),
    detail: (html) => {
      const detail = document.getElementById("detail");
      const at = detail.scrollTop;
      detail.innerHTML = html;
      detail.scrollTop = at;
      tell(detail);
    },
    log: append,
    gone: (html) => {
      stream?.close();
      panel.innerHTML = html;
    },
  });
}

export function close({ push = true } = {}) {
  stream?.close();
  stream = null;
  panel.hidden = true;
  panel.replaceChildren();
  document.body.classList.remove("with-panel");
  for (const row of document.querySelectorAll("tr.open")) row.classList.remove("open");
  if (push) history.pushState(null, "", "/");
  if (opener?.isConnected) opener.focus();
  opener = null;
}
