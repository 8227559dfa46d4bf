"""Housekeeping: finished jobs by their hour, code that nobody names, files that a crash left."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from cumulus.controller.runtime import upkeep as upkeep_module
from cumulus.controller.runtime.upkeep import BLOB_GRACE_SECONDS, Upkeep
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Phase
from make import DIGEST, UID, T, job
from runtime_kit import ENVELOPE, Kit, until

UNUSED = "sha256:" + "c" * 64


def upkeep(kit: Kit) -> Upkeep:
    return Upkeep(kit.records, kit.blobs, kit.logs, kit.clock, kit.queue.add)


async def finished(kit: Kit, name: str, at: float, *, cleaned: bool = True) -> None:
    status = {"finished_at": at, "cleaned": cleaned}
    await kit.put(job(Phase.SUCCEEDED, name=name, uid=name * 32, status=status))


async def test_jobs_are_looked_at_from_their_hour_on(kit: Kit) -> None:
    await finished(kit, "a", T)
    await finished(kit, "b", T + 7200)
    await finished(kit, "c", T, cleaned=False)
    keeper = upkeep(kit)
    await keeper.sweep()
    assert sorted(kit.queued()) == []
    kit.clock.advance(86400)
    await keeper.sweep()
    assert sorted(kit.queued()) == ["a"]
    await keeper.sweep()  # once more within the hour: it may not have been time yet
    assert sorted(kit.queued()) == ["a"]
    kit.clock.advance(7200)
    await keeper.sweep()
    assert "b" in sorted(kit.queued())
    await upkeep(kit).sweep()  # a new controller begins with all hours that were
    assert sorted(kit.queued()) == ["a", "b"]


async def test_a_job_is_collected_when_its_time_is_over(kit: Kit) -> None:
    await finished(kit, "a", T)
    keeper = upkeep(kit)
    kit.clock.advance(86399)
    await keeper.sweep()
    await kit.settle()
    assert kit.records.job("a") is not None
    kit.clock.advance(1)
    await keeper.sweep()
    await kit.settle()
    assert kit.records.job("a") is None


async def test_code_that_no_job_names_goes_when_it_is_old(kit: Kit, tmp_path: Path) -> None:
    await kit.put(job())
    used, unused = kit.keep_blob(tmp_path, DIGEST), kit.keep_blob(tmp_path, UNUSED)
    for path in (used, unused):
        os.utime(path, (T, T))
    kit.clock.advance(BLOB_GRACE_SECONDS)
    await upkeep(kit).sweep()
    assert unused.exists()
    kit.clock.advance(1)
    await upkeep(kit).sweep()
    assert (used.exists(), unused.exists()) == (True, False)
    assert await kit.blobs.has(UNUSED) is None


async def test_who_asks_for_a_blob_finds_it_young(kit: Kit, tmp_path: Path) -> None:
    path = kit.keep_blob(tmp_path, UNUSED)
    os.utime(path, (T, T))
    kit.clock.advance(BLOB_GRACE_SECONDS + 1)
    assert await kit.blobs.has(UNUSED) == 3
    await upkeep(kit).sweep()
    assert path.exists()
    path.unlink()
    assert await kit.blobs.has(UNUSED) is None


async def test_log_files_of_jobs_that_are_gone_are_deleted_at_the_start(kit: Kit) -> None:
    await kit.put(job(Phase.RUNNING))
    for uid in (UID, "b" * 32):
        await kit.log(unit_name(uid, 1), b"a\n", end=True, result=ENVELOPE)
    (kit.logs._folder / "someone-elses").write_text("x")
    await upkeep(kit).sweep()
    left = sorted(path.name for path in kit.logs._folder.iterdir())
    assert left == [f"{unit_name(UID, 1)}.log", f"{unit_name(UID, 1)}.result", "someone-elses"]


async def test_a_full_disk_stops_one_round_only(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep_module, "SWEEP_SECONDS", 0.001)
    rounds = 0

    def drop_unused(*_: object) -> int:
        nonlocal rounds
        rounds += 1
        raise OSError("no space left on device")

    monkeypatch.setattr(kit.blobs, "drop_unused", drop_unused)
    running = asyncio.ensure_future(upkeep(kit).run())
    await until(lambda: rounds >= 3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
