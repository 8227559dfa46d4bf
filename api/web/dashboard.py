"""The dashboard's pages, pieces and streams: all of it only reads. I/O through the ports only."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from ...crd_like_specs.errors import CumulusError
from ...crd_like_specs.source import Source
from ..outputs import OutputsPort
from ..overview import OverviewPort
from ..ports import JobsPort
from ..servicers import checks
from ..status import row
from . import board, following
from .downloads import Content, download
from .guard import viewer
from .live import Streams
from .render import Pages, PageView
from .views.detail import JobDetail
from .views.series import columns
from .views.sources import source_row

SOURCES: Final = 50
"""Shown at most."""


def router(
    jobs: JobsPort, outputs: OutputsPort, overview: OverviewPort, pages: Pages, streams: Streams
) -> APIRouter:
    """Everything below `/` and `/ui/` but the login and the assets."""
    paths = APIRouter()

    async def page(
        request: Request, detail: JobDetail | None = None, trouble: str = ""
    ) -> HTMLResponse:
        seen = overview.seen_by(viewer(request))
        now = board.look(seen)
        view = PageView(
            now=now.now,
            info=await jobs.server_info(),
            who=viewer(request).who,
            tiles=now.tiles,
            jobs=now.jobs,
            more=now.more,
            lanes=now.lanes,
            workers=now.workers,
            seen=now.seen,
            detail=detail,
            trouble=trouble,
        )
        return HTMLResponse(pages.page(view))

    @paths.get("/")
    async def index(request: Request) -> Response:
        """The page."""
        return await page(request)

    @paths.get("/ui/job/{name}")
    async def job(request: Request, name: str) -> Response:
        """The page with a job's panel, or for htmx the panel alone."""
        alone = "hx-request" in request.headers
        try:
            left = outputs.seen_by(viewer(request))
            detail = await following.detail_of(_seen(jobs, request), left, checks.name(name))
        except CumulusError as error:
            code = row(error).http
            if alone:
                return HTMLResponse(pages.trouble(error.message), code)
            answer = await page(request, trouble=error.message)
            answer.status_code = code
            return answer
        if alone:
            return HTMLResponse(pages.panel(detail))
        return await page(request, detail)

    @paths.get("/ui/job/{name}/outputs/{attempt}/{path:path}")
    async def output(request: Request, name: str, attempt: int, path: str) -> Response:
        """One file that a job left, as a download."""
        left = outputs.seen_by(viewer(request))
        found = await left.at(
            checks.name(name), path, attempt=checks.at_least_zero(attempt, "attempt")
        )
        content = Content(path.rpartition("/")[2], found.size, found.digest, found.modified_at)
        return await download(
            request, content, lambda at, length: left.read(found, offset=at, length=length), streams
        )

    @paths.get("/ui/sources")
    async def sources(request: Request) -> HTMLResponse:
        """The table of sources, for those who see any."""
        found = await _seen(jobs, request).list(
            "Source", label_selector="", phase="", limit=SOURCES, continue_token=""
        )
        rows = [source_row(one) for one in found.items if isinstance(one, Source)]
        return HTMLResponse(pages.sources(rows))

    @paths.get("/ui/series")
    async def series(window: Annotated[int, Query(ge=60, le=86400)] = 3600) -> list[object]:
        """Columns of the plots for the last `window` seconds."""
        return [*columns(overview.samples(overview.now() - window))]

    _add_streams(paths, jobs, outputs, overview, pages, streams)
    return paths


def _add_streams(
    paths: APIRouter,
    jobs: JobsPort,
    outputs: OutputsPort,
    overview: OverviewPort,
    pages: Pages,
    streams: Streams,
) -> None:
    @paths.get("/ui/job/{name}/live")
    async def job_live(request: Request, name: str) -> Response:
        """The panel as it changes, and the log."""
        seen, job = _seen(jobs, request), checks.name(name)
        await seen.get("Job", job)
        left = outputs.seen_by(viewer(request))
        return streams.open(following.changes(seen, left, job, pages, streams, overview.subscribe))

    @paths.get("/ui/live")
    async def live(request: Request, seen: Annotated[str, Query(max_length=40)] = "") -> Response:
        """The page as it changes; seen: what the browser has, which it also says when it comes back."""
        shown = overview.seen_by(viewer(request))
        has = request.headers.get("last-event-id", seen)
        return streams.open(board.changes(shown, pages, has, streams))


def _seen(jobs: JobsPort, request: Request) -> JobsPort:
    return jobs.seen_by(viewer(request))
