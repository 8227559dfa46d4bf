"""Templates as callers ask for them: what there is, and a run of one. Values and a port; no protos.

Implemented by `controller/runtime/templates.py`; used by the servicer, the HTTP faces and the SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..crd_like_specs.job import Job
from ..crd_like_specs.template import Overrides, Template
from .frames import Applied
from .viewer import Viewer


@dataclass(frozen=True, slots=True)
class TemplateRun:
    """A run that is asked for. params: name → JSON, or text that says the same; overrides: what is
    otherwise than the template says; name: of the job, "" for one that is made; labels: of the job;
    idempotency_key: sent twice it is one job, "" for none.
    """

    template: str
    params: Mapping[str, Any] = field(default_factory=dict)
    overrides: Overrides = field(default_factory=Overrides)
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str = ""


class TemplatesPort(Protocol):
    """Templates are everybody's to read and to run; who may write them is for whoever calls to
    check: admins.
    """

    def seen_by(self, viewer: Viewer) -> TemplatesPort:
        """The same for this viewer; jobs that it runs are marked with its owner."""

    async def list(self) -> tuple[Template, ...]:
        """All of them, by name."""

    async def get(self, name: str) -> Template:
        """NotFoundError."""

    async def put(self, template: Template, *, dry_run: bool = False) -> Applied:
        """Create or change by name; an equal spec changes nothing. Its code is kept, named by
        digest. ValidationError.
        """

    async def delete(self, name: str) -> Template:
        """Gives it as it was; its jobs stay. NotFoundError."""

    async def run(self, wanted: TemplateRun) -> Job:
        """Submit a job of it, with the annotation `cumulus.dev/template`. NotFoundError for the
        template; ValidationError with every parameter that is unknown, missing or wrong, each by
        name (`params.epochs`), and every override beyond its bounds; else as `JobsPort.submit`.
        """
