"""The asyncio client's verbs for templates. I/O; a part of `client.py`'s class."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import pydantic

from ..api import convert
from ..api.convert_templates import run_to_proto
from ..api.gen.cumulus.v1 import templates_pb2 as pb
from ..api.templates import TemplateRun
from ..api.walk import from_message, problems_of
from ..crd_like_specs.errors import ValidationError
from ..crd_like_specs.job import Job
from ..crd_like_specs.template import Overrides, Template
from .connection import Connection
from .ending import returned_by
from .observing import Observations
from .progress.display import showing
from .progress.view import JobView

Given = Overrides | Mapping[str, Any] | None
"""What a run has otherwise than its template says: as in a file, such as `{"duration": "10m"}`."""


class TemplateCalls(Observations):
    """Jobs of which somebody else wrote the spec."""

    _connection: Connection

    async def submit_template(
        self,
        template: str,
        params: Mapping[str, Any] | None = None,
        *,
        overrides: Given = None,
        name: str = "",
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Hand in a job of a template, and return once it is stored.

        params: parameter → value; overrides: `gpu`, `resources`, `duration`, `env`, `datasets`,
        within what the template allows; name: of the job, one is made where it is not given.
        ValidationError names every parameter that is unknown, missing or wrong.
        """
        wanted = TemplateRun(
            template,
            dict(params or {}),
            _overrides(overrides),
            name,
            dict(labels or {}),
            idempotency_key or uuid.uuid4().hex,  # so that a broken call can be repeated
        )
        return convert.job_from_proto(
            await self._connection.call("Templates.Run", run_to_proto(wanted))
        )

    async def run_template(
        self,
        template: str,
        params: Mapping[str, Any] | None = None,
        *,
        overrides: Given = None,
        name: str = "",
        timeout: float | None = None,  # noqa: ASYNC109 (a public argument, not a cancel scope)
        progress: bool | None = None,
    ) -> Any:
        """`submit_template`, and what the job returned, as `result` gives it. timeout: seconds."""
        job = await self.submit_template(template, params, overrides=overrides, name=name)
        label = job.metadata.name
        with showing(JobView(label), progress) as watch:
            events = self.stream(job, logs=watch is not None)
            return await returned_by(self._connection, label, events, timeout=timeout, watch=watch)

    async def delete_template(self, name: str) -> Template:
        """Forget a template; jobs that were made of it stay. Admins only."""
        request = pb.DeleteTemplateRequest(name=name)
        return from_message(await self._connection.call("Templates.Delete", request), Template)


def _overrides(given: Given) -> Overrides:
    if isinstance(given, Overrides):
        return given
    try:
        return Overrides.model_validate(dict(given or {}))
    except pydantic.ValidationError as e:
        raise ValidationError(problems_of(e)) from e
