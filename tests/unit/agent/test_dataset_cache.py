"""Datasets on a worker: come once, are read-only, stay while they are used, survive what happens."""

from __future__ import annotations

import asyncio
import io
import os
import stat
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cumulus.chronos_bindings.agent.dataset_cache import DatasetCache
from cumulus.chronos_bindings.agent.dataset_folder import DatasetFolder, key_of
from cumulus.crd_like_specs.errors import Permanent, Temporary
from cumulus.crd_like_specs.job_datasets import DatasetMount

from .conftest import digest_of, unit


class Given:
    """A source; `hold` keeps a download under way, the next `broken` ones end half-way."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.called = asyncio.Event()
        self.hold: asyncio.Event | None = None
        self.broken = 0
        self.nothing = False  # comes before it breaks

    async def fetch(
        self,
        unit: str,  # noqa: ARG002 (the port's)
        digest: str,
        dest: Path,
        arrived: Callable[[int], None],
    ) -> None:
        self.calls.append(digest)
        self.called.set()
        if digest not in self.contents:
            raise Permanent(f"{digest} is not here", reason="DatasetMissing")
        data = self.contents[digest]
        part = dest.with_name(f"{dest.name}.part")
        have = part.stat().st_size if part.exists() else 0
        middle = have if self.nothing else have + (len(data) - have) // 2
        with part.open("ab") as file:
            file.write(data[have:middle])
            arrived(middle)
        if self.hold is not None:
            await self.hold.wait()
        if self.broken:
            self.broken -= 1
            raise Temporary("the line broke", reason="DatasetMissing")
        with part.open("ab") as file:
            file.write(data[middle:])
        arrived(len(data))
        part.replace(dest)


def tar(form: str = "xz", **files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{form}") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size, info.mode = len(content), 0o4777
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def given() -> Given:
    return Given()


@pytest.fixture
def wall() -> list[float]:
    return [1000.0]


@pytest.fixture
def make(tmp_path: Path, given: Given, wall: list[float]) -> Callable[..., DatasetCache]:
    def new(limit: int = 1 << 30, **more: Any) -> DatasetCache:
        def now() -> float:
            wall[0] += 1
            return wall[0]

        folder = DatasetFolder(tmp_path / "datasets", now)
        return DatasetCache(folder, given, limit=limit, spare=0, **more)

    return new


def dataset(given: Given, name: str, data: bytes, form: str = "tar.xz") -> DatasetMount:
    given.contents[digest_of(data)] = data
    return DatasetMount(
        name=name,
        digest=digest_of(data),
        size=len(data),
        extracted=len(data),
        format=form,
        filename=f"{name}.csv" if form == "file" else "",
    )


async def test_an_archive_becomes_a_read_only_folder(
    make: Callable[..., DatasetCache], given: Given
) -> None:
    photos = dataset(given, "photos", tar(a=b"one", deep__b=b"two"))
    cache = make()
    path = await cache.get(unit(), photos)
    assert (path / "a").read_bytes() == b"one"
    assert (path / "deep" / "b").read_bytes() == b"two"
    modes = {stat.S_IMODE(p.lstat().st_mode) for p in (path, *path.rglob("*"))}
    assert modes == {0o555}
    assert await cache.get(unit(2), photos) == path
    assert given.calls == [photos.digest]
    assert cache.digests == (photos.digest,)
    assert not list((path.parent / "incoming").iterdir())


async def test_what_is_no_archive_is_a_folder_with_one_file(
    make: Callable[..., DatasetCache], given: Given
) -> None:
    table = dataset(given, "table", b"a,b\n1,2\n", "file")
    path = await make().get(unit(), table)
    assert [(p.name, p.read_bytes()) for p in path.iterdir()] == [("table.csv", b"a,b\n1,2\n")]
    assert stat.S_IMODE((path / "table.csv").stat().st_mode) == 0o444


async def test_the_same_bytes_under_another_name_are_another_folder(
    make: Callable[..., DatasetCache], given: Given
) -> None:
    cache, data = make(), tar(a=b"x")
    as_file = await cache.get(unit(), dataset(given, "table", data, "file"))
    other = await cache.get(unit(), dataset(given, "other", data, "file"))
    unpacked = await cache.get(unit(), dataset(given, "table", data))
    assert [p.name for p in as_file.iterdir()] == ["table.csv"]
    assert [p.name for p in other.iterdir()] == ["other.csv"]
    assert [p.name for p in unpacked.iterdir()] == ["a"]


async def test_several_that_want_it_at_once_get_it_once(
    make: Callable[..., DatasetCache], given: Given
) -> None:
    photos, cache, told = dataset(given, "photos", tar(a=b"one" * 99)), make(), list[str]()
    given.hold = asyncio.Event()
    first = asyncio.ensure_future(cache.get(unit(), photos))
    await given.called.wait()
    second = asyncio.ensure_future(cache.get(unit(2), photos, told.append))
    await asyncio.sleep(0)
    given.hold.set()
    assert await first == await second
    assert given.calls == [photos.digest]
    assert told[-1] == "dataset photos: is being unpacked"


async def test_a_second_one_goes_on_where_the_first_gave_up(
    make: Callable[..., DatasetCache], given: Given
) -> None:
    photos, cache = dataset(given, "photos", tar(a=b"one" * 99)), make()
    given.hold = asyncio.Event()
    first = asyncio.ensure_future(cache.get(unit(), photos))
    await given.called.wait()
    second = asyncio.ensure_future(cache.get(unit(2), photos))
    first.cancel()
    await asyncio.wait({first})
    given.hold.set()
    assert ((await second) / "a").read_bytes() == b"one" * 99


async def test_a_bad_line_only_takes_longer(
    make: Callable[..., DatasetCache], given: Given
) -> None:
    photos = dataset(given, "photos", tar(a=os.urandom(5000)))
    given.broken = 9
    assert await make().get(unit(), photos)
    assert len(given.calls) == 10


async def test_it_is_told_how_far_it_is(make: Callable[..., DatasetCache], given: Given) -> None:
    data = os.urandom(3 << 20)
    told = list[str]()
    await make().get(unit(), dataset(given, "noise", data, "file"), told.append)
    assert told[:3] == [
        "dataset noise: 0 of 3Mi",
        "dataset noise: 1.5 of 3Mi",
        "dataset noise: 3 of 3Mi",
    ]


async def test_errors_name_the_dataset(make: Callable[..., DatasetCache], given: Given) -> None:
    cache = make()
    gone = dataset(given, "gone", b"x", "file")
    given.contents.clear()
    with pytest.raises(Permanent, match=r"^dataset gone: .*is not here") as missing:
        await cache.get(unit(), gone)
    assert missing.value.reason == "DatasetMissing"
    bad = dataset(given, "bad", b"no archive at all")
    with pytest.raises(Permanent, match=r"^dataset bad: ") as unsafe:
        await cache.get(unit(), bad)
    assert unsafe.value.reason == "DatasetUnsafe"
    with pytest.raises(Permanent, match="dataset vague: neither digest") as vague:
        await cache.get(unit(), DatasetMount(name="vague"))
    assert vague.value.reason == "BadLease"
    given.broken, given.nothing = 1, True
    photos = dataset(given, "photos", tar(a=b"1"))
    with pytest.raises(Temporary, match=r"^dataset photos: the line broke"):
        await cache.get(unit(), photos)
    await cache.get(unit(), photos)


async def test_a_disk_without_room_is_said(make: Callable[..., DatasetCache], given: Given) -> None:
    huge = dataset(given, "huge", b"x", "file").model_copy(update={"size": 1 << 60})
    with pytest.raises(Temporary, match=r"^dataset huge: 1.049e\+06Ti are needed") as full:
        await make().get(unit(), huge)
    assert full.value.reason == "DiskFull"


async def test_the_least_recently_used_goes_and_what_is_used_stays(
    make: Callable[..., DatasetCache], given: Given
) -> None:
    one, two, three = (
        dataset(given, name, os.urandom(60 << 10), "file") for name in ("one", "two", "three")
    )
    cache = make(limit=150 << 10)
    kept = await cache.get(unit(1), one)
    gone = await cache.get(unit(2), two)
    cache.release(unit(1))
    cache.release(unit(2))
    await cache.get(unit(3), one)  # used again: now `two` is the oldest
    await cache.get(unit(4), three)
    assert kept.exists()
    assert not gone.exists()
    assert set(cache.digests) == {one.digest, three.digest}
    await cache.get(unit(5), two)  # above the limit, since all the others are in use
    assert len(cache.digests) == 3


async def test_what_was_in_use_goes_as_soon_as_it_is_not(
    make: Callable[..., DatasetCache], given: Given
) -> None:
    changed = asyncio.Event()
    cache = make(limit=1, changed=changed.set)
    path = await cache.get(unit(), dataset(given, "a", tar(a=b"1")))
    changed.clear()
    tidying = asyncio.ensure_future(cache.run())
    cache.release(unit())
    await asyncio.wait_for(changed.wait(), 10)
    assert not path.exists()
    assert cache.digests == ()
    tidying.cancel()


async def test_what_exists_no_more_goes_once_nobody_uses_it_whatever_the_limit(
    make: Callable[..., DatasetCache], given: Given
) -> None:
    changed = asyncio.Event()
    cache = make(changed=changed.set)
    a, b = dataset(given, "a", tar(a=b"1")), dataset(given, "b", tar(b=b"2"))
    path, other = await cache.get(unit(), a), await cache.get(unit(9), b)
    cache.release(unit(9))
    changed.clear()
    tidying = asyncio.ensure_future(cache.run())
    cache.drop([a.digest, b.digest])
    await asyncio.wait_for(changed.wait(), 10)
    assert cache.digests == (a.digest,)
    assert path.exists()
    assert not other.exists()
    changed.clear()
    cache.release(unit())
    await asyncio.wait_for(changed.wait(), 10)
    assert cache.digests == ()
    assert not path.exists()
    cache.drop([])  # it was uploaded again
    assert (await cache.get(unit(), a)).is_dir()
    cache.release(unit())
    await cache.get(unit(9), b)
    assert cache.digests == tuple(sorted((a.digest, b.digest)))
    tidying.cancel()


async def test_what_exists_no_more_goes_after_a_restart_too(
    make: Callable[..., DatasetCache], given: Given, tmp_path: Path
) -> None:
    photos = dataset(given, "photos", tar(a=b"1"))
    path = await make().get(unit(), photos)
    part = tmp_path / "datasets" / "incoming" / f"{photos.digest.removeprefix('sha256:')}.part"
    part.write_bytes(b"1")
    staged, changed = {key_of(photos)}, asyncio.Event()
    again = make(in_use=lambda: set(staged), changed=changed.set)
    tidying = asyncio.ensure_future(again.run())
    again.drop([photos.digest])
    staged.clear()
    again.release(unit())  # of whose datasets this agent was never asked
    await asyncio.wait_for(changed.wait(), 10)
    assert not path.exists()
    assert not part.exists()
    tidying.cancel()


async def test_a_restart_keeps_what_is_whole_and_in_use_and_nothing_else(
    make: Callable[..., DatasetCache], given: Given, tmp_path: Path
) -> None:
    photos, old = dataset(given, "photos", tar(a=b"1")), dataset(given, "old", tar(b=b"2"))
    cache = make()
    path, older = await cache.get(unit(), photos), await cache.get(unit(), old)
    root = tmp_path / "datasets"
    (root / ".making-x" / "inner").mkdir(parents=True)
    (root / ".making-x" / "inner").chmod(0o555)
    (root / "half").mkdir()
    (root / "alone.json").write_text("{}")
    (root / f"{older.name}.json").write_bytes(b"{")
    again = make(limit=1, in_use=lambda: {key_of(photos)})
    assert again.digests == (photos.digest,)
    tidying = asyncio.ensure_future(again.run())
    assert await again.get(unit(), photos) == path
    assert given.calls == [photos.digest, old.digest]
    await again.get(unit(9), old)
    tidying.cancel()
    left = {p.name for p in root.iterdir()}
    assert left == {"incoming", *(n for p in (path, older) for n in (p.name, f"{p.name}.json"))}


async def test_what_lost_its_blocks_is_fetched_again(
    make: Callable[..., DatasetCache], given: Given
) -> None:
    photos = dataset(given, "photos", tar(a=b"one"))
    path = await make().get(unit(), photos)
    (path / "a").chmod(0o644)
    (path / "a").write_bytes(b"")
    assert ((await make().get(unit(), photos)) / "a").read_bytes() == b"one"
    assert given.calls == [photos.digest] * 2


async def test_bytes_that_came_before_the_agent_was_killed_are_not_fetched_again(
    make: Callable[..., DatasetCache], given: Given, tmp_path: Path
) -> None:
    photos = dataset(given, "photos", tar(a=b"one"))
    make()
    whole = tmp_path / "datasets" / "incoming" / photos.digest.removeprefix("sha256:")
    whole.write_bytes(given.contents[photos.digest])
    assert ((await make().get(unit(), photos)) / "a").read_bytes() == b"one"
    assert given.calls == []


async def test_giving_up_stops_the_unpacking_too(
    make: Callable[..., DatasetCache], given: Given, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    photos, cache = dataset(given, "photos", tar("", a=os.urandom(4 << 20)), "tar"), make()
    began, go_on = threading.Event(), threading.Event()
    lay_out = DatasetFolder.lay_out

    def slow(self: DatasetFolder, key: str, one: DatasetMount, stop: threading.Event) -> Path:
        began.set()
        go_on.wait(10)
        return lay_out(self, key, one, stop)

    monkeypatch.setattr(DatasetFolder, "lay_out", slow)
    work = asyncio.ensure_future(cache.get(unit(), photos))
    await asyncio.to_thread(began.wait, 10)
    work.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait({work})
    assert work.cancelled()
    assert [p.name for p in (tmp_path / "datasets").iterdir()] == ["incoming"]
    assert await cache.get(unit(2), photos)
    assert given.calls == [photos.digest]
