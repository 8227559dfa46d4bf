"""Every delay the plan knows, and what is computed from them. Pure; seconds throughout."""

from __future__ import annotations

from typing import Final

RETRY_CEILING: Final = 3600.0
"""No back-off between attempts is longer."""

UNSTARTED_RETRY: Final = 2.0
"""Before a new attempt where nothing had run (lease refused, agent silent): not a retry."""

LEASE_PATIENCE: Final = 20.0
"""An agent silent for so long before anything started loses the lease to another worker."""

STRAY_PATIENCE: Final = 3.0
"""Before the next attempt where the platform may just have been starting the last one: what starts
after its service was removed or its lease ended is killed within a second or two."""

START_PATIENCE: Final = 60.0
"""A service the platform has not started so long after the lease was held never will be."""

OVERRUN_PATIENCE: Final = 3.0
"""After a lease's end the agent has TERM and KILL behind it; then the controller steps in."""

STOP_PATIENCE: Final = 5.0
"""Beyond the job's own grace, before the controller removes what the agent should have stopped."""

LOGS_PATIENCE: Final = 5.0
"""An ended service's last log lines are waited for so long, then read from the platform."""

LOGS_CEILING: Final = 30.0
"""After so long without complete logs a job ends with the ones there are, and they say so."""

LOGS_MOMENT: Final = 2.0
"""An overdue service's log is asked for within so long, then it goes with the service: its node is
out of reach, and the job may wait to go elsewhere."""

SAVING_PATIENCE: Final = 60.0
"""An agent silent for so long while it saves what an attempt left is not waited for: the next
attempt goes on from what was kept before."""

LEFT_PATIENCE: Final = 600.0
"""The same where no further attempt waits for it: it is only a record that stays."""

FORGET_MARGIN: Final = 10.0
"""Beyond the time at which a worker ends a lease alone, before nothing of it counts as running:
its agent has TERM and KILL behind it by then, also where it was just being started anew."""

DRIFT: Final = 0.001
"""Part of a span of time by which two machines' clocks may come to differ over it."""

REMOVAL_MARGIN: Final = 20.0
"""From the removal of a service to its container being gone, on a node that the platform reaches:
its own moment before SIGTERM, the grace, SIGKILL."""

IMAGE_LOOK: Final = 1.0
"""Between looks at whether the engine's images have been listed since a job came."""

PLATFORM_RETRY: Final = 1.0
"""Between looks at a platform that could not be listed."""

START_ALLOWANCE: Final = 10.0
"""From a lease being wanted to it being held, as the queue reckons. A job whose preparation takes
longer delays whoever waits for its room by as much, once, and nobody may slip in meanwhile."""

SOON: Final = 1.0
"""A lease that is over but not yet gone frees its room so long from now, as the queue reckons."""

RENTAL_MARGIN: Final = 60.0
"""Between the end of a lease and the end of its worker's rental, when it is placed: preparation
comes before it, stopping the container and sending its last lines after it."""

RENTAL_END: Final = 10.0
"""The part of it that must be left once the lease is held and its end is known."""
DISCONNECT_SLACK: Final = 10.0
"""An agent counts its silence from an earlier moment than the controller, by less than this."""

CLOCKS_AGREE: Final = 5.0
"""A worker's clock that is further from ours is not used to tell what came first."""

CLOCK_SLACK: Final = 0.1
"""An end this close before the lease's own counts as caused by it (clocks and rounding)."""


def retry_delay(backoff: int, failures: int) -> float:
    """Seconds before the next attempt after `failures` (>= 1) counted ones: doubles each time.

    backoff: seconds before the second attempt. The result is at most `RETRY_CEILING`.
    """
    return min(backoff * 2.0 ** min(failures - 1, 20), RETRY_CEILING)


def earliest(*times: float | None) -> float | None:
    """The earliest of those that are set, or None."""
    return min((t for t in times if t is not None), default=None)
