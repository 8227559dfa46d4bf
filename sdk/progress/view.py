"""What is to be said of a job, or of many, while they are waited for. PURE: time is an argument.

A view takes events and gives one line; a display (`display.py`) shows it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ...api.frames import State
from ...crd_like_specs.job import Job, Phase
from ..stream import Done, Event

COLOURS = {
    Phase.RUNNING: "cyan",
    Phase.STARTING: "cyan",
    Phase.SUCCEEDED: "green",
    Phase.FAILED: "red",
    Phase.TIMED_OUT: "red",
    Phase.CANCELLED: "dim",
}
_SHORT = 160


@dataclass
class JobView:
    """One job. job: as last told, None before anything is."""

    name: str
    job: Job | None = None

    def accept(self, event: Event) -> None:
        """Take note of a state; log records change nothing."""
        if isinstance(event, State | Done):
            self.job = event.job

    @property
    def colour(self) -> str:
        """For the line: a word that rich knows."""
        return COLOURS.get(self.job.status.phase, "yellow") if self.job else "dim"

    def line(self, now: float) -> str:
        """`train Running on gpu-1, 12 s, 59:48 left` or `train Pending: 2nd in line: …`.

        now: POSIX seconds.
        """
        if self.job is None:
            return f"{self.name}: being handed in"
        status = self.job.status
        parts = [f"{self.name} {status.phase.value}"]
        if status.worker and not status.phase.terminal:
            parts[0] += f" on {status.worker}"
        if status.attempt > 1:
            parts[0] += f" (attempt {status.attempt})"
        if status.phase is Phase.RUNNING and status.started_at:
            parts.append(clock(now - status.started_at))
        if not status.phase.terminal and status.expires_at:
            parts.append(f"{clock(status.expires_at - now)} left")
        if status.phase.terminal and status.finished_at and status.started_at:
            parts.append(f"after {clock(status.finished_at - status.started_at)}")
        said = ", ".join(parts)
        why = "" if status.phase is Phase.RUNNING else status.message or status.reason
        text = f"{said}: {why}" if why else said
        return text if len(text) <= _SHORT else text[: _SHORT - 1] + "…"

    @property
    def key(self) -> str:
        """Equal as long as nothing but time has passed."""
        return self.line(0.0) if self.job is None else self._timeless()

    def _timeless(self) -> str:
        assert self.job is not None
        status = self.job.status
        return f"{status.phase.value} {status.attempt} {status.worker} {status.message}"


@dataclass
class ManyView:
    """The jobs of a map. total: of inputs, 0 where that is not known."""

    name: str
    total: int = 0
    jobs: dict[str, Phase] = field(default_factory=dict)
    colour: str = "cyan"
    _last: Job | None = None

    def accept(self, event: Event) -> None:
        """A state of any of the jobs."""
        if isinstance(event, State | Done):
            self.jobs[event.job.metadata.uid] = event.job.status.phase
            self._last = event.job

    def line(self, now: float) -> str:
        """`square: 120 of 200 done, 1 failed, 4 running, 28 waiting`."""
        del now
        counts = Counter(self.jobs.values())
        good = counts[Phase.SUCCEEDED]
        bad = sum(n for phase, n in counts.items() if phase.terminal) - good
        running = counts[Phase.RUNNING]
        waiting = sum(counts.values()) - good - bad - running
        parts = [f"{good} of {self.total} done" if self.total else f"{good} done"]
        parts += [
            f"{number} {word}"
            for number, word in ((bad, "failed"), (running, "running"), (waiting, "waiting"))
            if number
        ]
        text = f"{self.name}: {', '.join(parts)}"
        if waiting and not running and self._last and self._last.status.phase is Phase.PENDING:
            text += f" ({self._last.status.message})" if self._last.status.message else ""
        return text if len(text) <= _SHORT else text[: _SHORT - 1] + "…"

    @property
    def key(self) -> str:
        """Equal as long as nothing but time has passed."""
        return self.line(0.0)


def clock(seconds: float) -> str:
    """`7 s`, `12:05` or `1:02:03`; nothing is below `0 s`."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
