"""The controller's clock: nobody who sets the machine's wall clock moves it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cumulus.controller.runtime.clock import SystemClock, VirtualClock, boot_id


def test_it_is_the_wall_clock_of_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    assert clock.now() == pytest.approx(time.time(), abs=1)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600)
    assert clock.now() == pytest.approx(real(), abs=1)


def test_a_mark_is_understood_by_the_next_process_of_this_boot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    older = SystemClock()
    mark = older.mark(older.now() + 60)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600)  # set in between
    newer = SystemClock()
    assert newer.now() == pytest.approx(real() + 3600, abs=1)
    assert newer.marked(mark) == pytest.approx(newer.now() + 60, abs=1)


@pytest.mark.parametrize("words", ["", "another-boot/12.0", "12.0", "{boot}/soon"])
def test_other_words_mean_nothing(words: str) -> None:
    clock = SystemClock()
    assert clock.marked(words.format(boot=boot_id())) is None


def test_without_an_identity_of_the_boot_no_mark_is_understood(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert boot_id(tmp_path / "none") == ""
    monkeypatch.setattr("cumulus.controller.runtime.clock.boot_id", lambda: "")
    clock = SystemClock()
    assert clock.marked(clock.mark(clock.now())) is None


def test_virtual_time_only_rises() -> None:
    clock = VirtualClock(5.0)
    clock.advance(2)
    assert clock.marked(clock.mark(clock.now() + 1)) == 8.0
    assert clock.marked("") is None
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)
