// Lists that change piece by piece: each piece has an id, what it is sorted by, and a mark of how it
// looks. HTML comes from our own server alone, which escapes whatever is not its own.

const template = document.createElement("template");

export function patch(list, news, dress) {
  if (news.all) {
    const known = new Set(news.all);
    for (const piece of [...list.children]) if (!known.has(piece.id)) piece.remove();
  }
  for (const id of news.gone ?? []) document.getElementById(id)?.remove();
  template.innerHTML = news.set.join("");
  for (const piece of [...template.content.children]) {
    const old = document.getElementById(piece.id);
    if (old?.dataset.v === piece.dataset.v) continue;
    dress(piece);
    const focused = old?.contains(document.activeElement);
    if (old && old.dataset.sort === piece.dataset.sort) old.replaceWith(piece);
    else {
      old?.remove();
      list.insertBefore(piece, behind(list, piece.dataset.sort));
    }
    if (focused) piece.querySelector("a")?.focus({ preventScroll: true });
  }
}

// The first piece that comes after this place.
function behind(list, sort) {
  let low = 0;
  let high = list.children.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list.children[middle].dataset.sort < sort) low = middle + 1;
    else high = middle;
  }
  return list.children[low] ?? null;
}
