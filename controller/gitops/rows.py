"""The rows of a source's status, one a file, from a plan and what became of its actions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ...crd_like_specs.errors import Problem
from ...crd_like_specs.source import FileState, SourceFile
from .declared import Reading
from .plan import SyncPlan, Verdict

PRUNED_SHOWN: Final = 24 * 3600.0
"""Seconds for which a file that is gone is still shown."""

MOST_PRUNED: Final = 1000
MOST_PROBLEMS: Final = 5
LONGEST_MESSAGE: Final = 600

_WORST: Final = (FileState.INVALID, FileState.OUT_OF_SYNC, FileState.PRUNED, FileState.SYNCED)

Failure = tuple[FileState, str]
"""What an action's failure makes of its file, and why."""


def rows(
    made: SyncPlan,
    failures: Mapping[str, Failure],
    before: Sequence[SourceFile],
    now: float,
    *,
    acted: bool,
) -> tuple[SourceFile, ...]:
    """failures: job → what went wrong with its action; before: the rows of the last status;
    acted: whether the actions were carried out.
    """
    verdicts: dict[str, list[Verdict]] = {}
    for verdict in made.verdicts:
        verdicts.setdefault(verdict.file, []).append(verdict)
    readings = {reading.path: reading for reading in made.readings}
    known = {row.path: row for row in before}
    found = [
        _row(path, readings.get(path), verdicts.get(path, ()), failures, acted=acted)
        for path in sorted(readings.keys() | verdicts.keys())
    ]
    kept = [_aged(row, known.get(row.path), now) for row in found]
    shown = {row.path for row in kept}
    past = [
        row
        for row in before
        if row.state is FileState.PRUNED
        and row.path not in shown
        and now - row.since < PRUNED_SHOWN
    ]
    newest = sorted(past, key=lambda row: row.since, reverse=True)[:MOST_PRUNED]
    return tuple(sorted([*kept, *newest], key=lambda row: row.path))


def count(files: Iterable[SourceFile], state: FileState) -> int:
    """How many are in this state."""
    return sum(row.state is state for row in files)


def said(problems: Sequence[Problem]) -> str:
    """Problems of one file in one line: `3:7: spec.gpu.memory: expected …; 9:1: …`."""
    texts = [str(Problem(p.message, p.path, "", p.line, p.column)) for p in problems]
    texts = [text.removeprefix(":") for text in texts]
    more = len(texts) - MOST_PROBLEMS
    text = "; ".join([*texts[:MOST_PROBLEMS], *([f"and {more} more"] if more > 0 else [])])
    return clipped(text)


def clipped(text: str) -> str:
    """One line, not too long."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_MESSAGE else f"{line[: LONGEST_MESSAGE - 1]}…"


def _row(
    path: str,
    reading: Reading | None,
    verdicts: Sequence[Verdict],
    failures: Mapping[str, Failure],
    *,
    acted: bool,
) -> SourceFile:
    jobs = tuple(sorted({verdict.job for verdict in verdicts}))
    if reading is not None and not reading.settled:
        text = "is being written: it is taken once it stays as it is"
        return SourceFile(path=path, state=FileState.OUT_OF_SYNC, jobs=jobs, message=text)
    if reading is not None and reading.problems:
        text = said(reading.problems)
        return SourceFile(path=path, state=FileState.INVALID, jobs=jobs, message=text)
    states: list[FileState] = []
    texts: list[str] = []
    for verdict in verdicts:
        state, text = verdict.state, verdict.message
        if acted and verdict.job in failures:
            state, text = failures[verdict.job]
        elif acted and verdict.done is not None:
            state = verdict.done
            text = "deleted" if state is FileState.PRUNED else ""
        if state is FileState.PRUNED and reading is not None:
            state = FileState.SYNCED  # the file is there, one of its jobs no longer is
        states.append(state)
        if text:
            texts.append(f"{verdict.job}: {text}")
    worst = next((state for state in _WORST if state in states), FileState.SYNCED)
    return SourceFile(path=path, state=worst, jobs=jobs, message=clipped("; ".join(texts)))


def _aged(row: SourceFile, before: SourceFile | None, now: float) -> SourceFile:
    same = before is not None and before.state is row.state
    return row.model_copy(update={"since": before.since if same and before else now})
