"""What a job left comes into the archive as far as it can be kept, and the rest is told in a line."""

from __future__ import annotations

import os
import socket
import tarfile
from pathlib import Path

import pytest
from cumulus.chronos_bindings.agent.archive_outputs import Outputs, take_outputs

LIMIT = 1 << 20


@pytest.fixture
def job(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs"
    folder.mkdir()
    return folder


def taken(job: Path, limit: int = LIMIT) -> tuple[Outputs, list[str]]:
    archive = job.parent / "a.tar"
    found = take_outputs(job, archive, limit=limit)
    assert found is not None
    with tarfile.open(archive) as tar:
        return found, tar.getnames()


def test_all_files_are_kept_hidden_ones_too(job: Path) -> None:
    (job / "weights").mkdir()
    (job / "weights" / "model.pth").write_bytes(b"w" * 100)
    (job / ".hidden").write_text("x")
    found, names = taken(job)
    assert names == [".hidden", "weights", "weights/model.pth"]
    assert (found.files, found.size, found.message) == (2, 101, "")


def test_what_cannot_be_kept_is_said_in_one_line(job: Path) -> None:
    (job / "a.txt").write_text("kept")
    (job / "big").write_bytes(b"b" * 100)
    (job / "latest").symlink_to("a.txt")
    (job / "evil").symlink_to("/etc/shadow")
    os.mkfifo(job / "pipe")
    (job / "two\nlines").write_text("x")
    (job / "zz").write_text("kept too")
    there = socket.socket(socket.AF_UNIX)
    try:
        cwd = Path.cwd()
        os.chdir(job)  # paths of sockets are short
        there.bind("sock")
        os.chdir(cwd)
    finally:
        there.close()
    found, names = taken(job, limit=50)
    assert names == ["a.txt", "zz"]
    assert (found.files, found.size) == (2, 12)
    assert found.message == (
        "its outputs are not all kept: big does not fit into the 50 that outputs.size allows; "
        "evil, latest: each is a link; pipe, sock: each is neither file nor folder; "
        "two\\nlines has a name that cannot be shown"
    )


def test_names_that_are_no_text_are_left_out(job: Path) -> None:
    (job / "ok").touch()
    (job / os.fsdecode(b"\xff\xfe")).touch()
    found, names = taken(job)
    assert names == ["ok"]
    assert "\\udcff\\udcfe has a name that cannot be shown" in found.message


def test_folders_too_deep_are_left_out_whole(job: Path) -> None:
    deep = job
    for _ in range(70):
        deep /= "d"
        deep.mkdir()
    (deep / "lost").touch()
    (job / "kept").touch()
    found, names = taken(job)
    assert "kept" in names
    assert found.files == 1
    assert "lies deeper than 64 folders" in found.message


def test_more_entries_than_are_kept(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cumulus.chronos_bindings.agent.archive_outputs.MOST_FILES", 3)
    for number in range(9):
        (job / str(number)).touch()
    found, names = taken(job)
    assert names == ["0", "1", "2"]
    assert "3, 4, 5 and 3 more: each is beyond the 3 entries that are kept" in found.message


def test_nothing_is_nothing(job: Path) -> None:
    assert take_outputs(job, job.parent / "a.tar", limit=LIMIT) is None
    (job / "empty" / "folders").mkdir(parents=True)
    assert take_outputs(job, job.parent / "a.tar", limit=LIMIT) is None


def test_equal_contents_give_equal_archives(job: Path) -> None:
    (job / "a").write_text("1")
    first, _ = taken(job)
    assert taken(job)[0].digest == first.digest
