"""The one table: error → gRPC code, HTTP status, exit code; and errors over the wire. Pure.

Used by the interceptor and the HTTP side (`to_grpc`, `to_http`), by the SDK (`from_grpc`: the
same class comes back with its message, job id and problems) and by cumulusctl (`exit_code`).
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from ..crd_like_specs import errors as e
from ..crd_like_specs.job import Job, Phase
from .gen.cumulus.v1 import cumulus_pb2 as pb

DOMAIN: Final = "cumulus.dev"
# All of a status travels in trailing metadata, of which clients accept 8 KiB by default.
_MESSAGE_BYTES: Final = 1024
_PROBLEM_BYTES: Final = 2048


class Row(NamedTuple):
    """One line of the table."""

    grpc: grpc.StatusCode
    http: int
    exit: int


_C: Final = grpc.StatusCode
TABLE: Final[dict[type[e.CumulusError], Row]] = {
    e.ValidationError: Row(_C.INVALID_ARGUMENT, 400, 2),
    e.NotFoundError: Row(_C.NOT_FOUND, 404, 4),
    e.ConflictError: Row(_C.ABORTED, 409, 5),
    e.ExpiredError: Row(_C.OUT_OF_RANGE, 410, 5),
    e.UnauthenticatedError: Row(_C.UNAUTHENTICATED, 401, 6),
    e.ForbiddenError: Row(_C.PERMISSION_DENIED, 403, 6),
    e.QuotaExceededError: Row(_C.RESOURCE_EXHAUSTED, 403, 8),
    e.TooManyRequestsError: Row(_C.RESOURCE_EXHAUSTED, 429, 8),
    e.NoWorkersError: Row(_C.UNAVAILABLE, 503, 7),
    e.UnschedulableError: Row(_C.RESOURCE_EXHAUSTED, 503, 7),
    e.UnavailableError: Row(_C.UNAVAILABLE, 503, 3),
    e.StoreError: Row(_C.INTERNAL, 500, 1),
    e.Temporary: Row(_C.UNAVAILABLE, 503, 1),
    e.Permanent: Row(_C.FAILED_PRECONDITION, 502, 1),
    e.DriverError: Row(_C.INTERNAL, 502, 1),
    e.CumulusError: Row(_C.INTERNAL, 500, 1),
}

_NUMBERS: Final = {code.value[0]: code for code in grpc.StatusCode}


def _reason(kind: type[e.CumulusError]) -> str:
    """NoWorkersError → NO_WORKERS, as google.rpc.ErrorInfo wants it."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__.removesuffix("Error")).upper()


_BY_REASON: Final = {_reason(kind): kind for kind in TABLE}

# For a status that no server of ours made: gRPC itself, a proxy, a closed port.
_BY_CODE: Final[dict[grpc.StatusCode, type[e.CumulusError]]] = {
    _C.INVALID_ARGUMENT: e.ValidationError,
    _C.NOT_FOUND: e.NotFoundError,
    _C.ABORTED: e.ConflictError,
    _C.OUT_OF_RANGE: e.ExpiredError,
    _C.UNAUTHENTICATED: e.UnauthenticatedError,
    _C.PERMISSION_DENIED: e.ForbiddenError,
    _C.UNAVAILABLE: e.UnavailableError,
    _C.DEADLINE_EXCEEDED: e.UnavailableError,
}


def row(error: e.CumulusError) -> Row:
    """The line for this error: of its class, or of the nearest class above it."""
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def exit_code(error: e.CumulusError) -> int:
    """What cumulusctl ends with."""
    return row(error).exit


def job_error(job: Job) -> e.CumulusError | None:
    """The error of a submission that ended since no worker can ever take the job, or None.

    Such a job is Failed with reason `NoWorkers` or `Unschedulable`.
    """
    if job.status.phase is not Phase.FAILED:
        return None
    kinds = {"NoWorkers": e.NoWorkersError, "Unschedulable": e.UnschedulableError}
    kind = kinds.get(job.status.reason)
    return kind(job.status.message, job_id=job.metadata.uid) if kind else None


def to_grpc(error: e.CumulusError) -> status_pb2.Status:
    """The status with ErrorInfo and ErrorDetail, cut so that it fits into trailing metadata."""
    status = status_pb2.Status(
        code=row(error).grpc.value[0], message=_cut(error.message, _MESSAGE_BYTES)
    )
    info = error_details_pb2.ErrorInfo(reason=_reason(_listed(error)), domain=DOMAIN)
    if isinstance(error, e.DriverError):
        info.metadata["driver_reason"] = _cut(error.reason, 64)
    if isinstance(error, e.TooManyRequestsError):
        info.metadata["retry_after"] = f"{error.retry_after:.3f}"
    detail = pb.ErrorDetail(job_id=_cut(error.job_id, 64))
    if isinstance(error, e.ValidationError):
        detail.problems.extend(_problems(error.problems))
    status.details.add().Pack(info)
    status.details.add().Pack(detail)
    return status


def from_grpc(error: grpc.RpcError) -> e.CumulusError:
    """The error that the server raised, or for a status that carries no details of ours the
    nearest one to its code. Works for errors of `grpc` and of `grpc.aio`.
    """
    call = cast("grpc.Call", error)  # what stubs raise is both
    info, detail = error_details_pb2.ErrorInfo(), pb.ErrorDetail()
    try:
        status = rpc_status.from_call(call)
        for packed in status.details if status else ():
            if packed.Is(info.DESCRIPTOR):
                packed.Unpack(info)
            elif packed.Is(detail.DESCRIPTOR):
                packed.Unpack(detail)
    except (ValueError, DecodeError):
        info.Clear()  # details that contradict the code or are broken: no server of ours
    kind = _BY_REASON.get(info.reason) if info.domain == DOMAIN else None
    message = str(call.details() or call.code().name)
    if kind is None:
        kind = _BY_CODE.get(call.code(), e.CumulusError)
        return kind(message, job_id=detail.job_id)
    if issubclass(kind, e.ValidationError) and detail.problems:
        found = [e.Problem(p.message, p.path, p.file, p.line, p.column) for p in detail.problems]
        return kind(found, job_id=detail.job_id)
    if issubclass(kind, e.DriverError):
        reason = info.metadata["driver_reason"]
        return kind(message, reason=reason, job_id=detail.job_id)
    if issubclass(kind, e.TooManyRequestsError):
        after = _seconds(info.metadata["retry_after"])
        return kind(message, retry_after=after, job_id=detail.job_id)
    return kind(message, job_id=detail.job_id)


def to_http(error: e.CumulusError) -> tuple[int, dict[str, Any]]:
    """HTTP status and the JSON body `{"error": {reason, message, job_id, problems}}`."""
    problems = error.problems if isinstance(error, e.ValidationError) else ()
    return row(error).http, {
        "error": {
            "reason": _reason(_listed(error)),
            "message": error.message,
            "job_id": error.job_id,
            "problems": [{"message": p.message, "path": p.path} for p in problems],
        }
    }


def reason_of(error: e.CumulusError) -> str:
    """The error in a word, `NOT_FOUND`, as it goes over the wire."""
    return _reason(_listed(error))


def _listed(error: e.CumulusError) -> type[e.CumulusError]:
    return next(kind for kind in type(error).__mro__ if kind in TABLE)


def _problems(problems: tuple[e.Problem, ...]) -> list[pb.Problem]:
    kept: list[pb.Problem] = []
    size = 0
    for problem in problems:
        packed = pb.Problem(
            message=_cut(problem.message, 512),
            path=_cut(problem.path, 256),
            file=_cut(problem.file, 256),
            line=problem.line,
            column=problem.column,
        )
        size += packed.ByteSize() + 4
        if kept and size > _PROBLEM_BYTES:
            kept.append(pb.Problem(message=f"and {len(problems) - len(kept)} more problems"))
            break
        kept.append(packed)
    return kept


def _seconds(text: str) -> float:
    """As a server of ours wrote it; one second where it is no such number."""
    return float(text) if re.fullmatch(r"[0-9]{1,6}\.[0-9]{3}", text) else 1.0


def _cut(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, never within a character."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode()
    return data[: limit - 3].decode("utf-8", "ignore") + "…"
