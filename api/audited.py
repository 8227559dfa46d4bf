"""Who called what and what came of it, as plain frozen values, and which of it somebody asks for.
Pure; with their protos.

A line holds names and addresses, never a body, a header or a secret. Made by `gate.py`, kept by the
controller's `runtime/audit.py`, carried by the service Tenancy.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, fields
from enum import Enum
from typing import Final, Protocol

from ..crd_like_specs.errors import ValidationError
from .gen.cumulus.v1 import tenancy_pb2 as pb

CHARS: Final = 200
"""Of any text in a line; a longer one is cut."""


class Came(str, Enum):
    """What came of a call."""

    ALLOWED = "allowed"
    REFUSED = "refused"  # the caller may not, or not now
    FAILED = "failed"  # it might have, and something else was wrong


@dataclass(frozen=True, slots=True)
class Audited:
    """One call. via: grpc or http; address: of the caller, without its port; who: the holder's name,
    or its role where it has none; token: id of one that was handed out; method: of gRPC, or as HTTP has
    it; resource: what was named; reason: of the error, in a word; repeated: so many more of the same
    within the minute before; sequence: rises, may have gaps; time: POSIX seconds.
    """

    via: str
    method: str
    outcome: str
    address: str = ""
    who: str = ""
    role: str = ""
    token: str = ""
    project: str = ""
    resource: str = ""
    reason: str = ""
    repeated: int = 0
    request_id: str = ""
    sequence: int = 0
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What is asked for; "" and 0: all. method, resource: a part of it; since: POSIX seconds; after:
    behind this sequence number; tail: only the last so many of those there are; watch: go on.
    """

    who: str = ""
    project: str = ""
    method: str = ""
    resource: str = ""
    outcome: str = ""
    address: str = ""
    since: float = 0.0
    after: int = 0
    tail: int = 0
    watch: bool = False

    def takes(self, line: Audited) -> bool:
        """Whether it is asked for."""
        return (
            line.sequence > self.after
            and line.time >= self.since
            and self.who in ("", line.who)
            and self.project in ("", line.project)
            and self.outcome in ("", line.outcome)
            and self.address in ("", line.address)
            and self.method.lower() in line.method.lower()
            and self.resource in line.resource
        )

    def checked(self) -> AuditQuery:
        """The same. ValidationError."""
        known = [one.value for one in Came]
        if self.outcome and self.outcome not in known:
            raise ValidationError(
                f"there is no outcome {self.outcome!r:.40}: expected {', '.join(known)}"
            )
        if self.tail < 0 or self.after < 0:
            raise ValidationError("tail and after: expected 0 or more")
        return self


class AuditPort(Protocol):
    """The journal of calls."""

    def note(self, line: Audited) -> None:
        """Keep it; costs a moment and waits for nothing."""

    def read(self, query: AuditQuery) -> AsyncIterator[Audited]:
        """Those asked for, oldest first; endless where it watches."""


def audited_to_proto(line: Audited) -> pb.AuditRecord:
    """One line."""
    return pb.AuditRecord(**asdict(line))


def audited_from_proto(message: pb.AuditRecord) -> Audited:
    """The inverse."""
    return Audited(**{one.name: getattr(message, one.name) for one in fields(Audited)})


def query_to_proto(query: AuditQuery) -> pb.AuditRequest:
    """What is asked for."""
    return pb.AuditRequest(**asdict(query))


def query_from_proto(message: pb.AuditRequest) -> AuditQuery:
    """The inverse. ValidationError."""
    found = {one.name: getattr(message, one.name) for one in fields(AuditQuery)}
    return AuditQuery(**found).checked()
