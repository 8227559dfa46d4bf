"""`cumulus.v1.Templates`: jobs made of templates, and templates deleted. I/O through the port.

Templates are applied and read as every resource is, by `cumulus.v1.Cumulus`.
"""

from __future__ import annotations

from ..convert import job_to_proto
from ..convert_templates import run_from_proto
from ..gen.cumulus.v1 import resources_pb2 as res
from ..gen.cumulus.v1 import templates_pb2 as pb
from ..gen.cumulus.v1 import templates_pb2_grpc
from ..interceptor import Context, current
from ..templates import TemplatesPort
from ..walk import to_message
from . import checks
from .writes import Writes


class TemplatesServicer(templates_pb2_grpc.TemplatesServicer):
    """writes: bring what is begun to its end though its client goes away."""

    def __init__(self, templates: TemplatesPort, writes: Writes) -> None:
        self._of_all = templates
        self._writes = writes

    @property
    def _templates(self) -> TemplatesPort:
        return self._of_all.seen_by(current().viewer)

    async def Run(self, request: pb.RunTemplateRequest, _context: Context) -> res.Job:  # noqa: N802 (gRPC names methods like this)
        """Submit a job of it."""
        current().job_id = request.name
        checks.name_of("Template", request.template)
        wanted = run_from_proto(request)
        return job_to_proto(await self._writes.write(self._templates.run(wanted)))

    async def Delete(  # noqa: N802
        self, request: pb.DeleteTemplateRequest, _context: Context
    ) -> res.Template:
        """Gives it as it was."""
        name = checks.name_of("Template", request.name)
        return to_message(await self._writes.write(self._templates.delete(name)), res.Template)
