"""What of a job's spec decides where it fits: small, hashable, cheap to compare. Pure.

Many jobs ask for the same; whoever looks for room for all of them asks once per `Ask`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...crd_like_specs.job import JobSpec
from ...crd_like_specs.units import format_bytes, format_cpus, format_seconds, show_bytes


@dataclass(frozen=True, slots=True)
class Ask:
    """cpus: thousandths of a core; memory: bytes; milli: thousandths of each of `count` devices
    (count 0: no GPU); kind: of device, lower case, "" any; duration: seconds; labels: what
    `nodeSelector` says, by key; image: runs in another image than the job image; isolated: may have no network; data: bytes of its
    datasets as they are unpacked; datasets: their digests, sorted.
    """

    cpus: int
    memory: int
    pids: int
    milli: int
    count: int
    kind: str
    duration: int
    labels: tuple[tuple[str, str], ...]
    image: bool
    isolated: bool
    data: int = 0
    datasets: tuple[str, ...] = ()


def ask_of(spec: JobSpec) -> Ask:
    """What this spec asks of a worker."""
    gpu, limits = spec.gpu, spec.resources
    kind = gpu.type.lower() if gpu else ""
    return Ask(
        cpus=limits.cpus,
        memory=limits.memory,
        pids=limits.pids,
        milli=gpu.memory if gpu else 0,
        count=gpu.count if gpu else 0,
        kind="" if kind == "any" else kind,
        duration=spec.duration,
        labels=tuple(sorted(spec.node_selector.items())),
        image=spec.image is not None or bool(spec.runtime),
        isolated=spec.network == "None",
        data=sum({m.digest: m.extracted for m in spec.datasets}.values()),
        datasets=tuple(sorted({m.digest for m in spec.datasets})),
    )


def asked(ask: Ask) -> str:
    """What is asked for, as people read it."""
    parts = [f"{format_cpus(ask.cpus)} CPU", f"{format_bytes(ask.memory)} memory"]
    if ask.count:
        kind = f" of type {ask.kind}" if ask.kind else ""
        parts.insert(0, f"{ask.count} x {ask.milli / 1000:g} GPU{kind}")
    if ask.data:
        parts.append(f"{show_bytes(ask.data)} of datasets")
    if ask.labels:
        parts.append("on " + " ".join(f"{key}={value}" for key, value in ask.labels))
    return f"{', '.join(parts)} for {format_seconds(ask.duration)}"
