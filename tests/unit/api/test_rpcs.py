"""Every other call of cumulus.v1.Cumulus, and how each of them fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from cumulus.api import convert, interceptor
from cumulus.api.convert_usage import usage_from_proto
from cumulus.api.frames import LogRecord, LogStream, Outcome, WatchItem, WatchType
from cumulus.api.gen.cumulus.v1 import cumulus_pb2 as pb
from cumulus.api.options import CHUNK_BYTES
from cumulus.crd_like_specs.errors import (
    CumulusError,
    ExpiredError,
    NotFoundError,
    StoreError,
    UnavailableError,
    ValidationError,
)
from cumulus.crd_like_specs.job import Phase
from cumulus.crd_like_specs.lease import Lease, LeaseSpec
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.crd_like_specs.worker import Worker
from loguru import logger

from .conftest import World, error_of, read_all, soon
from .fakes import UID, a_job, digest_of

WORKER = Worker(metadata=ObjectMeta(name="w1"))
LEASE = Lease(
    metadata=ObjectMeta(name="l1"),
    spec=LeaseSpec(job=UID, job_name="hello", attempt=1, worker="w1", memory_milli=0, duration=1),
)


async def test_apply_says_what_it_did(world: World) -> None:
    request = pb.ApplyRequest(resource=convert.resource_to_proto(a_job()))
    dry = pb.ApplyRequest(resource=request.resource, dry_run=True)
    answers = [
        convert.applied_from_proto(await soon(world.cumulus.Apply(one)))
        for one in (dry, request, request)
    ]
    assert [a.outcome for a in answers] == [Outcome.CREATED, Outcome.CREATED, Outcome.CONFIGURED]
    assert answers[2].resource == a_job()
    assert answers[2].reruns


async def test_apply_of_nothing(world: World) -> None:
    error = await error_of(world.cumulus.Apply(pb.ApplyRequest()))
    assert isinstance(error, ValidationError)
    assert "expected one of Job, Lease, Worker" in error.message


@pytest.mark.parametrize("resource", [a_job(), LEASE, WORKER])
async def test_get(world: World, resource: Any) -> None:
    world.jobs.add(resource)
    request = pb.GetRequest(kind=resource.kind, name=resource.metadata.name)
    assert convert.resource_from_proto(await soon(world.cumulus.Get(request))) == resource


async def test_list_asks_for_what_it_was_asked_and_bounds_the_page(world: World) -> None:
    for name in ("a", "b", "c"):
        world.jobs.add(a_job(name))
    request = pb.ListRequest(
        kind="Job", label_selector="team=ml", phase="Pending", limit=2, continue_token="t"
    )
    page = convert.page_from_proto(await soon(world.cumulus.List(request)))
    assert [item.metadata.name for item in page.items] == ["a", "b"]
    assert (page.resource_version, page.continue_token) == (42, "more")
    for limit in (0, 501, 10**6):
        await soon(world.cumulus.List(pb.ListRequest(kind="Job", limit=limit)))
    assert world.jobs.asked[0] == ("Job", "team=ml", "Pending", 2, "t")
    assert [asked[3] for asked in world.jobs.asked[1:]] == [500, 500, 500]


async def test_watch_sends_changes_and_frees_the_watcher(world: World) -> None:
    world.jobs.add(WORKER)
    request = pb.WatchRequest(kind="Worker", name="w1", label_selector="a", resource_version=3)
    call = world.cumulus.Watch(request)
    assert [convert.watch_item_from_proto(await soon(call.read())) for _ in range(2)] == [
        WatchItem(WatchType.ADDED, WORKER, 7),
        WatchItem(WatchType.BOOKMARK, None, 8),
    ]
    assert world.jobs.asked == [("Worker", "w1", "a", 3)]
    call.cancel()
    await soon(world.jobs.left.wait())


async def test_watch_from_too_long_ago(world: World) -> None:
    world.jobs.fail = ExpiredError("3 is no longer kept")
    call = world.cumulus.Watch(pb.WatchRequest(kind="Job", resource_version=3))
    assert isinstance(await error_of(call.read()), ExpiredError)


async def test_delete_and_cancel_take_name_or_uid(world: World) -> None:
    world.jobs.add(a_job())
    gone = await soon(world.cumulus.Delete(pb.DeleteRequest(name="hello")))
    assert convert.job_from_proto(gone.job) == a_job()
    cancelled = await soon(world.cumulus.Cancel(pb.CancelRequest(name=UID)))
    assert convert.job_from_proto(cancelled).status.phase is Phase.CANCELLED


async def test_logs_from_an_offset(world: World) -> None:
    world.jobs.add(a_job())
    world.jobs.records = [
        LogRecord(n, stream, float(n), bytes([n, 255]), 1)
        for n, stream in enumerate((LogStream.STDOUT, LogStream.STDERR, LogStream.SYSTEM))
    ]
    request = pb.LogsRequest(job="hello", attempt=1, offset=1, tail=9, follow=True)
    got = [convert.log_from_proto(m) for m in await read_all(world.cumulus.Logs(request))]
    assert got == world.jobs.records[1:]
    assert world.jobs.asked == [(1, 1, 9, True)]


async def test_a_result_of_many_pieces(world: World) -> None:
    world.jobs.add(a_job())
    world.jobs.envelope = b"x" * (5 << 20) + b"end"
    got = await read_all(world.cumulus.Result(pb.ResultRequest(job="hello")))
    assert b"".join(chunk.data for chunk in got) == world.jobs.envelope


async def test_why(world: World) -> None:
    world.jobs.add(a_job())
    why = convert.why_from_proto(await soon(world.cumulus.Why(pb.WhyRequest(job="hello"))))
    assert (why.job, why.summary) == (a_job(), "all are busy")
    assert [(r.worker, r.reason) for r in why.workers] == [("w1", "full")]


async def test_cordon(world: World) -> None:
    world.jobs.add(WORKER)
    request = pb.CordonRequest(worker="w1", cordoned=True, drain=True)
    spec = convert.worker_from_proto(await soon(world.cumulus.Cordon(request))).spec
    assert (spec.cordoned, spec.drain) == (True, True)


async def test_fence_and_remove(world: World) -> None:
    world.jobs.add(WORKER)
    for fenced in (True, False):
        request = pb.FenceRequest(worker="w1", fenced=fenced)
        found = convert.worker_from_proto(await soon(world.cumulus.Fence(request)))
        assert found.spec.fenced is fenced
    removed = await soon(world.cumulus.RemoveWorker(pb.RemoveWorkerRequest(worker="w1")))
    assert convert.worker_from_proto(removed) == WORKER


async def test_server_info(world: World) -> None:
    info = convert.info_from_proto(await soon(world.cumulus.ServerInfo(pb.ServerInfoRequest())))
    assert info == await world.jobs.server_info()


async def test_usage(world: World) -> None:
    for worker in ("", "n1"):
        told = await soon(world.cumulus.Usage(pb.UsageRequest(worker=worker)))
        assert usage_from_proto(told) == await world.jobs.usage(worker)


async def test_blobs_are_put_once(world: World) -> None:
    data = b"z" * (CHUNK_BYTES + 1)
    requests = [pb.PutBlobRequest(digest=digest_of(data))] + [
        pb.PutBlobRequest(data=part) for part in (data[:CHUNK_BYTES], data[CHUNK_BYTES:])
    ]
    asked = pb.HasBlobRequest(digest=digest_of(data))
    assert not (await soon(world.cumulus.HasBlob(asked))).exists
    existed = [(await soon(world.cumulus.PutBlob(iter(requests)))).existed for _ in range(2)]
    assert existed == [False, True]
    found = await soon(world.cumulus.HasBlob(asked))
    assert (found.exists, found.size) == (True, len(data))


@pytest.mark.parametrize(
    "requests",
    [
        [],
        [pb.PutBlobRequest(data=b"x")],
        [pb.PutBlobRequest(digest="sha256:../../etc/passwd")],
        [pb.PutBlobRequest(digest=digest_of(b"a")), pb.PutBlobRequest(data=b"b")],
    ],
)
async def test_bad_blobs_are_refused(world: World, requests: list[pb.PutBlobRequest]) -> None:
    error = await error_of(world.cumulus.PutBlob(iter(requests)))
    assert isinstance(error, ValidationError)
    assert not world.blobs.stored


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("Get", pb.GetRequest(kind="Job", name="../x")),
        ("Get", pb.GetRequest(kind="Pod", name="x")),
        ("List", pb.ListRequest(kind="Job", phase="Sleeping")),
        ("List", pb.ListRequest(kind="Job", limit=-1)),
        ("List", pb.ListRequest()),
        ("Delete", pb.DeleteRequest()),
        ("Cancel", pb.CancelRequest(name="A")),
        ("Why", pb.WhyRequest()),
        ("Cordon", pb.CordonRequest(worker="W")),
        ("HasBlob", pb.HasBlobRequest(digest="md5:1")),
    ],
)
async def test_bad_requests_name_field_and_expectation(
    world: World, method: str, request_: Any
) -> None:
    error = await error_of(getattr(world.cumulus, method)(request_))
    assert isinstance(error, ValidationError)
    assert error.problems[0].path
    assert "expected" in error.message


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("Watch", pb.WatchRequest(kind="Job", resource_version=-1)),
        ("Logs", pb.LogsRequest(job="a", offset=-1)),
        ("Logs", pb.LogsRequest(job="a", tail=-1)),
        ("Follow", pb.FollowRequest(job="a", attempt=-1)),
        ("Result", pb.ResultRequest()),
    ],
)
async def test_bad_stream_requests(world: World, method: str, request_: Any) -> None:
    error = await error_of(getattr(world.cumulus, method)(request_).read())
    assert isinstance(error, ValidationError)


@pytest.mark.parametrize(
    ("method", "request_", "streams"),
    [
        ("Get", pb.GetRequest(kind="Job", name="gone"), False),
        ("Delete", pb.DeleteRequest(name="gone"), False),
        ("Cancel", pb.CancelRequest(name="gone"), False),
        ("Why", pb.WhyRequest(job="gone"), False),
        ("Logs", pb.LogsRequest(job="gone"), True),
        ("Result", pb.ResultRequest(job="gone"), True),
        ("Follow", pb.FollowRequest(job="gone"), True),
    ],
)
async def test_not_found_carries_the_name_that_was_asked_for(
    world: World, method: str, request_: Any, *, streams: bool
) -> None:
    call = getattr(world.cumulus, method)(request_)
    error = await error_of(call.read() if streams else call)
    assert isinstance(error, NotFoundError)
    assert error.job_id == "gone"


async def test_a_bug_shows_a_request_id_and_nothing_of_itself(world: World) -> None:
    world.jobs.fail = KeyError("secret-internal")
    call = world.cumulus.Get(
        pb.GetRequest(kind="Job", name="a"), metadata=(("x-request-id", "r-17"),)
    )
    error = await error_of(call)
    assert type(error) is CumulusError
    assert error.message == "internal error, see the log of request r-17"
    assert dict(await call.trailing_metadata())["x-request-id"] == "r-17"


async def test_every_call_is_given_a_request_id(world: World) -> None:
    ids = []
    for given in ("", "x" * 65):
        call = world.cumulus.ServerInfo(pb.ServerInfoRequest(), metadata=(("x-request-id", given),))
        await soon(call)
        ids.append(dict(await call.trailing_metadata())["x-request-id"])
    assert len({*ids}) == 2
    assert all(len(one) == 16 for one in ids)


class SlowDelete:
    """Takes the place of `jobs.delete`; ends when it may, then as `error` says."""

    def __init__(self, error: Exception | None = None) -> None:
        self.began, self.may_end, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.error = error

    async def __call__(self, _name: str) -> Any:
        self.began.set()
        await self.may_end.wait()
        self.ended.set()
        if self.error:
            raise self.error
        return a_job()


async def given_up(world: World, slow: SlowDelete) -> None:
    world.jobs.delete = slow  # type: ignore[method-assign]
    call = world.cumulus.Delete(pb.DeleteRequest(name="hello"))
    waiting = asyncio.ensure_future(call.code())
    await soon(slow.began.wait())
    seen = asyncio.Event()  # by the server too, which says so in its log
    sink = logger.add(lambda line: seen.set() if "CANCELLED" in line else None, level="DEBUG")
    call.cancel()
    await soon(waiting)
    await soon(seen.wait())
    logger.remove(sink)


async def test_a_write_goes_on_when_its_client_gives_up_and_stopping_waits_for_it(
    world: World,
) -> None:
    slow = SlowDelete()
    await given_up(world, slow)
    stopping = asyncio.ensure_future(world.server.stop(grace=0.1))
    await soon(world.server._clients.server.wait_for_termination())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not stopping.done()
    slow.may_end.set()
    await soon(stopping)
    assert slow.ended.is_set()


@pytest.mark.parametrize(
    ("error", "says"),
    [(StoreError("disk full", job_id=UID), "disk full"), (KeyError("a-bug"), "Traceback")],
)
async def test_a_write_that_fails_alone_is_logged(
    world: World, error: Exception, says: str
) -> None:
    lines: list[str] = []
    sink = logger.add(lines.append, level="WARNING")
    slow = SlowDelete(error)
    await given_up(world, slow)
    slow.may_end.set()
    await soon(world.server.stop(grace=0))
    logger.remove(sink)
    assert "after its client had gone" in "".join(lines)
    assert says in "".join(lines)


async def test_no_single_answer_takes_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interceptor, "UNARY_SECONDS", 0.05)
    slow = SlowDelete()
    world.jobs.delete = slow  # type: ignore[method-assign]
    error = await error_of(world.cumulus.Delete(pb.DeleteRequest(name="hello")))
    slow.may_end.set()
    assert isinstance(error, UnavailableError)
    assert "no answer within" in error.message
    await soon(slow.ended.wait())
