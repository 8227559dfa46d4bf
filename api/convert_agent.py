"""Between the protos of the agent's stream and our own values, both ways. Pure.

Called by the Agent servicer and by the agent itself. Errors: ValidationError only; a frame of a
kind that this version does not know comes back as None and is to be ignored.
"""

from __future__ import annotations

from dataclasses import asdict

from ..crd_like_specs.job_datasets import DatasetMount
from ..crd_like_specs.lease import LeaseSpec, LeaseStatus
from ..crd_like_specs.worker import WorkerStatus
from . import frames as f
from .gen.cumulus.v1 import agent_pb2 as pb
from .gen.cumulus.v1 import resources_pb2 as res
from .walk import from_message, to_message

_STREAMS = {number: f.LogStream[name] for name, number in pb.UnitRecord.Stream.items() if number}


def agent_frame_to_proto(frame: f.AgentFrame) -> pb.AgentMessage:
    """What an agent says."""
    if isinstance(frame, f.NodeReport):
        return pb.AgentMessage(state=_report_to_proto(frame))
    if isinstance(frame, f.Heartbeat):
        return pb.AgentMessage(heartbeat=pb.Heartbeat(time=frame.time))
    if isinstance(frame, f.LogBatch):
        return pb.AgentMessage(logs=_batch_to_proto(frame))
    if isinstance(frame, f.NodeUsage):
        return pb.AgentMessage(usage=_usage_to_proto(frame))
    return pb.AgentMessage(look_now=pb.LookNow(unit=frame.unit))


def agent_frame_from_proto(message: pb.AgentMessage) -> f.AgentFrame | None:
    """The inverse; None for an unknown kind."""
    kind = message.WhichOneof("message")
    if kind == "state":
        return _report_from_proto(message.state)
    if kind == "heartbeat":
        return f.Heartbeat(message.heartbeat.time)
    if kind == "logs":
        return _batch_from_proto(message.logs)
    if kind == "look_now":
        return f.LookNow(message.look_now.unit)
    if kind == "usage":
        return _usage_from_proto(message.usage)
    return None


def controller_frame_to_proto(frame: f.ControllerFrame) -> pb.ControllerMessage:
    """What the controller says."""
    if isinstance(frame, f.Wanted):
        leases = [_wanted_to_proto(lease) for lease in frame.leases]
        images = [pb.ImageWanted(id=image.id, names=image.names) for image in frame.images]
        wanted = pb.Wanted(leases=leases, images=images, dropped_datasets=frame.dropped)
        return pb.ControllerMessage(wanted=wanted)
    if isinstance(frame, f.LogAck):
        return pb.ControllerMessage(log_ack=pb.LogAck(unit=frame.unit, next=frame.next))
    return pb.ControllerMessage(heartbeat=pb.Heartbeat(time=frame.time, echo=frame.echo))


def controller_frame_from_proto(message: pb.ControllerMessage) -> f.ControllerFrame | None:
    """The inverse; None for an unknown kind."""
    kind = message.WhichOneof("message")
    if kind == "wanted":
        return f.Wanted(
            tuple(_wanted_from_proto(lease) for lease in message.wanted.leases),
            tuple(f.ImageWanted(i.id, tuple(i.names)) for i in message.wanted.images),
            tuple(message.wanted.dropped_datasets),
        )
    if kind == "log_ack":
        return f.LogAck(message.log_ack.unit, message.log_ack.next)
    if kind == "heartbeat":
        return f.Heartbeat(message.heartbeat.time, message.heartbeat.echo)
    return None


def _report_to_proto(report: f.NodeReport) -> pb.NodeState:
    return pb.NodeState(
        worker=report.worker,
        status=to_message(report.status, res.WorkerStatus),
        labels=dict(report.labels),
        leases=[
            pb.LeaseSeen(name=lease.name, status=to_message(lease.status, res.LeaseStatus))
            for lease in report.leases
        ],
    )


def _report_from_proto(message: pb.NodeState) -> f.NodeReport:
    return f.NodeReport(
        worker=message.worker,
        status=from_message(message.status, WorkerStatus),
        labels=dict(message.labels),
        leases=tuple(
            f.LeaseReport(lease.name, from_message(lease.status, LeaseStatus))
            for lease in message.leases
        ),
    )


def _batch_to_proto(batch: f.LogBatch) -> pb.LogBatch:
    return pb.LogBatch(
        unit=batch.unit,
        records=[
            pb.UnitRecord(
                sequence=record.sequence,
                stream=record.stream.name,
                time=record.time,
                data=record.data,
            )
            for record in batch.records
        ],
        total=batch.total,
    )


def _batch_from_proto(message: pb.LogBatch) -> f.LogBatch:
    return f.LogBatch(
        unit=message.unit,
        records=tuple(
            f.UnitRecord(
                sequence=record.sequence,
                stream=_STREAMS.get(record.stream, f.LogStream.SYSTEM),
                time=record.time,
                data=record.data,
            )
            for record in message.records
        ),
        total=message.total if message.HasField("total") else None,
    )


def _wanted_to_proto(lease: f.LeaseWanted) -> pb.LeaseWanted:
    return pb.LeaseWanted(
        name=lease.name,
        spec=to_message(lease.spec, res.LeaseSpec),
        code_digest=lease.code_digest,
        requirements=lease.requirements,
        args_json=lease.args_json,
        image=lease.image,
        next_log=lease.next_log,
        registry_auth=lease.registry_auth,
        datasets=[to_message(mount, res.DatasetMount) for mount in lease.datasets],
    )


def _wanted_from_proto(message: pb.LeaseWanted) -> f.LeaseWanted:
    return f.LeaseWanted(
        name=message.name,
        spec=from_message(message.spec, LeaseSpec),
        code_digest=message.code_digest,
        requirements=tuple(message.requirements),
        args_json=message.args_json,
        image=message.image,
        next_log=message.next_log,
        registry_auth=message.registry_auth,
        datasets=tuple(from_message(mount, DatasetMount) for mount in message.datasets),
    )


def _usage_to_proto(usage: f.NodeUsage) -> pb.NodeUsage:
    return pb.NodeUsage(
        time=usage.time,
        disk_free=usage.disk_free,
        units=[pb.UnitUsage(**asdict(unit)) for unit in usage.units],
        devices=[pb.DeviceUsage(**asdict(device)) for device in usage.devices],
    )


def _usage_from_proto(message: pb.NodeUsage) -> f.NodeUsage:
    return f.NodeUsage(
        time=message.time,
        disk_free=message.disk_free,
        units=tuple(
            f.UnitUsage(u.unit, u.cpu_seconds, u.memory, u.memory_peak, u.gpu_memory)
            for u in message.units
        ),
        devices=tuple(
            f.DeviceUsage(d.index, d.memory_used, d.utilization_milli) for d in message.devices
        ),
    )
