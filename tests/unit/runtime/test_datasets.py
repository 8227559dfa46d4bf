"""Datasets at the controller: whole or not there, each owner's own, and gone when nobody needs them."""

from __future__ import annotations

import asyncio
import json
import os
import tarfile
import threading
from pathlib import Path

import pytest
from archive_makers import Member, packed
from cumulus.api.datasets import DatasetWanted
from cumulus.controller.dataset_settings import DatasetsConfig
from cumulus.controller.runtime import dataset_uploads
from cumulus.controller.runtime.clock import VirtualClock
from cumulus.controller.runtime.dataset_part import DatasetPart
from cumulus.controller.runtime.durable import write_text
from cumulus.controller.runtime.records import open_records
from cumulus.crd_like_specs.archives.entries import Format
from cumulus.crd_like_specs.errors import (
    ConflictError,
    NotFoundError,
    QuotaExceededError,
    StoreError,
    ValidationError,
)
from cumulus.crd_like_specs.job import Phase
from dataset_kit import DatasetKit, content, digest, put
from disks import no_more_than

DATA = b"0123456789" * 1000


@pytest.fixture
def kit(tmp_path: Path) -> DatasetKit:
    return DatasetKit(tmp_path / "datasets")


def on_disk(kit: DatasetKit) -> list[str]:
    top = kit.store.uploads.parent
    return sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_file())


async def test_what_was_uploaded_is_there(kit: DatasetKit) -> None:
    made = await put(kit.ann, DATA, "numbers", filename="numbers.txt")
    assert (made.metadata.owner, made.metadata.name) == ("ann", "numbers")
    assert (made.spec.digest, made.spec.size, made.spec.format) == (digest(DATA), 10_000, "file")
    assert (made.status.files, made.status.extracted_bytes) == (1, 10_000)
    assert await kit.ann.get("numbers") == made == await kit.ann.get(digest(DATA))
    assert await kit.ann.list() == (made,)
    assert await content(kit.ann, "numbers", 9_990) == b"0123456789"
    assert on_disk(kit) == [f"whole/{digest(DATA)[7:9]}/{digest(DATA)[7:]}"]


async def test_a_digest_that_is_told_at_the_end_only(kit: DatasetKit) -> None:
    made = await put(kit.ann, DATA, known=False)
    assert made.metadata.name == digest(DATA)[7:19]
    assert made.spec.digest == digest(DATA)


async def test_an_upload_goes_on_after_a_break_and_after_a_restart(
    kit: DatasetKit, tmp_path: Path
) -> None:
    for known in (True, False):
        said = {"digest": digest(DATA), "size": len(DATA)} if known else {}
        begun = await kit.ann.begin(DatasetWanted(f"a{known}".lower(), **said))
        writer = await kit.ann.receive(begun.id, 0)
        await writer.write(DATA[:3000])
        with pytest.raises(ConflictError, match="being received already"):
            await kit.ann.receive(begun.id, 3000)
        await writer.abort()
        kit = DatasetKit(tmp_path / "datasets", records=kit.records)
        assert (await kit.ann.find(begun.id)).received == 3000
        with pytest.raises(ConflictError, match="3000 bytes of the upload are here, not 0"):
            await kit.ann.receive(begun.id, 0)
        writer = await kit.ann.receive(begun.id, 3000)
        await writer.write(DATA[3000:])
        assert (await writer.commit()).spec.digest == digest(DATA)
        with pytest.raises(NotFoundError, match="upload"):
            await kit.ann.find(begun.id)


@pytest.mark.parametrize("known", [True, False])
async def test_what_a_full_disk_took_a_part_of_is_sent_again(kit: DatasetKit, known: bool) -> None:
    data = DATA * (1 + 20_000 // len(DATA))
    said = {"digest": digest(data), "size": len(data)} if known else {}
    begun = await kit.ann.begin(DatasetWanted("full", **said))
    writer = await kit.ann.receive(begun.id, 0)
    with no_more_than(9000):
        await writer.write(data[:5000])
        with pytest.raises(
            StoreError, match="disk does not take more of a dataset: File too large"
        ):
            await writer.write(data[5000:])
        await writer.abort()
    assert (await kit.ann.find(begun.id)).received == 5000
    writer = await kit.ann.receive(begun.id, 5000)
    await writer.write(data[5000:])
    assert (await writer.commit()).spec.digest == digest(data)
    assert await content(kit.ann, "full") == data


async def test_several_uploads_at_once_of_the_same_bytes(kit: DatasetKit) -> None:
    made = await asyncio.gather(*(put(kit.ann, DATA, f"n{n}") for n in range(8)))
    assert {one.spec.digest for one in made} == {digest(DATA)}
    assert len(on_disk(kit)) == 1


async def test_the_same_upload_begun_by_several_at_once_and_ended_meanwhile(
    kit: DatasetKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without `replace` it is one upload, described twice. One that came whole, or was
    given up, while it was described leaves nothing.
    """
    loop, at_it = asyncio.get_running_loop(), asyncio.Event()
    writing, go_on = threading.Lock(), threading.Event()

    def slowly(path: Path, text: str) -> None:
        assert writing.acquire(blocking=False), "two threads write the same file"
        loop.call_soon_threadsafe(at_it.set)
        assert go_on.wait(10)
        write_text(path, text)
        writing.release()

    monkeypatch.setattr(dataset_uploads, "write_text", slowly)
    said = {"digest": digest(DATA), "size": len(DATA)}
    wanted = [DatasetWanted("a", **said, replace=replace) for replace in (False, True)]
    both = asyncio.gather(*(kit.ann.begin(one) for one in wanted))
    await at_it.wait()
    go_on.set()
    one, other = await both
    assert one == other
    (described,) = kit.store.uploads.glob("*.json")
    assert json.loads(described.read_text())["wanted"]["replace"]
    at_it.clear()
    go_on.clear()
    late = asyncio.create_task(kit.ann.begin(wanted[0]))
    await at_it.wait()
    await kit.ann.discard(one.id)
    go_on.set()
    await late
    assert not on_disk(kit)


async def test_what_is_wrong_is_said_and_not_kept(kit: DatasetKit) -> None:
    begun = await kit.ann.begin(DatasetWanted("a", digest(b"x"), 5))
    writer = await kit.ann.receive(begun.id, 0)
    with pytest.raises(ValidationError, match="more than the announced 5 bytes"):
        await writer.write(b"123456")
    await writer.write(b"1234")
    with pytest.raises(ValidationError, match="4 bytes came, 5 were announced: send the rest"):
        await writer.commit()
    writer = await kit.ann.receive(begun.id, 4)
    await writer.write(b"5")
    with pytest.raises(ValidationError, match=r"dataset a|the content has digest"):
        await writer.commit()
    assert on_disk(kit) == []
    hostile = packed([Member("../x")], Format.TAR_GZ)
    with pytest.raises(ValidationError, match=r"dataset bad: .*leads out of its folder"):
        await put(kit.ann, hostile, "bad")
    assert on_disk(kit) == []
    assert await kit.ann.list() == ()
    for wrong in ({"name": "A"}, {"digest": "x"}, {"size": -1}, {"filename": "a/b"}):
        with pytest.raises(ValidationError, match=f"^{next(iter(wrong))}: "):
            await kit.ann.begin(DatasetWanted(**wrong))  # type: ignore[arg-type]


async def test_archives_are_looked_through_unless_told_not_to(kit: DatasetKit) -> None:
    data = packed(
        [Member("d", kind=tarfile.DIRTYPE), Member("d/a", b"12"), Member("b")], Format.ZIP
    )
    seen = await put(kit.ann, data, "seen", filename="d.zip")
    assert (seen.spec.format, seen.status.files, seen.status.extracted_bytes) == ("zip", 2, 2)
    plain = await put(kit.ann, data, "plain", format=Format.FILE)
    assert (plain.spec.format, plain.status.files) == ("file", 1)
    with pytest.raises(ValidationError, match="is given as tar, and is none"):
        await put(kit.ann, data, "wrong", format=Format.TAR)


async def test_who_knows_a_digest_has_nothing_of_it(kit: DatasetKit) -> None:
    await put(kit.ann, DATA, "numbers")
    for name in ("numbers", digest(DATA)):
        for call in (kit.bob.get, kit.bob.delete):
            with pytest.raises(NotFoundError):
                await call(name)
        with pytest.raises(NotFoundError):
            await content(kit.bob, name)
        with pytest.raises(NotFoundError):
            await kit.bob.pin(name, pinned=True)
    assert await kit.bob.list() == ()
    with pytest.raises(ConflictError, match="the name 'numbers' is taken"):
        await put(kit.bob, DATA, "numbers")
    begun = await kit.bob.begin(DatasetWanted("mine", digest(DATA), len(DATA)))
    assert (begun.dataset, begun.received) == (None, 0)
    with pytest.raises(NotFoundError):
        await kit.ann.receive(begun.id, 0)
    assert (await put(kit.bob, DATA, "mine")).metadata.owner == "bob"
    assert len(on_disk(kit)) == 1
    # Who has the bytes need not send them again.
    assert (await kit.bob.begin(DatasetWanted("again", digest(DATA), len(DATA)))).dataset
    assert [one.metadata.name for one in await kit.all.list()] == ["again", "mine", "numbers"]


async def test_what_is_given_no_name_is_in_nobodys_way(kit: DatasetKit) -> None:
    short = digest(DATA).removeprefix("sha256:")[:12]
    hers = await put(kit.ann, DATA)
    assert hers.metadata.name == short
    for known in (False, True):  # in one go, and by what is here already
        his = await put(kit.bob, DATA, known=known)
        assert (his.metadata.owner, his.spec.digest) == ("bob", digest(DATA))
        assert his.metadata.name != short
        assert await put(kit.ann, DATA, known=known) == hers
    assert await kit.bob.list() == (his,)
    # Nobody can keep others from it by taking that name for something else.
    other = b"something else"
    await put(kit.bob, DATA, digest(other).removeprefix("sha256:")[:12])
    assert (await put(kit.ann, other)).spec.digest == digest(other)
    assert len(on_disk(kit)) == 2


async def test_a_name_gets_other_content_when_that_is_asked_for(kit: DatasetKit) -> None:
    first = await put(kit.ann, DATA, "a")
    assert await put(kit.ann, DATA, "a") == first
    with pytest.raises(ConflictError, match="is there with other content"):
        await put(kit.ann, b"other", "a")
    second = await put(kit.ann, b"other", "a", replace=True)
    assert (second.metadata.generation, second.metadata.uid) == (2, first.metadata.uid)
    await kit.upkeep.sweep()
    await kit.store.settle()
    assert on_disk(kit) == [f"whole/{digest(b'other')[7:9]}/{digest(b'other')[7:]}"]
    pinned = await put(kit.ann, b"other", "a", pinned=True)
    assert pinned.spec.pinned


async def test_quota_and_disk(kit: DatasetKit) -> None:
    kit.quota.limit = 15_000
    await put(kit.ann, DATA, "a")
    await put(kit.ann, DATA, "same")  # the same bytes count once
    with pytest.raises(QuotaExceededError):
        await put(kit.ann, DATA[1:], "b")
    with pytest.raises(QuotaExceededError):
        await put(kit.ann, DATA[1:], "b", known=False)
    assert await put(kit.bob, DATA[1:], "b")
    kit.free = 1 << 30
    with pytest.raises(StoreError, match="no room for"):
        await put(kit.bob, b"c", "c")


async def test_what_a_job_needs_stays(kit: DatasetKit) -> None:
    made = await put(kit.ann, DATA, "numbers")
    job = await kit.read_by(made)
    with pytest.raises(ConflictError, match="is needed by job 'reader'"):
        await kit.ann.delete("numbers")
    kit.now += 5000
    await kit.upkeep.sweep()
    assert (await kit.ann.get("numbers")).status.last_used_at == kit.now
    await kit.ann.begin(DatasetWanted("x"))  # a replaced content stays too while a job needs it
    await put(kit.ann, b"other", "numbers", replace=True)
    await kit.upkeep.sweep()
    assert kit.store.size(digest(DATA)) == 10_000
    await kit.records.delete_job("reader", job.metadata.uid)
    await kit.upkeep.sweep()
    assert kit.store.size(digest(DATA)) is None
    await kit.ann.delete("numbers")
    assert kit.store.total == 0


async def test_workers_hear_of_it_when_bytes_are_gone_for_good(tmp_path: Path) -> None:
    records, told = open_records(None), list[bool]()
    part = DatasetPart(
        tmp_path,
        DatasetsConfig(),
        records,
        VirtualClock(1e6),
        dropped=lambda: told.append(part.gone(digest(DATA))),
    )
    assert part.gone(digest(DATA)), "nothing is known of it"
    await put(part.port, DATA, "numbers")
    await put(part.port, DATA, "again")
    await part.port.delete("again")
    assert not part.gone(digest(DATA)), "it has another name"
    assert told == []
    await part.port.delete("numbers")
    assert told == [True]
    anew = DatasetPart(tmp_path, DatasetsConfig(), records, VirtualClock(1e6))
    assert anew.gone(digest(DATA)), "after a restart too"


async def test_a_job_that_ended_needs_nothing_although_it_is_not_taken_down(
    kit: DatasetKit,
) -> None:
    made = await put(kit.ann, DATA, "numbers")
    job = await kit.read_by(made)
    over = job.status.model_copy(update={"phase": Phase.SUCCEEDED, "observed_generation": 1})
    over_job = await kit.records.put_status(job, over)
    meta = over_job.metadata.model_copy(update={"generation": 2})  # and now it is to run anew
    again = await kit.records.put_job(
        over_job.model_copy(update={"metadata": meta}), meta.resource_version
    )
    with pytest.raises(ConflictError, match="is needed by job 'reader'"):
        await kit.ann.delete("numbers")
    seen = again.status.model_copy(update={"observed_generation": 2})
    await kit.records.put_status(again, seen)
    await kit.ann.delete("numbers")


async def test_what_nobody_uses_goes_unless_it_is_pinned(kit: DatasetKit) -> None:
    await put(kit.ann, b"1", "old")
    await put(kit.ann, b"2", "kept", pinned=True)
    kit.now += 900
    await put(kit.ann, b"3", "young")
    kit.now += 200
    await kit.upkeep.sweep()
    assert [one.metadata.name for one in await kit.ann.list()] == ["kept", "young"]
    await kit.ann.pin("kept", pinned=False)
    kit.now += 2000
    await kit.upkeep.sweep()
    await kit.store.settle()
    assert await kit.ann.list() == ()
    assert on_disk(kit) == []


async def test_a_use_is_noted_when_the_job_is_over(kit: DatasetKit) -> None:
    made = await put(kit.ann, DATA, "numbers")
    job = await kit.read_by(made)
    await kit.records.delete_job("reader", job.metadata.uid)
    kit.now += 5000
    kit.upkeep.used(job)
    await kit.upkeep.sweep()
    assert (await kit.ann.get("numbers")).status.last_used_at == kit.now


async def test_uploads_that_nobody_goes_on_with_are_dropped(kit: DatasetKit) -> None:
    begun = await kit.ann.begin(DatasetWanted("a", digest(DATA), len(DATA)))
    writer = await kit.ann.receive(begun.id, 0)
    await writer.write(b"0")
    part = kit.store.uploads / f"{begun.id}.part"
    os.utime(part, (kit.now - 90_000, kit.now - 90_000))
    await kit.upkeep.sweep()
    assert (await kit.ann.find(begun.id)).received == 1  # somebody is at it
    await writer.abort()
    await kit.upkeep.sweep()
    with pytest.raises(NotFoundError):
        await kit.ann.find(begun.id)
    assert on_disk(kit) == []
    begun = await kit.ann.begin(DatasetWanted("a"))
    await kit.ann.discard(begun.id)
    assert on_disk(kit) == []


async def test_a_crash_between_the_bytes_and_the_name(kit: DatasetKit, tmp_path: Path) -> None:
    begun = await kit.ann.begin(DatasetWanted("a", digest(DATA), len(DATA)))
    writer = await kit.ann.receive(begun.id, 0)
    await writer.write(DATA)
    await writer.abort()
    part = kit.store.uploads / f"{begun.id}.part"
    await kit.store.take(part, digest(DATA))
    kit = DatasetKit(tmp_path / "datasets", records=kit.records)
    again = await kit.ann.begin(DatasetWanted("a", digest(DATA), len(DATA)))
    assert (again.id, again.received, again.dataset) == (begun.id, len(DATA), None)
    writer = await kit.ann.receive(again.id, again.received)
    assert (await writer.commit()).spec.digest == digest(DATA)
    assert len(on_disk(kit)) == 1


async def test_a_commit_whose_caller_goes_away_is_no_ones_else(kit: DatasetKit) -> None:
    begun = await kit.ann.begin(DatasetWanted("a", digest(DATA), len(DATA)))
    writer = await kit.ann.receive(begun.id, 0)
    await writer.write(DATA)
    commit = asyncio.ensure_future(writer.commit())
    await asyncio.sleep(0)
    commit.cancel()
    await asyncio.wait([commit])
    await writer.abort()
    with pytest.raises(ConflictError, match="being received already"):
        await kit.ann.receive(begun.id, len(DATA))
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
    assert (await kit.ann.get("a")).spec.digest == digest(DATA)
    assert len(on_disk(kit)) == 1
