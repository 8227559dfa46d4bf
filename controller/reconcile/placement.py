"""Where a job runs: first fit or best fit over workers and devices, else why it doesn't. Pure.

Called by the plan, by `why` for people, and by whoever looks for jobs that fit. Finding a place
costs numbers only; the words for a refusal are made where somebody reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ...crd_like_specs.instants import show_clock
from ...crd_like_specs.job import JobSpec, WorkerReason
from ...crd_like_specs.units import format_cpus, show_bytes
from ...crd_like_specs.worker import Worker
from .asking import Ask, ask_of
from .fitting import (
    devices_for,
    lacking,
    matches,
    missing_labels,
    outlasts_rental,
    unable,
    usable,
)
from .fleet import with_room
from .observed import Claims, Free, WorkerSeen
from .reasons import reason

NOTHING: Final[Claims] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Placement:
    """A worker with room, and the device indexes on it (empty where no GPU is asked for)."""

    worker: Worker
    devices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refusals:
    """Why no worker can take the job now; asked for worker by worker, in their order."""

    ask: Ask
    workers: Sequence[WorkerSeen]
    now: float
    claims: Claims

    @property
    def hopeless(self) -> bool:
        """True where not even an idle worker of those that exist could take it."""
        return not any(could_ever(self.ask, seen.worker, self.now) for seen in self.workers)

    @property
    def reasons(self) -> tuple[WorkerReason, ...]:
        """One for each worker."""
        return tuple(self.each(self.workers))

    def some(self, limit: int) -> tuple[WorkerReason, ...]:
        """At most so many, of workers that could ever take it before others."""
        hopeful: list[WorkerSeen] = []
        others: list[WorkerSeen] = []
        for seen in self.workers:
            if len(hopeful) == limit:
                break
            ever = could_ever(self.ask, seen.worker, self.now)
            (hopeful if ever else others).append(seen)
        return tuple(self.each((hopeful + others)[:limit]))

    def each(self, workers: Iterable[WorkerSeen]) -> Iterator[WorkerReason]:
        """The reason of each of these workers."""
        for seen in workers:
            claims = self.claims.get(seen.worker.metadata.name, ())
            lack = lacking(self.ask, seen, self.now, claims)
            assert lack is not None, "refused although it fits"
            yield WorkerReason(
                worker=seen.worker.metadata.name,
                reason=reason(lack, self.ask, seen, self.now, claims),
                ever=lack.passes,
            )


def place(
    spec: JobSpec,
    workers: Sequence[WorkerSeen],
    now: float,
    claims: Claims = NOTHING,
    *,
    best_fit: bool = False,
) -> Placement | Refusals:
    """The first worker of these with room now, else each worker's reason.

    claims: room kept for jobs ahead of this one. best_fit: the worker and devices on which the
    least is left over: of the devices taken, of all the worker's devices, of its CPU, of its
    memory. Of equals the one that has most of its datasets, then the first.
    """
    return find(ask_of(spec), workers, now, claims, best_fit=best_fit)


def find(
    ask: Ask,
    workers: Sequence[WorkerSeen],
    now: float,
    claims: Claims = NOTHING,
    *,
    best_fit: bool = False,
) -> Placement | Refusals:
    """`place` for whoever has the ask at hand."""
    best: Placement | None = None
    least: tuple[int, ...] = ()
    for seen in with_room(ask, workers):
        found = fit(ask, seen, now, claims, best_fit=best_fit)
        if found is None:
            continue
        absent = _absent(ask, seen)
        if not best_fit and not absent:
            return found
        left = (*(_left_over(ask, seen, found.devices) if best_fit else ()), absent)
        if best is None or left < least:
            best, least = found, left
    return best or Refusals(ask, workers, now, claims)


def fit(
    ask: Ask, seen: WorkerSeen, now: float, claims: Claims = NOTHING, *, best_fit: bool = False
) -> Placement | None:
    """The place on this worker, None where it has none now."""
    there = claims.get(seen.worker.metadata.name, ()) if claims else ()
    if lacking(ask, seen, now, there) is not None:
        return None
    free = usable(ask, seen, now, there)
    devices = devices_for(ask, seen.worker, free, best_fit=best_fit)
    assert devices is not None, "nothing is lacking"
    return Placement(seen.worker, devices)


def could_ever(ask: Ask, worker: Worker, now: float) -> bool:
    """True where the worker could take it when idle, in contact and open to work."""
    return unable(ask, worker) is None and not outlasts_rental(ask, worker, now)


def largest(ask: Ask, workers: Sequence[WorkerSeen], now: float) -> str:
    """The worker that comes closest to what is asked, by what it lacks when idle; of equals the
    largest by devices, then CPU, then memory.
    """
    best = max(
        (seen.worker for seen in workers),
        key=lambda w: (
            _closeness(ask, w, now),
            len(w.status.devices),
            w.status.cpus,
            w.status.memory,
        ),
    )
    status = best.status
    devices = ", ".join(f"{d.type} {d.name}" for d in status.devices) or "no GPU"
    known = ask.data and status.dataset_cache
    data = f", {show_bytes(status.dataset_cache)} for datasets" if known else ""
    rented = ""
    if outlasts_rental(ask, best, now) and best.spec.available_until is not None:
        rented = f", rented until {show_clock(best.spec.available_until, now, early=True)}"
    return (
        f"worker {best.metadata.name} with {len(status.devices)} device(s) ({devices}), "
        f"{format_cpus(status.cpus)} CPU, {show_bytes(status.memory)} memory{data}{rented}"
    )


def _closeness(ask: Ask, worker: Worker, now: float) -> int:
    """How much of what is asked the idle worker has: kinds of things, not amounts."""
    status = worker.status
    devices = sum(matches(ask, device) for device in status.devices)
    return (
        (not missing_labels(ask, worker))
        + (devices >= ask.count)
        + (status.cpus >= ask.cpus)
        + (status.memory >= ask.memory)
        + (not status.dataset_cache or status.dataset_cache >= ask.data)
        + (not outlasts_rental(ask, worker, now))
    )


def _absent(ask: Ask, seen: WorkerSeen) -> int:
    """Datasets that would have to be fetched first."""
    return len(set(ask.datasets).difference(seen.worker.status.datasets)) if ask.datasets else 0


def _left_over(ask: Ask, seen: WorkerSeen, devices: tuple[int, ...]) -> tuple[int, ...]:
    """What would be stranded, in thousandths: of the devices taken, then of all, CPU, memory."""
    free: Free = seen.free
    status = seen.worker.status
    return (
        sum(free.milli[index] for index in devices) - ask.milli * len(devices),
        sum(free.milli.values()),
        (free.cpus - ask.cpus) * 1000 // max(1, status.cpus),
        (free.memory - ask.memory) * 1000 // max(1, status.memory),
    )
