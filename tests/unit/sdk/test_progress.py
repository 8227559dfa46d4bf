"""What is said of jobs while they are waited for, and where."""

from __future__ import annotations

import asyncio
import io
import re
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from cumulus.api.frames import Log, LogRecord, LogStream, State
from cumulus.crd_like_specs.job import Job, JobStatus, Phase
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.sdk import CumulusClient, Options
from cumulus.sdk.progress.display import PlainDisplay, choose, in_notebook, showing
from cumulus.sdk.progress.lines import Lines
from cumulus.sdk.progress.terminal import TerminalDisplay
from cumulus.sdk.progress.view import JobView, ManyView, clock
from cumulus.sdk.stream import Done, LogsLost
from make import spec

from .fake_server import FakeServer

T = 1000.0


def job(phase: Phase, name: str = "train", **status: Any) -> Job:
    meta = ObjectMeta(name=name, uid=f"{hash(name) & 0xFFFF:032x}")
    return Job(metadata=meta, spec=spec(), status=JobStatus(phase=phase, **status))


def log(text: str) -> Log:
    return Log(LogRecord(0, LogStream.STDOUT, T, text.encode(), 1))


@pytest.mark.parametrize(
    ("seen", "line"),
    [
        (None, "train: being handed in"),
        (
            job(Phase.PENDING, message="2nd in line: gpu-1 has 0.25 free"),
            "train Pending: 2nd in line: gpu-1 has 0.25 free",
        ),
        (job(Phase.LEASING, worker="gpu-1"), "train Leasing on gpu-1"),
        (
            job(Phase.RUNNING, worker="gpu-1", started_at=T - 12, expires_at=T + 3588, message="x"),
            "train Running on gpu-1, 12 s, 59:48 left",
        ),
        (
            job(Phase.RUNNING, attempt=2, worker="b", started_at=T, expires_at=T + 9000),
            "train Running on b (attempt 2), 0 s, 2:30:00 left",
        ),
        (
            job(Phase.FAILED, started_at=T, finished_at=T + 61, message="ValueError: no"),
            "train Failed, after 1:01: ValueError: no",
        ),
    ],
)
def test_a_line_says_where_a_job_is_and_why(seen: Job | None, line: str) -> None:
    assert JobView("train", seen).line(T) == line


def test_a_line_stays_short() -> None:
    assert len(JobView("train", job(Phase.PENDING, message="x" * 500)).line(T)) == 160


def test_time_alone_is_no_news() -> None:
    view = JobView("train", job(Phase.RUNNING, worker="a", started_at=T, expires_at=T + 60))
    assert view.line(T) != view.line(T + 1)
    before = view.key
    view.accept(log("x"))
    assert view.key == before
    view.accept(State(job(Phase.SUCCEEDED, worker="a")))
    assert view.key != before


def test_many_jobs_are_counted() -> None:
    view = ManyView("square", total=200)
    view.accept(State(job(Phase.PENDING, "d", message="all is taken")))
    assert view.line(T) == "square: 0 of 200 done, 1 waiting (all is taken)"
    view.accept(State(job(Phase.RUNNING, "a")))
    view.accept(Done(job(Phase.SUCCEEDED, "b")))
    view.accept(State(job(Phase.FAILED, "c")))
    assert view.line(T) == "square: 1 of 200 done, 1 failed, 1 running, 1 waiting"
    assert ManyView("square").line(T) == "square: 0 done"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (59.9, "59 s"), (60, "1:00"), (3599, "59:59"), (3600, "1:00:00")],
)
def test_times_are_read_at_a_glance(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_pieces_become_lines() -> None:
    lines = Lines()
    assert lines.of(b"a\r\nb") == ["a"]
    assert lines.of(b"c\n\nd\xff") == ["bc", ""]
    assert lines.rest() == ["d�"]
    assert lines.rest() == []


def test_without_a_terminal_it_is_quiet_unless_asked_for() -> None:
    stream = io.StringIO()
    with showing(JobView("train"), None, stream) as watch:
        assert watch is None
    with showing(JobView("train"), False, stream) as watch:
        assert watch is None
    assert stream.getvalue() == ""
    with showing(JobView("train"), True, stream) as watch:
        assert watch is not None
        watch(State(job(Phase.PENDING, message="all is taken")))
        watch(State(job(Phase.PENDING, message="all is taken")))
        watch(log("one\ntw"))
        watch(LogsLost(1, 0, 3))
        watch(Done(job(Phase.SUCCEEDED, started_at=T, finished_at=T + 1)))
    assert stream.getvalue().splitlines() == [
        "train: being handed in",
        "train Pending: all is taken",
        "one",
        "[3 log records are no longer kept]",
        "train Succeeded, after 1 s",
        "tw",
    ]


def test_leaving_says_that_the_job_goes_on() -> None:
    stream = io.StringIO()

    def leave() -> None:
        with showing(JobView("train"), True, stream):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        leave()
    assert "no longer waiting for train, which goes on" in stream.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_a_live_line_below_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    assert choose(None, io.StringIO()) is None
    with showing(JobView("train"), None, stream) as watch:
        assert watch is not None
        watch(State(job(Phase.RUNNING, worker="gpu-1")))
        watch(log("epoch 1\n"))
        watch(Done(job(Phase.SUCCEEDED, started_at=T, finished_at=T + 7)))
    text = stream.getvalue()
    assert "epoch 1" in text
    assert text.rstrip().endswith("\x1b[0m")
    assert "train Succeeded, after 7 s" in text.splitlines()[-1]
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(choose(None, stream), PlainDisplay)
    assert isinstance(choose(True, stream), PlainDisplay)
    assert choose(False, stream) is None


def test_a_live_line_ends_where_a_narrow_terminal_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "30")
    stream = Terminal()
    view = JobView("train")
    display = TerminalDisplay(stream)
    display.show(view)
    view.accept(State(job(Phase.RUNNING, worker="gpu-with-a-very-long-name")))
    display._screen._live.refresh()
    display.close(view)
    said = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    live = [line for line in re.split(r"[\r\n]+", said) if "Running on" in line]
    assert len(live) > 1
    assert all(len(line) <= 30 and line.endswith("…") for line in live[:-1]), live


def test_calls_that_wait_side_by_side_share_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with showing(JobView("one"), None, stream) as first:
        with showing(JobView("two"), None, stream) as second:
            assert first is not None
            assert second is not None
            second(Done(job(Phase.SUCCEEDED)))
        first(log("still here\n"))
        first(Done(job(Phase.FAILED, message="no luck")))
    said = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    assert (
        said.index("two Succeeded") < said.index("still here") < said.index("one Failed: no luck")
    )
    with showing(JobView("three"), None, stream):
        pass
    assert "three: being handed in" in stream.getvalue()


class Cell:
    """What IPython gives of itself, as far as it is used."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def display(self, data: dict[str, str], *, raw: bool, display_id: bool) -> Cell:
        assert (raw, display_id) == (True, True)
        self.shown.append(data["text/plain"])
        return self

    def update(self, data: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.shown.append(data["text/plain"])


def test_a_notebook_has_one_output_that_is_written_anew(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = Cell()
    shell = SimpleNamespace(kernel=object())
    known = SimpleNamespace(get_ipython=lambda: shell, display=cell)
    monkeypatch.setitem(sys.modules, "IPython", known)
    monkeypatch.setitem(sys.modules, "IPython.display", cell)
    assert in_notebook()
    with showing(JobView("train"), None) as watch:
        assert watch is not None
        watch(log("epoch 1\n"))
        watch(State(job(Phase.PENDING, message="all is taken")))
        watch(State(job(Phase.PENDING, message="all is taken")))
    assert capsys.readouterr().out == "epoch 1\n"
    pending = "train Pending: all is taken"
    assert cell.shown == ["", "train: being handed in", pending, pending]


def test_a_run_shows_its_job_where_asked_to(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with CumulusClient(server.address) as client:
        client.call(abs, [1], options=Options(gpu_memory=None, progress=True))
        first = capsys.readouterr()
        list(client.map(abs, [1, 2], Options(progress=True), concurrency=1))
        second = capsys.readouterr()
        client.run(abs, args=[1])
    assert first.out == ""
    assert "line 0\nline 1\nline 2\n" in first.err
    assert "Succeeded" in first.err
    assert second.err.splitlines()[-1] == "abs: 2 of 2 done"
    assert "line 0" not in second.err
    assert capsys.readouterr().err == ""
