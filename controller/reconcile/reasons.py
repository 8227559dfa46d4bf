"""What a person is told that a worker lacks. Pure; made only where somebody reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ...crd_like_specs.instants import show_clock
from ...crd_like_specs.units import format_bytes, format_cpus, format_seconds, show_bytes
from ...crd_like_specs.worker import WorkerStatus
from .asking import Ask
from .fitting import Lack, matches, missing_labels, rental_left
from .observed import Booking, Free, Unready, WorkerSeen


def reason(
    lack: Lack, ask: Ask, seen: WorkerSeen, now: float, claims: Sequence[Booking] = ()
) -> str:
    """The words, to follow the worker's name. claims: room kept on this worker."""
    return _SAY[lack](_Told(ask, seen, now, claims))


@dataclass(frozen=True, slots=True)
class _Told:
    ask: Ask
    seen: WorkerSeen
    now: float
    claims: Sequence[Booking]

    @property
    def status(self) -> WorkerStatus:
        return self.seen.worker.status

    @property
    def free(self) -> Free:
        return self.seen.free


def _labels(told: _Told) -> str:
    wrong = missing_labels(told.ask, told.seen.worker)
    return f"lacks label {', '.join(f'{key}={wanted}' for key, wanted in wrong)}"


def _devices(told: _Told) -> str:
    ask = told.ask
    fitting = sum(matches(ask, device) for device in told.status.devices)
    kind = f" of type {ask.kind}" if ask.kind else ""
    return f"has {fitting} device(s){kind}, {ask.count} asked for"


def _rental(told: _Told) -> str:
    until = told.seen.worker.spec.available_until or 0.0
    left = rental_left(told.seen.worker, told.now)
    return (
        f"is rented until {show_clock(until, told.now, early=True)}: takes jobs of "
        f"{format_seconds(left or 0)} at most, {format_seconds(told.ask.duration)} asked for"
    )


def _gpu(told: _Told) -> str:
    ask = told.ask
    free = ", ".join(
        f"device {device.index}: {told.free.milli.get(device.index, 0) / 1000:g}"
        for device in told.status.devices
        if matches(ask, device)
    )
    return f"has too little GPU free ({free}), {ask.count} x {ask.milli / 1000:g} asked for"


def _claimed(told: _Told) -> str:
    ahead = min(told.claims, key=lambda claim: (claim.start, claim.job))
    late = ahead.start > told.now
    when = f" from {show_clock(ahead.start, told.now, early=True)} on" if late else ""
    return f"keeps its room{when} for {ahead.job}, which is ahead in the queue"


_UNREADY: Final = {
    Unready.NODE_DOWN: "is not ready (its agent speaks, but the platform does not reach its node)",
    Unready.NOT_CLEAN: "is not ready (its agent is removing what nobody wants there any more)",
}

_SAY: Final[dict[Lack, Callable[[_Told], str]]] = {
    Lack.LABEL: _labels,
    Lack.IMAGES: lambda _: "runs no images (platform process)",
    Lack.ISOLATION: lambda _: "cannot isolate jobs from the network (the agent's check failed)",
    Lack.ALL_CPUS: lambda told: (
        f"has {format_cpus(told.status.cpus)} CPU, {format_cpus(told.ask.cpus)} asked for"
    ),
    Lack.ALL_MEMORY: lambda told: (
        f"has {show_bytes(told.status.memory)} memory, {format_bytes(told.ask.memory)} asked for"
    ),
    Lack.ALL_PIDS: lambda told: f"has {told.status.pids} pids, {told.ask.pids} asked for",
    Lack.DATASETS: lambda told: (
        f"keeps {show_bytes(told.status.dataset_cache)} of datasets at most, "
        f"{show_bytes(told.ask.data)} asked for"
    ),
    Lack.DEVICES: _devices,
    Lack.RENTAL: _rental,
    Lack.CONTACT: lambda told: (
        (_UNREADY.get(told.seen.unready) if told.seen.unready else None)
        or f"is not ready (agent silent for {told.seen.silent_for(told.now):.0f} s or node down)"
    ),
    Lack.JOB_IMAGE: lambda told: (
        told.seen.awaits or "has no job image yet to check with whether it isolates jobs"
    ),
    Lack.FENCED: lambda _: "is fenced",
    Lack.DRAINED: lambda _: "is being drained",
    Lack.CORDONED: lambda _: "is cordoned",
    Lack.DISK: lambda _: "has a disk that is nearly full",
    Lack.CPUS: lambda told: (
        f"has {format_cpus(max(0, told.free.cpus))} CPU free, "
        f"{format_cpus(told.ask.cpus)} asked for"
    ),
    Lack.MEMORY: lambda told: (
        f"has {show_bytes(max(0, told.free.memory))} memory free, "
        f"{format_bytes(told.ask.memory)} asked for"
    ),
    Lack.PIDS: lambda told: (
        f"has {max(0, told.free.pids or 0)} pids free, {told.ask.pids} asked for"
    ),
    Lack.GPU: _gpu,
    Lack.CLAIMED: _claimed,
}
