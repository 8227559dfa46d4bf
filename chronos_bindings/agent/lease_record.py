"""The values that the plan for one lease reads and gives. Pure; no clock, no I/O.

Times named `mono` or without further words are seconds on the machine's monotonic clock; times
that leave the machine (`held_at`, `expires_at`) are POSIX seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from ...api.frames import LeaseWanted
from ...crd_like_specs.lease import LeaseMount, LeaseState, LeaseStatus
from .checkpoint_port import Excess


class Verb(str, Enum):
    """One small thing to do for a lease; each can be done twice."""

    STAGE = "stage"  # code and arguments into the unit's folder
    PREPARE = "prepare"  # requirements into a cached environment
    HOLD = "hold"  # take the shares, for the first time or again after they were lost
    RENEW = "renew"  # take the shares for longer: the lease was extended
    WARN = "warn"  # tell the job when it ends
    END = "end"  # from now on the lease is being ended (a note, nothing outside changes)
    TERM = "term"  # SIGTERM
    KILL = "kill"  # SIGKILL
    VERIFY = "verify"  # look whether anything of the unit still runs
    WEIGH = "weigh"  # look whether the devices still hold memory of it
    RELEASE = "release"  # give the shares back
    SAVE = "save"  # bring to safety what it left; goes on while other steps are taken
    DROP = "drop"  # remove the folder and forget the lease


@dataclass(frozen=True, slots=True)
class Record:
    """What the agent knows of one lease.

    deadline: when it ends (None: not held yet). ending: the reason once it is being ended, from
    `ending_at` on; grace: seconds from then to SIGKILL. gone: nothing of the unit runs, as
    verified since. seen_running: the last verification found it running. epoch: of the
    partitioner when the shares were taken. stop_after: seconds without contact after which it is
    ended, 0 never. gone_at: when `gone` was first verified; ended_at: the same, in POSIX seconds
    by the timer of the end. weight: bytes that the devices hold of it though it is gone, None
    while nobody has looked, 0 also where nobody can tell. image: id here of the one that the service is to use.
    renew: its shares are to be taken for longer.
    notice: seconds from the end's beginning to SIGTERM. saving: what it left is being brought to
    safety; saved: it is, or was given up, at
    `saved_at` (0.0: there was nothing). failures, failing_since, retry_at: of the step at hand.
    """

    name: str
    state: LeaseState = LeaseState.PENDING
    staged: bool = False
    env_ready: bool = False
    partitions: tuple[str, ...] = ()
    backend: str = ""
    epoch: int = 0
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[LeaseMount, ...] = ()
    image: str = ""
    held_at: float = 0.0
    expires_at: float = 0.0
    deadline: float | None = None
    duration: float = 0.0
    is_code: bool = False
    warned: bool = False
    ending: str = ""
    ending_at: float = 0.0
    grace: float = 0.0
    termed: bool = False
    killed_at: float | None = None
    verify_at: float = 0.0
    gone: bool = False
    renew: bool = False
    seen_running: bool = False
    reason: str = ""
    message: str = ""
    stop_after: float = 0.0
    gone_at: float | None = None
    notice: float = 0.0
    saving: bool = False
    saved: bool = False
    saved_at: float = 0.0
    ended_at: float = 0.0
    weight: int | None = None
    failures: int = 0
    failing_since: float = 0.0
    retry_at: float = 0.0

    @property
    def over(self) -> bool:
        """Nothing runs and nothing is held any more."""
        return bool(self.ending) and self.gone and not self.partitions

    def status(self) -> LeaseStatus:
        """As the controller is told."""
        return LeaseStatus(
            state=self.state,
            partition_ids=self.partitions,
            backend=self.backend,
            held_at=self.held_at,
            expires_at=self.expires_at,
            ended_at=self.ended_at,
            env=dict(self.env),
            mounts=self.mounts,
            image=self.image,
            reason=self.reason,
            message=self.message,
        )


@dataclass(frozen=True, slots=True)
class View:
    """The lease's surroundings at one moment.

    wanted: None where the controller does not list it. informed: the wanted set has come at
    least once since this agent started. contact: the controller can be heard now. contact_at: the
    last moment of which the controller is known to have heard this agent. running, since
    `running_since`: what the runtime last said of the unit. epoch: the partitioner's, now. excess:
    why a folder of it is too large to go on, None where none is.
    """

    mono: float
    wall: float
    wanted: LeaseWanted | None = None
    informed: bool = False
    contact: bool = False
    contact_at: float = 0.0
    running: bool = False
    running_since: float = 0.0
    epoch: int = 0
    excess: Excess | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """Do this now. rule: which one decided. The others go with END; notice: seconds from the
    warning to SIGTERM, grace: from there to SIGKILL.
    """

    verb: Verb
    rule: str
    reason: str = ""
    grace: float = 0.0
    notice: float = 0.0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do until then (monotonic seconds; None: until there is news)."""

    rule: str
    until: float | None = None
