"""What is staged, how it is readable, and what is refused."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cumulus.api.frames import LeaseWanted
from cumulus.chronos_bindings.agent import blob_cache, requirements
from cumulus.chronos_bindings.agent.blob_cache import BlobCache
from cumulus.chronos_bindings.agent.staging import Staging
from cumulus.crd_like_specs.errors import Permanent, Temporary
from cumulus.crd_like_specs.lease import LeaseSpec

from .conftest import digest_of, unit, zipped
from .fakes import FakeBlobs

CODE = zipped()


@pytest.fixture
def blobs() -> FakeBlobs:
    fake = FakeBlobs()
    fake.blobs[digest_of(CODE)] = CODE
    return fake


@pytest.fixture
def staging(tmp_path: Path, blobs: FakeBlobs) -> Staging:
    return Staging(tmp_path / "staging", BlobCache(tmp_path / "blobs", blobs))


def lease(**given: Any) -> LeaseWanted:
    spec = LeaseSpec(job="1" * 32, job_name="j", attempt=1, worker="w", memory_milli=0, duration=9)
    return replace(LeaseWanted(unit(), spec, digest_of(CODE)), **given)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_another_user_can_read_it_but_not_list_its_siblings(staging: Staging) -> None:
    old = os.umask(0o077)
    try:
        await staging.stage(lease(requirements=("six",)))
        await staging.link_env(unit(), None)
    finally:
        os.umask(old)
    folder = staging.root / unit()
    assert mode(staging.root) == 0o711
    assert {mode(p) for p in (folder, folder / "job", folder / "env")} == {0o755}
    for name in ("code.zip", "args.json", "requirements.txt"):
        assert mode(folder / "job" / name) == 0o644


async def test_whoever_an_image_runs_as_may_write_to_its_checkpoint(
    tmp_path: Path, blobs: FakeBlobs
) -> None:
    archives = BlobCache(tmp_path / "archives", None)
    cache = BlobCache(tmp_path / "blobs", blobs)
    staging = Staging(tmp_path / "staging", cache, archives, owner=os.geteuid())
    spec = lease().spec.model_copy(update={"checkpoint_size": 1 << 20})
    for attempt, code, expected in ((1, digest_of(CODE), 0o700), (2, "", 0o777)):
        await staging.stage(lease(name=unit(attempt), spec=spec, code_digest=code))
        assert mode(staging.root / unit(attempt) / "checkpoint") == expected


async def test_code_is_fetched_once_and_checked_each_time(
    staging: Staging, blobs: FakeBlobs, tmp_path: Path
) -> None:
    await staging.stage(lease())
    await staging.stage(lease(name=unit(2)))
    assert len(blobs.fetched) == 1
    cached = tmp_path / "blobs" / digest_of(CODE)[7:]
    cached.unlink()
    cached.write_bytes(b"rotten")
    await staging.stage(lease(name=unit(3)))
    assert len(blobs.fetched) == 2
    assert (staging.root / unit(3) / "job" / "code.zip").read_bytes() == CODE


async def test_the_cache_forgets_the_oldest(tmp_path: Path, blobs: FakeBlobs) -> None:
    cache = BlobCache(tmp_path / "small", blobs, limit=10)
    paths = []
    for number in range(3):
        data = bytes([number]) * 8
        blobs.blobs[digest_of(data)] = data
        paths.append(await cache.get(digest_of(data)))
        os.utime(paths[-1], (number, number))
    assert [path.exists() for path in paths] == [False, True, True]


async def test_the_cache_forgets_what_came_in_part_only(tmp_path: Path, blobs: FakeBlobs) -> None:
    cache = BlobCache(tmp_path / "small", blobs, limit=10)
    left = tmp_path / "small" / f"{'a' * 64}.part"
    left.write_bytes(bytes(20))
    os.utime(left, (1, 1))
    assert (await cache.get(digest_of(CODE))).exists()
    assert not left.exists()


@pytest.mark.parametrize("name", ["", "..", "../x", "cumulus-x-1", "/etc", f"{unit()}/../y"])
async def test_names_that_are_no_attempts_are_refused(staging: Staging, name: str) -> None:
    for refused in (
        staging.stage(lease(name=name)),
        staging.drop(name),
        staging.link_env(name, None),
    ):
        with pytest.raises(Permanent, match="not the name of an attempt"):
            await refused
    assert list(staging.root.iterdir()) == []


@pytest.mark.parametrize("digest", ["sha256:../../x", "md5:" + "0" * 64, "sha256:" + "G" * 64, "x"])
async def test_what_is_no_digest_is_refused(
    staging: Staging, blobs: FakeBlobs, digest: str
) -> None:
    with pytest.raises(Permanent, match="no digest"):
        await staging.stage(lease(code_digest=digest))
    assert blobs.fetched == []


@pytest.mark.parametrize(
    "line", ["-r /etc/passwd", "--index-url http://x", "./local", "/abs", "file:///x", "a b"]
)
async def test_requirements_that_are_no_packages_are_refused(staging: Staging, line: str) -> None:
    with pytest.raises(Permanent) as caught:
        await staging.stage(lease(requirements=(line,)))
    assert caught.value.reason == "RequirementsFailed"
    assert list(staging.root.iterdir()) == []


async def _stage_zip(staging: Staging, blobs: FakeBlobs, data: bytes) -> tuple[str, ...]:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    blobs.blobs[digest] = data
    return await staging.stage(lease(code_digest=digest))


@pytest.mark.parametrize("bad", [b"", b"no zip at all", CODE[:-30], b"PK\x05\x06" + b"\0" * 18])
async def test_a_bad_zip_is_left_for_the_runner_to_explain(
    staging: Staging, blobs: FakeBlobs, bad: bytes
) -> None:
    assert await _stage_zip(staging, blobs, bad) == ()
    assert (staging.root / unit() / "job" / "code.zip").read_bytes() == bad


def _special(kind: int, body: bytes) -> bytes:
    info = zipfile.ZipInfo("requirements.txt")
    info.external_attr = kind << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(info, body)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_special(stat.S_IFLNK | 0o777, b"/etc/passwd"), "a link"),
        (_special(stat.S_IFREG | 0o644, b"#" * (requirements.MAX_BYTES + 1)), "larger than"),
        (_special(stat.S_IFREG | 0o644, b"caf\xe9"), "not UTF-8"),
        (_special(stat.S_IFREG | 0o644, b"numpy\n-e .\n"), "-e ."),
    ],
)
async def test_a_zip_with_bad_requirements_is_refused(
    staging: Staging, blobs: FakeBlobs, data: bytes, words: str
) -> None:
    with pytest.raises(Permanent, match=words) as caught:
        await _stage_zip(staging, blobs, data)
    assert caught.value.reason == "RequirementsFailed"


def _damaged(method: int) -> bytes:
    """Its directory is whole; what is said to be compressed is not."""
    name, out = "requirements.txt", io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr(name, "numpy\n" * 100)
        entry = archive.getinfo(name)
    data, at = bytearray(out.getvalue()), entry.header_offset + 30 + len(name)
    data[at : at + entry.compress_size] = b"\xff" * entry.compress_size
    return bytes(data)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
async def test_damage_that_shows_only_in_unpacking_is_left_for_the_runner_too(
    staging: Staging, blobs: FakeBlobs, method: int
) -> None:
    assert await _stage_zip(staging, blobs, _damaged(method)) == ()


async def test_a_nested_requirements_file_is_no_requirements_file(
    staging: Staging, blobs: FakeBlobs
) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("sub/requirements.txt", "-r evil")
    assert await _stage_zip(staging, blobs, out.getvalue()) == ()


async def test_what_was_half_built_is_cleaned_up(tmp_path: Path, blobs: FakeBlobs) -> None:
    left = tmp_path / "staging" / ".aside-x" / "job"
    left.mkdir(parents=True)
    staging = Staging(tmp_path / "staging", BlobCache(tmp_path / "blobs", blobs))
    assert list(staging.root.iterdir()) == []
    assert staging.units() == []


async def test_a_full_disk_is_worth_another_try(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "x")

    monkeypatch.setattr("cumulus.chronos_bindings.agent.staging._place", full)
    with pytest.raises(Temporary, match="No space left"):
        await staging.stage(lease())
    assert list(staging.root.iterdir()) == []


async def test_a_folder_is_dropped_from_a_full_disk(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    await staging.stage(lease())

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "x")

    monkeypatch.setattr("os.mkdir", full)
    await staging.drop(unit())
    assert list(staging.root.iterdir()) == []


async def test_an_environment_can_be_linked_again(staging: Staging, tmp_path: Path) -> None:
    await staging.stage(lease())
    for env in (None, tmp_path / "a", tmp_path / "b", None):
        await staging.link_env(unit(), env)
    assert (staging.root / unit() / "env").is_dir()
    await staging.drop(unit())
    await staging.drop(unit())
    assert list(staging.root.iterdir()) == []


def test_a_missing_file_matches_nothing(tmp_path: Path) -> None:
    assert not blob_cache.matches(tmp_path / "none", digest_of(b""))
