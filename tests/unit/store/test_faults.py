"""Disks that fail and machines whose power is cut."""

from __future__ import annotations

import random
import threading
from concurrent.futures import Future
from typing import Any

import pytest
from cumulus.controller.store import JournalStorage
from cumulus.controller.store.committer import RETRY_AFTER
from cumulus.controller.store.disk import LocalDisk
from cumulus.controller.store.transaction import Transaction
from cumulus.crd_like_specs.errors import ConflictError, StoreError
from store_faults import FULL, FakeDisk, put

FAILING = [(), (), (), (), ("append",), ("sync",), ("create",), ("rename",), ("sync_folder",)]
"""What fails at a time; nothing, as often as not."""


def held(storage: JournalStorage) -> tuple[threading.Event, Future[int]]:
    """Keeps the committing thread busy, so that what follows gathers into one batch."""
    started, release = threading.Event(), threading.Event()

    def work(_: Transaction) -> None:
        started.set()
        assert release.wait(10)

    future = storage.submit(work)
    assert started.wait(10)
    return release, future


@pytest.mark.parametrize("call", ["append", "sync"])
def test_after_a_failed_write_the_store_is_read_only_and_shows_durable_state(call: str) -> None:
    disk = FakeDisk()
    storage = JournalStorage(disk=disk)
    storage.commit(put("a", 1))
    disk.failing[call] = FULL
    with pytest.raises(StoreError, match=r"read-only, since .*No space left.*by itself") as caught:
        storage.commit(put("b", 2))
    assert caught.value.__cause__ is FULL
    assert not storage.committer.healthy
    assert list(storage.state.copy()["jobs"]) == ["a"]
    disk.failing.clear()
    with pytest.raises(StoreError, match="read-only"):
        storage.submit(put("c", 3))
    storage.close()
    again = JournalStorage(disk=FakeDisk(disk.contents()))
    assert "a" in again.state.copy()["jobs"]
    assert "c" not in again.state.copy()["jobs"]
    again.commit(put("d", 4))
    again.close()


def test_everyone_in_a_failed_write_is_told() -> None:
    disk = FakeDisk()
    storage = JournalStorage(disk=disk)
    release, first = held(storage)
    others = [storage.submit(put("a", n, expect=0)) for n in range(3)]
    disk.failing["sync"] = FULL
    release.set()
    assert first.result() == 0
    for other in others:
        with pytest.raises(StoreError):
            other.result()
    storage.close()


def test_writers_in_one_batch_see_each_other() -> None:
    storage = JournalStorage(disk=FakeDisk())
    release, _ = held(storage)
    names: list[str] = []
    futures = [
        storage.submit(put("a", 1, expect=0)),
        storage.submit(put("a", 2, expect=0)),
        storage.submit(put("a", 3, expect=1)),
        storage.submit(lambda t: t.delete("jobs", "a", 2)),
        storage.submit(lambda t: names.extend([*t.table("jobs"), *t.names()])),
        storage.submit(put("b", 4, expect=0)),
        storage.submit(put("a", 5, expect=0)),
    ]
    release.set()
    assert futures[0].result() == 1
    with pytest.raises(ConflictError):
        futures[1].result()
    assert [future.result() for future in futures[2:]] == [2, 3, 3, 4, 5]
    assert names == ["jobs"]
    assert list(storage.state.copy()["jobs"]) == ["b", "a"]
    storage.close()


@pytest.mark.parametrize("call", ["create", "append", "sync", "rename", "sync_folder", "unlink"])
def test_a_compaction_that_fails_loses_nothing(call: str) -> None:
    disk = FakeDisk()
    storage = JournalStorage(disk=disk)
    for number in range(9):
        storage.commit(put(f"j{number % 3}", number))
    storage.compact()
    for number in range(9):
        storage.commit(put(f"j{number % 3}", number + 1))
    before = storage.state.copy()
    disk.failing[call] = FULL
    try:
        storage.compact()
    except StoreError:
        assert call in {"rename", "sync_folder"}
        assert not storage.committer.healthy
    disk.failing.clear()
    again = JournalStorage(disk=FakeDisk(disk.contents()))
    assert again.state.copy() == before
    again.close()
    if storage.committer.healthy:
        storage.commit(put("new", 1))
        storage.compact()
        assert len([name for name in disk.contents() if not name.endswith(".tmp")]) == 2
    storage.close()


def test_a_snapshot_that_fails_leaves_the_store_writable() -> None:
    disk = FakeDisk()
    storage = JournalStorage(disk=disk, compact_bytes=1)
    storage.commit(put("a", 1))
    real = disk.create

    def no_room_for_snapshots(name: str) -> int:
        if name.startswith("snapshot"):
            raise FULL
        return real(name)

    disk.create = no_room_for_snapshots  # type: ignore[method-assign]
    storage.compact()
    assert storage.committer.healthy
    for number in range(5):
        storage.commit(put("b", number))
    storage.close()
    again = JournalStorage(disk=FakeDisk(disk.contents()))
    assert set(again.state.copy()["jobs"]) == {"a", "b"}
    again.close()


def test_the_journal_is_compacted_by_itself_beside_the_writers() -> None:
    disk = FakeDisk()
    storage = JournalStorage(disk=disk, compact_bytes=20_000)
    for number in range(400):
        storage.commit(put(f"j{number % 7}", number))
    before = storage.state.copy()
    storage.close()
    files = disk.contents()
    assert any(name.startswith("snapshot") for name in files)
    assert sum(map(len, files.values())) < 200_000
    again = JournalStorage(disk=FakeDisk(files))
    assert again.state.copy() == before
    again.close()


def test_a_large_snapshot_is_written_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cumulus.controller.store.journal._PIECE", 2_000)
    monkeypatch.setattr("cumulus.controller.store.journal._SYNC_EVERY", 5_000)
    disk = FakeDisk()
    storage = JournalStorage(disk=disk)
    for number in range(40):
        storage.commit(put(f"j{number}", number))
    storage.compact()
    before = storage.state.copy()
    storage.close()
    again = JournalStorage(disk=FakeDisk(disk.contents()))
    assert again.state.copy() == before
    again.close()


def test_a_cancelled_write_is_not_done() -> None:
    storage = JournalStorage(disk=FakeDisk())
    release, _ = held(storage)
    future = storage.submit(put("a", 1))
    assert future.cancel()
    release.set()
    storage.commit(put("b", 2))
    assert list(storage.state.copy()["jobs"]) == ["b"]
    storage.close()


@pytest.mark.parametrize("disk", [None, FakeDisk()])
def test_a_transaction_cannot_wait_for_a_write_but_may_submit_one(disk: FakeDisk | None) -> None:
    storage = JournalStorage(disk=disk)
    later: list[Future[int]] = []

    def work(_: Transaction) -> None:
        later.append(storage.submit(put("later", 1)))
        storage.commit(put("now", 1))

    with pytest.raises(StoreError, match="cannot wait"):
        storage.commit(work)
    assert later[0].result() == 1
    assert list(storage.state.copy()["jobs"]) == ["later"]
    storage.close()


@pytest.mark.parametrize("disk", [None, FakeDisk()])
def test_a_cache_that_fails_makes_the_store_read_only_but_the_write_stands(
    disk: FakeDisk | None,
) -> None:
    storage = JournalStorage(disk=disk)

    def spoiled(_: Any) -> None:
        raise KeyError("cache")

    storage.committer.add_commit(spoiled)
    assert storage.commit(put("a", 1)) == 1
    assert not storage.committer.healthy
    with pytest.raises(StoreError):
        storage.commit(put("b", 1))
    storage.close()


def test_writes_that_queued_behind_a_failure_are_refused() -> None:
    storage = JournalStorage()

    def fails(_: Any) -> None:
        queued.append(storage.submit(put("b", 1)))
        raise KeyError("cache")

    queued: list[Future[int]] = []
    storage.committer.add_commit(fails)
    storage.commit(put("a", 1))
    with pytest.raises(StoreError):
        queued[0].result()


def test_a_disk_that_cannot_be_read_is_named() -> None:
    disk = FakeDisk()
    disk.failing["names"] = OSError(5, "Input/output error")
    with pytest.raises(StoreError, match=r"cannot read the store in fake: .*Input/output"):
        JournalStorage(disk=disk)


def test_a_close_that_fails_still_lets_go() -> None:
    disk = FakeDisk()
    storage = JournalStorage(disk=disk)
    storage.commit(put("a", 1))
    disk.failing["append"] = FULL
    storage.close()
    disk.failing.clear()
    JournalStorage(disk=FakeDisk(disk.contents())).close()


def test_a_local_disk_writes_all_of_it_even_in_pieces(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    disk = LocalDisk(tmp_path)
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, bytes(data[:3])))
    handle = disk.create("file")
    disk.append(handle, b"0123456789")
    disk.close_file(handle)
    assert (tmp_path / "file").read_bytes() == b"0123456789"
    disk.close()


class Lost(AssertionError):  # noqa: N818 (what happened to the write)
    """What was acknowledged is not there."""


def cut_and_recover(seed: int, *, syncs: bool = True, faults: bool = False) -> int:
    """Three lives of a store, each ended by a kill or a power cut, with several writes under way at a time.

    faults: calls also fail now and then, for a while, and the store is to go on by itself. Returns
    how often it did.

    States of a key are numbered; 0 stands for deleted. What is found must be the last acknowledged
    state or a later one that was asked for.
    """
    dice = random.Random(seed)
    files: dict[str, bytes] = {}
    asked: dict[str, list[int]] = {f"k{n}": [0] for n in range(6)}
    acknowledged = dict.fromkeys(asked, 0)
    went_on = 0
    now = [0.0]
    for _ in range(3):
        disk = FakeDisk(files, cut_at=dice.randint(1, 120), syncs=syncs)
        try:
            storage = JournalStorage(
                disk=disk, compact_bytes=dice.choice((1_500, 6_000)), clock=lambda: now[0]
            )
        except StoreError:
            files = end(disk, dice, asked, acknowledged)
            continue
        for _ in range(200):
            if faults:
                now[0] += dice.choice((0.0, RETRY_AFTER))
                disk.failing = dict.fromkeys(dice.choice(FAILING), FULL)
            broken = not storage.committer.healthy
            keys = dice.sample(sorted(asked), dice.randint(1, 4))
            try:
                waiting = [(key, write(storage, asked, key, dice)) for key in keys]
            except StoreError:
                if faults and disk.calls < disk.cut_at:
                    continue
                break
            for key, (position, future) in waiting:
                if future.exception() is None:
                    acknowledged[key] = position
            went_on += broken and storage.committer.healthy
        storage._join()
        storage.committer.close()
        disk.failing = {}
        files = end(disk, dice, asked, acknowledged)
    return went_on


def end(
    disk: FakeDisk, dice: random.Random, asked: dict[str, list[int]], acknowledged: dict[str, int]
) -> dict[str, bytes]:
    """Cut the power, half of the time after another process has looked at what a kill left."""
    if dice.random() < 0.5:
        disk = disk.restarted()
        check(disk, asked, acknowledged)
    files = disk.after_cut(dice)
    check(FakeDisk(files), asked, acknowledged)
    return files


def write(
    storage: JournalStorage, asked: dict[str, list[int]], key: str, dice: random.Random
) -> tuple[int, Future[int]]:
    delete = dice.random() < 0.2
    asked[key].append(0 if delete else len(asked[key]))
    position = len(asked[key]) - 1

    def remove(transaction: Transaction) -> None:
        transaction.table("jobs").pop(key, None)

    work = remove if delete else put(key, position)
    return position, storage.submit(work)


def check(disk: FakeDisk, asked: dict[str, list[int]], acknowledged: dict[str, int]) -> None:
    try:
        storage = JournalStorage(disk=disk)
    except StoreError as error:
        raise Lost(str(error)) from error
    table = storage.read() or {}
    for key, states in asked.items():
        doc = table.get("jobs", {}).get(key)
        found = doc["number"] if doc else 0
        if found not in states[acknowledged[key] :]:
            raise Lost(f"{key}: found {found}, acknowledged {states[acknowledged[key]]}")
        # From here on this is what there is, be it acknowledged or not.
        acknowledged[key] = max(n for n, state in enumerate(states) if state == found)
    # Not closed: that would sync what has to be durable by now.
    storage.committer.close()


@pytest.mark.parametrize("block", range(4))
def test_power_cuts_lose_nothing_that_was_acknowledged(block: int) -> None:
    for seed in range(block * 40, block * 40 + 40):
        cut_and_recover(seed)


def test_the_same_cuts_do_lose_writes_on_a_disk_that_ignores_syncs() -> None:
    lost = 0
    for seed in range(30):
        try:
            cut_and_recover(seed, syncs=False)
        except Lost:
            lost += 1
    assert lost >= 25


@pytest.mark.parametrize("block", range(4))
def test_faults_that_pass_and_power_cuts_lose_nothing_that_was_acknowledged(block: int) -> None:
    assert sum(cut_and_recover(n, faults=True) for n in range(block * 40, block * 40 + 40)) > 40


@pytest.mark.soak
def test_thousands_of_power_cuts() -> None:
    for seed in range(1_000, 5_000):
        cut_and_recover(seed)
        cut_and_recover(seed, faults=True)
