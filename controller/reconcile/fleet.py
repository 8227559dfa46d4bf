"""Every worker, with what was found out about them remembered: for very many jobs and workers. Pure.

A `Fleet` is read like a tuple of workers by name, and gives the same answers. What is asked of it
again and again is kept per ask, and only workers that changed since are looked at anew: a job for
which there is no room costs no look at each worker. `runtime/world.py` keeps one up to date.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Final, overload

from .asking import Ask
from .fitting import away, short, unable
from .observed import WorkerSeen

KINDS_KEPT: Final = 256
"""For so many different asks it is remembered who has room."""


class Change(IntEnum):
    """How a worker is another one than before, as far as it matters for what is remembered."""

    LESS = 0  # it has less room, for now or for longer
    SOONER = 1  # what is free now is no more, but it may have more at some time
    MORE = 2  # it may have room for something that it had none for


class Changes:
    """Which workers changed, by place, in order; whoever remembers something reads on from where
    it has come. `generation` rises where places moved and nothing remembered holds any more.
    """

    def __init__(self) -> None:
        self.generation = 0
        self._noted: list[tuple[int, Change]] = []
        self._dropped = 0

    def note(self, place: int, change: Change, size: int) -> None:
        """The worker at this place of `size` is another one now."""
        self._noted.append((place, change))
        if len(self._noted) > 4 * size + 1024:  # who is so far behind looks at all of them
            half = len(self._noted) // 2
            del self._noted[:half]
            self._dropped += half

    def moved(self) -> None:
        """Workers came or went."""
        self.generation += 1
        self._dropped += len(self._noted)
        self._noted.clear()

    @property
    def end(self) -> int:
        """Where whoever has read everything has come to."""
        return self._dropped + len(self._noted)

    def since(self, position: int) -> Sequence[tuple[int, Change]] | None:
        """What changed from there on; None where that is not known any more."""
        return None if position < self._dropped else self._noted[position - self._dropped :]


class Follower:
    """Where one who remembers something about a fleet has come to."""

    def __init__(self) -> None:
        self._generation = -1
        self._position = 0

    def news(self, fleet: Fleet) -> Sequence[tuple[int, Change]] | None:
        """What changed since last asked; None: everything may have."""
        changes = fleet.changes
        known = changes.since(self._position) if self._generation == changes.generation else None
        self._generation, self._position = changes.generation, changes.end
        return known


class _Roomy:
    """For one ask, as bytes: 1 where a worker may have room now, rentals and claims apart. That a
    worker has none is found out where it is looked at, and kept until it may have some again.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._follower = Follower()
        self._flags = bytearray()

    def workers(self, fleet: Fleet) -> Iterator[WorkerSeen]:
        """Those that have room, by name."""
        news = self._follower.news(fleet)
        if news is None:
            self._flags = bytearray(b"\1") * len(fleet)
        else:
            for place, change in news:
                if change is Change.MORE:
                    self._flags[place] = 1
        flags = self._flags
        place = flags.find(1)
        while place >= 0:
            if _has_room(self._ask, fleet[place]):
                yield fleet[place]
            else:
                flags[place] = 0
            place = flags.find(1, place + 1)


class Fleet(Sequence[WorkerSeen]):
    """See the module docstring. Changed by `put` and `drop` only; nobody keeps one for later."""

    def __init__(self, workers: Iterable[WorkerSeen] = ()) -> None:
        self.changes = Changes()
        self._names: list[str] = []
        self._workers: list[WorkerSeen] = []
        self._roomy: dict[Ask, _Roomy] = {}
        self._rented: tuple[int, ...] | None = None
        for seen in workers:
            self.put(seen)

    def put(self, seen: WorkerSeen) -> None:
        """A worker as it is now."""
        name = seen.worker.metadata.name
        place = bisect_left(self._names, name)
        if place < len(self._names) and self._names[place] == name:
            old = self._workers[place]
            if _alike(old, seen):
                return
            self._workers[place] = seen
            self.changes.note(place, _change(old, seen), len(self._names))
            if old.worker is not seen.worker:
                self._rented = None
            return
        self._names.insert(place, name)
        self._workers.insert(place, seen)
        self.changes.moved()
        self._rented = None

    def drop(self, name: str) -> None:
        """There is no such worker any more."""
        place = bisect_left(self._names, name)
        if place < len(self._names) and self._names[place] == name:
            del self._names[place], self._workers[place]
            self.changes.moved()
            self._rented = None

    def named(self, name: str) -> WorkerSeen | None:
        """The worker of this name."""
        place = self.place_of(name)
        return None if place is None else self._workers[place]

    def place_of(self, name: str) -> int | None:
        """Where it is among all, by name."""
        place = bisect_left(self._names, name)
        there = place < len(self._names) and self._names[place] == name
        return place if there else None

    def with_room(self, ask: Ask) -> Iterator[WorkerSeen]:
        """Workers that have room for it now, by name, rentals and claims apart."""
        roomy = self._roomy.pop(ask, None) or _Roomy(ask)
        self._roomy[ask] = roomy  # the one that was asked for last is forgotten last
        if len(self._roomy) > KINDS_KEPT:
            del self._roomy[next(iter(self._roomy))]
        return roomy.workers(self)

    @property
    def rented(self) -> tuple[WorkerSeen, ...]:
        """Workers whose rental ends some day."""
        if self._rented is None:
            self._rented = tuple(
                place
                for place, seen in enumerate(self._workers)
                if seen.worker.spec.available_until is not None
            )
        return tuple(self._workers[place] for place in self._rented)

    def __len__(self) -> int:
        return len(self._workers)

    def __iter__(self) -> Iterator[WorkerSeen]:
        return iter(self._workers)

    @overload
    def __getitem__(self, index: int) -> WorkerSeen: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[WorkerSeen]: ...
    def __getitem__(self, index: int | slice) -> WorkerSeen | Sequence[WorkerSeen]:
        return self._workers[index]


def named(workers: Sequence[WorkerSeen], name: str) -> WorkerSeen | None:
    """The worker of this name, however many there are."""
    if isinstance(workers, Fleet):
        return workers.named(name)
    return next((w for w in workers if w.worker.metadata.name == name), None)


def with_room(ask: Ask, workers: Sequence[WorkerSeen]) -> Iterable[WorkerSeen]:
    """Those that can have a place for it: all of them where nothing is remembered."""
    return workers.with_room(ask) if isinstance(workers, Fleet) else workers


def rented(workers: Sequence[WorkerSeen]) -> Sequence[WorkerSeen]:
    """Those whose rental may end, at least."""
    return workers.rented if isinstance(workers, Fleet) else workers


def _has_room(ask: Ask, seen: WorkerSeen) -> bool:
    """The same for as long as the worker stays as it is, whatever time it is."""
    return (
        away(seen) is None
        and not (seen.awaits and not ask.image)
        and short(ask, seen.worker, seen.free) is None
        and unable(ask, seen.worker) is None
    )


def _change(old: WorkerSeen, new: WorkerSeen) -> Change:
    was, is_ = old.free, new.free
    same = (
        old.worker is new.worker
        and (old.ready, old.awaits, old.unready) == (new.ready, new.awaits, new.unready)
        and is_.cpus <= was.cpus
        and is_.memory <= was.memory
        and (is_.pids or 0) <= (was.pids or 0)
        and all(milli <= was.milli.get(index, 0) for index, milli in is_.milli.items())
    )
    if not same:
        return Change.MORE
    return Change.LESS if new.held[: len(old.held)] == old.held else Change.SOONER


def _alike(one: WorkerSeen, other: WorkerSeen) -> bool:
    """True where nobody could tell them apart; the worker's record is compared by identity, since
    it is replaced whenever it changes.
    """
    return one.worker is other.worker and one == other
