// Lines of a log. They are text and nothing else: what a job prints never becomes HTML.
import { utc } from "./time.js";

const MOST = 4000; // lines kept on the page
const ESCAPES = /\u001b\[[0-9;?]*[ -/]*[@-~]|[\u0000-\u0008\u000b-\u001f\u007f]/g;
let unfinished = null; // the last line, while its newline has not come
let attempt = 1;

export function clear(of) {
  attempt = of;
  unfinished = null;
  const log = document.getElementById("log");
  log.replaceChildren(note("empty", "Nothing was said yet."));
  document.getElementById("log-attempt").textContent = attempt > 1 ? `attempt ${attempt}` : "";
}

export function append({ lines, leftOut }) {
  const log = document.getElementById("log");
  const follow = document.getElementById("log-follow").checked;
  const fresh = document.createDocumentFragment();
  log.querySelector(".empty")?.remove();
  if (leftOut) {
    unfinished = null;
    fresh.append(note("line left-out", `${leftOut} lines came too fast and are left out: cumulusctl logs has them all`));
  }
  for (const [stream, time, text] of lines) {
    const parts = text.replace(ESCAPES, "").split("\n");
    parts.forEach((part, n) => {
      const last = n === parts.length - 1;
      if (last && !part) return;
      if (unfinished?.classList.contains(stream)) unfinished.lastChild.textContent += part;
      else fresh.append((unfinished = row(stream, time, part)));
      if (!last) unfinished = null;
    });
    if (text.endsWith("\n")) unfinished = null;
  }
  log.append(fresh);
  while (log.childElementCount > MOST) log.firstElementChild.remove();
  if (follow) log.scrollTop = log.scrollHeight;
}

function row(stream, time, text) {
  const line = document.createElement("div");
  line.className = `line ${stream}`;
  line.append(document.createElement("span"), document.createElement("span"));
  line.firstChild.textContent = utc(time, true);
  line.lastChild.textContent = text;
  return line;
}

function note(kind, text) {
  const made = document.createElement("p");
  made.className = kind;
  made.textContent = text;
  return made;
}
