"""What a job keeps comes back as it was, and nothing else does, whatever the folder or archive holds."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from cumulus.chronos_bindings.agent.archive import committed, is_empty, take, used
from cumulus.chronos_bindings.agent.archive_layout import lay_out
from cumulus.crd_like_specs.errors import Permanent, Temporary

LIMIT = 1 << 20


def tree(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        found[name] = f"-> {path.readlink()}" if path.is_symlink() else None
        if path.is_file() and not path.is_symlink():
            found[name] = (path.read_bytes(), path.stat().st_mode & 0o777)
    return found


@pytest.fixture
def job(tmp_path: Path) -> Path:
    folder = tmp_path / "job"
    folder.mkdir()
    return folder


def commit(folder: Path, entry: str) -> None:
    (folder / ".new").write_text(entry)
    (folder / ".new").replace(folder / "COMMITTED")


def test_files_come_back_as_they_were(job: Path, tmp_path: Path) -> None:
    (job / "sub" / "deep").mkdir(parents=True)
    (job / "model.bin").write_bytes(os.urandom(70_000))
    (job / "sub" / "deep" / ("n" * 200)).write_text("long")
    (job / "sub" / "run.sh").write_text("#!/bin/sh")
    (job / "sub" / "run.sh").chmod(0o750)
    (job / "sub" / "latest").symlink_to("../model.bin")
    (job / "ünïcode").write_text("x")
    taken = take(job, tmp_path / "a.tar", limit=LIMIT)
    assert taken is not None
    assert (taken.files, taken.left_out) == (4, 0)
    other = tmp_path / "other"
    other.mkdir()
    lay_out(tmp_path / "a.tar", other, limit=LIMIT, owner=None)
    seen = tree(job)
    seen["sub/run.sh"] = (b"#!/bin/sh", 0o755)
    assert tree(other) == seen
    again = take(other, tmp_path / "b.tar", limit=LIMIT)
    assert again is not None
    assert again.digest == taken.digest, "what did not change has the digest that it had"


def test_only_what_is_committed_is_taken(job: Path, tmp_path: Path) -> None:
    (job / "step-1").mkdir()
    (job / "step-1" / "w").write_text("1")
    (job / "step-2").mkdir()
    (job / "step-2" / "w").write_text("half")
    assert committed(job) is None
    commit(job, "step-1\n")
    found = committed(job)
    assert found is not None
    taken = take(job, tmp_path / "a.tar", limit=LIMIT, entry=found.entry)
    assert taken is not None
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert tar.getnames() == ["COMMITTED", "step-1", "step-1/w"]
    commit(job, "step-2")
    later = committed(job)
    assert later is not None
    assert later.key != found.key


@pytest.mark.parametrize(
    "text", ["", "..", "/etc", "a/b", ".hidden", "COMMITTED", "a\0b", "x" * 300]
)
def test_a_marker_that_names_no_entry_is_none(job: Path, text: str) -> None:
    (job / "COMMITTED").write_text(text)
    found = committed(job)
    assert found is None or text == "x" * 300


def test_a_marker_that_is_a_link_is_none(job: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("step")
    (job / "COMMITTED").symlink_to(tmp_path / "secret")
    assert committed(job) is None


def test_committed_but_gone_is_tried_again(job: Path, tmp_path: Path) -> None:
    commit(job, "step-1")
    with pytest.raises(Temporary) as e:
        take(job, tmp_path / "a.tar", limit=LIMIT, entry="step-1")
    assert e.value.reason == "CheckpointChanged"


def test_nothing_gives_nothing(job: Path, tmp_path: Path) -> None:
    (job / ".pausable").touch()
    assert is_empty(job)
    assert take(job, tmp_path / "a.tar", limit=LIMIT) is None
    (job / "x").touch()
    assert not is_empty(job)


def test_nothing_outside_is_ever_read(job: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not the job's")
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "key").write_text("not the job's")
    for name, target in (("abs", tmp_path / "secret"), ("up", "../secret"), ("dir", "../dir")):
        (job / name).symlink_to(target)
    (job / "loop").symlink_to("sub/../../secret")
    (job / "good").write_text("mine")
    os.mkfifo(job / "pipe")
    taken = take(job, tmp_path / "a.tar", limit=LIMIT)
    assert taken is not None
    assert taken.left_out == 5
    assert b"not the job's" not in (tmp_path / "a.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert tar.getnames() == ["good"]


def test_a_folder_that_becomes_a_link_while_it_is_walked(job: Path, tmp_path: Path) -> None:
    """The walk holds descriptors: a link in place of a folder is refused, not followed."""
    from cumulus.chronos_bindings.agent import archive

    (job / "sub").mkdir()
    (job / "sub" / "w").write_text("x")
    entries = archive._entries(os.open(job, os.O_RDONLY))
    next(entries)
    (job / "sub").rename(tmp_path / "moved")
    (job / "sub").symlink_to("/etc")
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        next(entries)


@pytest.mark.parametrize("many", [False, True])
def test_beyond_its_limit_it_is_refused(
    job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, many: bool
) -> None:
    monkeypatch.setattr("cumulus.chronos_bindings.agent.archive.MOST_FILES", 5)
    for n in range(6 if many else 1):
        (job / f"f{n}").write_bytes(b"" if many else bytes(LIMIT + 1))
    with pytest.raises(Permanent, match="entries" if many else "1Mi") as e:
        take(job, tmp_path / "a.tar", limit=LIMIT)
    assert e.value.reason == "CheckpointTooLarge"


def test_use_is_counted_and_never_fails(job: Path) -> None:
    (job / "x").write_bytes(bytes(100_000))
    assert 90_000 < used(job, LIMIT) < 200_000
    assert used(job, 4096) > 4096
    assert used(job / "none", LIMIT) == 0


def entry(name: str, kind: bytes = tarfile.REGTYPE, **more: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in more.items():
        setattr(info, key, value)
    return info


BAD: dict[str, list[tarfile.TarInfo]] = {
    "absolute": [entry("/etc/x")],
    "climbs": [entry("../x")],
    "climbs within": [entry("d", tarfile.DIRTYPE), entry("d/../../x")],
    "no folder": [entry("d/x")],
    "dot": [entry(".")],
    "hard link": [entry("x", tarfile.LNKTYPE, linkname="/etc/passwd")],
    "device": [entry("x", tarfile.CHRTYPE)],
    "pipe": [entry("x", tarfile.FIFOTYPE)],
    "pax": [entry("x", tarfile.XHDTYPE)],
    "link out": [entry("x", tarfile.SYMTYPE, linkname="../x")],
    "absolute link": [entry("x", tarfile.SYMTYPE, linkname="/etc")],
    "link that climbs on": [entry("x", tarfile.SYMTYPE, linkname="y/..")],
    "through a link": [
        entry("d", tarfile.SYMTYPE, linkname="."),
        entry("d/x"),
    ],
    "too large": [entry("x", size=LIMIT + 1)],
    "long name": [entry("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=1 << 20)],
}


@pytest.mark.parametrize("name", BAD)
def test_what_no_checkpoint_holds_is_not_laid_out(name: str, tmp_path: Path) -> None:
    archive, folder = tmp_path / "a.tar", tmp_path / "to" / "folder"
    folder.mkdir(parents=True)
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        for info in BAD[name]:
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    with pytest.raises(Permanent) as e:
        lay_out(archive, folder, limit=LIMIT, owner=None)
    assert e.value.reason == "CheckpointUnsafe"
    assert sorted(tmp_path.iterdir()) == [archive, tmp_path / "to"]
    assert list((tmp_path / "to").iterdir()) == [folder]


def test_twice_the_same_name_is_refused(tmp_path: Path) -> None:
    archive, folder = tmp_path / "a.tar", tmp_path / "folder"
    folder.mkdir()
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(entry("x"))
        tar.addfile(entry("x"))
    with pytest.raises(Permanent, match="twice"):
        lay_out(archive, folder, limit=LIMIT, owner=None)


@pytest.mark.parametrize("data", [b"", b"junk" * 1000, bytes(511)])
def test_garbage_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(Permanent):
        lay_out(tmp_path / "a.tar", tmp_path, limit=LIMIT, owner=None)
