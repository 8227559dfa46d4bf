"""The one table: it covers every error, and every error survives the wire."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest
from cumulus.api.gen.cumulus.v1 import cumulus_pb2 as pb
from cumulus.api.status import TABLE, exit_code, from_grpc, job_error, row, to_grpc, to_http
from cumulus.crd_like_specs import errors as e
from cumulus.crd_like_specs.job import Phase
from google.protobuf.any_pb2 import Any as PackedAny
from google.rpc import status_pb2

from .conftest import World, error_of
from .fakes import UID, a_job


def tree(kind: type[e.CumulusError] = e.CumulusError) -> set[type[e.CumulusError]]:
    own = {one for one in kind.__subclasses__() if one.__module__ == e.__name__}
    return {kind}.union(*(tree(one) for one in own))


def received(status: status_pb2.Status) -> grpc.aio.AioRpcError:
    code = next(c for c in grpc.StatusCode if c.value[0] == status.code)
    trailing = grpc.aio.Metadata(("grpc-status-details-bin", status.SerializeToString()))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, details=status.message)


def test_the_table_covers_the_tree() -> None:
    assert set(TABLE) == tree()
    assert len(tree()) == 16


@pytest.mark.parametrize("kind", sorted(tree(), key=lambda k: k.__name__))
def test_every_error_comes_back_as_itself(kind: type[e.CumulusError]) -> None:
    sent = kind("what happened: ünïcode", job_id=UID)
    got = from_grpc(received(to_grpc(sent)))
    assert type(got) is kind
    assert (got.message, got.job_id) == (sent.message, sent.job_id)
    assert exit_code(got) == exit_code(sent)


@pytest.mark.parametrize("kind", sorted(tree(), key=lambda k: k.__name__))
async def test_every_error_crosses_a_real_connection(
    world: World, kind: type[e.CumulusError]
) -> None:
    world.jobs.fail = kind("what happened")
    got = await error_of(world.cumulus.Get(pb.GetRequest(kind="Job", name="hello")))
    assert type(got) is kind
    assert (got.message, got.job_id) == ("what happened", "hello")


@pytest.mark.parametrize(("after", "told"), [(0.25, 0.25), (90.0, 90.0), (1e9, 1.0)])
def test_when_to_ask_again_comes_along(after: float, told: float) -> None:
    got = from_grpc(received(to_grpc(e.TooManyRequestsError("slower", retry_after=after))))
    assert isinstance(got, e.TooManyRequestsError)
    assert got.retry_after == told


def test_a_subclass_goes_as_its_nearest_listed_class() -> None:
    class QuotaError(e.ForbiddenError):
        pass

    assert row(QuotaError("no")) == TABLE[e.ForbiddenError]
    assert type(from_grpc(received(to_grpc(QuotaError("no"))))) is e.ForbiddenError


def test_a_driver_errors_reason_comes_back() -> None:
    got = from_grpc(received(to_grpc(e.Permanent("no such image", reason="ImageMissing"))))
    assert isinstance(got, e.Permanent)
    assert got.reason == "ImageMissing"


def test_problems_come_back_with_their_places() -> None:
    problems = (e.Problem("no", "spec.x", "a.yaml", 3, 7), e.Problem("two"))
    got = from_grpc(received(to_grpc(e.ValidationError(problems))))
    assert isinstance(got, e.ValidationError)
    assert got.problems == problems


async def test_thousands_of_problems_still_fit_into_a_status(world: World) -> None:
    world.jobs.fail = e.ValidationError(
        [e.Problem(f"is wrong é {n}", f"spec.env.{'k' * 90}") for n in range(5000)]
    )
    got = await error_of(world.cumulus.Get(pb.GetRequest(kind="Job", name="a")))
    assert isinstance(got, e.ValidationError)
    kept = len(got.problems)
    assert 10 < kept < 50
    assert got.problems[-1].message == f"and {5000 - kept + 1} more problems"


async def test_a_huge_message_is_cut_between_characters(world: World) -> None:
    world.jobs.fail = e.StoreError("ж" * 100_000)
    got = await error_of(world.cumulus.Get(pb.GetRequest(kind="Job", name="a")))
    assert isinstance(got, e.StoreError)
    assert got.message.strip("ж") == "…"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, e.UnavailableError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, e.UnavailableError),
        (grpc.StatusCode.UNAUTHENTICATED, e.UnauthenticatedError),
        (grpc.StatusCode.INVALID_ARGUMENT, e.ValidationError),
        (grpc.StatusCode.UNIMPLEMENTED, e.CumulusError),
        (grpc.StatusCode.CANCELLED, e.CumulusError),
    ],
)
def test_a_status_without_our_details_goes_by_its_code(
    code: grpc.StatusCode, kind: type[e.CumulusError]
) -> None:
    bare = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details="gone")
    assert type(from_grpc(bare)) is kind
    assert from_grpc(bare).message == "gone"
    silent = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata())
    assert from_grpc(silent).message == code.name


def test_details_that_are_broken_or_contradict_the_code_are_not_believed() -> None:
    broken = to_grpc(e.NoWorkersError())
    broken.details[0].value = b"\xff"
    assert type(from_grpc(received(broken))) is e.UnavailableError
    other = to_grpc(e.NoWorkersError())
    trailing = grpc.aio.Metadata(("grpc-status-details-bin", other.SerializeToString()))
    lying = grpc.aio.AioRpcError(
        grpc.StatusCode.NOT_FOUND, grpc.aio.Metadata(), trailing, details="x"
    )
    assert type(from_grpc(lying)) is e.NotFoundError
    foreign = to_grpc(e.NoWorkersError())
    foreign.details.insert(0, PackedAny(type_url="type.example/x"))
    assert type(from_grpc(received(foreign))) is e.NoWorkersError


def test_codes_are_those_of_the_design() -> None:
    seen = {kind.__name__: (r.grpc.name, r.http, r.exit) for kind, r in TABLE.items()}
    expected = {
        "ValidationError": ("INVALID_ARGUMENT", 400, 2),
        "NotFoundError": ("NOT_FOUND", 404, 4),
        "ConflictError": ("ABORTED", 409, 5),
        "UnauthenticatedError": ("UNAUTHENTICATED", 401, 6),
        "ForbiddenError": ("PERMISSION_DENIED", 403, 6),
        "NoWorkersError": ("UNAVAILABLE", 503, 7),
        "UnschedulableError": ("RESOURCE_EXHAUSTED", 503, 7),
    }
    assert {name: seen[name] for name in expected} == expected


def test_http_bodies_carry_job_and_problems() -> None:
    error = e.ValidationError([e.Problem("no", "spec.x")], job_id=UID)
    assert to_http(error) == (
        400,
        {
            "error": {
                "reason": "VALIDATION",
                "message": "spec.x: no",
                "job_id": UID,
                "problems": [{"message": "no", "path": "spec.x"}],
            }
        },
    )
    assert to_http(e.NoWorkersError())[1]["error"]["message"] == "No GPU workers available"


def test_only_unplaced_failures_are_errors_of_their_submission() -> None:
    failed = a_job(phase=Phase.FAILED, reason="NoWorkers", message="m")
    error = job_error(failed)
    assert isinstance(error, e.NoWorkersError)
    assert (error.message, error.job_id) == ("m", UID)
    assert job_error(a_job(phase=Phase.FAILED, reason="Error")) is None
    assert job_error(a_job(phase=Phase.PENDING, reason="NoWorkers")) is None
