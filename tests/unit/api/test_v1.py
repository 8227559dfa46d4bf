"""`/v1` over the controller's own parts: every call, its errors, its streams."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from make import UID
from runtime_kit import ENVELOPE

from .conftest import soon
from .ownership_kit import SECRETS, House

YAML = """
apiVersion: cumulus.dev/v1
kind: Job
metadata: {name: new}
spec: {image: alpine, command: ["true"], duration: 1m}
"""
CODE = b"PK\x05\x06" + bytes(18)
DIGEST = f"sha256:{hashlib.sha256(CODE).hexdigest()}"


class Web:
    """A client of `/v1` for each of them."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.opened = asyncio.Event()
        self.client = httpx.AsyncClient(base_url=f"{house.web}/v1", trust_env=False, timeout=10)

    async def __call__(
        self, who: str, method: str, path: str, code: int = 200, **options: Any
    ) -> Any:
        """The answer's JSON, or its text."""
        headers = {"authorization": f"Bearer {SECRETS[who]}", **options.pop("headers", {})}
        answer = await self.client.request(method, path, headers=headers, **options)
        assert answer.status_code == code, answer.text
        is_json = answer.content and answer.headers.get("content-type") == "application/json"
        return answer.json() if is_json else answer.text

    async def events(self, who: str, path: str, until: str, **headers: str) -> list[Any]:
        """(kind, id, data) of a stream up to the first event of that kind."""
        found: list[Any] = []
        headers["authorization"] = f"Bearer {SECRETS[who]}"
        async with self.client.stream("GET", path, headers=headers) as answer:
            assert answer.status_code == 200, await answer.aread()
            self.opened.set()
            assert answer.headers["content-type"].startswith("text/event-stream")
            kind = id_ = ""
            async for line in answer.aiter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    kind = value
                elif field == "id":
                    id_ = value
                elif field == "data":
                    found.append((kind, id_, json.loads(value)))
                    id_ = ""
                    if kind == until:
                        return found
        return found


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    async with House(tmp_path) as house:
        await house.fill()
        one = Web(house)
        async with one.client:
            yield one


async def test_a_job_from_its_submission_to_its_end(web: Web) -> None:
    made = await web("his", "POST", "/jobs", 201, content=YAML)
    assert (made["metadata"]["name"], made["metadata"]["owner"]) == ("new", "his")
    assert await web("his", "POST", "/jobs", 201, content=YAML) == made
    changed = json.dumps({**made, "spec": {**made["spec"], "duration": "2m"}})
    error = await web("his", "POST", "/jobs", 409, content=changed)
    assert "exists with another spec" in error["error"]["message"]
    planned = await web("his", "POST", "/plan", content=changed)
    assert planned["changes"][0]["change"] == "replaced"
    dry = await web("his", "PUT", "/jobs/new?dryRun=true", content=changed)
    assert (dry["outcome"], dry["reruns"]) == ("configured", True)
    done = await web("his", "PUT", "/jobs/new", content=changed)
    assert done["resource"]["metadata"]["generation"] == 2
    (again,) = (await web("his", "POST", "/apply", content=changed))["results"]
    assert again["outcome"] == "unchanged"
    assert (await web("his", "POST", "/jobs/new/pause"))["spec"]["suspend"]
    assert "suspended" in (await web("his", "GET", "/jobs/new/why"))["summary"]
    assert not (await web("his", "POST", "/jobs/new/resume"))["spec"]["suspend"]
    lines = await web("his", "GET", "/jobs")
    assert {line["name"] for line in lines["items"]} == {"new", "other"}
    full = await web("his", "GET", "/jobs?full=true&limit=1")
    assert full["continue"]
    assert full["items"][0]["kind"] == "Job"
    assert (await web("his", "POST", "/jobs/new/cancel"))["metadata"]["cancellationTimestamp"]
    assert (await web("his", "DELETE", "/jobs/new"))["metadata"]["deletionTimestamp"]
    happened = await web("his", "GET", "/events?job=new&type=Submitted")
    assert [one["by"] for one in happened["items"]] == ["his"]


async def test_a_job_without_a_name_is_given_one_by_its_key(web: Web) -> None:
    nameless = YAML.replace("name: new", "labels: {a: b}")
    key = {"Idempotency-Key": "once"}
    first = await web("his", "POST", "/jobs", 201, content=nameless, headers=key)
    assert first == await web("his", "POST", "/jobs", 201, content=nameless, headers=key)
    other = await web("his", "POST", "/jobs", 201, content=nameless)
    assert other["metadata"]["name"] != first["metadata"]["name"]


@pytest.mark.parametrize(
    ("body", "path", "words"),
    [
        (b"spec: [", "", "body.json:1"),
        (b"", "", "no documents"),
        (b"\xff", "", "UTF-8"),
        (YAML.replace("image", "imago").encode(), "spec.imago", "did you mean image"),
        (YAML.replace("kind: Job", "kind: Worker").encode(), "spec.image", "no known field"),
        (f"{YAML}---{YAML}".encode(), "body", "expected one Job"),
        (b"x" * (2 << 20), "body", "larger than"),
    ],
)
async def test_what_is_wrong_with_a_body(web: Web, body: bytes, path: str, words: str) -> None:
    error = (await web("his", "POST", "/jobs", 400, content=body))["error"]
    assert error["reason"] == "VALIDATION"
    assert words in error["message"]
    assert not path or path in {problem["path"] for problem in error["problems"]}


async def test_logs_and_result(web: Web) -> None:
    assert await web("hers", "GET", "/jobs/train/logs") == "hello\n"
    assert await web("hers", "GET", "/jobs/train/logs?offset=1") == ""
    assert await web("hers", "GET", "/jobs/train/logs?follow=true&tail=1") == "hello\n"
    assert await web("hers", "GET", "/jobs/train/result") == json.loads(ENVELOPE)
    assert (await web("his", "GET", "/jobs/other/result", 404))["error"]["job_id"]
    assert (await web("his", "GET", "/jobs/train/logs", 404))["error"]["job_id"] == "train"
    await web("hers", "GET", "/jobs/train/logs?attempt=-2", 400)
    for path in ("/jobs/train/logs", "/jobs/train/result"):
        assert await web("hers", "HEAD", path) == ""
        assert await web("his", "HEAD", path, 404) == ""


async def test_a_job_is_followed_and_gone_on_with(web: Web) -> None:
    found = await web.events("hers", f"/jobs/{UID}/follow", "finished")
    assert [kind for kind, _, _ in found] == ["state", "log", "result", "finished"]
    log = found[1]
    assert (log[1], log[2]["data"], log[2]["stream"]) == ("1.1", "hello\n", "stdout")
    rest = await web.events("hers", "/jobs/train/follow", "finished", **{"Last-Event-ID": log[1]})
    assert [kind for kind, _, _ in rest] == ["state", "result", "finished"]
    await web("hers", "GET", "/jobs/train/follow", 400, headers={"Last-Event-ID": "x"})


async def test_changes_are_watched_and_gone_on_with(web: Web) -> None:
    found = await web.events("boss", "/watch?kind=Job", "bookmark")
    assert sorted(kind for kind, _, _ in found) == ["added"] * 3 + ["bookmark"]
    assert [bool(id_) for _, id_, _ in found] == [False] * 3 + [True]
    await web("his", "POST", "/jobs", 201, content=YAML)
    last = {"Last-Event-ID": found[-1][1]}
    _, (_, id_, item) = await web.events("boss", "/watch", "added", **last)
    assert item["resource"]["metadata"]["name"] == "new"
    assert int(id_) == item["resourceVersion"] > int(last["Last-Event-ID"])
    await web("boss", "GET", "/watch?resourceVersion=99999", 410)


async def test_events_as_they_happen(web: Web) -> None:
    await web("his", "POST", "/jobs", 201, content=YAML)
    following = asyncio.create_task(web.events("his", "/events/watch?job=new", "Submitted"))
    ((kind, id_, event),) = await soon(following)
    assert (kind, int(id_), event["name"]) == ("Submitted", event["sequence"], "new")
    await web("his", "GET", "/events?type=Nonsense", 400)


async def test_streams_end_with_the_server(web: Web) -> None:
    following = asyncio.create_task(web.events("hers", "/watch?kind=Lease", "stopping"))
    state = web.house.http._app.state
    await soon(web.opened.wait())
    state.streams.end()
    assert (await soon(following))[-1][0] == "stopping"
    assert state.api_streams.count == 0


async def test_the_fleet(web: Web) -> None:
    (worker,) = (await web("his", "GET", "/workers"))["items"]
    assert worker["metadata"]["name"] == "n1"
    assert await web("his", "GET", "/workers/n1") == worker
    await web("his", "POST", "/workers/n1/cordon", 403, json={})
    cordoned = await web("boss", "POST", "/workers/n1/cordon", json={"drain": True})
    assert (cordoned["spec"]["cordoned"], cordoned["spec"]["drain"]) == (True, True)
    assert (
        "is in contact"
        in (await web("boss", "POST", "/workers/n1/fence", 409, json={}))["error"]["message"]
    )
    assert len((await web("hers", "GET", "/leases"))["items"]) == 1
    (use,) = (await web("boss", "GET", "/usage"))["workers"]
    assert use["devices"] == [{"index": 0, "memoryUsed": 3, "utilizationMilli": 4}]
    assert (await web("his", "GET", "/server"))["platform"] == "fake"
    caller = await web("his", "GET", "/whoami")
    assert (caller["name"], caller["project"]) == ("his", "his")
    assert (await web("his", "GET", "/sources"))["items"] == []


async def test_code(web: Web) -> None:
    await web("his", "HEAD", f"/code/{DIGEST}", 404)
    coded = YAML.replace('image: alpine, command: ["true"]', f"code: {{digest: '{DIGEST}'}}")
    missing = await web("his", "POST", "/jobs", 404, content=coded)
    assert "is not here" in missing["error"]["message"]
    body = {"digest": DIGEST, "size": len(CODE), "existed": False}
    assert await web("his", "PUT", f"/code/{DIGEST}", content=CODE) == body
    await web("his", "HEAD", f"/code/{DIGEST}")
    await web("his", "PUT", f"/code/sha256:{'0' * 64}", 400, content=CODE)
    await web("his", "PUT", "/code/nonsense", 400, content=CODE)
    await web("his", "POST", "/jobs", 201, content=coded)


async def test_the_document_says_every_answer(web: Web) -> None:
    document = await web("his", "GET", "/openapi.json")
    assert document["openapi"] == "3.1.0"
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            assert {"400", "401", "403", "404", "429", "503"} <= set(call["responses"]), path
            assert "422" not in call["responses"], (method, path)
            assert call["description"], (method, path)
    await web("his", "GET", "/nothing", 404)
    assert (await web("his", "DELETE", "/jobs", 405))["error"]["message"] == "Method Not Allowed"
