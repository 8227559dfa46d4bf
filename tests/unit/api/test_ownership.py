"""Whose job is whose, call by call: one of another is not there, and its name is taken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cumulus.api.gen.cumulus.v1 import cumulus_pb2 as pb
from cumulus.api.gen.cumulus.v1 import plans_pb2, tokens_pb2
from cumulus.api.gen.cumulus.v1 import resources_pb2 as res
from cumulus.api.viewer import EVERYTHING, Viewer
from cumulus.controller.runtime.service import JobsService
from cumulus.crd_like_specs.errors import ConflictError, NotFoundError
from make import UID
from runtime_kit import Kit

from .conftest import soon
from .ownership_kit import READS, SECRETS, WRITES, House, a_job, listed, submission

REFUSED = {"Extend"}
"""Of a job that has ended, whoever asks."""
LISTS = {"List", "Watch", "Usage", "Events", "Plan"}
WITHOUT_JOBS = {"ServerInfo", "PutBlob", "HasBlob", "WhoAmI"}
ADMINS_ONLY = {
    *("Cordon", "Fence", "RemoveWorker", "CreateJoinToken"),
    *("CreateToken", "RevokeToken", "ListTokens"),
}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path) as one:
        await one.fill()
        yield one


def test_every_rpc_is_looked_at_here() -> None:
    known = {*READS, *WRITES, *REFUSED, *LISTS, *WITHOUT_JOBS, *ADMINS_ONLY}
    assert known == set(pb.DESCRIPTOR.services_by_name["Cumulus"].methods_by_name)


@pytest.mark.parametrize("method", READS)
@pytest.mark.parametrize("name", ["train", UID])
async def test_a_job_of_another_is_not_there(house: House, method: str, name: str) -> None:
    before = house.kit.records.find_job("train")
    error = await house.refusal("his", method, READS[method](name))
    nothing = await house.refusal("his", method, READS[method]("nothing"))
    assert type(error) is type(nothing) is NotFoundError
    assert (error.message, error.job_id) == (nothing.message.replace("nothing", name), name)
    assert house.kit.records.find_job("train") == before
    for who in ("hers", "boss"):
        assert await house.answers(who, method, READS[method](name))


@pytest.mark.parametrize("method", READS)
async def test_a_job_of_nobody_is_the_admins(house: House, method: str) -> None:
    error = await house.refusal("his", method, READS[method]("old"))
    assert isinstance(error, NotFoundError)
    if method not in ("Follow", "Result"):  # it is not over
        assert await house.answers("boss", method, READS[method]("old")) is not None


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("name", ["train", "old"])
async def test_a_name_of_another_is_taken(house: House, method: str, name: str) -> None:
    before = house.kit.records.find_job(name)
    error = await house.refusal("his", method, WRITES[method](name))
    assert isinstance(error, ConflictError)
    assert (error.message, error.job_id) == (f"the name {name!r} is taken", name)
    assert house.kit.records.find_job(name) == before


async def test_a_dry_run_tells_no_more(house: House) -> None:
    request = pb.ApplyRequest(resource=res.Resource(job=a_job("train")), dry_run=True)
    error = await house.refusal("his", "Apply", request)
    assert error.message == "the name 'train' is taken"


async def test_the_server_alone_says_whose_a_job_is(house: House) -> None:
    claimed = pb.ApplyRequest(resource=res.Resource(job=a_job("new", owner="hers")))
    (made,) = await house.answers("his", "Apply", claimed)
    assert made.resource.job.metadata.owner == "his"
    (again,) = await house.answers("his", "Apply", claimed)
    assert again.outcome == pb.ApplyResponse.UNCHANGED
    changed = pb.ApplyRequest(resource=res.Resource(job=a_job("new", "false", owner="boss")))
    (of_boss,) = await house.answers("boss", "Apply", changed)
    assert of_boss.outcome == pb.ApplyResponse.CONFIGURED
    assert of_boss.resource.job.metadata.owner == "his"
    assert house.kit.records.find_job("new").metadata.owner == "his"
    (by_boss,) = await house.answers(
        "boss", "Apply", pb.ApplyRequest(resource=res.Resource(job=a_job("his", owner="his")))
    )
    assert by_boss.resource.job.metadata.owner == ""
    await house.refusal("his", "Get", READS["Get"]("his"))


@pytest.mark.parametrize("method", ADMINS_ONLY)
async def test_the_fleet_is_the_admins(house: House, method: str) -> None:
    request = _request(method)
    assert "may not call" in (await house.refusal("hers", method, request)).message


async def first_state(house: House, who: str, name: str, key: str) -> str:
    call = house.call(who, "Submit", submission(name, key))
    event = await soon(call.read())
    call.cancel()
    uid: str = event.state.metadata.uid
    return uid


@pytest.mark.parametrize("named", [True, False])
async def test_a_key_means_something_to_its_owner_only(house: House, *, named: bool) -> None:
    uids = {
        who: [await first_state(house, who, f"new-{who}" if named else "", "key") for _ in "ab"]
        for who in SECRETS
    }
    assert all(first == second for first, second in uids.values())
    assert len({first for first, _ in uids.values()}) == len(SECRETS)


async def test_a_plan_tells_of_a_job_of_another_only_that_its_name_is_taken(house: House) -> None:
    request = plans_pb2.PlanRequest(resources=[res.Resource(job=a_job("train"))], forecast=True)
    (answer,) = await house.answers("his", "Plan", request)
    (change,) = answer.changes
    assert list(change.problems) == ["the name 'train' is taken"]
    assert not change.HasField("before")
    (answer,) = await house.answers("hers", "Plan", request)
    assert answer.changes[0].HasField("before")


async def test_nobody_extends_a_job_of_another(house: House) -> None:
    request = pb.ExtendRequest(name="train", seconds=60)
    assert isinstance(await house.refusal("his", "Extend", request), NotFoundError)
    error = await house.refusal("hers", "Extend", request)
    assert isinstance(error, ConflictError)
    assert "has ended as Succeeded" in error.message


async def test_without_tokens_everything_is_everybodys(tmp_path: Path) -> None:
    async with House(tmp_path, tokens=None) as house:
        await house.fill()
        assert await listed(house, "his", "Job") == ["old", "other", "train"]
        for method, make in READS.items():
            assert await house.answers("his", method, make("train"))
        request = pb.ApplyRequest(resource=res.Resource(job=a_job("new", owner="me")))
        (made,) = await house.answers("his", "Apply", request)
        assert made.resource.job.metadata.owner == ""
        async with httpx.AsyncClient(base_url=house.web, trust_env=False) as client:
            assert len((await client.get("/v1/jobs?phase=")).json()["items"]) == 4


def test_the_port_binds_whoever_looks(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    jobs = JobsService(
        kit.desired,
        kit.views,
        kit.streams,
        kit.workers,
        kit.operations,
    )
    assert jobs._viewer == EVERYTHING
    assert jobs.seen_by(Viewer("a", own_only=True))._viewer == Viewer("a", own_only=True)
    kit.close()


def _request(method: str) -> Any:
    """An empty one, of whichever file it is in."""
    name = f"{method}Request"
    return getattr(pb if hasattr(pb, name) else tokens_pb2, name)()
