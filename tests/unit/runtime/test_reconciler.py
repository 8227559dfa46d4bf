"""The hands: one pass does what the plan says, twice does no harm, and nobody takes another's room."""

from __future__ import annotations

import asyncio

import pytest
from cumulus.controller.reconcile.actions import CollectJob, CollectLogs, ForgetLease, PutLease
from cumulus.controller.runtime.logs import REST_MISSING
from cumulus.controller.runtime.loop import FAR, Loop
from cumulus.controller.runtime.queue import KeyQueue
from cumulus.crd_like_specs.errors import ConflictError, Permanent, StoreError, Temporary
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Phase
from cumulus.crd_like_specs.lease import LeaseState
from make import UID, T, job, lease
from runtime_kit import ENVELOPE, Kit, until

UNIT = unit_name(UID, 1)


async def unit_of(kit: Kit, name: str = "train") -> str:
    return unit_name(kit.records.find_job(name).metadata.uid, 1)


async def run_to_running(kit: Kit) -> str:
    await kit.report("n1")
    await kit.submit()
    await kit.settle()
    unit = await unit_of(kit)
    await kit.report("n1", {unit: kit.held()})
    await kit.settle()
    await kit.list_services()
    await kit.settle()
    return unit


async def test_a_job_through_its_life(kit: Kit) -> None:
    unit = await run_to_running(kit)
    assert kit.records.find_job("train").status.phase is Phase.RUNNING
    assert kit.platform.starts == {unit: 1}
    await kit.log(unit, b"hello\n", end=True, result=ENVELOPE)
    kit.platform.finish(unit, exit_code=0)
    await kit.list_services()
    await kit.settle()
    done = kit.records.find_job("train")
    assert (done.status.phase, done.status.result_size) == (Phase.SUCCEEDED, len(ENVELOPE))
    assert kit.platform.removed == [unit]
    assert kit.agents.wanted("n1").leases == ()
    await kit.report("n1")
    await kit.settle()
    assert kit.records.leases == {}
    assert kit.records.find_job("train").status.cleaned
    phases = [phase for phase, _ in kit.transitions]
    order = ["Pending", "Leasing", "Starting", "Running", "Succeeded"]
    assert list(dict.fromkeys(phases)) == order


async def test_two_jobs_and_one_room(threaded_kit: Kit) -> None:
    """Both are looked at at the same time, and each write takes a while."""
    kit = threaded_kit
    await kit.report("n1", devices=1)
    await asyncio.gather(*(kit.submit(name, gpu={"memory": 0.6}) for name in "ab"))
    for _ in range(2):  # admitted, then placed
        await asyncio.gather(*(kit.reconciler.reconcile(name) for name in "ab"))
    phases = sorted(kit.records.find_job(name).status.phase.value for name in "ab")
    assert phases == ["Leasing", "Pending"]
    assert len(kit.records.leases) == 1


async def test_a_status_written_meanwhile_throws_the_plan_away(kit: Kit) -> None:
    await kit.report("n1")
    await kit.submit()
    stale = kit.records.find_job("train")
    await kit.desired.cancel("train")
    with pytest.raises(ConflictError):
        await kit.records.put_status(stale, stale.status.model_copy(update={"attempt": 1}))


async def test_a_start_that_cannot_be_ends_the_job(kit: Kit) -> None:
    kit.platform.fail_next("create", Permanent("no such image", reason="ImageMissing"))
    await run_to_running(kit)
    status = kit.records.find_job("train").status
    assert (status.phase, status.reason) == (Phase.FAILED, "ImageMissing")


async def test_a_removal_that_fails_for_good_changes_no_outcome(kit: Kit) -> None:
    unit = await run_to_running(kit)
    await kit.log(unit, end=True, result=ENVELOPE)
    kit.platform.finish(unit, exit_code=0)
    kit.platform.fail_next("remove", Permanent("not ours", reason="Foreign"))
    await kit.list_services()
    await kit.settle()
    status = kit.records.find_job("train").status
    assert (status.phase, len(status.attempts)) == (Phase.SUCCEEDED, 1)
    assert kit.platform.removed == []
    kit.clock.advance(1)
    await kit.settle()
    assert kit.platform.removed == [unit]


async def test_a_temporary_failure_is_tried_again_and_starts_once(kit: Kit) -> None:
    kit.platform.fail_next("create", Temporary("busy"), 2)
    kit.platform.fail_next("create", Temporary("answer lost"), after=True)
    unit = await run_to_running(kit)
    assert kit.records.find_job("train").status.phase is Phase.LEASING
    for _ in range(3):
        kit.clock.advance(1)
        await kit.settle()
    assert kit.platform.starts == {unit: 1}
    assert kit.records.find_job("train").status.phase is not Phase.LEASING


async def test_orphans_are_taken_down_in_order(kit: Kit) -> None:
    unit = await run_to_running(kit)
    uid = kit.records.find_job("train").metadata.uid
    await kit.records.delete_job("train", uid)
    kit.queue.add(f"uid:{uid}")
    await kit.settle()
    assert kit.platform.removed == [unit]
    assert kit.records.leases[unit].metadata.deletion_timestamp is not None
    kit.queue.add(f"uid:{uid}")
    await kit.report("n1")
    await kit.settle()
    assert kit.records.leases == {}
    assert kit.world.uids() == set()
    assert await kit.reconciler.reconcile(f"uid:{uid}") is None


async def test_what_is_owned_is_no_orphan(kit: Kit) -> None:
    await run_to_running(kit)
    uid = kit.records.find_job("train").metadata.uid
    assert await kit.reconciler.reconcile(f"uid:{uid}") is None
    assert await kit.reconciler.reconcile("nobody") is None
    assert kit.platform.removed == []


async def test_finished_jobs_ask_for_no_wake_up(kit: Kit) -> None:
    await kit.put(job(Phase.SUCCEEDED, status={"finished_at": T}))
    assert await kit.reconciler.reconcile("train") is None
    assert kit.records.find_job("train").status.cleaned


async def test_a_put_lease_keeps_what_was_seen_of_it(kit: Kit) -> None:
    await kit.executor.do(PutLease(lease(LeaseState.PENDING)))
    await kit.report("n1", {UNIT: kit.held()})
    await kit.executor.do(PutLease(lease(LeaseState.PENDING, revoked="Cancelled")))
    kept = kit.records.leases[UNIT]
    assert (kept.status.state, kept.spec.revoked) == (LeaseState.HELD, "Cancelled")
    assert kit.woken == ["n1", "n1"]
    await kit.executor.do(ForgetLease(UNIT))
    await kit.executor.do(ForgetLease(UNIT))
    await kit.room.settled()
    assert kit.records.leases == {}


async def test_collecting_deletes_record_and_files_and_spares_a_namesake(kit: Kit) -> None:
    await kit.put(job(Phase.FAILED, status={"attempt": 2}))
    for attempt in (1, 2):
        await kit.log(unit_name(UID, attempt), b"a\n", end=True, result=ENVELOPE)
    await kit.executor.do(CollectJob("b" * 32, "train"))
    assert kit.records.job("train") is not None
    await kit.executor.do(CollectJob(UID, "train"))
    assert kit.records.job("train") is None
    assert list(kit.logs._folder.iterdir()) == []


async def test_logs_are_collected_from_the_platform_also_where_it_is_gone(kit: Kit) -> None:
    await kit.executor.do(CollectLogs(UNIT))
    assert kit.logs.complete(UNIT)
    unit = await run_to_running(kit)
    kit.platform.write(unit, b"hello\n")
    kit.platform.finish(unit, exit_code=0)
    await kit.executor.do(CollectLogs(unit))
    assert [r.data for r in kit.logs.read(unit, 0)] == [b"hello\n"]


async def test_a_platform_that_cannot_be_read_ends_a_log_only_where_nobody_waits(kit: Kit) -> None:
    unit = await run_to_running(kit)
    kit.platform.finish(unit, exit_code=0)
    kit.platform.fail_next("logs", Temporary("its node is out of reach", reason="X"), times=2)
    with pytest.raises(Temporary):
        await kit.executor.do(CollectLogs(unit))
    assert not kit.logs.complete(unit)
    await kit.executor.do(CollectLogs(unit, last=True))
    assert [r.data for r in kit.logs.read(unit, 0)] == [REST_MISSING]
    assert kit.logs.complete(unit)


async def test_what_vanished_is_seen_once_the_platform_answers(kit: Kit) -> None:
    await run_to_running(kit)
    kit.world.services.unseen()
    kit.platform._units.clear()
    wake = await kit.reconciler.reconcile("train")
    assert wake is not None
    assert wake > T
    assert kit.records.find_job("train").status.phase is Phase.RUNNING
    await kit.list_services()
    await kit.settle()
    assert kit.records.find_job("train").status.reason == "ServiceVanished"


# The loop around it


class Script:
    """A reconciler that does what it is told, in turn."""

    def __init__(self, *turns: float | Exception | None) -> None:
        self.turns = list(turns)
        self.seen: list[str] = []

    async def __call__(self, key: str) -> float | None:
        self.seen.append(key)
        turn = self.turns.pop(0) if self.turns else None
        if isinstance(turn, Exception):
            raise turn
        return turn


async def once(kit: Kit, script: Script) -> KeyQueue:
    queue = KeyQueue()
    queue.add("a")
    key = queue.take(T)
    assert key
    await Loop(queue, script, kit.clock).once(key)
    return queue


@pytest.mark.parametrize(
    ("turn", "due"),
    [
        (None, None),
        (T + 5, T + 5),
        (T + 10 * FAR, T + FAR),
        (Temporary("x"), T + 0.1),
        (StoreError("x"), T + 0.1),
        (ZeroDivisionError("a bug"), T + 0.1),
        (ConflictError("x"), float("-inf")),
    ],
)
async def test_outcomes(kit: Kit, turn: float | Exception | None, due: float | None) -> None:
    assert (await once(kit, Script(turn))).next_due() == due


async def test_a_conflict_with_oneself_does_not_spin(kit: Kit) -> None:
    script = Script(*(ConflictError("x") for _ in range(3)))
    queue = await once(kit, script)
    loop = Loop(queue, script, kit.clock)
    while (key := queue.take(T)) is not None:
        await loop.once(key)
    assert len(script.seen) == 2
    assert queue.next_due() == T + 0.2
    kit.clock.advance(10)
    script.turns.clear()
    assert queue.take(kit.clock.now()) == "a"
    await loop.once("a")
    assert queue.retry("a", 0) == 0.1  # forgiven


async def test_workers_take_keys_as_they_come_and_let_others_have_a_turn(kit: Kit) -> None:
    queue, script = KeyQueue(), Script()
    loop = Loop(queue, script, kit.clock)
    running = asyncio.ensure_future(loop.run())
    for n in range(3):
        loop.add(f"key-{n}")
    await until(lambda: len(script.seen) == 3)
    loop.add("late")  # all are asleep by now, or about to be
    await until(lambda: len(script.seen) == 4)
    assert script.seen == ["key-0", "key-1", "key-2", "late"]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_pass_without_any_wait_leaves_a_turn_to_others(kit: Kit) -> None:
    queue = KeyQueue()
    turns = 0

    async def busy(key: str) -> float | None:
        queue.add(key)  # there is always more to do
        return None

    loop = Loop(queue, busy, kit.clock)
    running = asyncio.ensure_future(loop.run())
    loop.add("a")
    for _ in range(50):
        await asyncio.sleep(0)
        turns += 1
    running.cancel()
    assert turns == 50
    with pytest.raises(asyncio.CancelledError):
        await running
