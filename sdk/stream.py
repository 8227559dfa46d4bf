"""What comes next on a job's stream, and what to do after a break. PURE; called by `follow.py`.

`accept(progress, frame)` says what a frame adds to what is known: nothing (it was seen before),
events for the user, or that the connection must be opened again because records are missing.

- A log record is (attempt, sequence). Each is told once, in order; one seen before is dropped.
- A record too far ahead is a gap: the stream is asked once more from where we are. Where the
  server still begins too far ahead, the missing records are no longer kept: `LogsLost`.
- The server goes on from the position asked for: to the end of that attempt, then to the next.
- A result arrives in pieces without offsets, so a break begins it anew.
- Only `Finished` is the end of a job. The end of a stream is not, and neither is `Finished` of a
  run that a changed spec has just replaced: it is asked again until the new run has begun.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from ..api.frames import Finished, JobEvent, Log, LogRecord, ResultChunk, State
from ..crd_like_specs.job import Job


@dataclass(frozen=True, slots=True)
class LogsLost:
    """Records the server no longer keeps: `count` of them from sequence number `first` on."""

    attempt: int
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Done:
    """The job in its terminal phase; the last event.

    envelope: the runner's result envelope (JSON), None where there is none;
    incomplete: it exists, but did not arrive whole and must be fetched.
    """

    job: Job
    envelope: bytes | None = None
    incomplete: bool = False


Event = State | Log | LogsLost | Done


@dataclass(frozen=True, slots=True)
class Position:
    """The next log record wanted. attempt 0: of the current attempt, from its start."""

    attempt: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """What was told so far.

    uid, version: of the job as last told; at: the next record (its attempt may not have begun
    yet); result: pieces so far; missing: the gap for which the stream was opened again.
    """

    uid: str = ""
    version: int = 0
    at: Position = Position()
    result: tuple[bytes, ...] = ()
    missing: Position | None = None
    done: bool = False


class Next(Enum):
    """What to do after a frame. AGAIN: open the stream at `progress.at` now; LATER: after a pause."""

    READ = "read"
    AGAIN = "again"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Step:
    """What a frame led to."""

    progress: Progress
    events: tuple[Event, ...] = ()
    then: Next = Next.READ


def reopened(progress: Progress) -> Progress:
    """The stream was opened again: the same position, the result from its start."""
    return replace(progress, result=())


def accept(progress: Progress, frame: JobEvent) -> Step:
    """One frame of Submit, Follow or (as `Log`) Logs. Frames after the end are ignored."""
    if progress.done:
        return Step(progress)
    if isinstance(frame, State):
        return _state(progress, frame)
    if isinstance(frame, Log):
        return _log(progress, frame.record)
    if isinstance(frame, ResultChunk):
        return Step(replace(progress, result=(*progress.result, frame.data)))
    return _finished(progress, frame)


def replaced(job: Job) -> bool:
    """Whether what its status tells is the end of a run that a newer spec replaces."""
    return job.status.phase.terminal and job.status.observed_generation < job.metadata.generation


def _state(progress: Progress, frame: State) -> Step:
    job, at = frame.job, progress.at
    if at.attempt == 0:  # the first look: the current attempt, or the first there will be
        at = Position(max(1, job.status.attempt), at.offset)
    version = job.metadata.resource_version
    known = replace(progress, uid=job.metadata.uid, version=max(version, progress.version), at=at)
    if replaced(job) or 0 < version <= progress.version:
        return Step(known)
    return Step(known, (frame,))


def _log(progress: Progress, record: LogRecord) -> Step:
    at = progress.at
    if (record.attempt, record.sequence) < (at.attempt, at.offset):
        return Step(progress)
    same = at.attempt in (0, record.attempt)
    wanted = Position(record.attempt, at.offset if same else 0)
    after = replace(progress, at=Position(record.attempt, record.sequence + 1), missing=None)
    if record.sequence == wanted.offset:
        return Step(after, (Log(record),))
    if progress.missing != wanted:
        return Step(replace(progress, at=wanted, missing=wanted), then=Next.AGAIN)
    lost = LogsLost(wanted.attempt, wanted.offset, record.sequence - wanted.offset)
    return Step(after, (lost, Log(record)))


def _finished(progress: Progress, frame: Finished) -> Step:
    job = frame.job
    if replaced(job):
        return Step(replace(progress, uid=job.metadata.uid), then=Next.LATER)
    envelope = b"".join(progress.result)
    done = Done(
        job,
        envelope=envelope or None,
        incomplete=len(envelope) != job.status.result_size,
    )
    progress = replace(
        progress, uid=job.metadata.uid, version=job.metadata.resource_version, result=(), done=True
    )
    return Step(progress, (done,))
