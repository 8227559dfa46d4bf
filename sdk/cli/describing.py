"""Objects as text for people: everything that explains a state. PURE; `now` is an argument."""

from __future__ import annotations

from collections.abc import Sequence

from ...api.frames import Resource, Why, WorkerUse
from ...crd_like_specs.dataset import Dataset
from ...crd_like_specs.instants import show_instant
from ...crd_like_specs.job import Job, JobSpec, WorkerReason
from ...crd_like_specs.lease import Lease
from ...crd_like_specs.meta import Condition
from ...crd_like_specs.source import Source
from ...crd_like_specs.template import ANNOTATION, Template
from ...crd_like_specs.units import (
    format_bytes,
    format_cpus,
    format_fraction,
    format_seconds,
    show_bytes,
)
from ...crd_like_specs.worker import Worker, WorkerStatus
from . import datasets, kept, output, sources, templates, using

Fields = list[tuple[str, str]]


def text(
    obj: Resource,
    now: float,
    *,
    leases: Sequence[Lease] = (),
    uses: Sequence[WorkerUse] = (),
) -> str:
    """now: POSIX seconds; leases: for the free shares of a worker; uses: of its worker, at least."""
    meta = obj.metadata
    fields: Fields = [("Name", meta.name)]
    if isinstance(obj, Job):
        fields += [
            ("Uid", meta.uid),
            ("Owner", meta.owner),
            *_job(obj, now),
            ("Uses", _used(obj, uses)),
        ]
    elif isinstance(obj, Lease):
        fields += _lease(obj, now)
    elif isinstance(obj, Source):
        fields += sources.described(obj, _when(obj.status.last_sync, now))
    elif isinstance(obj, Dataset):
        used, made = obj.status.last_used_at, meta.creation_timestamp
        fields += datasets.described(obj, _when(used, now), _when(made, now))
    elif isinstance(obj, Template):
        fields += templates.described(obj)
    else:
        fields += _worker(obj, now, leases)
    fields += [("Labels", " ".join(f"{k}={v}" for k, v in sorted(meta.labels.items())))]
    parts = [_fields(fields)]
    parts += _tables(obj, now, leases, uses)
    return "\n".join(part for part in parts if part)


def _tables(
    obj: Resource, now: float, leases: Sequence[Lease], uses: Sequence[WorkerUse]
) -> list[str]:
    """What of it stands below its fields."""
    parts: list[str] = []
    if isinstance(obj, Job):
        parts += [_attempts(obj, now), kept.table(obj.status.checkpoints, now)]
        parts += [reasons(obj.status.waiting_for)]
    if isinstance(obj, Worker):
        own = [use for use in uses if use.worker == obj.metadata.name]
        parts += [using.devices(obj, leases, own[0] if own else None), using.jobs(own)]
    if isinstance(obj, Source):
        parts.append(output.table(sources.files(obj)))
    if isinstance(obj, Template):
        parts.append(output.table(templates.parameters(obj)))
    if isinstance(obj, Job | Worker | Source):
        parts.append(_conditions(obj.status.conditions, now))
    return parts


def why(answer: Why) -> str:
    """One sentence, then each worker with its reason."""
    head = f"job/{answer.job.metadata.name} {answer.job.status.phase.value}: {output.plain(answer.summary)}\n"
    return head + reasons(answer.workers)


def reasons(found: Sequence[WorkerReason]) -> str:
    """A table of workers that cannot take the job, whether they ever could, and what would help."""
    if not found:
        return ""
    rows = [["WORKER", "COULD-EVER", "REASON", "FITS-NOW-WITH"]]
    rows += [[one.worker, "yes" if one.ever else "no", one.reason, one.fix] for one in found]
    if not any(one.fix for one in found):
        rows = [cells[:-1] for cells in rows]
    return output.table(rows)


def _fields(fields: Fields) -> str:
    return "".join(f"{name + ':':<14}{output.plain(value)}\n" for name, value in fields if value)


def _job(job: Job, now: float) -> Fields:
    status, spec = job.status, job.spec
    return [
        ("Phase", status.phase.value),
        ("Reason", ": ".join(part for part in (status.reason, status.message) if part)),
        ("Attempt", str(status.attempt)),
        ("Worker", status.worker),
        ("Devices", ",".join(str(index) for index in status.devices)),
        ("Exit code", "" if status.exit_code is None else str(status.exit_code)),
        ("Template", job.metadata.annotations.get(ANNOTATION, "")),
        ("Runs", _what(spec)),
        ("Runtime", spec.runtime),
        ("User", spec.user),
        ("Secrets", " ".join(one.target for one in spec.secrets)),
        ("GPU", _gpu(spec)),
        ("Resources", _resources(spec)),
        ("Datasets", ", ".join(f"{m.label} at {m.path}" for m in job.spec.datasets)),
        ("Duration", _duration(job)),
        ("Network", spec.network),
        (
            "Retries",
            f"{spec.retry.limit} on {', '.join(c.value for c in spec.retry.on)}"
            if spec.retry.limit
            else "",
        ),
        ("Submitted", _when(status.submitted_at, now)),
        ("Started", _when(status.started_at, now)),
        ("Finished", _when(status.finished_at, now)),
        ("Lease ends", _until(status.expires_at, now) if not status.phase.terminal else ""),
        ("Next attempt", _until(status.retry_at, now) if not status.phase.terminal else ""),
        ("Outputs", _outputs(job)),
        ("Generation", str(job.metadata.generation)),
    ]


def _outputs(job: Job) -> str:
    kept = [one for one in job.status.outputs if one.digest]
    if not kept:
        return ""
    files = "1 file" if kept[-1].files == 1 else f"{kept[-1].files} files"
    before = f"; {len(kept) - 1} before it left some too" if len(kept) > 1 else ""
    return f"{files}, {show_bytes(kept[-1].size)}, of attempt {kept[-1].attempt}{before}"


def _duration(job: Job) -> str:
    longer = job.metadata.extension
    text = format_seconds(job.lasting.duration)
    return f"{text} ({format_seconds(longer)} of it by extension)" if longer else text


def _what(spec: JobSpec) -> str:
    if spec.image is not None:
        return " ".join([spec.image, *spec.command])
    assert spec.code is not None
    return spec.code.digest or spec.code.path or f"{len(spec.code.files or {})} files"


def _gpu(spec: JobSpec) -> str:
    if spec.gpu is None:
        return ""
    share = f"{format_fraction(spec.gpu.memory):g} of {spec.gpu.count} device"
    share += "s" if spec.gpu.count > 1 else ""
    return f"{share} of type {spec.gpu.type}" if spec.gpu.type else share


def _resources(spec: JobSpec) -> str:
    limits = spec.resources
    return (
        f"{format_cpus(limits.cpus)} cpus, {format_bytes(limits.memory)} memory, "
        f"{limits.pids} pids, {format_bytes(limits.shm)} shm"
    )


def _lease(lease: Lease, now: float) -> Fields:
    spec, status = lease.spec, lease.status
    share = f"{format_fraction(spec.memory_milli):g} of device {','.join(map(str, spec.devices))}"
    return [
        ("Job", f"{spec.job_name} (attempt {spec.attempt})"),
        ("Worker", spec.worker),
        ("Share", share if spec.devices else "no GPU"),
        ("State", status.state.value),
        ("Reason", ": ".join(part for part in (status.reason, status.message) if part)),
        ("Revoked", spec.revoked),
        ("Backend", status.backend),
        ("Partitions", ", ".join(status.partition_ids)),
        ("Duration", format_seconds(spec.duration)),
        ("Held", _when(status.held_at, now)),
        ("Ends", _until(status.expires_at, now)),
    ]


def _used(job: Job, uses: Sequence[WorkerUse]) -> str:
    """What the job's current attempt uses, "" where that is not known."""
    now = (job.metadata.name, job.status.attempt)
    found = [u for use in uses for u in use.jobs if (u.job, u.attempt) == now]
    return using.job(found[0]) if found and not job.status.phase.terminal else ""


def _worker(worker: Worker, now: float, leases: Sequence[Lease]) -> Fields:
    status = worker.status
    return [
        ("Status", output.worker_status(worker, leases)),
        ("Platform", f"{status.platform} {status.node_id}".strip()),
        ("CPUs", format_cpus(status.cpus) if status.cpus else ""),
        ("Memory", show_bytes(status.memory) if status.memory else ""),
        ("Processes", f"at most {status.pids}" if status.pids else ""),
        ("Disk", show_bytes(status.disk) if status.disk else ""),
        ("Boot", status.boot_id),
        ("Images", str(len(status.images)) if status.images else ""),
        ("Datasets", _kept_there(status)),
        ("Partitioner", status.partitioner),
        ("Isolation", "verified" if status.network_isolation else "no network isolation"),
        ("Agent", status.agent_version),
        ("Last seen", _when(status.last_heartbeat, now)),
        ("Available", _rental(worker.spec.available_until, now)),
    ]


def _kept_there(status: WorkerStatus) -> str:
    if not status.dataset_cache:
        return ""
    return f"{len(status.datasets)} there, at most {show_bytes(status.dataset_cache)}"


def _attempts(job: Job, now: float) -> str:
    if not job.status.attempts:
        return ""
    rows = [["ATTEMPT", "PHASE", "CAUSE", "EXIT", "WORKER", "RAN", "ENDED", "MESSAGE"]]
    for one in job.status.attempts:
        ran = one.finished_at - one.started_at if one.started_at and one.finished_at else -1
        rows.append(
            [
                str(one.number),
                one.phase.value,
                one.cause.value if one.cause else "-",
                "-" if one.exit_code is None else str(one.exit_code),
                one.worker or "-",
                output.span(ran) if ran >= 0 else "-",
                _when(one.finished_at, now) or "-",
                " ".join((one.message or one.reason).split()) or "-",
            ]
        )
    return output.table(rows)


def _conditions(found: Sequence[Condition], now: float) -> str:
    if not found:
        return ""
    rows = [["CONDITION", "TRUE", "SINCE", "REASON", "MESSAGE"]]
    rows += [
        [
            c.type,
            "yes" if c.status else "no",
            output.ago(c.since, now),
            c.reason or "-",
            c.message or "-",
        ]
        for c in found
    ]
    return output.table(rows)


def _rental(until: float | None, now: float) -> str:
    if until is None:
        return ""
    left = f"in {output.span(until - now)}" if until > now else "over"
    return f"until {show_instant(until)} ({left})"


def _when(moment: float, now: float) -> str:
    return f"{output.span(now - moment)} ago" if moment else ""


def _until(moment: float, now: float) -> str:
    return f"in {output.span(moment - now)}" if moment else ""
