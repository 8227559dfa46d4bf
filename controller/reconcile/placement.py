"""Where a job may run: first fit over workers and devices, and a reason for each that it isn't.

Pure. Called by the plan, and by `why` for people. Units: thousandths of devices and cores, bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...crd_like_specs.job import Gpu, JobSpec, WorkerReason
from ...crd_like_specs.units import format_bytes, format_cpus, show_bytes
from ...crd_like_specs.worker import Device, Worker
from .observed import Free, WorkerSeen


@dataclass(frozen=True, slots=True)
class Placement:
    """A worker with room, and the device indexes on it (empty where no GPU is asked for)."""

    worker: Worker
    devices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refusals:
    """Why no worker can take the job now, one entry per worker."""

    reasons: tuple[WorkerReason, ...]

    @property
    def hopeless(self) -> bool:
        """True where not even an idle worker of those that exist could take it."""
        return not any(reason.ever for reason in self.reasons)


def place(spec: JobSpec, workers: Sequence[WorkerSeen], now: float) -> Placement | Refusals:
    """The first worker (by name) with room now, else each worker's reason."""
    refusals = []
    for seen in sorted(workers, key=lambda w: w.worker.metadata.name):
        reason = _unable(spec, seen.worker)
        if reason:
            refusals.append(_refusal(seen, reason, ever=False))
            continue
        reason = _unavailable(spec, seen, now) or _short(spec, seen.free)
        devices = _devices(spec.gpu, seen.worker, seen.free)
        if not reason and devices is not None:
            return Placement(seen.worker, devices)
        refusals.append(_refusal(seen, reason or _busy(spec.gpu, seen), ever=True))
    return Refusals(tuple(refusals))


def asked(spec: JobSpec) -> str:
    """What the job asks for, as people read it."""
    need = f"{format_cpus(spec.resources.cpus)} CPU, {format_bytes(spec.resources.memory)} memory"
    if spec.gpu is None:
        return need
    kind = f" of type {spec.gpu.type}" if spec.gpu.type else ""
    return f"{spec.gpu.count} x {spec.gpu.memory / 1000:g} GPU{kind}, {need}"


def largest(workers: Sequence[WorkerSeen]) -> str:
    """The largest worker that exists, by devices, then CPU, then memory."""
    best = max(
        (seen.worker for seen in workers),
        key=lambda w: (len(w.status.devices), w.status.cpus, w.status.memory),
    )
    devices = ", ".join(f"{d.type} {d.name}" for d in best.status.devices) or "no GPU"
    return (
        f"worker {best.metadata.name} with {len(best.status.devices)} device(s) ({devices}), "
        f"{format_cpus(best.status.cpus)} CPU, {show_bytes(best.status.memory)} memory"
    )


def _refusal(seen: WorkerSeen, reason: str, *, ever: bool) -> WorkerReason:
    return WorkerReason(worker=seen.worker.metadata.name, reason=reason, ever=ever)


def _unable(spec: JobSpec, worker: Worker) -> str:
    """Why not even the idle worker could take it, or ""."""
    labels = worker.metadata.labels
    wrong = [f"{k}={v}" for k, v in sorted(spec.node_selector.items()) if labels.get(k) != v]
    if wrong:
        return f"lacks label {', '.join(wrong)}"
    status = worker.status
    if spec.image is not None and status.platform == "process":
        return "runs no images (platform process)"
    if spec.network == "None" and status.platform == "swarm" and not status.network_isolation:
        return "cannot isolate jobs from the network (the agent's check failed)"
    total = Free(dict.fromkeys((d.index for d in status.devices), 1000), status.cpus, status.memory)
    short = _short(spec, total)
    if short:
        return short
    if _devices(spec.gpu, worker, total) is None:
        assert spec.gpu is not None
        fitting = sum(_matches(spec.gpu, d) for d in status.devices)
        kind = f" of type {spec.gpu.type}" if spec.gpu.type else ""
        return f"has {fitting} device(s){kind}, {spec.gpu.count} asked for"
    return ""


def _unavailable(spec: JobSpec, seen: WorkerSeen, now: float) -> str:
    """Why the worker takes nothing at present, or ""."""
    wanted = seen.worker.spec
    if not seen.ready:
        return f"is not ready (agent silent for {seen.agent_silent_for:.0f} s or node down)"
    if wanted.drain:
        return "is being drained"
    if wanted.cordoned:
        return "is cordoned"
    if wanted.available_until is not None and now + spec.duration > wanted.available_until:
        left = max(0.0, wanted.available_until - now)
        return f"is rented for {left:.0f} s more, {spec.duration} s asked for"
    return ""


def _short(spec: JobSpec, free: Free) -> str:
    need = spec.resources
    if need.cpus > free.cpus:
        return f"has {format_cpus(max(0, free.cpus))} CPU free, {format_cpus(need.cpus)} asked for"
    if need.memory > free.memory:
        have = show_bytes(max(0, free.memory))
        return f"has {have} memory free, {format_bytes(need.memory)} asked for"
    return ""


def _busy(gpu: Gpu | None, seen: WorkerSeen) -> str:
    assert gpu is not None
    free = ", ".join(
        f"device {d.index}: {seen.free.milli.get(d.index, 0) / 1000:g}"
        for d in seen.worker.status.devices
        if _matches(gpu, d)
    )
    return f"has too little GPU free ({free}), {gpu.count} x {gpu.memory / 1000:g} asked for"


def _devices(gpu: Gpu | None, worker: Worker, free: Free) -> tuple[int, ...] | None:
    """The first devices with room, or None where there are too few."""
    if gpu is None:
        return ()
    found = tuple(_roomy(gpu, worker, free))[: gpu.count]
    return found if len(found) == gpu.count else None


def _roomy(gpu: Gpu, worker: Worker, free: Free) -> Iterator[int]:
    for device in worker.status.devices:
        if _matches(gpu, device) and free.milli.get(device.index, 0) >= gpu.memory:
            yield device.index


def _matches(gpu: Gpu, device: Device) -> bool:
    wanted = gpu.type.lower()
    return wanted in ("", "any") or wanted == device.type.lower() or wanted in device.name.lower()
