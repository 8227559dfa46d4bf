"""Projects: whose jobs, datasets and outputs something is, and how much of it there may be. Plain
frozen values and ports; pure.

A token is of one project, several tokens may be of the same one, and limits are a project's: all of
its tokens share them. Kept by the controller's `runtime/projects.py`; carried by `convert_tenancy.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final, Protocol

from ..crd_like_specs.errors import Problem, ValidationError
from ..crd_like_specs.identity import NAME_PATTERN
from ..crd_like_specs.units import parse_bytes

UNLIMITED: Final = "none"
"""How people write that there is no limit."""

MOST_RUNNING: Final = 1_000_000
MOST_GPU: Final = 1_000_000_000  # milli-GPU-hours
MOST_BYTES: Final = 1 << 60
_HOURS: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*(?:h)?(?:/day)?")


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits of a project; None: no limit. running: jobs at once; gpu: milli-GPU-hours (thousandths
    of a device, for an hour) in a UTC day; dataset_bytes: of the datasets that it owns.
    """

    running: int | None = None
    gpu: int | None = None
    dataset_bytes: int | None = None

    def problems(self) -> Iterator[Problem]:
        """What is wrong with it."""
        most = {"running": MOST_RUNNING, "gpu": MOST_GPU, "dataset_bytes": MOST_BYTES}
        for one in fields(self):
            value = getattr(self, one.name)
            if value is not None and not 0 <= value <= most[one.name]:
                yield Problem(
                    f"{value} is given, expected 0 to {most[one.name]}", f"quota.{one.name}"
                )

    @property
    def empty(self) -> bool:
        """Whether nothing is limited."""
        return self == NO_QUOTA


NO_QUOTA: Final = Quota()


@dataclass(frozen=True, slots=True)
class Use:
    """What a project has now. running, waiting: jobs; gpu: milli-GPU-hours of today (UTC), used or
    booked by what runs; dataset_bytes: of its datasets.
    """

    running: int = 0
    waiting: int = 0
    gpu: int = 0
    dataset_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Project:
    """tokens: how many are of it; configured: its quota stands in the controller's configuration,
    and is changed there; day_ends: POSIX seconds at which the day of `use.gpu` is over.
    """

    name: str
    quota: Quota = NO_QUOTA
    use: Use = Use()
    tokens: int = 0
    configured: bool = False
    day_ends: float = 0.0


class ProjectsPort(Protocol):
    """Limits, and what is used of them."""

    async def get(self, name: str) -> Project:
        """One, whether anything is known of it or not."""

    async def list(self) -> tuple[Project, ...]:
        """Those that have limits or tokens, by name."""

    async def set_quota(self, name: str, quota: Quota, by: str) -> Project:
        """Replace its limits; an empty quota ends them all. by: who asks. ValidationError,
        ConflictError where they stand in the configuration.
        """


class DatasetQuotaPort(Protocol):
    """For who keeps datasets. owner: as `Viewer.owner`, "" for nobody's, which has no limit."""

    def check_dataset_bytes(self, owner: str, used: int, more: int) -> None:
        """used: bytes of its datasets so far; more: bytes that are to come. QuotaExceededError with
        what is left where that is too much.
        """


def parse_hours(text: str) -> int:
    """Milli-GPU-hours a day of `2.5`, `2.5h` or `2.5/day`. ValidationError."""
    found = _HOURS.fullmatch(text.strip())
    if found is None:
        raise ValidationError(
            f"{text!r:.40} is no number of GPU-hours: expected one such as 2.5 or 2.5/day, "
            "to the thousandth"
        )
    return round(float(found[1]) * 1000)


def parse_count(text: str) -> int:
    """Jobs. ValidationError."""
    if not re.fullmatch(r"\d{1,7}", text.strip()):
        raise ValidationError(f"{text!r:.40} is no number of jobs: expected one such as 4")
    return int(text)


def parse_size(text: str) -> int:
    """Bytes of `50Gi`. ValidationError."""
    try:
        return parse_bytes(text)
    except ValueError as error:
        raise ValidationError(f"{text!r:.40} is no size: expected one such as 50Gi") from error


def name_problems(name: str, path: str) -> Iterator[Problem]:
    """What is wrong with a project's name."""
    if not re.fullmatch(NAME_PATTERN, name):
        yield Problem("expected a name of lower-case letters, digits and inner dashes", path)
