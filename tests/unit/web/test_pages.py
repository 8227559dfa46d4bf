"""Pages, pieces, scripts and styles as they leave the server, without a browser."""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html.parser import HTMLParser

import httpx
import pytest
from cumulus.api.overview import Board, WorkerNow
from cumulus.api.web.assets import FOLDER, Assets
from cumulus.crd_like_specs.job import Phase, WorkerReason
from cumulus.crd_like_specs.meta import Condition, ObjectMeta
from cumulus.crd_like_specs.source import FileState, Source, SourceFile, SourceSpec, SourceStatus
from dashboard_kit import NOW, FakeJobs, FakeOverview, a_fleet, a_job, a_worker, app_over

HOSTILE = (
    "<script>pwned=1</script>",
    '"><img src=x onerror="pwned=1">',
    "'onmouseover='pwned=1",
    "</textarea><svg onload=pwned=1>",
    "{{ 7*7 }}{% raw %}",
    "javascript:pwned=1",
)


class Site:
    """The application over a board."""

    def __init__(self, shown: Board) -> None:
        self.overview = FakeOverview(shown)
        self.jobs = FakeJobs(self.overview)
        transport = httpx.ASGITransport(app_over(self.jobs))
        self.browser = httpx.AsyncClient(transport=transport, base_url="http://controller")

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.browser.get(path, headers=headers)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    one = Site(a_fleet(jobs=20, devices=8))
    async with one.browser:
        yield one


class Elements(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def foreign(text: str) -> list[str]:
    """What a page would fetch from elsewhere, or run though it is no file of ours."""
    wrong = []
    for tag, attributes in Elements(text).found:
        wrong += [
            f"{tag} {name}" for name in attributes if name.startswith("on") or name == "style"
        ]
        for name in ("src", "href", "action", "data"):
            value = attributes.get(name)
            if value is not None and not re.match(r"^(/(?!/)|#)", value):
                wrong.append(f"{tag} {name}={value}")
        if tag == "script" and not (attributes.get("src") or "").startswith("/ui/static/"):
            wrong.append("inline script")
    return wrong


async def test_the_page_has_all_of_the_fleet(site: Site) -> None:
    page = (await site.get("/")).text
    shown = site.overview.shown
    assert all(f'id="job-{job.metadata.name}"' in page for job in shown.jobs)
    assert all(f'id="worker-{one.worker.metadata.name}"' in page for one in shown.workers)
    assert page.count('class="lane') >= 8
    assert foreign(page) == []


async def test_pages_come_with_headers_that_let_nothing_else_run(site: Site) -> None:
    answer = await site.get("/")
    policy = dict(
        part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "content-security-policy" not in (await site.get("/metrics")).headers


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_whatever_a_job_or_worker_says_is_text(hostile: str) -> None:
    job = a_job("hello", reason=hostile, message=hostile)
    job = job.model_copy(
        update={
            "metadata": job.metadata.model_copy(update={"labels": {hostile: hostile}}),
            "spec": job.spec.model_copy(update={"image": hostile, "command": (hostile,)}),
            "status": job.status.model_copy(
                update={"conditions": (Condition(type=hostile, status=False, message=hostile),)}
            ),
        }
    )
    worker = a_worker("w", 1)
    devices = tuple(
        d.model_copy(update={"name": hostile, "reason": hostile}) for d in worker.status.devices
    )
    conditions = (Condition(type=hostile, status=True, message=hostile),)
    changed = {"devices": devices, "conditions": conditions, "partitioner": hostile}
    worker = worker.model_copy(update={"status": worker.status.model_copy(update=changed)})
    site = Site(Board(now=NOW, jobs=(job,), waiting=1, workers=(WorkerNow(worker, {0: 1000}),)))
    site.jobs.summary = hostile
    site.jobs.reasons = (WorkerReason(worker="w", reason=hostile, fix=hostile),)
    async with site.browser:
        pages = [(await site.get(path)).text for path in ("/", "/ui/job/hello")]
        pages.append((await site.get("/ui/job/hello", **{"hx-request": "true"})).text)
        pages.append((await site.get(f"/ui/job/{'x' * 70}")).text)
    for page in pages:
        assert foreign(page) == []
        assert "pwned" not in re.sub(r"[^<>]*", "", page)
    assert html.escape(hostile, quote=False).replace("'", "&#39;").replace('"', "&#34;") in pages[1]


async def test_a_job_is_a_page_and_for_htmx_a_panel(site: Site) -> None:
    name = site.overview.shown.jobs[0].metadata.name
    page = await site.get(f"/ui/job/{name}")
    panel = await site.get(f"/ui/job/{name}", **{"hx-request": "true"})
    for answer in (page, panel):
        assert f'data-job="{name}"' in answer.text
    assert "<html" in page.text
    assert "<html" not in panel.text


@pytest.mark.parametrize(("name", "code"), [("gone", 404), ("No-Name", 400)])
async def test_a_job_that_is_not_there_is_said_in_its_place(
    site: Site, name: str, code: int
) -> None:
    for headers in ({}, {"hx-request": "true"}):
        answer = await site.get(f"/ui/job/{name}", **headers)
        assert answer.status_code == code
        assert 'role="alert"' in answer.text
        assert answer.headers["content-type"].startswith("text/html")


async def test_why_a_job_waits_is_said_in_the_same_words_as_by_cumulusctl(site: Site) -> None:
    site.jobs.summary = "asks for 0.5 of a device; none of 2 worker(s) has room now"
    site.jobs.reasons = (WorkerReason(worker="gpu-00", reason="is full", ever=True, fix="0.25"),)
    waiting = next(j for j in site.overview.shown.jobs if j.status.phase is Phase.PENDING)
    panel = (await site.get(f"/ui/job/{waiting.metadata.name}", **{"hx-request": "1"})).text
    assert site.jobs.summary in panel
    assert "<td>gpu-00</td><td>yes</td><td>is full</td><td>0.25</td>" in panel


async def test_sources_are_shown_to_those_who_see_them() -> None:
    site = Site(Board(now=NOW))
    files = (
        SourceFile(path="a.yaml", state=FileState.SYNCED),
        SourceFile(path="<b>.yaml", state=FileState.INVALID, message="3:7 is <i>no</i> YAML"),
    )
    status = SourceStatus(commit="0123456789abcdef", jobs=1, synced=1, invalid=1, files=files)
    meta = ObjectMeta(name="specs", owner="hers")
    site.jobs.sources = [Source(metadata=meta, spec=SourceSpec(path="/srv/specs"), status=status)]
    async with site.browser:
        text = (await site.get("/ui/sources")).text
        assert 'hx-get="/ui/sources"' in (await site.get("/")).text
        site.jobs.sources = []
        assert (await site.get("/ui/sources")).text == ""
    assert "&lt;b&gt;.yaml" in text
    assert "3:7 is &lt;i&gt;no&lt;/i&gt; YAML" in text
    assert ("<code>0123456789ab</code>" in text, "a.yaml" in text) == (True, False)
    assert "1 synced, 1 invalid" in text


async def test_an_empty_fleet_says_what_to_do() -> None:
    site = Site(Board(now=NOW))
    async with site.browser:
        page = (await site.get("/")).text
    assert "cumulusctl run" in page
    assert "No workers yet" in page


async def test_the_page_says_how_many_jobs_it_leaves_out() -> None:
    site = Site(replace(a_fleet(jobs=8, devices=4), waiting=1000))
    async with site.browser:
        assert re.search(r"and <b>\d{3}</b> more", (await site.get("/")).text)


async def test_scripts_may_be_kept_for_as_long_as_they_are_the_same(site: Site) -> None:
    page = (await site.get("/")).text
    found = sorted(set(re.findall(r'"(/ui/static/[^"]+[.][a-z]+)"', page)))
    assert len(found) >= 7
    for path in found:
        answer = await site.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    old = re.sub(r"/ui/static/\w+/", "/ui/static/old/", found[0])
    assert (await site.get(old)).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ["../app.py", "..%2fapp.py", "vendor/vendored.json", "nope.js"])
async def test_nothing_but_the_assets_is_served(site: Site, name: str) -> None:
    answer = await site.browser.get(f"{Assets().base}/{name}", follow_redirects=True)
    assert answer.status_code == 404


def test_libraries_are_those_that_are_written_down() -> None:
    folder = FOLDER / "vendor"
    packages = json.loads((folder / "vendored.json").read_text())
    files = [file for package in packages for file in package["files"]]
    for file in files:
        assert hashlib.sha256((folder / file["as"]).read_bytes()).hexdigest() == file["sha256"]
    assert {file["as"] for file in files} | {"vendored.json"} == {p.name for p in folder.iterdir()}
    assert all(package["version"] and package["licence"] for package in packages)
    assert all(any("LICENSE" in f["as"] for f in package["files"]) for package in packages)


def test_nothing_is_fetched_from_outside() -> None:
    for path in FOLDER.rglob("*.*"):
        if path.suffix in (".js", ".css") and "vendor" not in path.parts:
            text = path.read_text().replace("http://www.w3.org/2000/svg", "")
            assert not re.search(r"https?://|@import|//[a-z]+\.[a-z]+/", text), path
