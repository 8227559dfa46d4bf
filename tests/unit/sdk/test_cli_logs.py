"""Which part of a job's output `cumulusctl logs` prints, and how."""

from __future__ import annotations

import pytest
from cumulus.api.frames import LogStream

from .ctl import Ctl
from .fake_server import FakeServer
from .fake_state import NOW, record

STAMP = "2027-01-15T08:00:0"
"""How NOW begins."""


def test_since_is_asked_of_the_server(ctl: Ctl, server: FakeServer) -> None:
    ctl("apply", ctl.file(), "--wait")
    assert ctl("logs", "hello", "--since", "2027-01-15T08:00:01Z") == 0
    assert ctl.out == "line 1\nline 2\n"
    assert server.called("Logs")[-1].since == NOW + 1
    assert ctl("logs", "hello", "-f", "--since", "2027-01-15T08:00:02Z") == 0
    assert ctl.out == "line 2\n"


def test_since_goes_with_tail_and_survives_breaks(ctl: Ctl, server: FakeServer) -> None:
    ctl("apply", ctl.file(), "--wait")
    server.cuts = [1]
    assert ctl("logs", "hello", "--since", "2027-01-15T08:00:01Z", "--tail", "5") == 0
    assert ctl.out == "line 1\nline 2\n"
    first, again = server.called("Logs")[-2:]
    assert (first.tail, first.offset) == (5, 0)
    assert (again.since, again.tail, again.offset) == (0, 0, 2)


def test_the_attempt_before(ctl: Ctl, server: FakeServer) -> None:
    server.script.logs = {1: [record(1, 0, "first\n")], 2: [record(2, 0, "second\n")]}
    ctl("apply", ctl.file(), "--wait")
    assert ctl("logs", "hello", "--previous") == 0
    assert ctl.out == "first\n"
    assert ctl("logs", "hello", "-p", "-f") == 2
    assert "an attempt that is over" in ctl.err


def test_times_begin_lines_not_records(ctl: Ctl, server: FakeServer) -> None:
    server.script.logs = {
        1: [
            record(1, 0, "one\ntwo"),
            record(1, 1, " and more\n"),
            record(1, 2, "open"),
            record(1, 3, "beside\n", LogStream.STDERR),
        ]
    }
    ctl("apply", ctl.file(), "--wait")
    assert ctl("logs", "hello", "-t") == 0
    assert ctl.out.splitlines() == [
        f"{STAMP}0.000Z one",
        f"{STAMP}0.000Z two and more",
        f"{STAMP}2.000Z open",
        f"{STAMP}3.000Z beside",
    ]


@pytest.mark.parametrize("since", ["soon", "2027-01-15", "-5m"])
def test_a_time_that_is_not_understood(ctl: Ctl, since: str) -> None:
    assert ctl("logs", "hello", f"--since={since}") == 2
    assert "--since: " in ctl.err
    assert "expected a span such as 10m" in ctl.err
