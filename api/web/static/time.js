// Moments as people say them, put into words here so that the server need not send them again.
let offset = 0; // of the controller's clock against this one, seconds

export const now = () => Date.now() / 1000 + offset;

export function setNow(server) {
  const found = server - Date.now() / 1000;
  // The least delayed message is the truest; a clock that was set is believed at once.
  if (found > offset || Math.abs(found - offset) > 5) offset = found;
}

// In the two largest units: 45s, 2m5s, 3h, 2d4h.
export function span(seconds) {
  let whole = Math.max(0, Math.floor(seconds));
  if (whole >= 86400) whole -= whole % 3600;
  else if (whole >= 3600) whole -= whole % 60;
  let text = "";
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]]) {
    const count = Math.floor(whole / size);
    if (count) text += `${count}${unit}`;
    whole -= count * size;
  }
  return text || "0s";
}

export const utc = (at, seconds = false) => new Date(at * 1000).toISOString().slice(11, seconds ? 19 : 16);

const WORDS = {
  clock: (_, moment) => utc(moment, true),
  ago: (left) => `${span(-left)} ago`,
  for: (left) => `for ${span(-left)}`,
  left: (left) => (left >= 0 ? `in ${span(left)}` : `${span(-left)} over`),
};

// Every moment and progress below an element, as of now.
export function tell(root = document) {
  const at = now();
  for (const time of root.querySelectorAll("time[data-t]")) {
    const text = WORDS[time.dataset.as](Number(time.dataset.t) - at, Number(time.dataset.t));
    if (time.textContent !== text) time.textContent = text;
    if (!time.title) time.title = `${time.dateTime.replace("T", " ").replace("Z", " UTC")}`;
  }
  for (const bar of root.querySelectorAll(".progress")) {
    const { s, e } = bar.dataset;
    const part = Math.min(1, Math.max(0, (at - s) / (e - s)));
    bar.firstElementChild.style.transform = `scaleX(${part.toFixed(4)})`;
    bar.classList.toggle("over", at > Number(e));
  }
}
