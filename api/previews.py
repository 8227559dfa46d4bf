"""What an apply would do, as plain frozen values, and their protos. Pure.

Made by the controller's `runtime/planning.py`, shown by `cumulusctl diff` and `plan`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..crd_like_specs.errors import ValidationError
from ..crd_like_specs.job import WorkerReason
from .convert import resource_from_proto, resource_to_proto
from .frames import Resource
from .gen.cumulus.v1 import plans_pb2 as pb
from .gen.cumulus.v1 import resources_pb2 as res
from .walk import from_message, to_message


class Change(str, Enum):
    """What would become of one object."""

    CREATED = "created"
    CHANGED = "changed"  # another spec, the same run
    REPLACED = "replaced"  # another run: what runs now is ended
    UNCHANGED = "unchanged"
    PRUNED = "pruned"
    REFUSED = "refused"  # apply would be an error


class Starts(str, Enum):
    """Whether and when a job would start."""

    NOW = "now"
    LATER = "later"
    NEVER = "never"
    UNKNOWN = "unknown"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Expected:
    """at, ends: POSIX seconds, 0.0 where unknown; reason: one sentence; workers: why those cannot."""

    when: Starts
    at: float = 0.0
    ends: float = 0.0
    worker: str = ""
    devices: tuple[int, ...] = ()
    reason: str = ""
    workers: tuple[WorkerReason, ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """One object. before, after: None where it is not there; problems: with REFUSED."""

    change: Change
    before: Resource | None = None
    after: Resource | None = None
    problems: tuple[str, ...] = ()
    expected: Expected | None = None

    @property
    def resource(self) -> Resource:
        """As it would be, or was."""
        found = self.after or self.before
        assert found is not None, "a change is of something"
        return found


@dataclass(frozen=True, slots=True)
class Preview:
    """Everything one call would do; now: POSIX seconds of the controller."""

    changes: tuple[Planned, ...]
    now: float


def preview_to_proto(preview: Preview) -> pb.PlanResponse:
    """The whole."""
    return pb.PlanResponse(changes=[_planned(one) for one in preview.changes], now=preview.now)


def preview_from_proto(message: pb.PlanResponse) -> Preview:
    """The inverse. ValidationError for kinds of change that this version does not know."""
    return Preview(tuple(_planned_from(one) for one in message.changes), message.now)


def _planned(one: Planned) -> pb.PlannedChange:
    return pb.PlannedChange(
        kind=one.change.name,
        before=resource_to_proto(one.before) if one.before else None,
        after=resource_to_proto(one.after) if one.after else None,
        problems=one.problems,
        forecast=_expected(one.expected) if one.expected else None,
    )


def _planned_from(message: pb.PlannedChange) -> Planned:
    return Planned(
        change=Change[_known(pb.PlannedChange.Kind.Name(message.kind), Change)],
        before=resource_from_proto(message.before) if message.HasField("before") else None,
        after=resource_from_proto(message.after) if message.HasField("after") else None,
        problems=tuple(message.problems),
        expected=_expected_from(message.forecast) if message.HasField("forecast") else None,
    )


def _expected(one: Expected) -> pb.Forecast:
    return pb.Forecast(
        when=one.when.name,
        at=one.at,
        ends=one.ends,
        worker=one.worker,
        devices=one.devices,
        reason=one.reason,
        workers=[to_message(reason, res.WorkerReason) for reason in one.workers],
    )


def _expected_from(message: pb.Forecast) -> Expected:
    return Expected(
        when=Starts[_known(pb.Forecast.When.Name(message.when), Starts)],
        at=message.at,
        ends=message.ends,
        worker=message.worker,
        devices=tuple(message.devices),
        reason=message.reason,
        workers=tuple(from_message(reason, WorkerReason) for reason in message.workers),
    )


def _known(name: str, kinds: type[Enum]) -> str:
    if name not in kinds.__members__:
        raise ValidationError(f"{name} is no {kinds.__name__} that this version knows")
    return name
