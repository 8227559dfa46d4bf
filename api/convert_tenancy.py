"""Projects and quotas ⇄ protos. Pure; shared by the server and the SDK."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, fields, replace

from ..crd_like_specs.errors import ValidationError
from .gen.cumulus.v1 import tenancy_pb2 as pb
from .tenancy import Project, Quota, Use

LIMITS = tuple(one.name for one in fields(Quota))


def quota_to_proto(quota: Quota) -> pb.Quota:
    """What is not limited is left out."""
    return pb.Quota(**{name: value for name, value in asdict(quota).items() if value is not None})


def quota_from_proto(message: pb.Quota) -> Quota:
    """The inverse."""
    return Quota(**{name: getattr(message, name) for name in LIMITS if message.HasField(name)})


def merged(before: Quota, given: Quota, lift: Collection[str] = ()) -> Quota:
    """`before` with what is given, and without the limits that are lifted. ValidationError."""
    unknown = sorted(set(lift) - set(LIMITS))
    if unknown:
        raise ValidationError(f"there is no limit {unknown[0]!r:.40}: expected {', '.join(LIMITS)}")
    changes = {name: value for name, value in asdict(given).items() if value is not None}
    return replace(before, **{**dict.fromkeys(lift), **changes})


def project_to_proto(project: Project) -> pb.Project:
    """With what is used of its limits."""
    use = project.use
    return pb.Project(
        name=project.name,
        quota=quota_to_proto(project.quota),
        running=use.running,
        waiting=use.waiting,
        gpu=use.gpu,
        dataset_bytes=use.dataset_bytes,
        tokens=project.tokens,
        configured=project.configured,
        day_ends=project.day_ends,
    )


def project_from_proto(message: pb.Project) -> Project:
    """The inverse."""
    return Project(
        name=message.name,
        quota=quota_from_proto(message.quota),
        use=Use(message.running, message.waiting, message.gpu, message.dataset_bytes),
        tokens=message.tokens,
        configured=message.configured,
        day_ends=message.day_ends,
    )
