"""A store that could not write goes on by itself, and nothing that was acknowledged is lost by it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from cumulus.controller.store import JournalStorage, Store
from cumulus.controller.store.committer import RETRY_AFTER
from cumulus.crd_like_specs.errors import StoreError
from store_faults import FULL, FakeDisk, put


class Bench:
    """A store on a disk that can be full, and a clock."""

    def __init__(self, disk: FakeDisk | None = None) -> None:
        self.disk = disk or FakeDisk()
        self.now = 0.0
        self.storage = JournalStorage(disk=self.disk, clock=lambda: self.now)

    def refused(self, id_: str) -> None:
        with pytest.raises(
            StoreError, match=r"read-only, since it could not be written: .*No space"
        ):
            self.storage.commit(put(id_, 1))

    def found(self, files: dict[str, bytes] | None = None) -> set[str]:
        """Ids of a store that is opened on what this one left, or on these files."""
        again = JournalStorage(disk=FakeDisk(self.disk.contents() if files is None else files))
        try:
            return set(again.state.copy().get("jobs", {}))
        finally:
            again.close()


@pytest.mark.parametrize("call", ["append", "sync"])
def test_it_goes_on_by_itself_once_there_is_room_again(call: str) -> None:
    bench = Bench()
    bench.storage.commit(put("a", 1))
    bench.disk.failing[call] = FULL
    bench.refused("b")
    bench.disk.failing.clear()
    calls = bench.disk.calls
    bench.refused("b")
    assert bench.disk.calls == calls, "no try before its time"
    bench.now += RETRY_AFTER
    assert bench.storage.commit(put("c", 2)) == 2
    assert bench.storage.committer.healthy
    assert bench.storage.committer.trouble() == ""
    assert sorted(bench.disk.contents()) == ["journal.2", "snapshot.1"]
    assert bench.storage.commit(put("d", 3)) == 3
    # Neither a kill nor a power cut takes anything that was acknowledged, nor brings `b` back.
    assert bench.found() == {"a", "c", "d"}
    for seed in range(20):
        assert bench.found(bench.disk.after_cut(random.Random(seed))) == {"a", "c", "d"}
    bench.storage.close()


@pytest.mark.parametrize("call", ["create", "append", "sync", "rename", "sync_folder"])
def test_tries_that_fail_leave_everything_as_it_was(call: str) -> None:
    bench = Bench()
    bench.storage.commit(put("a", 1))
    bench.disk.failing["sync"] = FULL
    bench.refused("b")
    bench.disk.failing = {call: FULL}
    for _ in range(3):
        bench.now += RETRY_AFTER
        bench.refused("b")
        assert not [name for name in bench.disk.contents() if name.endswith(".tmp")]
        # Killed here, `b` may be there: nobody was told that it is not, only that it may not be.
        assert bench.found() <= {"a", "b"}
        assert "a" in bench.found(bench.disk.after_cut(random.Random(1)))
    bench.disk.failing.clear()
    bench.now += RETRY_AFTER
    bench.storage.commit(put("c", 1))
    assert bench.found() == {"a", "c"}
    bench.storage.close()


def test_room_that_is_only_there_for_a_part_of_the_repair_is_given_back() -> None:
    bench = Bench()
    for number in range(4):
        bench.storage.commit(put(f"j{number}", number))
    bench.disk.failing["append"] = FULL
    bench.refused("b")
    bench.disk.failing.clear()
    real = bench.disk.append

    def full_after_the_header(handle: int, data: bytes) -> None:
        if len(data) > 100:
            raise FULL
        real(handle, data)

    bench.disk.append = full_after_the_header  # type: ignore[method-assign]
    bench.now += RETRY_AFTER
    bench.refused("b")
    assert list(bench.disk.contents()) == ["journal.1"]
    bench.disk.append = real  # type: ignore[method-assign]
    bench.now += RETRY_AFTER
    bench.storage.commit(put("c", 1))
    assert bench.found() == {"j0", "j1", "j2", "j3", "c"}
    bench.storage.close()


@pytest.mark.parametrize("call", ["rename", "sync_folder"])
def test_a_compaction_that_stopped_halfway_is_repaired_too(call: str) -> None:
    bench = Bench()
    bench.storage.commit(put("a", 1))
    bench.disk.failing[call] = FULL
    with pytest.raises(StoreError, match="No space"):
        bench.storage.compact()
    bench.disk.failing.clear()
    bench.now += RETRY_AFTER
    bench.storage.compact()
    bench.storage.commit(put("b", 1))
    assert bench.found() == {"a", "b"}
    bench.storage.close()


def test_old_files_that_cannot_be_removed_do_not_keep_it_from_going_on() -> None:
    bench = Bench()
    bench.storage.commit(put("a", 1))
    bench.disk.failing["append"] = FULL
    bench.refused("b")
    bench.disk.failing = {"unlink": OSError(5, "Input/output error")}
    bench.now += RETRY_AFTER
    bench.storage.commit(put("c", 1))
    assert sorted(bench.disk.contents()) == ["journal.1", "journal.2", "snapshot.1"]
    assert bench.found() == {"a", "c"}
    bench.storage.close()


def test_an_error_of_the_program_is_not_repaired(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()

    def broken(*_: Any) -> None:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(bench.storage.state, "apply", broken)
    with pytest.raises(StoreError, match="read-only until a restart: RuntimeError"):
        bench.storage.commit(put("a", 1))
    bench.now += 10 * RETRY_AFTER
    with pytest.raises(StoreError, match="read-only until a restart"):
        bench.storage.commit(put("a", 1))
    assert "until a restart" in bench.storage.committer.trouble()
    bench.storage.close()


def test_whoever_asks_what_is_wrong_makes_an_idle_store_go_on(
    reopen: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cumulus.controller.store.committer.RETRY_AFTER", 0.0)
    store = reopen()
    store.put("jobs", "a", {"phase": "Running"})
    real = store._storage._disk.append

    def full(handle: int, data: bytes) -> None:
        real(handle, data[:7])
        raise FULL

    monkeypatch.setattr(store._storage._disk, "append", full)
    with pytest.raises(StoreError, match="No space left"):
        store.put("jobs", "b", {"phase": "Running"})
    assert "No space left on device; it goes on by itself" in store.trouble()
    monkeypatch.setattr(store._storage._disk, "append", real)
    deadline = time.monotonic() + 10
    while store.trouble():
        assert time.monotonic() < deadline
    store.put("jobs", "c", {"phase": "Running"})
    again = reopen()
    assert sorted(again.ids("jobs")) == ["a", "c"]


def test_a_journal_whose_end_only_the_snapshot_has_is_not_gone_on_with() -> None:
    bench = Bench()
    bench.storage.commit(put("a", 1))
    short = bench.disk.contents()["journal.1"]
    bench.storage.commit(put("b", 1))
    bench.storage.compact()
    bench.storage.close()
    files = bench.disk.contents()
    disk = FakeDisk({"snapshot.2": files["snapshot.2"], "journal.1": short})
    again = Bench(disk)
    again.storage.commit(put("c", 1))
    again.storage.close()
    assert again.found() == {"a", "b", "c"}


def test_what_a_failed_sync_left_is_written_again_at_the_next_start() -> None:
    bench = Bench()
    bench.storage.commit(put("a", 1))
    bench.disk.failing["sync"] = FULL
    bench.refused("b")
    bench.disk.failing.clear()
    # Killed; the next process reads `b` from memory that no sync would write, and shows it.
    disk = bench.disk.restarted()
    again = Bench(disk)
    assert set(again.storage.state.copy()["jobs"]) == {"a", "b"}
    again.storage.commit(put("c", 1))
    for seed in range(20):
        assert again.found(disk.after_cut(random.Random(seed))) == {"a", "b", "c"}
    again.storage.close()
    bench.storage.committer.close()
