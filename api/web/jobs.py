"""`/v1/jobs`: jobs as JSON, read only. I/O through the port only."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from ...crd_like_specs.errors import CumulusError
from ...crd_like_specs.job import Job
from ..frames import Resource
from ..ports import JobsPort
from ..servicers import checks
from .guard import viewer


def router(jobs: JobsPort) -> APIRouter:
    """The list and one job, as the asking viewer sees them."""
    paths = APIRouter(prefix="/v1/jobs")

    @paths.get("")
    async def list_jobs(
        request: Request,
        phase: str = checks.ACTIVE,
        limit: Annotated[int, Query(ge=1)] = checks.PAGE_LIMIT,
        continue_token: Annotated[str, Query(alias="continue")] = "",
        label_selector: Annotated[str, Query(alias="labelSelector")] = "",
    ) -> dict[str, Any]:
        """Active jobs, or those of one phase; `phase=` empty for all."""
        page = await jobs.seen_by(viewer(request)).list(
            "Job",
            label_selector=label_selector,
            phase=checks.phase(phase),
            limit=checks.limit(limit),
            continue_token=continue_token,
        )
        return {
            "items": [_line(item) for item in page.items],
            "resourceVersion": page.resource_version,
            "continue": page.continue_token,
        }

    @paths.get("/{name}")
    async def get_job(request: Request, name: str) -> dict[str, Any]:
        """The whole job as YAML files name its fields."""
        try:
            seen = jobs.seen_by(viewer(request))
            return (await seen.get("Job", checks.name(name))).to_dict()
        except CumulusError as e:
            e.job_id = e.job_id or name
            raise

    return paths


def _line(item: Resource) -> dict[str, Any]:
    assert isinstance(item, Job)
    status = item.status.to_dict()
    shown = ("phase", "reason", "message", "attempt", "worker", "devices")
    times = ("submittedAt", "startedAt", "expiresAt", "finishedAt")
    return {
        "name": item.metadata.name,
        "uid": item.metadata.uid,
        "owner": item.metadata.owner,
        "labels": item.metadata.labels,
        **{key: status[key] for key in (*shown, *times)},
    }
