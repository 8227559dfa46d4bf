"""What the page says of records: pure."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cumulus.api.frames import DeviceUsage, Why, WorkerUse
from cumulus.api.outputs import Output, OutputRole
from cumulus.api.overview import Board, PastLease, PlannedLease, Sample, WorkerNow
from cumulus.api.web.views.detail import job_detail
from cumulus.api.web.views.fleet import tiles, worker_row
from cumulus.api.web.views.lanes import BARS, LEAST_BARS, Lane, lanes
from cumulus.api.web.views.rows import job_row
from cumulus.api.web.views.series import columns
from cumulus.crd_like_specs.job import Phase, WorkerReason
from cumulus.crd_like_specs.lease import LeaseState
from dashboard_kit import NOW, a_job, a_lease, a_worker, tried_again


def running(name: str, milli: int = 500, start: float = NOW, devices: tuple[int, ...] = (0,)):  # noqa: ANN201
    return a_job(
        name,
        Phase.RUNNING,
        milli,
        worker="w",
        devices=devices,
        started_at=start,
        expires_at=start + 600,
    )


def board(
    *leases: object, past: tuple[PastLease, ...] = (), devices: int = 1, **more: object
) -> Board:
    worker = WorkerNow(a_worker("w", devices), dict.fromkeys(range(devices), 1000))
    return Board(now=NOW, workers=(worker,), leases=leases, past=past, **more)  # type: ignore[arg-type]


def lane_of(shown: Board, index: int = 0) -> Lane:
    return lanes(shown)[index]


def past(
    name: str, start: float, end: float, milli: int = 500, outcome: str = "Succeeded"
) -> PastLease:
    return PastLease(name, name, "", 1, "w", (0,), milli, start, end, end, outcome)


def test_leases_that_share_a_device_lie_above_each_other() -> None:
    shown = board(
        a_lease(running("a", 500), NOW + 600, 500),
        a_lease(running("b", 250, NOW + 1), NOW + 600, 250),
        a_lease(running("c", 250, NOW + 2), NOW + 600, 250),
    )
    places = {bar.job: (bar.bottom, bar.height) for bar in lane_of(shown).bars}
    assert places == {"a": (0, 500), "b": (500, 250), "c": (750, 250)}


def test_a_place_is_used_again_once_its_lease_is_over() -> None:
    shown = board(
        past=(past("late", 20, 30), past("over", 10, 19), past("long", 5, 40, outcome="Failed"))
    )
    bars = {bar.job: bar for bar in lane_of(shown).bars}
    assert {name: bar.bottom for name, bar in bars.items()} == {"long": 0, "over": 500, "late": 500}
    assert (bars["long"].tone, bars["over"].tone, bars["long"].kind) == ("bad", "good", "past")


def test_what_is_late_overlaps_what_is_next_and_stays_in_its_lane() -> None:
    overrun = a_lease(running("late", 800, NOW - 700), NOW + 600, 800)
    plan = PlannedLease("next", "w", (0,), 500, NOW + 5, NOW + 605, after="late")
    bars = {bar.job: bar for bar in lane_of(board(overrun, planned=(plan,))).bars}
    assert bars["next"].bottom + bars["next"].height <= 1000
    assert bars["next"].kind == "planned"
    assert "when the lease of late ends" in bars["next"].words


def test_plans_do_not_change_with_each_second() -> None:
    plans = [PlannedLease("next", "w", (0,), 500, NOW + n, NOW + n + 600) for n in (1, 2)]
    first, second = (lanes(board(planned=(plan,))) for plan in plans)
    assert first == second


def test_a_bar_says_when_and_how_far_beyond_its_time() -> None:
    late = replace(past("late", 86400.0, 86461.5, outcome="TimedOut"), due=86460.0)
    words = "late: 0.5 of the device, TimedOut 1.5 s after its time, 00:00:00 to 00:01:01 UTC"
    assert lane_of(board(past=(late,))).bars[0].words == words


def test_every_device_of_a_lease_has_its_bar() -> None:
    shown = board(a_lease(running("wide", 500, NOW, (0, 2)), NOW + 600, 500), devices=3)
    assert [len(lane.bars) for lane in lanes(shown)] == [1, 0, 1]


def test_jobs_without_a_device_have_a_lane_of_their_own() -> None:
    leases = [a_lease(running(name, 0, NOW, ()), NOW + 600, 0) for name in "ab"]
    device, cpu = lanes(board(*leases))
    assert device.bars == ()
    assert [(bar.bottom, bar.height) for bar in cpu.bars] == [(0, 500), (500, 500)]
    assert [lane.title for lane in lanes(board(devices=0))] == ["jobs without GPU"]


@pytest.mark.parametrize(
    ("state", "revoked", "tone"),
    [
        (LeaseState.PREPARING, "", "start"),
        (LeaseState.HELD, "", "run"),
        (LeaseState.HELD, "Cancelled", "late"),
        (LeaseState.ENDING, "", "late"),
        (LeaseState.FAILED, "", "bad"),
    ],
)
def test_the_colour_of_a_lease_is_its_state(state: LeaseState, revoked: str, tone: str) -> None:
    lease = a_lease(running("a"), NOW + 600)
    lease = lease.model_copy(
        update={
            "spec": lease.spec.model_copy(update={"revoked": revoked}),
            "status": lease.status.model_copy(update={"state": state}),
        }
    )
    assert lane_of(board(lease)).bars[0].tone == tone


def test_of_very_many_leases_each_lane_shows_the_newest() -> None:
    many = tuple(past(f"p{n}", n, n + 1) for n in reversed(range(2 * BARS)))
    shown = lane_of(board(past=many))
    assert len(shown.bars) == BARS
    assert shown.bars[-1].job == f"p{2 * BARS - 1}"
    assert LEAST_BARS < BARS


def test_busy_jobs_come_first_then_the_queue_then_what_ended_newest_first() -> None:
    urgent = a_job("urgent")
    urgent = urgent.model_copy(update={"spec": urgent.spec.model_copy(update={"priority": 5})})
    found = [
        a_job("ended", Phase.FAILED, finished_at=NOW - 5),
        a_job("ended-later", Phase.SUCCEEDED, finished_at=NOW - 1),
        a_job("waits", submitted_at=NOW - 60),
        a_job("waits-longer", submitted_at=NOW - 90),
        urgent,
        running("busy"),
    ]
    order = [row.name for row in sorted(map(job_row, found), key=lambda row: row.sort)]
    assert order == ["busy", "urgent", "waits-longer", "waits", "ended-later", "ended"]


def test_a_row_says_why_where_and_for_how_long() -> None:
    row = job_row(running("a", 250, devices=(0, 1)))
    assert (row.phase, row.tone, row.place, row.share) == ("Running", "run", "w:0,1", "0.25")
    assert (row.start, row.end) == (NOW, NOW + 600)
    failed = job_row(
        a_job(
            "b", Phase.FAILED, reason="Error", message="boom", started_at=NOW - 90, finished_at=NOW
        )
    )
    assert (failed.note, failed.took, failed.tone) == ("Error: boom", "1m30s", "bad")


def test_what_is_done_to_a_job_is_its_state() -> None:
    job = a_job("a")
    stopped = job.metadata.model_copy(update={"cancellation_timestamp": NOW})
    assert job_row(job.model_copy(update={"metadata": stopped})).phase == "Cancelling"
    suspended = job.spec.model_copy(update={"suspend": True})
    assert job_row(job.model_copy(update={"spec": suspended})).phase == "Suspended"


def test_rows_do_not_change_with_time_alone() -> None:
    shown = board(a_lease(running("a"), NOW + 600))
    assert lanes(shown) == lanes(replace(shown, now=NOW + 30))
    assert tiles(shown) == tiles(replace(shown, now=NOW + 30))


def test_a_worker_says_what_is_leased_and_what_is_wrong() -> None:
    use = WorkerUse("w", NOW, 5 << 30, (), (DeviceUsage(0, 7 << 30, 420),))
    row = worker_row(WorkerNow(a_worker("w", 2, cordoned=True), {0: 250, 1: 1000}, use))
    assert (row.words, row.tone, row.free_disk) == ("Ready, Cordoned", "wait", "5Gi")
    first, second = row.devices
    assert (first.used, first.in_use, first.busy) == (75, "7Gi", 42)
    assert (second.used, second.in_use, second.busy) == (0, "", -1)
    away = worker_row(WorkerNow(a_worker("w", 1, ready=False)))
    assert (away.words, away.tone, away.note) == ("NotReady", "bad", "its agent is silent")


def test_the_numbers_at_the_top() -> None:
    workers = (
        WorkerNow(a_worker("a", 2), {0: 250, 1: 1000}),
        WorkerNow(a_worker("b", 1, ready=False), {0: 1000}),
    )
    found = tiles(Board(now=NOW, running=3, waiting=4, workers=workers))
    assert (found.running, found.waiting, found.ready, found.workers) == (3, 4, 1, 2)
    assert (found.percent, found.devices_used, found.devices_total) == (25, "0.75", "3")
    assert tiles(Board(now=NOW)).percent == 0
    assert tiles(Board(now=NOW, hidden=7)).hidden == 7


def test_the_panel_says_why_in_the_words_of_cumulusctl() -> None:
    reasons = (WorkerReason(worker="w", reason="is full", ever=True, fix="gpu.memory: 0.25"),)
    detail = job_detail(Why(a_job("a"), "asks for 0.5; is first", reasons))
    assert (detail.waits, detail.why, detail.reasons) == (True, "asks for 0.5; is first", reasons)
    facts = dict(detail.facts)
    assert (facts["GPU"], facts["Runs"]) == ("0.5 of a device", "train:2 python train.py")


def test_the_panel_remembers_the_attempts_before() -> None:
    detail = job_detail(Why(tried_again(running("a")), "Running"))
    ((one, message, ran),) = detail.attempts
    assert (one.number, ran) == (1, "1m40s")
    assert message == "OutOfMemory: the job used more memory than it asked for"
    assert (detail.attempt, detail.end) == (2, NOW + 600)


def test_the_panel_lists_what_a_job_left() -> None:
    role, digest = OutputRole.WEIGHTS, f"sha256:{'a' * 64}"
    left = [
        Output(f"o{n}", f"a b/{n}#.pt", 2048, digest, role, "u1", "a", 2, "a") for n in range(60)
    ]
    detail = job_detail(Why(running("a"), "Running"), (), left)
    assert (len(detail.outputs), detail.more_outputs) == (50, 10)
    first = detail.outputs[0]
    assert (first.path, first.role, first.size) == ("a b/0#.pt", "weights", "2Ki")
    assert first.url == "/ui/job/u1/outputs/2/a%20b/0%23.pt"


def test_series_are_columns_and_thinned_to_their_highest() -> None:
    assert columns([]) == [[], [], [], [], []]
    looks = [Sample(NOW + n, n, 1, 500, 1000, 0.5 if n == 3 else -1.0) for n in range(10)]
    assert columns(looks[:2]) == [[NOW, NOW + 1], [0, 1], [1, 1], [50.0, 50.0], [None, None]]
    times, waiting, _, used, late = columns(looks, points=5)
    assert times == [NOW + 1, NOW + 3, NOW + 5, NOW + 7, NOW + 9]
    assert waiting == [1, 3, 5, 7, 9]
    assert used == [50.0] * 5
    assert late == [None, 0.5, None, None, None]
    assert columns([Sample(NOW, 0, 0, 0, 0)])[3] == [0.0]
