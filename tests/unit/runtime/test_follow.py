"""Followers: State first, records in order over attempts and reconnects, Finished last."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from cumulus.api.frames import Finished, JobEvent, Log, LogRecord, ResultChunk, State
from cumulus.crd_like_specs.errors import NO_WORKERS, NotFoundError, NoWorkersError
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Phase
from make import UID, job, spec
from runtime_kit import ENVELOPE, Kit, take

ONE, TWO = unit_name(UID, 1), unit_name(UID, 2)


def follow(kit: Kit, *, offset: int = 0, attempt: int = 0, logs: bool = True) -> Any:
    return kit.streams.follow("train", log_offset=offset, attempt=attempt, with_logs=logs)


def shown(events: list[JobEvent]) -> list[str]:
    """Events in words: phase, attempt:sequence data, result, end."""
    words = []
    for event in events:
        if isinstance(event, State):
            words.append(event.job.status.phase.value)
        elif isinstance(event, Log):
            r = event.record
            words.append(f"{r.attempt}:{r.sequence} {r.data.decode().strip()}")
        elif isinstance(event, ResultChunk):
            words.append("result")
        else:
            assert isinstance(event, Finished)
            words.append("finished")
    return words


def texts(records: list[LogRecord]) -> list[str]:
    return [f"{r.attempt}:{r.sequence} {r.data.decode().strip()}" for r in records]


async def everything(events: Any) -> list[Any]:
    return [event async for event in events]


async def finish(kit: Kit) -> None:
    await kit.status("train", phase=Phase.SUCCEEDED, result_size=len(ENVELOPE))


async def test_a_finished_job_is_told_at_once(kit: Kit) -> None:
    await kit.put(job(Phase.SUCCEEDED, status={"result_size": len(ENVELOPE)}))
    await kit.log(ONE, b"a\n", b"b\n", end=True, result=ENVELOPE)
    events = await everything(follow(kit))
    assert shown(events) == ["Succeeded", "1:0 a", "1:1 b", "result", "finished"]
    assert b"".join(e.data for e in events if isinstance(e, ResultChunk)) == ENVELOPE


async def test_live_news_come_in_order_and_logs_before_the_end(kit: Kit) -> None:
    await kit.put(job(Phase.STARTING))
    events = follow(kit)
    assert shown(await take(events, 1)) == ["Starting"]
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    await kit.status("train", phase=Phase.RUNNING)
    assert shown([await waiting]) == ["Running"]
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    await kit.log(ONE, b"a\n")
    assert shown([await waiting]) == ["1:0 a"]
    # All of this happens while the client takes its time over the last event.
    await kit.log(ONE, b"b\n", start=1, end=True, result=ENVELOPE)
    await finish(kit)
    assert shown(await everything(events)) == ["1:1 b", "Succeeded", "result", "finished"]


async def test_several_followers_see_the_same_and_leave_nothing_behind(kit: Kit) -> None:
    await kit.put(job(Phase.RUNNING))
    tasks = [asyncio.ensure_future(everything(follow(kit))) for _ in range(3)]
    gone = follow(kit)
    await anext(gone)
    await gone.aclose()
    await asyncio.sleep(0)
    await kit.log(ONE, b"a\n", end=True, result=ENVELOPE)
    await finish(kit)
    for task in tasks:
        assert shown(await task) == ["Running", "1:0 a", "Succeeded", "result", "finished"]
    assert kit.records._feeds == {}
    assert kit.logs._news == {}


async def test_retries_are_followed_from_attempt_to_attempt(kit: Kit) -> None:
    await kit.put(job(Phase.RUNNING))
    events = follow(kit)
    await take(events, 1)
    await kit.log(ONE, b"a\n", end=True)
    await kit.status("train", phase=Phase.PENDING, attempt=2)
    await kit.status("train", phase=Phase.RUNNING, attempt=2)
    await kit.log(TWO, b"c\n", end=True, result=ENVELOPE)
    await finish(kit)
    assert shown(await everything(events)) == [
        "1:0 a",
        "Pending",
        "2:0 c",
        "Running",
        "Succeeded",
        "result",
        "finished",
    ]


async def test_resuming_in_the_middle_of_an_earlier_attempt(kit: Kit) -> None:
    await kit.put(job(Phase.SUCCEEDED, status={"attempt": 2}))
    await kit.log(ONE, b"a\n", b"b\n", b"c\n", end=True)
    await kit.log(TWO, b"d\n", end=True)
    resumed = await everything(follow(kit, attempt=1, offset=1))
    assert shown(resumed) == ["Succeeded", "1:1 b", "1:2 c", "2:0 d", "finished"]
    current = await everything(follow(kit, offset=1))
    assert shown(current) == ["Succeeded", "finished"]
    assert shown(await everything(follow(kit, logs=False))) == ["Succeeded", "finished"]


async def test_a_deleted_job_ends_its_followers_and_a_namesake_is_not_theirs(kit: Kit) -> None:
    await kit.put(job(Phase.RUNNING))
    events = follow(kit)
    await take(events, 1)
    await kit.status("train", phase=Phase.CANCELLED)
    await kit.records.delete_job("train", UID)
    await kit.put(job(uid="b" * 32))
    assert shown(await everything(events)) == ["Cancelled", "finished"]


async def test_a_record_that_vanishes_ends_the_stream_without_finished(kit: Kit) -> None:
    await kit.put(job(Phase.RUNNING))
    events = follow(kit)
    await take(events, 1)
    await kit.records.delete_job("train", UID)
    assert await everything(events) == []


async def test_a_changed_spec_of_a_finished_job_is_a_run_to_wait_for(kit: Kit) -> None:
    await kit.put(job(Phase.SUCCEEDED))
    changed = job().model_copy(update={"spec": spec(duration=5)})
    await kit.desired.apply(changed, dry_run=False)
    events = follow(kit)
    assert shown(await take(events, 1)) == ["Succeeded"]
    run_hash = changed.spec.run_hash()
    await kit.status("train", phase=Phase.PENDING, attempt=2, run_hash=run_hash)
    await kit.status("train", phase=Phase.FAILED)
    assert shown(await everything(events)) == ["Pending", "Failed", "finished"]


async def test_part_of_a_result_is_no_result(kit: Kit) -> None:
    await kit.put(job(Phase.FAILED))
    await kit.log(ONE, b"a\n", result=ENVELOPE[:9])
    assert shown(await everything(follow(kit))) == ["Failed", "1:0 a", "finished"]


async def test_unknown_jobs_are_not_found(kit: Kit) -> None:
    with pytest.raises(NotFoundError):
        await anext(follow(kit))


def logs(kit: Kit, *, attempt: int = 0, offset: int = 0, tail: int = 0, live: bool = False) -> Any:
    return kit.streams.logs("train", attempt=attempt, offset=offset, tail=tail, follow=live)


async def test_logs_so_far_from_an_offset_and_the_last_ones(kit: Kit) -> None:
    await kit.put(job(Phase.RUNNING))
    assert await everything(logs(kit)) == []
    await kit.log(ONE, *(b"%d\n" % n for n in range(10)))
    assert texts(await everything(logs(kit, offset=8))) == ["1:8 8", "1:9 9"]
    assert texts(await everything(logs(kit, tail=1))) == ["1:9 9"]
    assert len(await everything(logs(kit, tail=99))) == 10
    assert len(await everything(logs(kit, tail=5, offset=8))) == 2


async def test_the_last_lines_begin_within_a_record_and_go_on_live(kit: Kit) -> None:
    await kit.put(job(Phase.RUNNING))
    await kit.log(ONE, b"1\n2\n3", b"3", b"3\n4\n")
    assert [r.data for r in await everything(logs(kit, tail=2))] == [b"3", b"3", b"3\n4\n"]
    events = logs(kit, tail=1, live=True)
    assert [r.data for r in await take(events, 1)] == [b"4\n"]
    await kit.log(ONE, b"5\n6\n", start=3, end=True)
    assert [r.data for r in await everything(events)] == [b"5\n6\n"]


async def test_logs_since_a_time_and_of_the_attempt_before(kit: Kit) -> None:
    await kit.put(job(Phase.RUNNING, status={"attempt": 2}))
    await kit.log(ONE, b"a\n", b"b\n", b"c\n", end=True)
    times = [record.time for record in await everything(logs(kit, attempt=1))]
    since = kit.streams.logs(
        "train", attempt=1, offset=0, tail=0, follow=False, since=times[1] + 1e6
    )
    assert await everything(since) == []
    before = kit.streams.logs("train", attempt=-1, offset=0, tail=2, follow=False, since=times[0])
    assert texts(await everything(before)) == ["1:1 b", "1:2 c"]


async def test_there_is_none_before_the_first_attempt(kit: Kit) -> None:
    await kit.put(job(Phase.RUNNING))
    with pytest.raises(NotFoundError, match="one attempt only"):
        await everything(logs(kit, attempt=-1))


async def test_followed_logs_end_when_complete(kit: Kit) -> None:
    await kit.put(job(Phase.RUNNING))
    await kit.log(ONE, b"a\n")
    task = asyncio.ensure_future(everything(logs(kit, live=True)))
    await asyncio.sleep(0)
    await kit.status("train", message="news that end nothing")
    await asyncio.sleep(0)
    assert not task.done()
    await kit.log(ONE, b"b\n", start=1, end=True)
    assert texts(await task) == ["1:0 a", "1:1 b"]
    assert (kit.records._feeds, kit.logs._news) == ({}, {})


@pytest.mark.parametrize("change", [{"phase": Phase.FAILED}, {"attempt": 2, "phase": "Pending"}])
async def test_followed_logs_end_when_no_more_can_come(kit: Kit, change: dict[str, Any]) -> None:
    await kit.put(job(Phase.RUNNING))
    task = asyncio.ensure_future(everything(logs(kit, live=True)))
    await asyncio.sleep(0)
    await kit.log(ONE, b"a\n")
    await kit.status("train", **change)
    assert texts(await task) == ["1:0 a"]


async def test_logs_of_any_attempt_there_was(kit: Kit) -> None:
    stored = await kit.put(job(Phase.RUNNING, status={"attempt": 2}))
    await kit.log(ONE, b"a\n", end=True)
    assert texts(await everything(logs(kit, attempt=1, live=True))) == ["1:0 a"]
    with pytest.raises(NotFoundError, match="no attempt 3") as caught:
        await everything(logs(kit, attempt=3))
    assert caught.value.job_id == stored.metadata.uid


async def test_results_come_whole_or_not_found_says_why(kit: Kit) -> None:
    await kit.put(job(Phase.RUNNING))
    await kit.log(ONE, end=True, result=ENVELOPE)
    with pytest.raises(NotFoundError, match="is Running: it has no result yet"):
        await everything(kit.streams.result("train"))
    await kit.status("train", phase=Phase.FAILED)
    with pytest.raises(NotFoundError, match="Failed without a result") as caught:
        await everything(kit.streams.result("train"))
    assert caught.value.job_id == UID
    await kit.status("train", message="out of memory")
    with pytest.raises(NotFoundError, match="without a result: out of memory"):
        await everything(kit.streams.result("train"))
    await kit.status("train", result_size=len(ENVELOPE))
    assert b"".join(await everything(kit.streams.result("train"))) == ENVELOPE


async def test_the_result_of_what_no_worker_takes_is_that_there_are_none(kit: Kit) -> None:
    await kit.put(job(Phase.FAILED, status={"reason": "NoWorkers", "message": NO_WORKERS}))
    with pytest.raises(NoWorkersError, match=f"^{NO_WORKERS}$") as caught:
        await everything(kit.streams.result("train"))
    assert caught.value.job_id == UID
