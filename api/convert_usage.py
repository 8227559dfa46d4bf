"""Between the protos of Usage and our own values, both ways. Pure.

Called by the servicer and the SDK; apart from `convert` for its size only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from . import frames as f
from .gen.cumulus.v1 import agent_pb2 as agent
from .gen.cumulus.v1 import cumulus_pb2 as pb


def usage_to_proto(workers: Iterable[f.WorkerUse]) -> pb.UsageResponse:
    """What workers use now."""
    return pb.UsageResponse(
        workers=[
            pb.WorkerUse(
                worker=use.worker,
                seen_at=use.seen_at,
                disk_free=use.disk_free,
                jobs=[pb.JobUse(**asdict(job)) for job in use.jobs],
                devices=[agent.DeviceUsage(**asdict(device)) for device in use.devices],
            )
            for use in workers
        ]
    )


def usage_from_proto(message: pb.UsageResponse) -> tuple[f.WorkerUse, ...]:
    """The inverse."""
    return tuple(
        f.WorkerUse(
            worker=use.worker,
            seen_at=use.seen_at,
            disk_free=use.disk_free,
            jobs=tuple(
                f.JobUse(
                    unit=job.unit,
                    job=job.job,
                    attempt=job.attempt,
                    cpus=job.cpus,
                    cpu_seconds=job.cpu_seconds,
                    memory=job.memory,
                    memory_peak=job.memory_peak,
                    gpu_memory=job.gpu_memory,
                )
                for job in use.jobs
            ),
            devices=tuple(
                f.DeviceUsage(d.index, d.memory_used, d.utilization_milli) for d in use.devices
            ),
        )
        for use in message.workers
    )
