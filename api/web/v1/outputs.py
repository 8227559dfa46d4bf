"""`/v1`: what jobs left in /results. I/O through the port only."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from ....crd_like_specs.meta import Model
from ...outputs import WAIT_LIMIT, Output, OutputSet, OutputsPort
from ...servicers import checks
from ..calls import may
from ..downloads import DOCUMENTED, Content, download
from ..guard import viewer
from ..live import Streams


class OutputBody(Model):
    """One file. id: in its experiment; path: below /results; size: bytes; digest: of its content;
    role: weights, metrics, log, plot or other; job: uid.
    """

    id: str
    path: str
    size: int
    digest: str
    role: str
    job: str
    job_name: str
    attempt: int
    experiment: str
    modified_at: float


class OutputSetBody(Model):
    """Those of one attempt. attempt: 0 where none left anything; message: what was not kept; pending:
    they are still on their way.
    """

    job: str
    job_name: str
    attempt: int
    experiment: str
    digest: str
    size: int
    outputs: list[OutputBody]
    message: str
    pending: bool


class OutputList(Model):
    """Those of an experiment, the newest job first."""

    experiment: str
    outputs: list[OutputBody]


Attempt = Annotated[int, Query(ge=0, le=1 << 31, description="0: the newest.")]
Wait = Annotated[
    float,
    Query(ge=0, le=WAIT_LIMIT, allow_inf_nan=False, description="Seconds for what is coming."),
]


def router(outputs: OutputsPort, streams: Streams) -> APIRouter:
    """Lists and downloads."""
    paths = APIRouter(tags=["outputs"])

    def seen(request: Request) -> OutputsPort:
        return outputs.seen_by(viewer(request))

    async def sent(request: Request, output: Output) -> Response:
        name = output.path.rpartition("/")[2]
        content = Content(name, output.size, output.digest, output.modified_at)
        return await download(
            request,
            content,
            lambda offset, length: seen(request).read(output, offset=offset, length=length),
            streams,
        )

    @paths.get(
        "/jobs/{name}/outputs",
        dependencies=[may("List", "Outputs")],
        response_model=OutputSetBody,
    )
    async def list_outputs(
        request: Request, name: str, attempt: Attempt = 0, wait: Wait = 0.0
    ) -> JSONResponse:
        """Every file of one attempt; of none where it left nothing."""
        found = await seen(request).of_job(checks.name(name), attempt=attempt, wait=wait)
        return JSONResponse(_set(found))

    @paths.get(
        "/outputs",
        dependencies=[may("List", "Outputs")],
        response_model=OutputList,
    )
    async def list_experiment(
        request: Request, experiment: Annotated[str, Query(min_length=1, max_length=256)]
    ) -> JSONResponse:
        """Every file of an experiment."""
        found = await seen(request).of_experiment(experiment)
        return JSONResponse({"experiment": experiment, "outputs": [_one(one) for one in found]})

    async def get_output(request: Request, name: str, path: str, attempt: Attempt = 0) -> Response:
        """One file by its path, or by its id. `Range`, `If-None-Match` and `If-Range` are heeded."""
        output = await seen(request).at(checks.name(name), path, attempt=attempt)
        return await sent(request, output)

    async def find_output(request: Request, experiment: str, output_id: str) -> Response:
        """One file of an experiment by its id: the newest job's that has it."""
        return await sent(request, await seen(request).find(experiment, output_id))

    for path, handler in (
        ("/jobs/{name}/outputs/{path:path}", get_output),
        ("/outputs/{experiment}/{output_id:path}", find_output),
    ):
        for method in ("GET", "HEAD"):
            paths.add_api_route(
                path,
                handler,
                methods=[method],
                dependencies=[may("Read", "Outputs")],
                response_class=Response,
                responses=DOCUMENTED,
                name=f"{method.lower()}_{handler.__name__}",
            )
    return paths


def _one(output: Output) -> dict[str, Any]:
    return OutputBody(**{**asdict(output), "role": output.role.value}).to_dict()


def _set(found: OutputSet) -> dict[str, Any]:
    body = {**asdict(found), "outputs": []}
    return {**OutputSetBody(**body).to_dict(), "outputs": [_one(one) for one in found.outputs]}
