"""The whole page: as it is, and as it changes. I/O through the port only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..overview import OverviewPort
from .live import Pace, Streams, event
from .render import Pages, Piece, mark
from .views.fleet import Tiles, WorkerRow, tiles, worker_row
from .views.lanes import Lane, lanes
from .views.rows import JobRow, job_row
from .views.series import columns


@dataclass(frozen=True, slots=True)
class Look:
    """What one viewer is shown at a moment. more: jobs that the table has no room for."""

    now: float
    tiles: Tiles
    jobs: tuple[JobRow, ...]
    more: int
    lanes: tuple[Lane, ...]
    workers: tuple[WorkerRow, ...]

    @property
    def seen(self) -> str:
        """Equal for looks that look the same."""
        return f"{hash((self.tiles, self.jobs, self.more, self.lanes, self.workers)):x}"

    @property
    def lists(self) -> Mapping[str, Sequence[Piece]]:
        """What changes piece by piece."""
        return {"jobs": self.jobs, "lanes": self.lanes, "workers": self.workers}


def look(overview: OverviewPort) -> Look:
    """As it is now."""
    board = overview.board()
    jobs = tuple(job_row(job) for job in board.jobs)
    shown = sum(row.group != "ended" for row in jobs)
    return Look(
        now=board.now,
        tiles=tiles(board),
        jobs=jobs,
        more=max(0, board.running + board.waiting - shown),
        lanes=lanes(board),
        workers=tuple(worker_row(one) for one in board.workers),
    )


async def changes(
    overview: OverviewPort, pages: Pages, seen: str, streams: Streams
) -> AsyncIterator[str]:
    """Events that turn the page with this `seen` into how it is, again and again.

    `page`: pieces to set and ids to take away, by list, or everything where the browser has
    something else (and of which version the scripts are, which may be others then); `sample`: columns of the plots since the last one.
    """
    pace = Pace(streams)
    unsubscribe = overview.subscribe(pace.news.set)
    sent: dict[str, dict[str, str]] | None = None
    last, sampled = None, overview.now()
    try:
        yield "retry: 2000\n\n"
        going = True
        while going:
            pace.begin()
            now = look(overview)
            marks = {name: _marks(pieces) for name, pieces in now.lists.items()}
            if sent is None and now.seen == seen:
                sent, last = marks, now
            data: dict[str, Any] = {"now": now.now}
            if last is None:
                data["assets"] = pages.assets
            if last is None or (now.tiles, now.more) != (last.tiles, last.more):
                data |= {"tiles": pages.tiles(now.tiles), "more": now.more}
            for name, pieces in now.lists.items():
                news = _news(pages, pieces, marks[name], sent[name] if sent is not None else None)
                if news:
                    data[name] = news
            sent, last = marks, now
            pace.worked()
            yield event("page", data, now.seen)
            samples = overview.samples(sampled)
            if samples:
                sampled = samples[-1].time
                yield event("sample", columns(samples))
            going = await pace.wait()
    finally:
        unsubscribe()


def _marks(pieces: Iterable[Piece]) -> dict[str, str]:
    return {piece.id: mark(piece) for piece in pieces}


def _news(
    pages: Pages, pieces: Sequence[Piece], marks: Mapping[str, str], sent: Mapping[str, str] | None
) -> dict[str, Any]:
    """set: HTML of what is new or other; gone: ids; or all: ids of everything there is, where it is
    not known what the browser has.
    """
    if sent is None:
        return {"set": [str(pages.piece(piece)) for piece in pieces], "all": list(marks)}
    fresh = [str(pages.piece(one)) for one in pieces if sent.get(one.id) != marks[one.id]]
    gone = [id_ for id_ in sent if id_ not in marks]
    return {"set": fresh, "gone": gone} if fresh or gone else {}
