"""From the files back to the state, at start. I/O through `Disk`; called by `JournalStorage`.

A torn end of the last write is cut off: nobody was told that it succeeded. Anything else that does
not read back exactly is refused by a StoreError that names file and offset, since going on would
silently lose what was acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from loguru import logger

from ...crd_like_specs.errors import StoreError, ValidationError
from .codec import (
    DELETED,
    LoggedTransaction,
    batches_within,
    parse_end,
    parse_record,
    parse_segment,
    parse_snapshot,
    parse_transaction,
    unframe,
)
from .disk import TEMPORARY, Disk
from .journal import JOURNAL, SNAPSHOT, Journal, numbered, remove_superseded
from .records import Change
from .state import State


class _Replayed(NamedTuple):
    """A journal file that was read.

    size: in bytes, what was cut off left out. unproven: offset of the last write, of which no later
    line says that it is durable. next_rv: version that would follow.
    """

    size: int
    unproven: int
    next_rv: int


class Recovered(NamedTuple):
    """The journal to go on with, and the size of the snapshot in bytes."""

    journal: Journal
    snapshot_size: int


def recover(disk: Disk, state: State) -> Recovered:
    """Read everything into `state`; StoreError where the files are damaged or cannot be used."""
    try:
        return _recover(disk, state)
    except OSError as error:
        raise StoreError(f"cannot read the store in {disk.where}: {error}") from error
    except ValidationError as error:
        # An index that cannot read what is stored: this program does not fit this folder.
        raise StoreError(f"cannot open the store in {disk.where}: {error}") from error


def _recover(disk: Disk, state: State) -> Recovered:
    for name in disk.names():
        if name.endswith(TEMPORARY):
            disk.unlink(name)
    # A killed process may have left names that are not durable yet, and all below relies on them.
    disk.sync_folder()
    snapshots = numbered(disk.names(), SNAPSHOT)
    snapshot_size = 0
    if snapshots:
        reader = _Reader(disk, f"{SNAPSHOT}{snapshots[-1]}")
        state.load(snapshots[-1], _snapshot(reader, snapshots[-1]))
        snapshot_size = reader.offset
        remove_superseded(disk, snapshots[-1])
    segments = numbered(disk.names(), JOURNAL)
    if not segments and not snapshots:
        return Recovered(_begin(disk, 1), 0)
    size = 0
    for number, first in enumerate(segments):
        if first > state.rv + 1:
            break
        last = number + 1 == len(segments)
        replayed = _replay(_Reader(disk, f"{JOURNAL}{first}"), state, first, last=last)
        size += replayed.size
    else:
        if segments and replayed.next_rv > state.rv:
            name = f"{JOURNAL}{segments[-1]}"
            _write_again(disk, name, replayed.unproven)
            journal = Journal(disk, disk.reopen(name), size)
            # What a killed process wrote may not be durable yet, and is about to be shown.
            journal.seal(state.rv)
            return Recovered(journal, snapshot_size)
        if segments:
            # The snapshot has what this file lost its end of: going on in it would leave a gap.
            return Recovered(_begin(disk, state.rv + 1), snapshot_size)
    raise StoreError(
        f"the store in {disk.where} is incomplete: no journal holds version {state.rv + 1}"
    )


def _begin(disk: Disk, first_rv: int) -> Journal:
    journal = Journal.prepare(disk, first_rv)
    Journal.publish(disk, first_rv)
    return journal


def _write_again(disk: Disk, name: str, start: int) -> None:
    """Write the last write over itself: if its sync failed, no other sync would write it."""
    with disk.read(name) as file:
        file.seek(start)
        disk.rewrite(name, start, file.read())


class _Reader:
    """Lines of a file with their offsets, one after the other."""

    def __init__(self, disk: Disk, name: str) -> None:
        self._disk = disk
        self.name = name
        self.offset = 0
        """Bytes read undamaged."""
        self.rest = b""
        """What is left from the first damaged line on."""

    def lines(self) -> Iterator[list[bytes]]:
        """Fields of each line, up to the first damaged one or the end."""
        with self._disk.read(self.name) as file:
            for line in file:
                fields = unframe(line)
                if fields is None:
                    self.rest = line + file.read()
                    return
                yield fields
                self.offset += len(line)

    def cut(self) -> None:
        """Cut the file to what is undamaged."""
        handle = self._disk.reopen(self.name)
        try:
            self._disk.truncate(handle, self.offset)
            self._disk.sync(handle)
        finally:
            self._disk.close_file(handle)

    def damaged(self, what: str) -> StoreError:
        """The refusal, naming the place."""
        return StoreError(
            f"{self._disk.where}/{self.name} is damaged at offset {self.offset}: {what}; "
            "restore the folder from a backup, nothing was changed"
        )


def _snapshot(reader: _Reader, rv: int) -> Iterator[tuple[int, str, str, bytes]]:
    records = -1
    expected: int | None = None
    try:
        for fields in reader.lines():
            if expected is not None:
                raise reader.damaged("something follows its end")
            if records < 0:
                if parse_snapshot(fields) != rv:
                    raise reader.damaged(f"it is not the snapshot of version {rv}")
            else:
                expected = parse_end(fields)
                if expected is None:
                    yield parse_record(fields)
            records += expected is None
    except ValueError as error:
        raise reader.damaged(f"not a line of a snapshot: {error}") from error
    if reader.rest or expected != records:
        raise reader.damaged("it is not whole")


def _replay(reader: _Reader, state: State, first: int, *, last: bool) -> _Replayed:
    """Apply a journal file."""
    header = False
    expected = first
    durable, unproven = -1, 0
    try:
        for fields in reader.lines():
            if not header:
                header = True
                if parse_segment(fields) != first:
                    raise reader.damaged(f"it is not the journal from version {first} on")
                continue
            logged = parse_transaction(fields)
            if logged.first_rv != expected:
                raise reader.damaged(f"version {expected} is missing before {logged.first_rv}")
            if logged.batch_rv > durable:
                durable, unproven = logged.batch_rv, reader.offset
            expected += len(logged.ops)
            if expected > state.rv + 1:
                state.apply(_changes(reader, logged, state))
    except ValueError as error:
        raise reader.damaged(f"not a line of a journal: {error}") from error
    if not header:
        raise reader.damaged("its first line cannot be read")
    if reader.rest:
        _cut_torn_end(reader, expected, last=last)
    return _Replayed(reader.offset, unproven, expected)


def _cut_torn_end(reader: _Reader, expected: int, *, last: bool) -> None:
    """The file is good up to before version `expected`: cut it there, if it may be cut."""
    if not last:
        raise reader.damaged("a later journal file exists, so this one was durable")
    if any(batch >= expected for batch in batches_within(reader.rest)):
        raise reader.damaged("what follows it shows that it was durable")
    logger.warning("cut {} bytes of an unfinished write off {}", len(reader.rest), reader.name)
    reader.cut()


def _changes(reader: _Reader, logged: LoggedTransaction, state: State) -> list[Change]:
    changes: list[Change] = []
    for rv, op in enumerate(logged.ops, logged.first_rv):
        if op.kind == DELETED:
            entry = state.entries(op.table).get(op.id)
            if entry is None:
                raise reader.damaged(f"it deletes {op.table}/{op.id}, which does not exist")
            changes.append(Change(op.kind, op.table, op.id, rv, entry.raw))
        else:
            keys = state.keys(op.table, op.id, op.raw)
            changes.append(Change(op.kind, op.table, op.id, rv, op.raw, keys))
    return changes
