"""What the dashboard shows beside single records: the fleet at a glance, what was, what is planned.

Values and one port, no I/O. Implemented by `controller/runtime/overview.py`, used by `web/`. Times
are POSIX seconds; shares are thousandths of a device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..crd_like_specs.job import Job
from ..crd_like_specs.lease import Lease
from ..crd_like_specs.worker import Worker
from .frames import WorkerUse
from .viewer import Viewer


@dataclass(frozen=True, slots=True)
class PastLease:
    """A lease that is gone. start, end: when it was held; due: when it had to end; outcome: the
    phase in which its attempt ended, or `Ended` where that is not known.
    """

    name: str
    job: str
    owner: str
    attempt: int
    worker: str
    devices: tuple[int, ...]
    milli: int
    start: float
    end: float
    due: float
    outcome: str


@dataclass(frozen=True, slots=True)
class PlannedLease:
    """Room that is kept for a job that waits. start: when it begins at the latest; after: the job
    whose lease's end it waits for, "" where it waits for none.
    """

    job: str
    worker: str
    devices: tuple[int, ...]
    milli: int
    start: float
    end: float
    after: str = ""


@dataclass(frozen=True, slots=True)
class WorkerNow:
    """A worker with what is free of it, device → thousandths, and what it said lately that it uses."""

    worker: Worker
    free: Mapping[int, int] = field(default_factory=dict)
    use: WorkerUse | None = None


@dataclass(frozen=True, slots=True)
class Board:
    """Everything on one page, as one viewer sees it at `now`.

    jobs: those that run, those that wait in the order of the queue, those that ended lately;
    running, waiting: how many there are, `jobs` may be cut; hidden: workers beyond those in `workers`.
    """

    now: float
    jobs: tuple[Job, ...] = ()
    running: int = 0
    waiting: int = 0
    workers: tuple[WorkerNow, ...] = ()
    hidden: int = 0
    leases: tuple[Lease, ...] = ()
    past: tuple[PastLease, ...] = ()
    planned: tuple[PlannedLease, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the whole fleet. used, total: thousandths of devices; overrun: seconds of the
    latest of the leases that ran out since the look before, -1.0 where there was none.
    """

    time: float
    waiting: int
    running: int
    used: int
    total: int
    overrun: float = -1.0


class OverviewPort(Protocol):
    """What `Board` and the plots are made of. Jobs and leases that the viewer does not see are not
    there; workers, their shares and the samples are everybody's, since they name nobody.
    """

    def seen_by(self, viewer: Viewer) -> OverviewPort:
        """The same for this viewer."""

    def now(self) -> float:
        """The controller's clock."""

    def board(self) -> Board:
        """As it is now; a few milliseconds."""

    def samples(self, since: float) -> Sequence[Sample]:
        """Those kept that are younger, oldest first; kept in memory only."""

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call on the event loop after each change of any record; returns what ends it."""
