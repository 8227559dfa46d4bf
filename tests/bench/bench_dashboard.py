"""The dashboard with 200 jobs on 100 devices: what it costs the controller, and how it feels.

The server's times are of the real application over a made-up fleet (medians); the browser's are of
Chromium without a window or a GPU, in which every second a tenth of the jobs changes: how long
frames take and the longest time in which the page did not answer.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

from browser import browsing
from cumulus.api.overview import Board
from cumulus.api.web import board
from cumulus.api.web.live import Streams
from cumulus.api.web.render import Pages
from dashboard_kit import FakeOverview, Served, a_fleet, samples

JOBS, DEVICES = 200, 100
ROUNDS = 30
CHANGES = 20

WATCH = """
    window.frames = []; window.longest = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) longest = Math.max(longest, entry.duration);
    }).observe({ entryTypes: ["longtask"] });
    let last = performance.now();
    requestAnimationFrame(function frame(at) {
      frames.push(at - last); last = at; requestAnimationFrame(frame);
    });
"""


def run(folder: Path) -> list[dict[str, Any]]:
    """The rows."""
    shown = a_fleet(jobs=JOBS, devices=DEVICES, now=time.time())
    return [*_server(shown), *_browser(shown, folder)]


def _changed(shown: Board, turn: int) -> Board:
    """A tenth of the jobs says something else, and so do their leases."""
    first = turn * CHANGES % len(shown.jobs)
    jobs = list(shown.jobs)
    for at in range(first, min(first + CHANGES, len(jobs))):
        status = jobs[at].status.model_copy(update={"message": f"turn {turn}"})
        jobs[at] = jobs[at].model_copy(update={"status": status})
    leases = list(shown.leases)
    for at in range(turn % 5, len(leases), 5):
        status_ = leases[at].status
        later = status_.model_copy(update={"expires_at": status_.expires_at + turn})
        leases[at] = leases[at].model_copy(update={"status": later})
    return replace(shown, jobs=tuple(jobs), leases=tuple(leases))


def _server(shown: Board) -> list[dict[str, Any]]:
    overview = FakeOverview(shown)

    async def asked() -> list[dict[str, Any]]:
        async def event() -> int:
            """What one changed event takes, without the rest between two."""
            pages = Pages("/ui/static/x", login=False)
            before = board.look(overview).seen
            overview.shown = _changed(shown, 3)
            stream: Any = board.changes(overview, pages, before, Streams())
            async with aclosing(stream):
                await anext(stream)
                return len(await anext(stream))

        pages = Pages("/ui/static/x", login=False)
        look = _timed(lambda: board.look(overview))
        pieces = [*board.look(overview).jobs, *board.look(overview).lanes]
        fresh = _timed(lambda: [pages._piece(piece) for piece in pieces])
        size = sum(len(pages._piece(piece)) for piece in pieces)
        started = time.perf_counter()
        sent = await event()
        took = time.perf_counter() - started
        return [
            {"what": "views of the whole fleet", "median_ms": look},
            {
                "what": "HTML of every row and lane, none known",
                "median_ms": fresh,
                "KB": size / 1e3,
            },
            {
                "what": "all of it for a browser that knows none",
                "median_ms": 1e3 * took,
                "KB": sent / 1e3,
            },
        ]

    return asyncio.run(asked())


def _browser(shown: Board, folder: Path) -> list[dict[str, Any]]:
    with Served(shown) as site, browsing(folder) as browser:
        site.overview.kept = samples(shown.now)
        browser.open(site.url)
        browser.see("#live", "live")
        loaded = browser.run(
            "const t = performance.getEntriesByType('navigation')[0];"
            "const paint = performance.getEntriesByName('first-contentful-paint')[0];"
            "return [t.responseEnd - t.requestStart, t.transferSize, paint?.startTime ?? 0, t.loadEventEnd]"
        )
        browser.run(WATCH)
        ended = time.monotonic() + 10
        turn = 0
        while time.monotonic() < ended:
            turn += 1
            changed = _changed(shown, turn)
            site.call(lambda changed=changed: site.overview.change(changed))  # type: ignore[misc]
            browser.see("#jobs .note", f"turn {turn}")
            time.sleep(0.9)
        frames, longest = browser.run("return [frames, longest]")
        name = shown.jobs[0].metadata.name
        opened = browser.run(
            "const at = performance.now(); document.querySelector(arguments[0]).click();"
            "return new Promise((done) => (function look() {"
            " document.getElementById('panel-title') ? done(performance.now() - at)"
            " : requestAnimationFrame(look) })())",
            f"#job-{name} a",
        )
    frames.sort()
    return [
        {"what": "page from request to last byte", "median_ms": loaded[0], "KB": loaded[1] / 1e3},
        {"what": "first paint", "median_ms": loaded[2]},
        {"what": "page loaded with its scripts", "median_ms": loaded[3]},
        {"what": f"a frame while {CHANGES} rows and 20 lanes change each second", "median_ms": statistics.median(frames), "p99_ms": frames[int(len(frames) * 0.99)]},
        {"what": "longest time without an answer meanwhile", "median_ms": longest},
        {"what": "a job's panel from click to shown", "median_ms": opened},
    ]  # fmt: skip


def _timed(what: Callable[[], object]) -> float:
    """Median milliseconds."""
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        what()
        times.append(1e3 * (time.perf_counter() - started))
    return statistics.median(times)
