"""Objects as tables, JSON, YAML or names. PURE: text in, text out; `now` is an argument."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import Enum
from typing import Any

from ...api.frames import Resource
from ...crd_like_specs.dataset import Dataset
from ...crd_like_specs.job import Job
from ...crd_like_specs.lease import Lease, LeaseState
from ...crd_like_specs.meta import API_VERSION
from ...crd_like_specs.source import Source
from ...crd_like_specs.template import Template
from ...crd_like_specs.units import (
    format_cpus,
    format_fraction,
    format_seconds,
    show_bytes,
)
from ...crd_like_specs.worker import Worker
from . import datasets, sources, templates


class Format(str, Enum):
    """-o: without it a table."""

    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"
    JSONPATH = "jsonpath"


Row = list[str]

_HEADERS = {
    "Job": ["NAME", "PHASE", "ATTEMPT", "WORKER", "GPU", "DURATION", "AGE"],
    "Lease": ["NAME", "JOB", "ATTEMPT", "WORKER", "DEVICES", "SHARE", "STATE", "ENDS-IN"],
    "Worker": ["NAME", "STATUS", "DEVICES", "FREE", "CPUS", "MEMORY", "SEEN"],
    "Source": sources.HEADER,
    "Dataset": datasets.HEADER,
    "Template": templates.HEADER,
}
_WIDE = {
    "Job": ["UID", "OWNER", "EXIT", "REASON", "MESSAGE"],
    "Lease": ["BACKEND", "REASON", "MESSAGE"],
    "Worker": ["PLATFORM", "PARTITIONER", "AGENT", "DEVICE-NAMES"],
    "Source": sources.WIDE,
    "Dataset": datasets.WIDE,
    "Template": templates.WIDE,
}


def names(objects: Sequence[Resource]) -> str:
    """`job/hello`, a line each."""
    return "".join(f"{label(obj)}\n" for obj in objects)


def label(obj: Resource) -> str:
    """`job/hello`."""
    return f"{obj.kind.lower()}/{obj.metadata.name}"


def as_json(objects: Sequence[Resource], *, single: bool) -> str:
    """The object itself where one was asked for by name, else a List of them."""
    body = objects[0].to_dict() if single else listing(objects)
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def listing(objects: Sequence[Resource]) -> dict[str, Any]:
    """Several objects as one."""
    return {
        "apiVersion": API_VERSION,
        "kind": "List",
        "items": [obj.to_dict() for obj in objects],
    }


def header(kind: str, *, wide: bool = False) -> Row:
    """The columns of a kind."""
    return _HEADERS[kind] + (_WIDE[kind] if wide else [])


def row(obj: Resource, now: float, *, wide: bool = False, leases: Sequence[Lease] = ()) -> Row:
    """The cells of one object. now: POSIX seconds; leases: for the free share of workers."""
    if isinstance(obj, Job):
        return _job(obj, now, wide=wide)
    if isinstance(obj, Lease):
        return _lease(obj, now, wide=wide)
    if isinstance(obj, Source):
        return sources.row(obj, ago(obj.status.last_sync, now), wide=wide)
    if isinstance(obj, Dataset):
        used, age = obj.status.last_used_at, obj.metadata.creation_timestamp
        return datasets.row(obj, ago(used, now), ago(age, now), wide=wide)
    if isinstance(obj, Template):
        return templates.row(obj, wide=wide)
    return _worker(obj, now, leases, wide=wide)


def table(rows: Sequence[Row], widths: Sequence[int] = ()) -> str:
    """Columns two blanks apart, no blank at a line's end. widths: at least so many characters.

    What workers and owners of jobs wrote must not act on the terminal of who looks.
    """
    rows = [[sources.clean(cell) for cell in cells] for cells in rows]
    sizes = [
        max([len(cells[i]) for cells in rows] + [widths[i] if i < len(widths) else 0])
        for i in range(len(rows[0]) if rows else 0)
    ]
    lines = (
        "  ".join(cell.ljust(size) for cell, size in zip(cells, sizes, strict=True)).rstrip()
        for cells in rows
    )
    return "".join(f"{line}\n" for line in lines)


def plain(text: str) -> str:
    """Several lines without characters that a terminal would act on."""
    return "\n".join(sources.clean(line) for line in text.split("\n"))


def ago(since: float, now: float) -> str:
    """Time passed, in its two largest units: `45s`, `2m5s`, `3h`, `2d4h`; "-" where unknown."""
    return span(now - since) if since else "-"


def span(seconds: float) -> str:
    """See `ago`; negative time is `0s`."""
    whole = max(0, int(seconds))
    for size in (86400, 3600):
        if whole >= size:
            whole -= whole % (size // 24 if size == 86400 else 60)
            break
    return format_seconds(whole)


def _job(job: Job, now: float, *, wide: bool) -> Row:
    status, gpu = job.status, job.spec.gpu
    share = "-" if gpu is None else f"{format_fraction(gpu.memory):g}"
    if gpu is not None and gpu.count > 1:
        share = f"{gpu.count}x{share}"
    until = status.finished_at or now
    cells = [
        job.metadata.name,
        _phase(job),
        str(status.attempt),
        status.worker or "-",
        share,
        span(until - status.started_at) if status.started_at else "-",
        ago(job.metadata.creation_timestamp, now),
    ]
    if wide:
        code = "-" if status.exit_code is None else str(status.exit_code)
        owner = job.metadata.owner or "-"
        cells += [job.metadata.uid, owner, code, status.reason or "-", _one_line(status.message)]
    return cells


def _phase(job: Job) -> str:
    phase = job.status.phase
    if not phase.terminal:
        if job.metadata.deletion_timestamp is not None:
            return "Deleting"
        if job.metadata.cancellation_timestamp is not None:
            return "Cancelling"
        if job.spec.suspend:
            return "Suspended"
    return phase.value


def _lease(lease: Lease, now: float, *, wide: bool) -> Row:
    spec, status = lease.spec, lease.status
    ends = status.expires_at or spec.not_after
    live = status.state in (LeaseState.HELD, LeaseState.ENDING)
    cells = [
        lease.metadata.name,
        spec.job_name,
        str(spec.attempt),
        spec.worker,
        ",".join(str(index) for index in spec.devices) or "-",
        f"{format_fraction(spec.memory_milli):g}" if spec.devices else "-",
        f"{status.state.value} ({spec.revoked})" if spec.revoked else status.state.value,
        span(ends - now) if ends and live else "-",
    ]
    if wide:
        cells += [status.backend or "-", status.reason or "-", _one_line(status.message)]
    return cells


def _worker(worker: Worker, now: float, leases: Sequence[Lease], *, wide: bool) -> Row:
    status = worker.status
    devices = status.devices
    cells = [
        worker.metadata.name,
        worker_status(worker, leases),
        str(len(devices)),
        free_shares(worker, leases),
        format_cpus(status.cpus) if status.cpus else "-",
        show_bytes(status.memory) if status.memory else "-",
        ago(status.last_heartbeat, now),
    ]
    if wide:
        described = "; ".join(
            f"{d.index}:{d.name} ({d.enforcement}{f': {d.reason}' if d.reason else ''})"
            for d in devices
        )
        cells += [
            status.platform or "-",
            status.partitioner or "-",
            status.agent_version or "-",
            described or "-",
        ]
    return cells


def worker_status(worker: Worker, leases: Sequence[Lease]) -> str:
    """Ready or NotReady as its condition says (Unknown without), and what the operator wants;
    Drained once nothing is left of what was there.
    """
    ready = worker.status.condition("Ready")
    words = ["Unknown" if ready is None else "Ready" if ready.status else "NotReady"]
    if worker.spec.fenced:
        words.append("Fenced")
    if worker.spec.drain:
        words.append("Draining" if live(leases, worker.metadata.name) else "Drained")
    elif worker.spec.cordoned:
        words.append("Cordoned")
    return ",".join(words)


def live(leases: Sequence[Lease], worker: str) -> list[Lease]:
    """Those of the worker that may still hold something."""
    over = (LeaseState.ENDED, LeaseState.FAILED)
    return [
        lease for lease in leases if lease.spec.worker == worker and lease.status.state not in over
    ]


def free_shares(worker: Worker, leases: Sequence[Lease]) -> str:
    """Free fraction of each device and the whole, such as `0:0.5/1 1:1/1`."""
    return " ".join(f"{index}:{free}/1" for index, free in shares(worker, leases).items()) or "-"


def shares(worker: Worker, leases: Sequence[Lease]) -> dict[int, str]:
    """Free fraction by device, such as `0.5`; ended leases hold nothing."""
    held = live(leases, worker.metadata.name)
    return {
        device.index: f"{format_fraction(1000 - _taken(device.index, held)):g}"
        for device in worker.status.devices
    }


def _taken(index: int, leases: Sequence[Lease]) -> int:
    return sum(lease.spec.memory_milli for lease in leases if index in lease.spec.devices)


def _one_line(text: str, limit: int = 120) -> str:
    flat = " ".join(text.split()) or "-"
    return flat if len(flat) <= limit else f"{flat[: limit - 1]}…"
