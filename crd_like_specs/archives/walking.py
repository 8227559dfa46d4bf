"""The walk through an archive of any format, within limits. Reads the file that is given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from . import tars, zips
from .detecting import COMPRESSION
from .entries import PIECE, Contents, Entry, Format, Kind, Limits, broken, refused
from .inflating import inflated
from .names import Names, clean, stays_inside


def walk(
    file: BinaryIO, form: Format, limits: Limits | None = None, *, filename: str = "data"
) -> Iterator[Entry]:
    """Every entry, in the archive's order; folders need not come before what is in them.

    file: seeks, and is read from its start; filename: what the one entry of a `Format.FILE` is
    called. ValidationError names the entry that cannot be taken.
    """
    given = limits or Limits()
    size = file.seek(0, 2)
    file.seek(0)
    if form is Format.FILE:
        yield _alone(file, filename, size)
        return
    names, taken = Names(), _Taken(given, size)
    for entry in _entries(file, form, given):
        names.add(entry.path, folder=entry.kind is Kind.FOLDER)
        if len(names) > given.entries:
            raise broken(f"has more than {given.entries} entries")
        if entry.kind is Kind.LINK and not stays_inside(entry.target, entry.path):
            raise refused(entry.path, f"is a link that leads out, to {entry.target!r:.200}")
        if entry.kind is Kind.FILE:
            taken.add(entry)
        yield entry


def survey(file: BinaryIO, form: Format, limits: Limits | None = None) -> Contents:
    """Read all of it and count; ValidationError for what `extract` would refuse."""
    files = size = 0
    for entry in walk(file, form, limits):
        files += entry.kind is not Kind.FOLDER
        size += entry.size
        while form is not Format.FILE and entry.read(PIECE):
            pass
    return Contents(files, size)


def _entries(file: BinaryIO, form: Format, limits: Limits) -> Iterator[Entry]:
    if form is Format.ZIP:
        return zips.entries(file, most=limits.entries)
    return tars.entries(inflated(file, COMPRESSION.get(form, "")))


def _alone(file: BinaryIO, filename: str, size: int) -> Entry:
    path = clean(filename)
    if not path or "/" in path:
        raise refused(filename, "is no file name")
    return Entry(path, Kind.FILE, 0o644, 0, size, read=file.read)


class _Taken:
    """Counts bytes as the headers announce them: no file is longer than its header says."""

    def __init__(self, limits: Limits, packed: int) -> None:
        self._limits = limits
        self._packed = packed
        self._size = 0

    def add(self, entry: Entry) -> None:
        self._size += entry.size
        if self._size > self._limits.size:
            raise refused(
                entry.path, f"brings the archive beyond the {self._limits.size} bytes it may have"
            )
        if self._size > max(self._limits.free, self._limits.ratio * self._packed):
            raise refused(
                entry.path,
                f"brings the archive to {self._size} bytes, more than {self._limits.ratio} times "
                f"its packed {self._packed}: expected less",
            )
