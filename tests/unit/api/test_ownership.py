"""Whose job is whose, over real servers and the controller's own parts: two submitters, an admin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self

import grpc.aio
import httpx
import pytest
from cumulus.api import convert
from cumulus.api.auth import Holder, Role, Tokens
from cumulus.api.frames import DeviceUsage, NodeUsage, UnitUsage
from cumulus.api.gen.cumulus.v1 import cumulus_pb2 as pb
from cumulus.api.gen.cumulus.v1 import cumulus_pb2_grpc, events_pb2, plans_pb2, tokens_pb2
from cumulus.api.gen.cumulus.v1 import resources_pb2 as res
from cumulus.api.server import GrpcServer
from cumulus.api.viewer import EVERYTHING, Viewer
from cumulus.api.web.app import build_app
from cumulus.api.web.probes import Probes
from cumulus.api.web.server import HttpServer
from cumulus.controller.runtime.happenings import of_job
from cumulus.controller.runtime.service import JobsService
from cumulus.crd_like_specs.errors import (
    ConflictError,
    CumulusError,
    NotFoundError,
)
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Job, JobSpec, Phase
from cumulus.crd_like_specs.meta import ObjectMeta
from make import UID, job, lease
from prometheus_client import CollectorRegistry
from runtime_kit import ENVELOPE, Kit

from .conftest import error_of, read_all, soon

SECRETS = {name: f"{name}-token-0123456789" for name in ("hers", "his", "boss")}
TOKENS = Tokens(
    {
        SECRETS["hers"]: Holder(Role.SUBMITTER, "hers"),
        SECRETS["his"]: Holder(Role.SUBMITTER, "his"),
        SECRETS["boss"]: Holder(Role.ADMIN),
    }
)
UNIT = unit_name(UID, 1)
HIS_UID = "b" * 32


class House:
    """The servers, and one stub for everybody. tokens: None where none are configured."""

    def __init__(self, folder: Path, tokens: Tokens | None = TOKENS) -> None:
        self.kit = Kit(folder)
        parts = (
            self.kit.desired,
            self.kit.views,
            self.kit.streams,
            self.kit.workers,
            self.kit.operations,
        )
        jobs = JobsService(*parts)
        self.server = GrpcServer(
            jobs=jobs,
            blobs=self.kit.blobs,
            agents=self.kit.agents,
            listen="127.0.0.1:0",
            tokens=tokens,
        )
        probes = Probes(lambda: (), lambda: ())
        app = build_app(
            jobs=jobs,
            overview=self.kit.overview,
            probes=probes,
            registry=CollectorRegistry(),
            tokens=tokens,
        )
        self.http = HttpServer(app, listen="127.0.0.1:0")

    async def __aenter__(self) -> Self:
        port = await self.server.start()
        self.web = f"http://127.0.0.1:{await self.http.start()}"
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        self.stub: Any = cumulus_pb2_grpc.CumulusStub(self.channel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()
        await self.server.stop(grace=0.2)
        await self.http.stop()
        self.kit.close()

    def call(self, who: str, method: str, request: Any) -> Any:
        metadata = (("authorization", f"Bearer {SECRETS[who]}"),)
        return getattr(self.stub, method)(request, metadata=metadata)

    async def answers(self, who: str, method: str, request: Any) -> list[Any]:
        """Every message of the answer."""
        call = self.call(who, method, request)
        if isinstance(call, grpc.aio.UnaryUnaryCall | grpc.aio.StreamUnaryCall):
            return [await soon(call)]
        return await read_all(call)

    async def refusal(self, who: str, method: str, request: Any) -> CumulusError:
        return await error_of(self.answers(who, method, request))

    async def fill(self) -> None:
        """A finished job of hers with output, result and lease, one of his, and one of nobody."""
        done = {"worker": "n1", "result_size": len(ENVELOPE), "cleaned": True}
        owned = {"owner": "hers"}
        await self.kit.put(job(Phase.SUCCEEDED, name="train", meta=owned, status=done))
        await self.kit.put(job(name="other", uid=HIS_UID, meta={"owner": "his"}))
        await self.kit.put(job(name="old", uid="c" * 32))
        for given, uid, owner in ((lease(), UID, "hers"), (lease(uid=HIS_UID), HIS_UID, "his")):
            meta = given.metadata.model_copy(update={"owner": owner})
            spec = given.spec.model_copy(update={"job": uid})
            await self.kit.records.put_lease(
                given.model_copy(update={"metadata": meta, "spec": spec})
            )
        await self.kit.report("n1")
        units = (UnitUsage(UNIT, 1.0, 2, 3, 4), UnitUsage(unit_name(HIS_UID, 1), 1.0, 2, 3, 4))
        self.kit.agents.used("n1", NodeUsage(1.0, 2, units, (DeviceUsage(0, 3, 4),)))
        await self.kit.log(UNIT, b"hello\n", end=True, result=ENVELOPE)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path) as one:
        await one.fill()
        yield one


def a_job(name: str, command: str = "true", **meta: Any) -> res.Job:
    spec = JobSpec(image="alpine", command=(command,))
    return convert.job_to_proto(Job(metadata=ObjectMeta(name=name, **meta), spec=spec))


def submission(name: str, key: str = "", command: str = "true") -> AsyncIterator[pb.SubmitRequest]:
    async def frames() -> AsyncIterator[pb.SubmitRequest]:
        wanted = a_job(name or "x", command)
        if not name:
            wanted.metadata.name = ""
        yield pb.SubmitRequest(start=pb.SubmitStart(job=wanted, idempotency_key=key))

    return frames()


Make = Callable[[str], Any]

READS: dict[str, Make] = {
    "Get": lambda name: pb.GetRequest(kind="Job", name=name),
    "Follow": lambda name: pb.FollowRequest(job=name),
    "Logs": lambda name: pb.LogsRequest(job=name),
    "Result": lambda name: pb.ResultRequest(job=name),
    "Why": lambda name: pb.WhyRequest(job=name),
    "Pause": lambda name: pb.PauseRequest(name=name),
    "Cancel": lambda name: pb.CancelRequest(name=name),
    "Delete": lambda name: pb.DeleteRequest(name=name),
}
"""Of a job that exists; what changes it comes last."""

WRITES: dict[str, Make] = {
    "Apply": lambda name: pb.ApplyRequest(resource=res.Resource(job=a_job(name))),
    "Submit": submission,
}
REFUSED = {"Extend"}
"""Of a job that has ended, whoever asks."""
LISTS = {"List", "Watch", "Usage", "Events", "Plan"}
WITHOUT_JOBS = {"ServerInfo", "PutBlob", "HasBlob", "WhoAmI"}
ADMINS_ONLY = {
    *("Cordon", "Fence", "RemoveWorker", "CreateJoinToken"),
    *("CreateToken", "RevokeToken", "ListTokens"),
}


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


async def listed(house: House, who: str, kind: str, **wanted: Any) -> list[str]:
    (page,) = await house.answers(who, "List", pb.ListRequest(kind=kind, **wanted))
    return sorted(convert.resource_from_proto(item).metadata.name for item in page.items)


LEASES = {"hers": UNIT, "his": unit_name(HIS_UID, 1)}


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


def _request(method: str) -> Any:
    """An empty one, of whichever file it is in."""
    name = f"{method}Request"
    return getattr(pb if hasattr(pb, name) else tokens_pb2, name)()
