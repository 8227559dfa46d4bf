"""What attempts leave, on the controller: whole or not there, resumed, bounded, and each worker's own."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest
from cumulus.controller.runtime.artifact_gate import ArtifactGate
from cumulus.controller.runtime.artifacts import UNTOLD, Artifacts
from cumulus.controller.runtime.left import Left
from cumulus.crd_like_specs.errors import (
    ConflictError,
    CumulusError,
    ForbiddenError,
    NotFoundError,
    StoreError,
    ValidationError,
)
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.lease import Lease
from make import UID, lease
from runtime_kit import Kit

DATA = b"weights" * 1000
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
SIZE = len(DATA)
UNIT = unit_name(UID, 1)
OTHER = "b" * 32


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


async def put(artifacts: Artifacts, data: bytes = DATA, uid: str = UID) -> str:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    upload = artifacts.receive(uid, digest, len(data), 0)
    await upload.write(data)
    await upload.commit()
    return digest


async def gone(artifacts: Artifacts) -> None:
    while artifacts._deleting:
        await asyncio.wait(set(artifacts._deleting))


async def test_an_upload_goes_on_after_a_break(artifacts: Artifacts, tmp_path: Path) -> None:
    upload = artifacts.receive(UID, DIGEST, SIZE, 0)
    await upload.write(DATA[:10])
    await upload.abort()
    assert artifacts.size(UID, DIGEST) is None
    again = Artifacts(tmp_path / "artifacts")
    assert again.received(UID, DIGEST) == 10
    with pytest.raises(ConflictError, match="10 bytes"):
        again.receive(UID, DIGEST, SIZE, 0)
    upload = again.receive(UID, DIGEST, SIZE, 10)
    await upload.write(DATA[10:])
    assert await upload.commit() == SIZE
    assert again.size(UID, DIGEST) == SIZE
    assert b"".join([p async for p in again.read(UID, DIGEST, offset=7)]) == DATA[7:]
    assert again.size(OTHER, DIGEST) is None, "one job's are not another's"


async def test_one_upload_of_a_job_at_a_time(artifacts: Artifacts) -> None:
    first = artifacts.receive(UID, DIGEST, SIZE, 0)
    with pytest.raises(ConflictError):
        artifacts.receive(UID, f"sha256:{'0' * 64}", SIZE, 0)
    other = artifacts.receive(OTHER, DIGEST, SIZE, 0)
    await first.abort()
    later = artifacts.receive(UID, f"sha256:{'0' * 64}", SIZE, 0)
    await asyncio.gather(other.abort(), later.abort())
    assert artifacts.received(UID, DIGEST) == 0, "of a content that has changed since"


@pytest.mark.parametrize("when", ["before", "while it is checked"])
async def test_one_that_comes_whole_as_its_job_goes(tmp_path: Path, when: str) -> None:
    """Nobody wants it any more, which is no failure of the controller's."""
    loop = asyncio.get_running_loop()

    class Checked(Artifacts):
        def check(self, part: Path) -> None:  # noqa: ARG002 (the method that it replaces)
            if when != "before":
                asyncio.run_coroutine_threadsafe(deleted(), loop).result()

    async def deleted() -> None:
        artifacts.delete(UID)
        await gone(artifacts)

    artifacts = Checked(tmp_path / "artifacts")
    upload = artifacts.receive(UID, DIGEST, SIZE, 0)
    await upload.write(DATA)
    if when == "before":
        await deleted()
    with pytest.raises(NotFoundError, match="is over: nothing of it is taken any more"):
        await upload.commit()
    assert artifacts.size(UID, DIGEST) is None
    assert not artifacts.uids()


@pytest.mark.parametrize("data", [DATA[:-1] + b"x", DATA[:-1]])
async def test_what_is_not_what_was_announced_is_not_kept(
    artifacts: Artifacts, data: bytes
) -> None:
    upload = artifacts.receive(UID, DIGEST, SIZE, 0)
    await upload.write(data)
    with pytest.raises(ValidationError):
        await upload.commit()
    assert artifacts.size(UID, DIGEST) is None
    assert artifacts.received(UID, DIGEST) == 0


async def test_more_than_was_announced_is_refused(artifacts: Artifacts) -> None:
    upload = artifacts.receive(UID, DIGEST, 10, 0)
    with pytest.raises(ValidationError, match="more than the announced 10"):
        await upload.write(DATA)
    await upload.abort()


async def test_a_full_disk_is_not_filled(
    artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cumulus.controller.runtime.artifacts.SPARE", 1 << 60)
    with pytest.raises(StoreError, match="no room"):
        artifacts.receive(UID, DIGEST, SIZE, 0)


async def test_what_is_named_no_more_goes(artifacts: Artifacts) -> None:
    digests = [await put(artifacts, bytes([n]) * 9) for n in range(5)]
    artifacts.drop(UID, digests[:1])
    artifacts.keep_only(UID, digests[1:2])
    await gone(artifacts)
    there = [artifacts.size(UID, digest) for digest in digests]
    assert there[:2] == [None, 9]
    assert there[2:].count(9) == UNTOLD, "the newest may not have been told of yet"
    artifacts.delete(UID)
    await gone(artifacts)
    assert artifacts.uids() == []


@pytest.mark.parametrize("bad", ["../../etc/passwd", "sha256:..", ""])
async def test_nothing_else_ever_becomes_a_path(artifacts: Artifacts, bad: str) -> None:
    with pytest.raises(ValidationError):
        artifacts.size(UID, bad)
    with pytest.raises(ValidationError):
        artifacts.size(bad, DIGEST)


class Gate:
    def __init__(self, kit: Kit, left: Left) -> None:
        self.kit, self.artifacts = kit, left.checkpoints
        self.gate = ArtifactGate(kit.records, left)

    async def hold(self, **fields: Any) -> Lease:
        of = lease(checkpoint_size=1 << 20, **fields)
        await self.kit.records.put_lease(of)
        return of


@pytest.fixture
def gate(kit: Kit, tmp_path: Path) -> Gate:
    return Gate(kit, Left(tmp_path))


async def test_a_worker_brings_what_its_own_attempts_left(gate: Gate) -> None:
    await gate.hold(released=True)  # given back, but its record is there
    found = await gate.gate.find("n1", UNIT, DIGEST, SIZE)
    assert (found.size, found.complete) == (0, False)
    upload = await gate.gate.receive("n1", UNIT, DIGEST, SIZE, 0)
    await upload.write(DATA)
    await upload.commit()
    found = await gate.gate.find("n1", UNIT, DIGEST, SIZE)
    assert (found.size, found.complete) == (SIZE, True)


@pytest.mark.parametrize(
    ("worker", "unit", "size", "error"),
    [
        ("n2", UNIT, SIZE, ForbiddenError),
        ("n1", unit_name(OTHER, 1), SIZE, NotFoundError),
        ("n1", UNIT, 1 << 40, ValidationError),
        ("n1", UNIT, 0, ValidationError),
    ],
)
async def test_and_nothing_else(
    gate: Gate, worker: str, unit: str, size: int, error: type[CumulusError]
) -> None:
    await gate.hold()
    with pytest.raises(error):
        await gate.gate.find(worker, unit, DIGEST, size)
    with pytest.raises(error):
        await gate.gate.receive(worker, unit, DIGEST, size, 0)


async def test_a_worker_fetches_what_an_attempt_there_begins_with(gate: Gate) -> None:
    await put(gate.artifacts)
    await gate.hold(attempt=2, checkpoint=DIGEST)
    unit = unit_name(UID, 2)
    assert await gate.gate.size("n1", unit, DIGEST) == SIZE
    assert b"".join([p async for p in gate.gate.read(unit, DIGEST, offset=0)]) == DATA
    for worker, digest in (("n2", DIGEST), ("n1", f"sha256:{'0' * 64}"), ("n1", "")):
        with pytest.raises(ForbiddenError):
            await gate.gate.size(worker, unit, digest)
    gate.artifacts.delete(UID)
    await gone(gate.artifacts)
    with pytest.raises(NotFoundError):
        await gate.gate.size("n1", unit, DIGEST)
