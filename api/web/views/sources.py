"""Folders that are kept true, for a table. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ....crd_like_specs.source import FileState, Source, SourceFile

FILES = 20
"""Files that are shown of a source at most: those with something to say."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One source. tone: good, wait or bad; files: those that are not as they should be."""

    name: str
    words: str
    tone: str
    path: str
    commit: str
    jobs: int
    counts: str
    message: str
    last_sync: float
    files: tuple[SourceFile, ...]


def source_row(source: Source) -> SourceRow:
    """The row of a source."""
    spec, status = source.spec, source.status
    wrong = status.invalid or status.message
    words = "Invalid" if wrong else "OutOfSync" if status.out_of_sync else "Synced"
    counts = (
        (status.synced, "synced"),
        (status.out_of_sync, "out of sync"),
        (status.invalid, "invalid"),
        (status.pruned, "pruned"),
    )
    odd = [file for file in status.files if file.state is not FileState.SYNCED]
    return SourceRow(
        name=source.metadata.name,
        words=f"{words}, suspended" if spec.suspend else words,
        tone="bad" if wrong else "wait" if status.out_of_sync or spec.suspend else "good",
        path=spec.path,
        commit=status.commit[:12],
        jobs=status.jobs,
        counts=", ".join(f"{number} {name}" for number, name in counts if number),
        message=status.message,
        last_sync=status.last_sync,
        files=tuple(odd[:FILES]),
    )
