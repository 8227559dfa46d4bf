"""Between the protos of outputs and our own values, both ways. Pure. Called by the servicer and the
SDK.
"""

from __future__ import annotations

from .gen.cumulus.v1 import outputs_pb2 as pb
from .outputs import Output, OutputRole, OutputSet


def output_to_proto(output: Output) -> pb.Output:
    """One file."""
    return pb.Output(
        id=output.id,
        path=output.path,
        size=output.size,
        digest=output.digest,
        role=output.role.value,
        job=output.job,
        job_name=output.job_name,
        attempt=output.attempt,
        experiment=output.experiment,
        modified_at=output.modified_at,
    )


def output_from_proto(message: pb.Output) -> Output:
    """The inverse; a role that only a newer peer knows counts as `other`."""
    known = message.role in {role.value for role in OutputRole}
    return Output(
        id=message.id,
        path=message.path,
        size=message.size,
        digest=message.digest,
        role=OutputRole(message.role) if known else OutputRole.OTHER,
        job=message.job,
        job_name=message.job_name,
        attempt=message.attempt,
        experiment=message.experiment,
        modified_at=message.modified_at,
    )


def set_to_proto(found: OutputSet) -> pb.ListOutputsResponse:
    """Those of one attempt."""
    return pb.ListOutputsResponse(
        outputs=[output_to_proto(output) for output in found.outputs],
        job=found.job,
        job_name=found.job_name,
        attempt=found.attempt,
        experiment=found.experiment,
        digest=found.digest,
        size=found.size,
        message=found.message,
        pending=found.pending,
    )


def set_from_proto(message: pb.ListOutputsResponse) -> OutputSet:
    """The inverse."""
    return OutputSet(
        job=message.job,
        job_name=message.job_name,
        attempt=message.attempt,
        experiment=message.experiment,
        digest=message.digest,
        size=message.size,
        outputs=tuple(output_from_proto(output) for output in message.outputs),
        message=message.message,
        pending=message.pending,
    )
