"""Every worker, with what was found out about them remembered: for very many jobs and workers. Pure.

A `Fleet` is read like a tuple of workers by name, and gives the same answers. What is asked of it
again and again is kept per ask, and only workers that changed since are looked at anew: a job for
which there is no room costs no look at each worker. `runtime/world.py` keeps one up to date.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Generic, TypeVar, overload

from .asking import Ask
from .fitting import away, short, unable
from .observed import WorkerSeen

T = TypeVar("T")

KINDS_KEPT: Final = 256
"""For so many different asks it is remembered who has room."""


class Changes:
    """Which workers changed, by place, in order; whoever remembers something reads on from where
    it has come. `generation` rises where places moved and nothing remembered holds any more.
    """

    def __init__(self) -> None:
        self.generation = 0
        self._places: list[int] = []
        self._dropped = 0

    def note(self, place: int, size: int) -> None:
        """The worker at this place of `size` is another one now."""
        self._places.append(place)
        if len(self._places) > 4 * size + 1024:  # who is so far behind looks at all of them
            half = len(self._places) // 2
            del self._places[:half]
            self._dropped += half

    def moved(self) -> None:
        """Workers came or went."""
        self.generation += 1
        self._dropped += len(self._places)
        self._places.clear()

    @property
    def end(self) -> int:
        """Where whoever has read everything has come to."""
        return self._dropped + len(self._places)

    def since(self, position: int) -> Iterable[int] | None:
        """Places that changed from there on, each once; None where that is not known any more."""
        if position < self._dropped:
            return None
        return dict.fromkeys(self._places[position - self._dropped :])


class Remembered(Generic[T]):
    """One value per worker, `of(worker)`, made anew where the worker changed."""

    def __init__(self, of: Callable[[WorkerSeen], T]) -> None:
        self._of = of
        self._generation = -1
        self._position = 0
        self.values: list[T] = []

    def refresh(self, fleet: Fleet) -> Iterable[int]:
        """Bring `values` up to date; the places that were looked at."""
        changes = fleet.changes
        stale = changes.since(self._position) if self._generation == changes.generation else None
        self._generation, self._position = changes.generation, changes.end
        if stale is None:
            self.values = [self._of(seen) for seen in fleet]
            return range(len(self.values))
        for place in stale:
            self.values[place] = self._of(fleet[place])
        return stale


class _Roomy:
    """For one ask, as bytes: 1 where a worker has room now, rentals and claims apart."""

    def __init__(self, ask: Ask) -> None:
        self._room = Remembered(lambda seen: _has_room(ask, seen))
        self._flags = bytearray()

    def flags(self, fleet: Fleet) -> bytearray:
        looked = self._room.refresh(fleet)
        values = self._room.values
        if len(self._flags) != len(values):
            self._flags = bytearray(values)
        else:
            for place in looked:
                self._flags[place] = values[place]
        return self._flags


class Fleet(Sequence[WorkerSeen]):
    """See the module docstring. Changed by `put` and `drop` only; nobody keeps one for later."""

    def __init__(self, workers: Iterable[WorkerSeen] = ()) -> None:
        self.changes = Changes()
        self._names: list[str] = []
        self._workers: list[WorkerSeen] = []
        self._roomy: dict[Ask, _Roomy] = {}
        self._rented: tuple[WorkerSeen, ...] | None = None
        for seen in workers:
            self.put(seen)

    def put(self, seen: WorkerSeen) -> None:
        """A worker as it is now."""
        name = seen.worker.metadata.name
        place = bisect_left(self._names, name)
        if place < len(self._names) and self._names[place] == name:
            if _alike(self._workers[place], seen):
                return
            self._workers[place] = seen
            self.changes.note(place, len(self._names))
        else:
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
        flags = roomy.flags(self)
        place = flags.find(1)
        while place >= 0:
            yield self._workers[place]
            place = flags.find(1, place + 1)

    @property
    def rented(self) -> tuple[WorkerSeen, ...]:
        """Workers whose rental ends some day."""
        if self._rented is None:
            self._rented = tuple(
                w for w in self._workers if w.worker.spec.available_until is not None
            )
        return self._rented

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


def _alike(one: WorkerSeen, other: WorkerSeen) -> bool:
    """True where nobody could tell them apart; the worker's record is compared by identity, since
    it is replaced whenever it changes.
    """
    return one.worker is other.worker and one == other
