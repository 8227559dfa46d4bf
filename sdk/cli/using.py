"""What jobs, workers and devices use, as tables for people. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...api.frames import DeviceUsage, JobUse, WorkerUse
from ...crd_like_specs.lease import Lease
from ...crd_like_specs.units import show_bytes
from ...crd_like_specs.worker import Device, Worker
from . import output


def jobs(uses: Iterable[WorkerUse]) -> str:
    """Running attempts, the busiest first; "" where there is none."""
    found = [(job, use.worker) for use in uses for job in use.jobs]
    if not found:
        return ""
    found.sort(key=lambda one: (-one[0].cpus, -one[0].memory, one[0].job))
    rows = [["NAME", "ATTEMPT", "WORKER", "CPU", "CPU-TIME", "MEMORY", "PEAK", "GPU-MEMORY"]]
    rows += [[job.job, str(job.attempt), worker, *_job(job)] for job, worker in found]
    return output.table(rows)


def job(use: JobUse) -> str:
    """One attempt in a line: `0.52 cpus, 1.5Gi memory (peak 2Gi), 4Gi of device memory`."""
    cpus, _, memory, peak, gpu = _job(use)
    parts = [f"{cpus} cpus", f"{memory} memory" + (f" (peak {peak})" if peak != "-" else "")]
    if gpu != "-":
        parts.append(f"{gpu} of device memory")
    return ", ".join(parts)


def workers(found: Iterable[Worker], uses: Iterable[WorkerUse]) -> str:
    """Every worker with what its jobs use of it; - where it has not told lately."""
    known = {use.worker: use for use in uses}
    rows = [["NAME", "CPU", "CPU%", "MEMORY", "MEMORY%", "DISK-FREE", "JOBS", "DEVICES"]]
    rows += [_worker(worker, known.get(worker.metadata.name)) for worker in found]
    return output.table(rows)


def devices(worker: Worker, leases: Sequence[Lease], use: WorkerUse | None) -> str:
    """Every device of a worker: what is free of it, what it uses, who keeps jobs to their share."""
    if not worker.status.devices:
        return ""
    free = output.shares(worker, leases)
    known = {device.index: device for device in use.devices} if use else {}
    rows = [["DEVICE", "NAME", "TYPE", "FREE/TOTAL", "MEMORY", "USED", "BUSY", "SHARE", "WHY"]]
    rows += [_device(device, free, known) for device in worker.status.devices]
    return output.table(rows)


def _device(device: Device, free: Mapping[int, str], known: Mapping[int, DeviceUsage]) -> list[str]:
    now = known.get(device.index)
    busy = now is not None and now.utilization_milli >= 0
    return [
        str(device.index),
        device.name,
        device.type,
        f"{free[device.index]}/1",
        show_bytes(device.memory) if device.memory else "-",
        show_bytes(now.memory_used) if now else "-",
        f"{now.utilization_milli / 10:.0f}%" if now and busy else "-",
        device.enforcement,
        device.reason or "-",
    ]


def _job(use: JobUse) -> list[str]:
    return [
        f"{use.cpus:.2f}" if use.cpus >= 0 else "-",
        output.span(use.cpu_seconds),
        show_bytes(use.memory),
        show_bytes(use.memory_peak) if use.memory_peak else "-",
        show_bytes(use.gpu_memory) if use.gpu_memory else "-",
    ]


def _worker(worker: Worker, use: WorkerUse | None) -> list[str]:
    if use is None:
        return [worker.metadata.name, *["-"] * 7]
    cpus = sum(max(0.0, job.cpus) for job in use.jobs)
    memory = sum(job.memory for job in use.jobs)
    shown = (
        f"{device.index}:{show_bytes(device.memory_used)}"
        + (f",{device.utilization_milli / 10:.0f}%" if device.utilization_milli >= 0 else "")
        for device in use.devices
    )
    return [
        worker.metadata.name,
        f"{cpus:.2f}",
        _percent(cpus * 1000, worker.status.cpus),
        show_bytes(memory),
        _percent(memory, worker.status.memory),
        show_bytes(use.disk_free),
        str(len(use.jobs)),
        " ".join(shown) or "-",
    ]


def _percent(part: float, whole: int) -> str:
    return f"{100 * part / whole:.0f}%" if whole else "-"
