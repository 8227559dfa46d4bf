"""`/v1`: leases, workers, sources, what they use, and who calls. I/O through the ports only."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from ....crd_like_specs.lease import Lease
from ....crd_like_specs.source import Source
from ....crd_like_specs.worker import Worker
from ...api_tokens import Caller
from ...ports import JobsPort
from ...servicers import checks
from ..calls import finish, may, seen
from ..guard import holder
from . import models

_KINDS: tuple[tuple[str, str, Any, Any], ...] = (
    ("leases", "Lease", Lease, models.Leases),
    ("workers", "Worker", Worker, models.Workers),
    ("sources", "Source", Source, models.Sources),
)


def router(jobs: JobsPort) -> APIRouter:
    """What is not a job."""
    paths = APIRouter(tags=["fleet"])
    for plural, kind, model, several in _KINDS:
        _add_kind(paths, jobs, plural, kind, model, several)
    _add_worker_verbs(paths, jobs)

    @paths.get("/usage", dependencies=[may("Usage")], response_model=models.Usage)
    async def usage(request: Request, worker: str = "") -> JSONResponse:
        """What workers, their devices and the jobs on them use now."""
        name = checks.name(worker, "worker") if worker else ""
        return JSONResponse(models.usage(await seen(jobs, request).usage(name)))

    @paths.get("/server", dependencies=[may("ServerInfo")], response_model=models.Info)
    async def server_info(request: Request) -> JSONResponse:
        """What this controller is."""
        info = await seen(jobs, request).server_info()
        body = models.Info(
            version=info.version,
            platform=info.platform,
            image=info.image,
            workers=info.workers,
            active_jobs=info.active_jobs,
            notices=list(info.notices),
            python=info.python,
        )
        return JSONResponse(body.to_dict())

    @paths.get("/whoami", dependencies=[may("WhoAmI")], response_model=models.CallerBody)
    async def who_am_i(request: Request) -> JSONResponse:
        """Who calls; without tokens all of it is empty, and everybody may do everything."""
        known = holder(request)
        caller = (
            Caller()
            if known is None
            else Caller(
                known.owner,
                known.role.value,
                known.token,
                known.expires_at,
                known.viewer.owner,
                tuple(sorted(known.permissions)),
            )
        )
        return JSONResponse(models.caller(caller))

    return paths


def _add_kind(
    paths: APIRouter, jobs: JobsPort, plural: str, kind: str, model: Any, several: Any
) -> None:
    async def list_some(
        request: Request,
        limit: Annotated[int, Query(ge=1)] = checks.PAGE_LIMIT,
        continue_token: Annotated[str, Query(alias="continue")] = "",
        label_selector: Annotated[str, Query(alias="labelSelector")] = "",
    ) -> JSONResponse:
        """A page of them."""
        page = await seen(jobs, request).list(
            kind,
            label_selector=label_selector,
            phase="",
            limit=checks.limit(limit),
            continue_token=continue_token,
        )
        return JSONResponse(models.page(page))

    async def get_one(request: Request, name: str) -> JSONResponse:
        """The one of this name."""
        found = await seen(jobs, request).get(kind, checks.name(name))
        return JSONResponse(found.to_dict())

    paths.add_api_route(
        f"/{plural}",
        list_some,
        dependencies=[may("List")],
        response_model=several,
        name=f"list_{plural}",
    )
    paths.add_api_route(
        f"/{plural}/{{name}}",
        get_one,
        dependencies=[may("Get")],
        response_model=model,
        name=f"get_{kind.lower()}",
    )


def _add_worker_verbs(paths: APIRouter, jobs: JobsPort) -> None:
    @paths.post("/workers/{name}/cordon", dependencies=[may("Cordon")], response_model=Worker)
    async def cordon(request: Request, name: str, body: models.Cordon) -> JSONResponse:
        """Set both; `{"cordoned": false}` takes it back."""
        changed = seen(jobs, request).cordon(
            checks.name(name), cordoned=body.cordoned, drain=body.drain
        )
        return JSONResponse((await finish(changed)).to_dict())

    @paths.post("/workers/{name}/fence", dependencies=[may("Fence")], response_model=Worker)
    async def fence(request: Request, name: str, body: models.Fence) -> JSONResponse:
        """Vouch that nothing runs on a worker that is out of reach, or take that back."""
        changed = seen(jobs, request).fence(checks.name(name), fenced=body.fenced)
        return JSONResponse((await finish(changed)).to_dict())

    @paths.delete("/workers/{name}", dependencies=[may("RemoveWorker")], response_model=Worker)
    async def remove_worker(request: Request, name: str) -> JSONResponse:
        """Forget a worker that is drained or fenced."""
        removed = seen(jobs, request).remove_worker(checks.name(name))
        return JSONResponse((await finish(removed)).to_dict())
