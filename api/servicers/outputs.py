"""`cumulus.v1.Outputs`: what jobs left in /results. I/O through the port only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from ...crd_like_specs.errors import Problem, ValidationError
from ..convert_outputs import output_to_proto, set_to_proto
from ..gen.cumulus.v1 import outputs_pb2 as pb
from ..gen.cumulus.v1 import outputs_pb2_grpc
from ..interceptor import Context, current
from ..outputs import Output, OutputsPort
from . import checks


class OutputsServicer(outputs_pb2_grpc.OutputsServicer):
    """See the module docstring."""

    def __init__(self, outputs: OutputsPort) -> None:
        self._of_all = outputs

    @property
    def _outputs(self) -> OutputsPort:
        """As the caller of the running call sees them: the one way to them from here."""
        return self._of_all.seen_by(current().viewer)

    async def List(  # noqa: N802 (gRPC names methods like this)
        self, request: pb.ListOutputsRequest, _context: Context
    ) -> pb.ListOutputsResponse:
        """Of an attempt, or of an experiment."""
        if request.experiment and not request.job:
            found = await self._outputs.of_experiment(request.experiment)
            return pb.ListOutputsResponse(
                outputs=[output_to_proto(output) for output in found],
                experiment=request.experiment,
            )
        if request.experiment:
            raise ValidationError([Problem("either job or experiment is expected", "experiment")])
        current().job_id = checks.name(request.job, "job")
        attempt = checks.at_least_zero(request.attempt, "attempt")
        return set_to_proto(
            await self._outputs.of_job(request.job, attempt=attempt, wait=request.wait)
        )

    async def Read(  # noqa: N802
        self, request: pb.ReadOutputRequest, _context: Context
    ) -> AsyncIterator[pb.OutputChunk]:
        """One file, from an offset."""
        offset = checks.at_least_zero(request.offset, "offset")
        length = checks.at_least_zero(request.length, "length")
        outputs = self._outputs
        output = await _asked(outputs, request)
        current().job_id = output.job
        yield pb.OutputChunk(output=output_to_proto(output))
        pieces: Any = outputs.read(output, offset=offset, length=length)
        async with aclosing(pieces):
            async for data in pieces:
                yield pb.OutputChunk(data=data)


async def _asked(outputs: OutputsPort, request: pb.ReadOutputRequest) -> Output:
    if request.experiment:
        return await outputs.find(request.experiment, request.id)
    current().job_id = checks.name(request.job, "job")
    attempt = checks.at_least_zero(request.attempt, "attempt")
    return await outputs.at(request.job, request.path, attempt=attempt)
