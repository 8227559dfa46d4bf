"""Blobs: only what has its digest is kept; leftovers and unused ones go."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cumulus.controller.runtime.blobs import Blobs
from cumulus.crd_like_specs.errors import NotFoundError, StoreError, ValidationError
from disks import no_more_than

DATA = b"x" * (3 << 20)
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"


async def put(blobs: Blobs, data: bytes = DATA, digest: str = DIGEST) -> int:
    upload = await blobs.receive(digest)
    for start in range(0, len(data), 1 << 20):
        await upload.write(data[start : start + (1 << 20)])
    return await upload.commit()


async def test_round_trip_and_offset(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    assert await blobs.has(DIGEST) is None
    assert await put(blobs) == len(DATA)
    assert await blobs.has(DIGEST) == len(DATA)
    assert b"".join([p async for p in blobs.read(DIGEST, offset=5)]) == DATA[5:]
    assert await Blobs(tmp_path).has(DIGEST) == len(DATA)


async def test_a_full_disk_keeps_nothing(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    for begun in (b"", DATA[:2000]):  # the second still waits in the buffer
        upload = await blobs.receive(DIGEST)
        with no_more_than(1000):
            await upload.write(begun)
            with pytest.raises(StoreError, match="disk does not take blob"):
                await upload.write(DATA)
            await upload.abort()
        assert not list(tmp_path.glob("*.partial"))
    assert await blobs.has(DIGEST) is None
    assert await put(blobs) == len(DATA)


async def test_wrong_digest_keeps_nothing(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    with pytest.raises(ValidationError, match="was announced"):
        await put(blobs, b"other")
    assert await blobs.has(DIGEST) is None
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("digest", ["", "sha256:..", "sha256:" + "A" * 64, "md5:" + "a" * 64])
async def test_only_digests_become_paths(tmp_path: Path, digest: str) -> None:
    with pytest.raises(ValidationError):
        await Blobs(tmp_path).receive(digest)


async def test_missing_blob(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        [p async for p in Blobs(tmp_path).read(DIGEST, offset=0)]


async def test_leftovers_of_a_crash_are_cleared(tmp_path: Path) -> None:
    upload = await Blobs(tmp_path).receive(DIGEST)
    await upload.write(b"half")
    assert list(tmp_path.glob("*.partial"))
    Blobs(tmp_path)
    assert not list(tmp_path.glob("*.partial"))
    await upload.abort()


async def test_unused_old_blobs_are_dropped(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    await put(blobs)
    assert blobs.drop_unused(lambda _: False, before=0.0) == 0
    assert blobs.drop_unused(lambda _: True, before=1e12) == 0
    assert blobs.drop_unused(lambda _: False, before=1e12) == 1
    assert await blobs.has(DIGEST) is None
