"""Records: what is decoded mirrors what is durable, and nobody overwrites anybody."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from cumulus.controller.runtime.documents import INDEXES, expiry_hour
from cumulus.controller.runtime.records import Records, open_records, over
from cumulus.controller.store import Store
from cumulus.crd_like_specs.errors import ConflictError, NotFoundError
from cumulus.crd_like_specs.job import Phase
from cumulus.crd_like_specs.lease import Lease, LeaseState, LeaseStatus
from make import T, job, lease, worker
from runtime_kit import Kit


def released(of: Lease) -> Lease:
    return of.model_copy(
        update={"metadata": of.metadata.model_copy(update={"deletion_timestamp": T})}
    )


def ended(of: Lease) -> Lease:
    return of.model_copy(update={"status": LeaseStatus(state=LeaseState.ENDED)})


async def test_jobs_are_found_by_name_uid_and_key(kit: Kit) -> None:
    stored = await kit.submit("train", key="k1")
    assert kit.records.job("train") == stored
    assert kit.records.job_by_uid(stored.metadata.uid) == stored
    assert kit.records.find_job(stored.metadata.uid) == stored
    assert kit.records.name_of(stored.metadata.uid) == "train"
    assert kit.records.job_with_key("k1") == stored
    assert kit.records.job("other") is None
    with pytest.raises(NotFoundError, match="'other' not found") as caught:
        kit.records.find_job("other")
    assert caught.value.job_id == "other"


async def test_a_write_over_another_version_is_a_conflict(kit: Kit) -> None:
    first = await kit.put(job())
    await kit.status("train", message="moved")
    with pytest.raises(ConflictError):
        await kit.records.put_job(first, first.metadata.resource_version)
    with pytest.raises(ConflictError):
        await kit.records.put_job(first, 0)


@pytest.mark.parametrize(
    ("before", "after"),
    [((1, Phase.RUNNING), (1, Phase.STARTING)), ((2, Phase.PENDING), (1, Phase.SUCCEEDED))],
)
async def test_a_status_never_falls(
    kit: Kit, before: tuple[int, Phase], after: tuple[int, Phase]
) -> None:
    await kit.put(job(before[1], status={"attempt": before[0]}))
    with pytest.raises(ConflictError, match="would fall") as caught:
        await kit.status("train", attempt=after[0], phase=after[1])
    assert caught.value.job_id
    assert kit.records.find_job("train").status.phase is before[1]


async def test_phases_are_counted_and_open_jobs_listed(kit: Kit) -> None:
    await kit.put(job(Phase.RUNNING, name="b", uid="b" * 32))
    await kit.put(job(Phase.PENDING, name="a", uid="a" * 32))
    await kit.put(job(Phase.FAILED, name="c", uid="c" * 32, status={"cleaned": True}))
    assert kit.records.open_jobs() == ["a", "b"]
    assert [kit.records.count_in(p) for p in (Phase.RUNNING, Phase.FAILED)] == [1, 1]
    assert [j.metadata.name for j in kit.records.jobs_in(Phase.RUNNING, Phase.FAILED)] == ["b", "c"]


async def test_what_was_to_happen_to_finished_jobs_is_open_after_a_restart(kit: Kit) -> None:
    """A controller that was killed before it came to it would leave them so for their time to
    live.
    """
    over = {"cleaned": True, "observed_generation": 1}
    for name, meta in (
        ("deleted", {"deletion_timestamp": T}),
        ("changed", {"generation": 2}),
        ("cancelled", {"generation": 2, "cancellation_timestamp": T}),
        ("kept", {}),
    ):
        await kit.put(job(Phase.SUCCEEDED, name=name, uid=name, status=over, meta=meta))
    assert kit.records.open_jobs() == ["changed", "deleted"]


async def test_waiting_jobs_come_by_urgency_then_age(kit: Kit) -> None:
    for name, priority, submitted in [("a", 0, 20.0), ("b", 0, 10.0), ("c", 5, 30.0)]:
        await kit.put(
            job(
                name=name,
                uid=name * 32,
                priority=priority,
                status={"submitted_at": submitted},
            )
        )
    assert kit.records.waiting() == ["c", "b", "a"]
    assert Records(kit.store).waiting() == ["c", "b", "a"]
    await kit.status("b", phase=Phase.LEASING)
    await kit.records.delete_job("a", "a" * 32)
    assert kit.records.waiting() == ["c"]


async def test_deleting_spares_a_later_job_of_that_name(kit: Kit) -> None:
    await kit.put(job(uid="b" * 32))
    await kit.records.delete_job("train", "a" * 32)
    assert kit.records.job("train") is not None
    await kit.records.delete_job("train", "b" * 32)
    assert kit.records.job("train") is None


async def test_finished_jobs_are_filed_under_their_hour(kit: Kit) -> None:
    await kit.put(job(Phase.SUCCEEDED, status={"finished_at": 7200.0, "cleaned": True}))
    hour = str(expiry_hour(7200.0 + 86400))
    assert kit.store.ids_by("jobs", "expires", hour) == ["train"]
    await kit.status("train", cleaned=False)
    assert kit.store.ids_by("jobs", "expires", hour) == []


async def test_a_store_opened_again_gives_the_same(tmp_path: Path) -> None:
    records = open_records(tmp_path)
    await records.put_job(job(), 0)
    await records.put_lease(lease())
    await records.put_worker(worker())
    records.store.close()
    again = open_records(tmp_path)
    assert again.find_job("train") == records.find_job("train")
    assert again.leases == records.leases
    assert again.workers == records.workers
    assert again.leases_on("n1") == list(records.leases.values())
    again.store.close()


async def test_both_sides_of_a_lease_are_kept_however_writes_cross(tmp_path: Path) -> None:
    """Both read the record before either has written, which only a store with a thread allows."""
    store = Store.open(tmp_path, indexes=INDEXES)
    records = Records(store)
    name = (await records.put_lease(lease())).metadata.name
    await asyncio.gather(records.change_lease(name, released), records.change_lease(name, ended))
    kept = records.leases[name]
    assert kept.metadata.deletion_timestamp == T
    assert kept.status.state is LeaseState.ENDED
    assert Records(store).leases == records.leases
    store.close()


async def test_a_lease_deleted_meanwhile_does_not_come_back(tmp_path: Path) -> None:
    store = Store.open(tmp_path, indexes=INDEXES)
    records = Records(store)
    name = (await records.put_lease(lease())).metadata.name
    await asyncio.gather(records.change_lease(name, ended), records.delete_lease(name))
    assert records.leases == {}
    assert records.leases_on("n1") == []
    assert await records.change_lease(name, ended) is None
    await records.delete_lease(name)
    store.close()


async def test_an_operator_and_an_agent_change_one_worker(tmp_path: Path) -> None:
    store = Store.open(tmp_path, indexes=INDEXES)
    records = Records(store)
    await records.put_worker(worker())
    spec = worker(cordoned=True).spec
    status = worker(cpus=1).status
    await asyncio.gather(
        records.change_worker("n1", lambda w: w.model_copy(update={"spec": spec})),
        records.change_worker("n1", lambda w: w.model_copy(update={"status": status})),
    )
    assert (records.workers["n1"].spec, records.workers["n1"].status) == (spec, status)
    assert await records.change_worker("n9", lambda w: w) is None
    store.close()


async def test_followers_get_versions_of_their_job_only(kit: Kit) -> None:
    news = asyncio.Event()
    await kit.put(job(uid="a" * 32))
    feed = kit.records.follow_job("a" * 32, news)
    await kit.status("train", message="one")
    await kit.records.delete_job("train", "a" * 32)
    await kit.put(job(uid="b" * 32))
    assert [version.status.message for version in feed.versions] == ["one"]
    assert feed.gone
    assert news.is_set()
    kit.records.unfollow_job("a" * 32, feed)
    assert kit.records._feeds == {}


@pytest.mark.parametrize(
    ("phase", "meta", "fields", "is_over"),
    [
        (Phase.RUNNING, {}, {}, False),
        (Phase.FAILED, {}, {}, True),
        (Phase.FAILED, {"generation": 2}, {}, True),  # nothing that defines a run
        (Phase.FAILED, {"generation": 2}, {"run_hash": "other"}, False),
        (Phase.FAILED, {"generation": 2, "cancellation_timestamp": T}, {"run_hash": "o"}, True),
    ],
)
def test_over(phase: Phase, meta: dict[str, float], fields: dict[str, str], is_over: bool) -> None:
    assert over(job(phase, meta=meta, status=fields)) is is_over
