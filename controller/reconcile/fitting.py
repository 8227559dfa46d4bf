"""Whether one worker has room for what is asked, now or later, and what it lacks. Pure.

Numbers only, no words: this runs for every worker and every job. `placement.py` chooses among
workers and finds the words, `queueing.py` looks into the future.

A worker's room grows as leases end and shrinks where room is kept for a job ahead (a claim). What
is free through a whole interval is therefore least at its start or where a claim begins.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from enum import Enum
from typing import Final

from ...crd_like_specs.constraints import WORKER_LABEL, satisfied
from ...crd_like_specs.worker import DISK_PRESSURE, Device, Worker
from .asking import Ask
from .image_seen import isolation_untried
from .observed import Booking, Free, WorkerSeen
from .timing import RENTAL_MARGIN, SOON, START_ALLOWANCE


class Lack(Enum):
    """What keeps a job off a worker, in the order in which it is looked for."""

    LABEL = "label"
    IMAGES = "images"
    ISOLATION = "isolation"
    ALL_CPUS = "all cpus"  # not even the idle worker has as many
    ALL_MEMORY = "all memory"
    ALL_PIDS = "all pids"
    DATASETS = "datasets"  # they are more than its cache may ever hold
    DEVICES = "devices"  # too few of the kind exist
    RENTAL = "rental"  # it ends too early
    CONTACT = "contact"
    JOB_IMAGE = "job image"  # it is on its way there
    FENCED = "fenced"
    DRAINED = "drained"
    CORDONED = "cordoned"
    DISK = "disk"  # nearly full
    CPUS = "cpus"  # too few are free
    MEMORY = "memory"
    PIDS = "pids"
    GPU = "gpu"
    CLAIMED = "claimed"  # there is room, but it is kept for a job ahead in the queue

    @property
    def passes(self) -> bool:
        """True where it may end without the job or the worker becoming another."""
        return self in _PASSING


_PASSING: Final = frozenset(
    {
        Lack.CONTACT, Lack.FENCED, Lack.DRAINED, Lack.CORDONED, Lack.DISK,
        Lack.JOB_IMAGE,
        Lack.CPUS, Lack.MEMORY, Lack.PIDS, Lack.GPU, Lack.CLAIMED,
    }
)  # fmt: skip


def unable(ask: Ask, worker: Worker) -> Lack | None:
    """Why not even the idle worker could take it."""
    status = worker.status
    if ask.labels and missing_labels(ask, worker):
        return Lack.LABEL
    if ask.image and status.platform == "process":
        return Lack.IMAGES
    if _not_isolated(ask, worker) and not isolation_untried(worker):
        return Lack.ISOLATION
    if ask.cpus > status.cpus:
        return Lack.ALL_CPUS
    if ask.memory > status.memory:
        return Lack.ALL_MEMORY
    if status.pids and ask.pids > status.pids:
        return Lack.ALL_PIDS
    if status.dataset_cache and ask.data > status.dataset_cache:
        return Lack.DATASETS
    if ask.count and sum(matches(ask, device) for device in status.devices) < ask.count:
        return Lack.DEVICES
    return None


def missing_labels(ask: Ask, worker: Worker) -> tuple[tuple[str, str], ...]:
    """The constraints that the worker's labels don't satisfy."""
    labels = worker.metadata.labels
    return tuple(
        (key, wanted)
        for key, wanted in ask.labels
        if not satisfied(wanted, worker.metadata.name if key == WORKER_LABEL else labels.get(key))
    )


def away(seen: WorkerSeen) -> Lack | None:
    """Why the worker takes nothing at present, whatever it has."""
    wanted = seen.worker.spec
    if wanted.fenced:
        return Lack.FENCED
    if not seen.ready:
        return Lack.CONTACT
    if wanted.drain:
        return Lack.DRAINED
    if wanted.cordoned:
        return Lack.CORDONED
    disk = seen.worker.status.condition(DISK_PRESSURE)
    return Lack.DISK if disk is not None and disk.status else None


def _not_isolated(ask: Ask, worker: Worker) -> bool:
    status = worker.status
    return ask.isolated and status.platform == "swarm" and not status.network_isolation


def _awaiting(ask: Ask, seen: WorkerSeen) -> Lack | None:
    if (seen.awaits and not ask.image) or _not_isolated(ask, seen.worker):
        return Lack.JOB_IMAGE
    return None


def rental_left(worker: Worker, start: float) -> int | None:
    """Seconds that a lease from `start` on may take there; None: no rental limits it."""
    until = worker.spec.available_until
    return None if until is None else max(0, int(until - start - RENTAL_MARGIN))


def outlasts_rental(ask: Ask, worker: Worker, start: float) -> bool:
    """True where a lease that starts then might end after the worker's rental."""
    left = rental_left(worker, start)
    return left is not None and ask.duration > left


def short(ask: Ask, worker: Worker, free: Free | Ledger) -> Lack | None:
    """What there is too little of in `free`."""
    if ask.cpus > free.cpus:
        return Lack.CPUS
    if ask.memory > free.memory:
        return Lack.MEMORY
    if free.pids is not None and ask.pids > free.pids:
        return Lack.PIDS
    if ask.count and len(roomy(ask, worker, free)) < ask.count:
        return Lack.GPU
    return None


def lacking(ask: Ask, seen: WorkerSeen, now: float, claims: Sequence[Booking] = ()) -> Lack | None:
    """Why the worker cannot take it now, None where it can. claims: on this worker."""
    worker = seen.worker
    found = unable(ask, worker)
    if found is None and outlasts_rental(ask, worker, now):
        found = Lack.RENTAL
    found = found or away(seen) or _awaiting(ask, seen) or short(ask, worker, seen.free)
    if found is None and claims and short(ask, worker, usable(ask, seen, now, claims)):
        found = Lack.CLAIMED
    return found


def usable(ask: Ask, seen: WorkerSeen, now: float, claims: Sequence[Booking]) -> Free:
    """What a job that starts now may use for all its time."""
    if not claims:
        return seen.free
    if any(claim.start > now for claim in claims):
        return Profile(seen, claims, now).during(0, now + takes(ask))
    left = Ledger(seen.free)  # from here on room only grows
    for claim in claims:
        left.add(claim, -1)
    return left.free()


def devices_for(
    ask: Ask, worker: Worker, free: Free | Ledger, *, best_fit: bool = False
) -> tuple[int, ...] | None:
    """The first devices with room, or with best fit the fullest; None where there are too few."""
    if not ask.count:
        return ()
    found = list(roomy(ask, worker, free))
    if len(found) < ask.count:
        return None
    if best_fit:
        found.sort(key=lambda index: (free.milli[index], index))
    return tuple(sorted(found[: ask.count]))


def roomy(ask: Ask, worker: Worker, free: Free | Ledger) -> list[int]:
    """Indexes of the devices of the kind that have the share left."""
    milli = free.milli
    return [
        device.index
        for device in worker.status.devices
        if milli.get(device.index, 0) >= ask.milli and matches(ask, device)
    ]


def matches(ask: Ask, device: Device) -> bool:
    """True where the device is of the kind asked for, by type or by a part of its name."""
    kind = ask.kind
    return not kind or kind == device.type.lower() or kind in device.name.lower()


# In the future


def takes(ask: Ask) -> float:
    """Seconds from being placed to the lease's end, at most, as the queue reckons."""
    return START_ALLOWANCE + ask.duration


def booked(ask: Ask, job: str, worker: str, devices: tuple[int, ...], start: float) -> Booking:
    """What the job takes if it is placed so at `start`."""
    return Booking(
        job, worker, start, start + takes(ask), devices, ask.milli, ask.cpus, ask.memory, ask.pids
    )


def frees_at(booking: Booking, now: float) -> float:
    """When its room is free: what is over and not yet gone is so in a moment."""
    return booking.end if booking.end > now else now + SOON


class Profile:
    """What is free of a worker from now on: it changes at `times` and stays in between.

    Room grows where a lease or a claim ends and shrinks where a claim begins.
    """

    def __init__(self, seen: WorkerSeen, claims: Sequence[Booking], now: float) -> None:
        left = Ledger(seen.free)
        changes: dict[float, list[tuple[int, Booking]]] = {}
        for lease in seen.held:
            changes.setdefault(frees_at(lease, now), []).append((1, lease))
        for claim in claims:
            if claim.start <= now:
                left.add(claim, -1)
            else:
                changes.setdefault(claim.start, []).append((-1, claim))
            changes.setdefault(claim.end, []).append((1, claim))
        self.times = [now]
        self._frees = [left.free()]
        for moment in sorted(changes):
            for sign, booking in changes[moment]:
                left.add(booking, sign)
            self.times.append(moment)
            self._frees.append(left.free())

    def at(self, start: int) -> Free:
        """What is free at `times[start]`."""
        return self._frees[start]

    def during(self, start: int, end: float) -> Free:
        """What is free from `times[start]` on, all the time until `end`."""
        stop = bisect_left(self.times, end, start + 1)
        return _least(self._frees[start:stop])


def _least(frees: Sequence[Free]) -> Free:
    if len(frees) == 1:
        return frees[0]
    pids = [free.pids for free in frees if free.pids is not None]
    return Free(
        {index: min(free.milli[index] for free in frees) for index in frees[0].milli},
        min(free.cpus for free in frees),
        min(free.memory for free in frees),
        min(pids) if pids else None,
    )


class Ledger:
    """A `Free` that changes."""

    __slots__ = ("cpus", "memory", "milli", "pids")

    def __init__(self, free: Free) -> None:
        self.milli = dict(free.milli)
        self.cpus = free.cpus
        self.memory = free.memory
        self.pids = free.pids

    def free(self) -> Free:
        """What is left as it stands."""
        return Free(dict(self.milli), self.cpus, self.memory, self.pids)

    def add(self, booking: Booking, sign: int) -> None:
        """Room is free again (1), or used (-1)."""
        for device in booking.devices:
            if device in self.milli:
                self.milli[device] += sign * booking.milli
        self.cpus += sign * booking.cpus
        self.memory += sign * booking.memory
        if self.pids is not None:
            self.pids += sign * booking.pids
