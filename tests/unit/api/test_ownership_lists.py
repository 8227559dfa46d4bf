"""Lists, watches, usage and events hold what is one's own, over gRPC and HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cumulus.api import convert
from cumulus.api.gen.cumulus.v1 import cumulus_pb2 as pb
from cumulus.api.gen.cumulus.v1 import events_pb2
from cumulus.controller.runtime.happenings import of_job
from cumulus.crd_like_specs.errors import NotFoundError
from make import UID, job

from .conftest import soon
from .ownership_kit import LEASES, SECRETS, UNIT, House, listed


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path) as one:
        await one.fill()
        yield one


async def test_lists_hold_what_is_ones_own(house: House) -> None:
    assert await listed(house, "hers", "Job") == ["train"]
    assert await listed(house, "his", "Job") == ["other"]
    assert await listed(house, "boss", "Job") == ["old", "other", "train"]
    assert await listed(house, "hers", "Job", phase="Active") == []
    assert await listed(house, "his", "Job", phase="Active") == ["other"]
    assert await listed(house, "boss", "Job", phase="Active") == ["old", "other"]
    for who, name in LEASES.items():
        assert await listed(house, who, "Lease") == [name]
        assert await listed(house, who, "Worker") == ["n1"]
        for whose, of_whom in LEASES.items():
            get = pb.GetRequest(kind="Lease", name=of_whom)
            if whose == who:
                assert await house.answers(who, "Get", get)
            else:
                assert isinstance(await house.refusal(who, "Get", get), NotFoundError)
    assert await listed(house, "boss", "Lease") == sorted(LEASES.values())


async def test_pages_count_ones_own_only(house: House) -> None:
    for name in ("a", "z"):
        await house.kit.put(job(name=name, uid=name * 32, meta={"owner": "his"}))
    token, found = "", []
    for _ in range(3):
        request = pb.ListRequest(kind="Job", limit=1, continue_token=token)
        (page,) = await house.answers("his", "List", request)
        found += [item.job.metadata.name for item in page.items]
        token = page.continue_token
    assert (found, token) == (["a", "other", "z"], "")


@pytest.mark.parametrize(
    ("kind", "who", "expected"),
    [
        ("Job", "his", ["other"]),
        ("Job", "boss", ["old", "other", "train"]),
        ("Lease", "his", [LEASES["his"]]),
        ("Worker", "his", ["n1"]),
    ],
)
async def test_a_watch_shows_what_is_ones_own(
    house: House, kind: str, who: str, expected: list[str]
) -> None:
    call = house.call(who, "Watch", pb.WatchRequest(kind=kind))
    found = []
    while (event := await soon(call.read())).type != pb.WatchEvent.BOOKMARK:
        found.append(convert.resource_from_proto(event.resource).metadata.name)
    assert sorted(found) == expected
    call.cancel()


async def test_a_watch_is_told_no_changes_of_others(house: House) -> None:
    version = house.kit.store.version
    await house.kit.status("train", message="moved")
    await house.kit.records.delete_job("train", UID)
    await house.kit.put(job(name="train", uid="d" * 32, meta={"owner": "his"}))
    request = pb.WatchRequest(kind="Job", resource_version=version)
    call = house.call("his", "Watch", request)
    events = [await soon(call.read()) for _ in range(2)]
    assert [event.type for event in events] == [pb.WatchEvent.BOOKMARK, pb.WatchEvent.ADDED]
    assert events[1].resource.job.metadata.uid == "d" * 32
    call.cancel()
    call = house.call("hers", "Watch", request)
    events = [await soon(call.read()) for _ in range(3)]
    assert [event.type for event in events[1:]] == [pb.WatchEvent.MODIFIED, pb.WatchEvent.DELETED]
    assert events[2].resource.job.metadata.uid == UID
    call.cancel()


async def test_usage_tells_of_ones_own_jobs_and_of_every_worker(house: House) -> None:
    units = {}
    for who in SECRETS:
        (told,) = await house.answers(who, "Usage", pb.UsageRequest())
        (worker,) = told.workers
        assert worker.devices[0].memory_used == 3
        units[who] = [use.unit for use in worker.jobs]
    assert units == {"hers": [UNIT], "his": [LEASES["his"]], "boss": [UNIT, LEASES["his"]]}


async def test_the_same_over_http(house: House) -> None:
    async with httpx.AsyncClient(base_url=house.web, trust_env=False) as client:

        async def get(who: str, path: str) -> httpx.Response:
            headers = {"authorization": f"Bearer {SECRETS[who]}"}
            return await client.get(path, headers=headers)

        names = {}
        for who in SECRETS:
            body = (await get(who, "/v1/jobs?phase=")).json()
            names[who] = {item["name"]: item["owner"] for item in body["items"]}
        everything = {"train": "hers", "other": "his", "old": ""}
        assert names == {"hers": {"train": "hers"}, "his": {"other": "his"}, "boss": everything}
        for name in ("train", UID):
            assert [(await get(who, f"/v1/jobs/{name}")).status_code for who in SECRETS] == [
                200,
                404,
                200,
            ]
        assert (await client.get("/v1/jobs")).status_code == 401


async def test_events_of_others_are_not_there(house: House) -> None:
    for name in ("train", "other"):
        owned = house.kit.records.find_job(name)
        house.kit.events.note(of_job(owned, "Running"))

    async def told(who: str, **asked: Any) -> set[str]:
        found = await house.answers(who, "Events", events_pb2.EventsRequest(**asked))
        return {event.name for event in found if event.kind == "Job"}

    assert await told("hers") == {"train"}
    assert await told("his") == {"other"}
    assert await told("boss") == {"train", "other"}
    error = await house.refusal("his", "Events", events_pb2.EventsRequest(job="train"))
    assert isinstance(error, NotFoundError)
