"""What streams send: what changed and nothing else, however slowly it is read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from cumulus.api.auth import Tokens
from cumulus.api.frames import LogStream
from cumulus.api.happened import Happened
from cumulus.api.overview import Board, Sample
from cumulus.api.web import board, following, live
from cumulus.api.web.render import Pages
from cumulus.api.web.server import HttpServer
from cumulus.controller.security.api_tokens import IssuedTokens
from cumulus.controller.store import Store
from cumulus.crd_like_specs.errors import UnavailableError
from cumulus.crd_like_specs.job import Job, Phase
from dashboard_kit import NOW, FakeJobs, FakeOverview, a_fleet, a_job, app_over, tried_again
from runtime_kit import until

PAGES = Pages("/ui/static/x", login=False)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams rest for no time."""
    monkeypatch.setattr(live, "LEAST_PAUSE", 0.0)
    monkeypatch.setattr(live, "SHARE", 0.0)


class Reader:
    """A browser that reads one event at a time."""

    def __init__(self, events: AsyncIterator[str]) -> None:
        self.events = events

    async def next(self, *kinds: str) -> tuple[str, Any]:
        """The next event of these kinds (any)."""
        async with asyncio.timeout(20):
            while True:
                lines = dict(
                    line.partition(": ")[::2] for line in (await anext(self.events)).splitlines()
                )
                if "event" in lines and (not kinds or lines["event"] in kinds):
                    return lines["event"], json.loads(lines["data"])

    async def over(self) -> bool:
        async with asyncio.timeout(20):
            async for _ in self.events:
                pass
        return True


def reading(overview: FakeOverview, seen: str | None = None) -> tuple[Reader, live.Streams]:
    streams = live.Streams()
    has = board.look(overview).seen if seen is None else seen
    return Reader(board.changes(overview, PAGES, has, streams)), streams


def with_job(shown: Board, job: Job) -> Board:
    others = tuple(one for one in shown.jobs if one.metadata.name != job.metadata.name)
    return replace(shown, jobs=(*others, job))


async def test_a_page_that_is_as_it_was_is_sent_nothing() -> None:
    reader, _ = reading(FakeOverview(a_fleet(jobs=12, devices=4)))
    assert await reader.next() == ("page", {"now": NOW})


async def test_a_page_that_is_not_known_is_sent_everything() -> None:
    shown = a_fleet(jobs=12, devices=4)
    reader, _ = reading(FakeOverview(shown), "something else")
    _, data = await reader.next()
    assert len(data["jobs"]["set"]) == len(shown.jobs)
    assert len(data["lanes"]["all"]) == 4
    assert "<b>" in data["tiles"]
    assert data["assets"] == PAGES.assets


async def test_what_changed_is_sent_and_nothing_else() -> None:
    overview = FakeOverview(a_fleet(jobs=12, devices=4))
    reader, _ = reading(overview)
    await reader.next()
    first, last = overview.shown.jobs[0], overview.shown.jobs[-1]
    changed = a_job(first.metadata.name, Phase.FAILED, message="boom", finished_at=NOW)
    overview.change(with_job(overview.shown, changed))
    _, data = await reader.next("page")
    assert [f'id="job-{first.metadata.name}"' in row for row in data["jobs"]["set"]] == [True]
    assert "lanes" not in data
    overview.change(
        replace(overview.shown, jobs=tuple(j for j in overview.shown.jobs if j is not last))
    )
    _, data = await reader.next("page")
    assert data["jobs"] == {"set": [], "gone": [f"job-{last.metadata.name}"]}


async def test_who_reads_slowly_is_sent_how_it_is_and_not_all_that_was() -> None:
    overview = FakeOverview(Board(now=NOW))
    reader, _ = reading(overview)
    await reader.next()
    for n in range(5000):
        overview.change(replace(overview.shown, now=NOW + n, jobs=(a_job("a", message=f"no {n}"),)))
    _, data = await reader.next("page")
    assert len(data["jobs"]["set"]) == 1
    assert "no 4999" in data["jobs"]["set"][0]


async def test_streams_rest_by_their_work_and_longer_the_more_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "SHARE", 8.0)
    streams = live.Streams()
    pace = live.Pace(streams)
    pace.begin()
    pace._began -= 0.010  # of work
    pace.worked()
    pace._began -= 60.0  # in which the browser read
    streams.count = 1
    alone = pace.rest
    streams.count = 20
    assert 0.08 <= alone < 0.2
    assert pace.rest == pytest.approx(20 * alone)


async def test_new_samples_are_sent_once() -> None:
    overview = FakeOverview(Board(now=NOW))
    reader, _ = reading(overview)
    await reader.next("page")
    overview.kept = [Sample(NOW + 5, 3, 4, 500, 1000)]
    overview.wake()
    assert (await reader.next("sample"))[1] == [[NOW + 5], [3], [4], [50.0], [None]]
    overview.wake()
    assert (await reader.next())[0] == "page"


async def test_a_stream_ends_with_the_controller_and_leaves_nothing() -> None:
    overview = FakeOverview(Board(now=NOW))
    reader, streams = reading(overview)
    await reader.next()
    assert len(overview.wakes) == 1
    streams.end()
    assert await reader.over()
    assert overview.wakes == []


class Panel:
    """The stream of one job's panel."""

    def __init__(self, job: Job) -> None:
        self.overview = FakeOverview(Board(now=NOW, jobs=(job,)))
        self.jobs = FakeJobs(self.overview)
        events: Any = following.changes(
            self.jobs,  # type: ignore[arg-type]  # the verbs that read are all it uses
            self.jobs,  # type: ignore[arg-type]  # its jobs left nothing
            job.metadata.name,
            PAGES,
            live.Streams(),
            self.overview.subscribe,
        )
        self.events = events
        self.reader = Reader(events)


RUNNING = a_job("a", Phase.RUNNING, worker="w", started_at=NOW, expires_at=NOW + 60)


async def test_a_panel_is_sent_its_job_and_its_lines() -> None:
    panel = Panel(RUNNING)
    panel.jobs.say("one\n", "two\n")
    assert await panel.reader.next() == ("attempt", 1)
    kind, detail = await panel.reader.next()
    assert (kind, "Running" in detail) == ("detail", True)
    lines: list[Any] = []
    while len(lines) < 2:
        lines += (await panel.reader.next("log"))[1]["lines"]
    assert [(stream, text) for stream, _, text in lines] == [
        ("stdout", "one\n"),
        ("stdout", "two\n"),
    ]
    panel.jobs.say("oh\n", stream=LogStream.STDERR)
    kind, data = await panel.reader.next()
    assert (kind, data["lines"][0][0], data["lines"][0][2]) == ("log", "stderr", "oh\n")
    await panel.events.aclose()
    assert (panel.jobs.news, panel.overview.wakes) == ([], [])


async def test_of_lines_that_come_too_fast_the_newest_are_kept() -> None:
    panel = Panel(RUNNING)
    panel.jobs.say(*(f"line {n}\n" for n in range(3 * following.LINES)))
    seen, left_out = [], 0
    while not seen or seen[-1] != f"line {3 * following.LINES - 1}\n":
        _, data = await panel.reader.next("log")
        seen += [text for _, _, text in data["lines"]]
        left_out += data["leftOut"]
    assert len(seen) + left_out == 3 * following.LINES
    await panel.events.aclose()


async def test_lines_that_wait_for_a_slow_browser_are_bounded() -> None:
    news = asyncio.Event()
    jobs = FakeJobs(FakeOverview(Board(now=NOW, jobs=(RUNNING,))))
    jobs.say(*(f"{n}\n" for n in range(following.LINES + 10)), "x" * (following.BYTES // 2))
    tail = following.LogTail(jobs, "a", 1, news)  # type: ignore[arg-type]  # as above
    await until(lambda: tail._lines and tail._lines[-1][0][2].startswith("x"))
    jobs.say("y" * (following.BYTES // 2), "z")
    await until(lambda: tail._lines[-1][0][2] == "z")
    lines, left_out = tail.take()
    assert [text[0] for _, _, text in lines] == ["y", "z"]
    assert left_out == following.LINES + 11
    await tail.close()


async def test_a_new_attempt_begins_a_new_log() -> None:
    panel = Panel(RUNNING)
    await panel.reader.next("detail")
    panel.overview.change(Board(now=NOW, jobs=(tried_again(RUNNING),)))
    assert (await panel.reader.next("attempt"))[1] == 2
    assert "OutOfMemory" in (await panel.reader.next("detail"))[1]
    await panel.events.aclose()


async def test_what_happens_to_a_job_is_told_as_it_happens() -> None:
    panel = Panel(RUNNING)
    panel.jobs.happened = [Happened("Placed", "Job", "a", "on w", uid="uid-a", sequence=5)]
    assert "<b>Placed</b>" in (await panel.reader.next("detail"))[1]
    panel.jobs.happened += [
        Happened("Extended", "Job", "a", "<i>by 30m</i>", uid="uid-a", by="boss", sequence=n)
        for n in range(6, 60)
    ]
    panel.jobs.happened.append(Happened("Placed", "Job", "other", "elsewhere", sequence=99))
    panel.overview.wake()
    text = (await panel.reader.next("detail"))[1]
    assert text.count("&lt;i&gt;by 30m&lt;/i&gt; (boss)") == following.EVENTS
    assert "elsewhere" not in text
    await panel.events.aclose()


async def test_a_job_that_is_deleted_is_gone() -> None:
    panel = Panel(RUNNING)
    await panel.reader.next("detail")
    panel.overview.change(Board(now=NOW))
    kind, text = await panel.reader.next("gone")
    assert (kind, "not found" in text) == ("gone", True)
    assert await panel.reader.over()


async def test_streams_are_counted_and_bounded() -> None:
    streams = live.Streams()

    async def events() -> AsyncIterator[str]:
        yield live.event("a", 1)
        await streams.stopping.wait()

    async def read(body: Any) -> None:
        async for _ in body:
            pass

    opened = [streams.open(events()).body_iterator for _ in range(live.MOST)]
    for body in opened:
        assert await anext(aiter(body)) == "event: a\ndata: 1\n\n"
    with pytest.raises(UnavailableError, match="open already"):
        streams.open(events())
    streams.end()
    await asyncio.gather(*map(read, opened))
    assert streams.count == 0


async def test_a_server_stops_at_once_though_browsers_look() -> None:
    jobs = FakeJobs(FakeOverview(Board(now=NOW, jobs=(RUNNING,))))
    server = HttpServer(app_over(jobs), listen="127.0.0.1:0")
    url = f"http://127.0.0.1:{await server.start()}"
    async with httpx.AsyncClient(base_url=url, trust_env=False) as browser:
        for path in ("/ui/live", "/ui/job/a/live"):
            async with browser.stream("GET", path) as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                await anext(answer.aiter_text())
        await until(lambda: not jobs.overview.wakes)  # noticed though nothing is sent
        async with browser.stream("GET", "/ui/live") as answer:
            await anext(answer.aiter_text())
            async with asyncio.timeout(2):
                await server.stop()


async def until_over(pieces: AsyncIterator[str]) -> None:
    async for _ in pieces:
        pass


async def test_a_revoked_token_ends_its_session_and_the_streams_of_it() -> None:
    overview = FakeOverview(Board(now=NOW, jobs=(RUNNING,)))
    issued = IssuedTokens(Store.open(None, indexes={}), overview.now)
    made = await issued.create("her", "viewer", 0, "boss")
    server = HttpServer(app_over(FakeJobs(overview), Tokens({}, issued)), listen="127.0.0.1:0")
    url = f"http://127.0.0.1:{await server.start()}"
    async with httpx.AsyncClient(base_url=url, trust_env=False) as browser:
        assert (await browser.post("/ui/login", data={"token": made.secret})).status_code == 303
        assert ">her</span>" in (await browser.get("/")).text
        async with browser.stream("GET", "/ui/live") as answer, asyncio.timeout(20):
            pieces = answer.aiter_text()
            await anext(pieces)
            await issued.revoke(made.token.id, "boss")
            with pytest.raises(httpx.RemoteProtocolError):
                await until_over(pieces)
        assert overview.wakes == []
        assert (await browser.get("/ui/series")).status_code == 401
    await server.stop()


async def test_what_follows_each_other_in_a_line_is_one_event() -> None:
    assert live.event("log", {"lines": ["a\nb\r\n\ndata: x"]}).count("\n") == 3
