"""What is read back after a crash: all that was acknowledged, or a refusal that names the place."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from cumulus.controller.store import JournalStorage, Store
from cumulus.controller.store.codec import (
    LoggedOp,
    decode,
    end_line,
    frame,
    record_line,
    transaction_line,
)
from cumulus.crd_like_specs.errors import StoreError
from store_faults import FakeDisk

Tables = dict[str, dict[str, tuple[int, bytes]]]


def contents(storage: JournalStorage) -> Tables:
    return {table: dict(entries) for table, entries in storage.state.copy().items() if entries}


def opened(files: dict[str, bytes]) -> JournalStorage:
    return JournalStorage(disk=FakeDisk(files))


def crashed(records: int, *, compact_after: int | None = None) -> tuple[dict[str, bytes], Tables]:
    """Files of a store that was killed after some writes, and what was in it."""
    disk = FakeDisk()
    storage = JournalStorage(disk=disk)
    for number in range(records):
        raw = b'{"number":%d,"pad":"%s"}' % (number, b"x" * 40)
        storage.commit(lambda t, n=number, raw=raw: t.put("jobs", f"j{n % 5}", raw, None))
        if number == compact_after:
            storage.compact()
    if records > 3:
        storage.commit(lambda t: t.delete("jobs", "j0", None))
    files, tables = disk.contents(), contents(storage)
    storage.close()
    return files, tables


def refused(files: dict[str, bytes]) -> str:
    with pytest.raises(StoreError) as caught:
        opened(files)
    return str(caught.value)


def line_starts(data: bytes) -> list[int]:
    return [0, *(n + 1 for n, byte in enumerate(data) if byte == ord("\n"))][:-1]


def test_a_cut_at_every_byte_of_the_last_records_loses_only_what_is_cut() -> None:
    disk = FakeDisk()
    storage = JournalStorage(disk=disk)
    states = [contents(storage)]
    sizes = [len(disk.contents()["journal.1"])]
    for number in range(6):
        raw = b'{"number":%d,"text":"J1 0 0 \\u0000"}' % number
        storage.commit(lambda t, n=number, raw=raw: t.put("jobs", f"j{n % 2}", raw, None))
        states.append(contents(storage))
        sizes.append(len(disk.contents()["journal.1"]))
    data = disk.contents()["journal.1"]
    storage.close()
    cuts = 0
    for size in range(sizes[3], len(data) + 1):
        whole = max(n for n, end in enumerate(sizes) if end <= size)
        again = FakeDisk({"journal.1": data[:size]})
        reopened = JournalStorage(disk=again)
        assert contents(reopened) == states[whole]
        assert reopened.state.rv == whole
        assert reopened.commit(lambda t: t.put("jobs", "new", b"{}", 0)) == whole + 1
        reopened.close()
        assert contents(opened(again.contents()))["jobs"]["new"] == (whole + 1, b"{}")
        cuts += 1
    assert cuts > 200


def test_a_write_that_was_torn_in_the_middle_is_cut_although_its_end_is_good() -> None:
    first = transaction_line(0, 1, [LoggedOp(b"A", "jobs", "a", b"{}")])
    torn = transaction_line(1, 2, [LoggedOp(b"A", "jobs", "b", b"{}")])
    same_write = transaction_line(1, 3, [LoggedOp(b"A", "jobs", "c", b"{}")])
    header = frame(b"segment", b"1", b"1")
    older = b"\0" * 9 + header
    for damage in (b"\0" * len(torn), torn[:-1] + b"x", torn[:9] + b"\n" + torn[10:], older):
        storage = opened({"journal.1": header + first + damage + same_write})
        assert contents(storage) == {"jobs": {"a": (1, b"{}")}}
        storage.close()


def test_a_torn_end_is_cut_off_a_real_file(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.put("jobs", "a", {"x": 1})
    store.close()
    with (tmp_path / "journal.1").open("ab") as file:
        file.write(transaction_line(1, 2, [LoggedOp(b"A", "jobs", "b", b"{}")])[:-5])
    store = Store.open(tmp_path)
    assert store.ids("jobs") == ["a"]
    store.put("jobs", "c", {})
    store.close()
    store = Store.open(tmp_path)
    assert store.ids("jobs") == ["a", "c"]
    store.close()


def test_damage_before_a_later_write_is_refused_with_file_and_offset() -> None:
    first = transaction_line(0, 1, [LoggedOp(b"A", "jobs", "a", b"{}")])
    second = transaction_line(1, 2, [LoggedOp(b"A", "jobs", "b", b"{}")])
    third = transaction_line(2, 3, [LoggedOp(b"D", "jobs", "a", b"")])
    header = frame(b"segment", b"1", b"1")
    good = header + first + second + third
    for offset in range(len(header), len(header + first + second)):
        bad = bytearray(good)
        bad[offset] ^= 0x04
        message = refused({"journal.1": bytes(bad)})
        line = len(header) if offset < len(header + first) else len(header + first)
        assert f"journal.1 is damaged at offset {line}" in message
        assert "backup" in message


def test_after_a_clean_end_even_damage_to_the_last_record_is_refused() -> None:
    disk = FakeDisk()
    storage = JournalStorage(disk=disk)
    storage.commit(lambda t: t.put("jobs", "a", b'{"x":1}', None))
    storage.close()
    data = disk.contents()["journal.1"]
    assert "durable" in refused({"journal.1": data.replace(b'{"x":1}', b'{"x":2}')})


def test_bit_flips_are_refused_or_cut_off_the_end() -> None:
    files, _ = crashed(40, compact_after=19)
    dice = random.Random(5)
    (snapshot,) = (name for name in files if name.startswith("snapshot"))
    (journal,) = (name for name in files if name.startswith("journal"))
    last_line = line_starts(files[journal])[-1]
    shorter = opened({**files, journal: files[journal][:last_line]})
    without_last = contents(shorter)
    shorter.close()
    for _ in range(400):
        name = dice.choice((snapshot, journal))
        bad = bytearray(files[name])
        at = dice.randrange(len(bad))
        bad[at] ^= 1 << dice.randrange(8)
        if name == journal and at >= last_line:
            storage = opened({**files, name: bytes(bad)})
            assert contents(storage) == without_last
            storage.close()
        else:
            assert f"{name} is damaged at offset" in refused({**files, name: bytes(bad)})


def test_what_is_there_twice_after_a_crash_in_compaction_is_read_once() -> None:
    old, _ = crashed(12)
    disk = FakeDisk(old)
    storage = JournalStorage(disk=disk)
    storage.compact()
    storage.commit(lambda t: t.put("jobs", "later", b"{}", None))
    tables, rv = contents(storage), storage.state.rv
    new = disk.contents()
    storage.close()
    assert set(new) == {f"snapshot.{rv - 1}", f"journal.{rv}"}
    both = {**old, **new, "snapshot.5.tmp": b"unfinished", "notes.txt": b"somebody's"}
    disk = FakeDisk(both)
    again = JournalStorage(disk=disk)
    assert (contents(again), again.state.rv) == (tables, rv)
    again.close()
    assert set(disk.contents()) == set(new) | {"notes.txt"}
    no_snapshot_yet = {**old, f"journal.{rv}": new[f"journal.{rv}"]}
    again = opened(no_snapshot_yet)
    assert (contents(again), again.state.rv) == (tables, rv)
    again.close()


def test_lines_that_a_snapshot_stands_for_are_skipped() -> None:
    files, tables = crashed(12)
    disk = FakeDisk(files)
    storage = JournalStorage(disk=disk)
    storage.compact()
    storage.close()
    (snapshot,) = (name for name in disk.contents() if name.startswith("snapshot"))
    again = opened({"journal.1": files["journal.1"], snapshot: disk.contents()[snapshot]})
    assert contents(again) == tables
    again.close()


HEADER = frame(b"segment", b"1", b"1")
ADD = LoggedOp(b"A", "jobs", "a", b"{}")
SNAPSHOT = frame(b"snapshot", b"1", b"3")
RECORD = record_line(2, "jobs", "a", b"{}")
AFTER = {"journal.4": frame(b"segment", b"1", b"4")}


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"journal.1": b""}, "its first line cannot be read"),
        ({"journal.1": HEADER[:-3]}, "its first line cannot be read"),
        ({"journal.1": frame(b"segment", b"1", b"2")}, "not the journal from version 1"),
        ({"journal.1": frame(b"segment", b"9", b"1")}, "format b'9'"),
        ({"journal.1": HEADER + frame(b"X", b"0", b"1")}, "unknown line b'X'"),
        ({"journal.1": HEADER + frame(b"T")}, "not a line of a journal"),
        ({"journal.1": HEADER + frame(b"T", b"0", b"1", b"Q")}, "unknown operation b'Q'"),
        ({"journal.1": HEADER + frame(b"T", b"0", b"1", b"A")}, "not a line of a journal"),
        ({"journal.1": HEADER + transaction_line(0, 2, [ADD])}, "version 1 is missing before 2"),
        (
            {"journal.1": HEADER + transaction_line(0, 1, [LoggedOp(b"D", "jobs", "z", b"")])},
            "it deletes jobs/z, which does not exist",
        ),
        ({"journal.1": HEADER + b"torn", "journal.2": b""}, "a later journal file exists"),
        ({"journal.7": frame(b"segment", b"1", b"7")}, "no journal holds version 1"),
        ({"snapshot.3": SNAPSHOT + RECORD + end_line(1)}, "no journal holds version 4"),
        ({"snapshot.3": SNAPSHOT + RECORD, **AFTER}, "it is not whole"),
        ({"snapshot.3": SNAPSHOT + end_line(1), **AFTER}, "it is not whole"),
        ({"snapshot.3": SNAPSHOT + RECORD[:-2], **AFTER}, "it is not whole"),
        ({"snapshot.3": b"", **AFTER}, "it is not whole"),
        ({"snapshot.3": SNAPSHOT + end_line(0) + RECORD, **AFTER}, "something follows its end"),
        ({"snapshot.4": SNAPSHOT + end_line(0), **AFTER}, "not the snapshot of version 4"),
        ({"snapshot.3": RECORD, **AFTER}, "not a line of a snapshot"),
        ({"snapshot.3": frame(b"snapshot", b"2", b"3"), **AFTER}, "format b'2'"),
        ({"snapshot.3": SNAPSHOT + frame(b"a", b"b", b"c", b"d", b"e"), **AFTER}, "unknown line"),
    ],
)
def test_files_that_do_not_add_up_are_refused(files: dict[str, bytes], what: str) -> None:
    assert what in refused(files)


def test_an_index_that_cannot_read_what_is_stored_is_named() -> None:
    files, _ = crashed(2)
    with pytest.raises(StoreError, match="cannot open the store in fake: jobs/j0: index 'owner'"):
        JournalStorage(
            disk=FakeDisk(files), indexes={"jobs": {"owner": lambda doc: (doc["owner"],)}}
        )


def test_indexes_and_watchers_are_rebuilt_from_snapshot_and_journal() -> None:
    indexes = {"jobs": {"even": lambda doc: ("yes",) if doc["number"] % 2 == 0 else ()}}
    files, tables = crashed(9, compact_after=6)
    storage = JournalStorage(disk=FakeDisk(files), indexes=indexes)
    numbers = {id_: decode(raw)["number"] for id_, (_, raw) in tables["jobs"].items()}
    expected = [id_ for id_, number in numbers.items() if number % 2 == 0]
    assert expected
    assert sorted(storage.state.found_ids("jobs", "even", "yes")) == sorted(expected)
    assert storage.state.ring.floor == 7
    assert storage.state.ring.head == 10
    storage.close()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "store"
    store = Store.open(folder)
    with pytest.raises(StoreError, match=r"deep/store is in use by process \d+"):
        Store.open(folder)
    store.close()
    Store.open(folder).close()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot use the store folder .*file/store"):
        Store.open(tmp_path / "file" / "store")


def test_a_copied_folder_is_the_same_store(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "one")
    store.put("jobs", "a", {"x": 1})
    store.close()
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    copy = Store.open(tmp_path / "two")
    assert copy.list("jobs") == store.list("jobs")
    copy.close()
