"""However a stream is cut, repeated or reordered in time, a line arrives once and in order."""

from __future__ import annotations

from collections.abc import Iterator

from cumulus.api.frames import Finished, JobEvent, Log, LogRecord, LogStream, ResultChunk, State
from cumulus.crd_like_specs.job import Code, Job, JobSpec, JobStatus, Phase
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.sdk.stream import Done, LogsLost, Next, Position, Progress, Step, accept, reopened
from hypothesis import given
from hypothesis import strategies as st

UID = "a" * 32
ENVELOPE = b'{"status": "success", "result": 1}'
SPEC = JobSpec(code=Code(files={"main.py": "def main(): pass\n"}))


def job(version: int, phase: Phase, attempt: int, *, generation: int = 1, seen: int = 1) -> Job:
    size = len(ENVELOPE) if phase.terminal else 0
    return Job(
        metadata=ObjectMeta(name="x", uid=UID, resource_version=version, generation=generation),
        spec=SPEC,
        status=JobStatus(phase=phase, attempt=attempt, observed_generation=seen, result_size=size),
    )


def told(attempt: int, sequence: int) -> Log:
    return Log(LogRecord(sequence, LogStream.STDOUT, 0.0, b"%d\n" % sequence, attempt))


def serve(counts: list[int], at: Position, now: int, kept_from: int) -> Iterator[JobEvent]:
    """What an honest server sends for a job of `len(counts)` attempts, `now` being current."""
    yield State(job(now, Phase.RUNNING, now))
    for attempt in range(at.attempt or now, len(counts) + 1):
        if attempt > now:
            yield State(job(attempt, Phase.RUNNING, attempt))
        start = at.offset if attempt == at.attempt else 0
        for sequence in range(max(start, kept_from), counts[attempt - 1]):
            yield told(attempt, sequence)
    yield State(job(len(counts) + 1, Phase.SUCCEEDED, len(counts)))
    for start in range(0, len(ENVELOPE), 7):
        yield ResultChunk(ENVELOPE[start : start + 7])
    yield Finished(job(len(counts) + 1, Phase.SUCCEEDED, len(counts)))


@given(
    counts=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 20), max_size=12),
    twice=st.sets(st.integers(0, 60)),
    late=st.lists(st.integers(1, 4), max_size=12),
    kept_from=st.integers(0, 5),
)
def test_every_line_arrives_once_and_in_order_whatever_breaks(
    counts: list[int], cuts: list[int], twice: set[int], late: list[int], kept_from: int
) -> None:
    progress, lines, lost, states, ends = Progress(), [], [], [], []
    cuts, late, seen, opened = list(cuts), list(late), 0, 0
    while not progress.done:
        progress, opened = reopened(progress), opened + 1
        assert opened < 100
        now = max(late.pop(0) if late else 1, progress.at.attempt)
        limit = cuts.pop(0) if cuts else None
        for count, frame in enumerate(serve(counts, progress.at, min(now, len(counts)), kept_from)):
            if count == limit:
                break
            seen += 1
            for _ in range(2 if seen in twice and not isinstance(frame, ResultChunk) else 1):
                step = accept(progress, frame)
                progress = step.progress
                for event in step.events:
                    if isinstance(event, Log):
                        lines.append((event.record.attempt, event.record.sequence))
                    elif isinstance(event, LogsLost):
                        lost.append(event)
                    else:
                        (ends if isinstance(event, Done) else states).append(event)
            if step.then is not Next.READ or progress.done:
                break
    started = states[0].job.status.attempt
    wanted = [
        (attempt, sequence)
        for attempt in range(started, len(counts) + 1)
        for sequence in range(kept_from, counts[attempt - 1])
    ]
    assert lines == wanted
    assert {(gap.attempt, gap.first, gap.count) for gap in lost} == {
        (attempt, 0, kept_from)
        for attempt in range(started, len(counts) + 1)
        if kept_from and counts[attempt - 1] > kept_from
    }
    assert len(ends) == 1
    assert ends[0].envelope == ENVELOPE
    assert not ends[0].incomplete
    versions = [state.job.metadata.resource_version for state in states]
    assert versions == sorted(set(versions))


def test_a_gap_is_asked_for_again_before_it_counts_as_lost() -> None:
    progress = accept(Progress(), State(job(1, Phase.RUNNING, 1))).progress
    step = accept(progress, told(1, 3))
    assert step.then is Next.AGAIN
    assert not step.events
    assert step.progress.at == Position(1, 0)
    whole = accept(reopened(step.progress), told(1, 0))
    assert whole.events == (told(1, 0),)
    again = accept(reopened(step.progress), told(1, 3))
    assert again.events == (LogsLost(1, 0, 3), told(1, 3))


def test_the_end_of_a_run_that_is_being_replaced_is_not_the_end() -> None:
    old = job(5, Phase.SUCCEEDED, 1, generation=2, seen=1)
    step = accept(Progress(), State(old))
    assert not step.events
    step = accept(step.progress, Finished(old))
    assert step.then is Next.LATER
    assert not step.progress.done
    new = job(7, Phase.SUCCEEDED, 2, generation=2, seen=2)
    assert isinstance(accept(step.progress, Finished(new)).events[0], Done)


def test_a_cut_result_is_marked_incomplete() -> None:
    end = job(2, Phase.SUCCEEDED, 1)
    progress = accept(Progress(), ResultChunk(ENVELOPE[:5])).progress
    done = accept(progress, Finished(end)).events[0]
    assert isinstance(done, Done)
    assert done.incomplete


def test_frames_after_the_end_say_nothing() -> None:
    end = job(2, Phase.SUCCEEDED, 1)
    progress = accept(accept(Progress(), ResultChunk(ENVELOPE)).progress, Finished(end)).progress
    assert accept(progress, told(1, 0)).events == ()
    assert accept(progress, Finished(end)).events == ()


def test_logs_from_a_position_on_leave_out_what_comes_before_it() -> None:
    progress = Progress(at=Position(2, 0))
    assert accept(progress, told(1, 9)) == Step(progress)
    first = accept(progress, told(2, 0))
    assert first.events == (told(2, 0),)
    assert accept(first.progress, told(2, 0)) == Step(
        first.progress
    )  # again: neither told nor lost
