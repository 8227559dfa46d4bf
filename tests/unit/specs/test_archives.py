"""What a safe reader takes of archives, and with which words it refuses the rest."""

from __future__ import annotations

import contextlib
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from archive_makers import COMPRESS, Member, packed, tar, zipped
from cumulus.crd_like_specs.archives.detecting import detect
from cumulus.crd_like_specs.archives.entries import Contents, Format, Limits
from cumulus.crd_like_specs.archives.extracting import extract
from cumulus.crd_like_specs.archives.walking import survey, walk
from cumulus.crd_like_specs.errors import ValidationError
from hypothesis import given
from hypothesis import strategies as st

ARCHIVES = [*COMPRESS, Format.ZIP]
GOOD = (
    Member("a", kind=tarfile.DIRTYPE, mode=0o700),
    Member("a/run.sh", b"#!/bin/sh\n", mode=0o4755),
    Member("a/deep/in/data.bin", b"\x00\x01" * 5000, mode=0o600),
    Member("empty"),
    Member("a/link", kind=tarfile.SYMTYPE, target="../empty"),
    Member("ä/名前.txt", b"unicode"),
)


def laid_out(data: bytes, form: Format, folder: Path, limits: Limits | None = None) -> Contents:
    folder.mkdir(exist_ok=True)
    fd = os.open(folder, os.O_RDONLY)
    try:
        return extract(io.BytesIO(data), form, fd, limits)
    finally:
        os.close(fd)


def why(data: bytes, form: Format, folder: Path, limits: Limits | None = None) -> str:
    """The words with which both ways of reading refuse it."""
    with pytest.raises(ValidationError) as surveyed:
        survey(io.BytesIO(data), form, limits)
    with pytest.raises(ValidationError) as extracted:
        laid_out(data, form, folder, limits)
    assert str(surveyed.value) == str(extracted.value)
    assert "\n" not in str(surveyed.value)
    return str(surveyed.value)


@pytest.mark.parametrize("form", ARCHIVES)
def test_what_went_in_comes_out_with_plain_modes(form: Format, tmp_path: Path) -> None:
    data = packed(GOOD, form)
    assert detect(io.BytesIO(data)) is form
    assert survey(io.BytesIO(data), form) == Contents(5, 10_017)
    assert laid_out(data, form, tmp_path / "out") == Contents(5, 10_017)
    for member in GOOD:
        path = tmp_path / "out" / member.name
        seen = path.lstat()
        if member.kind == tarfile.SYMTYPE:
            assert str(path.readlink()) == member.target
        elif member.kind == tarfile.DIRTYPE:
            assert stat.S_IMODE(seen.st_mode) == 0o755
        else:
            assert path.read_bytes() == member.data
            assert stat.S_IMODE(seen.st_mode) == (0o755 if member.mode & 0o100 else 0o644)
            assert seen.st_mtime == member.mtime
            assert seen.st_uid == os.getuid()


HOSTILE = {
    "up": (Member("../evil"), "leads out of its folder"),
    "up within": (Member("a/../../evil"), "leads out of its folder"),
    "absolute": (Member("/etc/passwd"), "is an absolute path"),
    "drive": (Member("C:/evil"), "is a path of Windows"),
    "backslashes": (Member("a\\..\\evil"), "is a path of Windows"),
    "control": (Member("a\x1b[2Jb"), "control character"),
    "a long part": (Member("n" * 256), "255 bytes a part"),
    "a long path": (Member("/".join(["n" * 200] * 6)), "1024 in all"),
    "deep": (Member("/".join(["d"] * 70)), "folders deep"),
    "link out": (Member("l", kind=tarfile.SYMTYPE, target="../x"), "a link that leads out"),
    "link to root": (Member("l", kind=tarfile.SYMTYPE, target="/etc"), "a link that leads out"),
    "link around": (Member("l", kind=tarfile.SYMTYPE, target="a/../../x"), "a link that leads out"),
    "pipe": (Member("p", kind=tarfile.FIFOTYPE), "is a"),
    "device": (Member("p", kind=tarfile.CHRTYPE), "is a device"),
}


@pytest.mark.parametrize("form", ARCHIVES)
@pytest.mark.parametrize("case", HOSTILE)
def test_what_would_leave_the_folder_is_refused_by_name(
    form: Format, case: str, tmp_path: Path
) -> None:
    member, words = HOSTILE[case]
    said = why(packed([Member("first"), member], form), form, tmp_path / "out")
    assert words in said
    assert repr(member.name)[:100] in said
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


THROUGH = [
    [Member("d", kind=tarfile.SYMTYPE, target="."), Member("d/x", b"evil")],
    [Member("f", b"file"), Member("f/x", b"evil")],
]
TWICE = [
    [Member("f", b"1"), Member("f", b"2")],
    [Member("f", b"1"), Member("./f", b"2")],
    [Member("f/x", b"1"), Member("f", kind=tarfile.SYMTYPE, target="x")],
    [Member("f", kind=tarfile.DIRTYPE), Member("f", b"2")],
]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("form", ARCHIVES)
def test_nothing_is_written_through_a_link_or_over_another(form: Format, tmp_path: Path) -> None:
    for number, members in enumerate(THROUGH):
        said = why(packed(members, form), form, tmp_path / f"through{number}")
        assert "which is no folder in the archive" in said
    for number, members in enumerate(TWICE):
        assert "comes twice" in why(packed(members, form), form, tmp_path / f"twice{number}")
    again = [Member("d", kind=tarfile.DIRTYPE), Member("d", kind=tarfile.DIRTYPE)]
    assert survey(io.BytesIO(packed(again, form)), form) == Contents()


def test_what_is_there_already_is_neither_followed_nor_written_over(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    (folder / "taken").write_bytes(b"kept")
    for name in ("link/new", "taken"):
        with pytest.raises(OSError, match=r"Not a directory|File exists"):
            laid_out(tar([Member(name, b"new")]), Format.TAR, folder)
    assert list(outside.iterdir()) == []
    assert (folder / "taken").read_bytes() == b"kept"


@pytest.mark.parametrize("form", ARCHIVES)
def test_limits_hold_while_it_is_read(form: Format, tmp_path: Path) -> None:
    zeros = packed([Member("zeros", bytes(4 << 20))], form)
    if form is not Format.TAR:
        said = why(zeros, form, tmp_path / "bomb", Limits(ratio=20, free=1 << 20))
        assert "times its packed" in said
    assert "bytes it may have" in why(zeros, form, tmp_path / "size", Limits(size=1 << 20))
    many = packed([Member(f"f{n}") for n in range(50)], form)
    assert "more than 49" in why(many, form, tmp_path / "n", Limits(entries=49)) or (
        "at most 49" in why(many, form, tmp_path / "m", Limits(entries=49))
    )


def test_a_gigabyte_of_zeros_takes_no_memory() -> None:
    block = gzip.compress(bytes(1 << 24))
    info = tarfile.TarInfo("zeros")
    info.size = 1 << 30
    data = gzip.compress(info.tobuf()) + block * 64 + gzip.compress(bytes(1024))
    tracemalloc.start()
    try:
        assert survey(io.BytesIO(data), Format.TAR_GZ, Limits(ratio=2000)) == Contents(1, 1 << 30)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", ARCHIVES)
def test_a_cut_is_noticed_wherever_it_is(form: Format) -> None:
    data = packed([Member("a", os.urandom(3000)), Member("b", os.urandom(3000))], form)
    for cut in range(600, 6000, 97):
        with pytest.raises(ValidationError, match=r"too early|broken|missing|shorter"):
            survey(io.BytesIO(data[:cut]), form)


@pytest.mark.parametrize("form", ARCHIVES)
@given(seed=st.randoms(use_true_random=False), flips=st.integers(1, 8))
def test_rot_is_an_error_of_ours_or_none(form: Format, seed: object, flips: int) -> None:
    data = bytearray(packed(GOOD, form))
    for _ in range(flips):
        data[seed.randrange(len(data))] = seed.randrange(256)  # type: ignore[attr-defined]
    try:
        for entry in walk(io.BytesIO(data), form):
            assert ".." not in entry.path.split("/")
            assert not entry.path.startswith("/")
            while entry.read(1 << 20):
                pass
    except ValidationError:
        pass


def test_headers_that_would_take_the_memory_are_refused() -> None:
    for kind in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE):
        info = tarfile.TarInfo("x")
        info.type, info.size = kind, (1 << 33) - 1
        with pytest.raises(ValidationError, match="is a header of 8589934591 bytes"):
            survey(io.BytesIO(info.tobuf()), Format.TAR)


def test_a_decompressor_that_would_take_the_memory_is_refused() -> None:
    whole = lzma.compress(tar([Member("a")]), lzma.FORMAT_ALONE)
    greedy = whole[:1] + struct.pack("<L", (1 << 32) - 1) + whole[5:]
    with pytest.raises(ValidationError, match="no lzma: Memory usage limit"):
        survey(io.BytesIO(greedy), Format.TAR_LZMA)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.LNKTYPE, "is a hard link: pack with --hard-dereference"),
        (tarfile.GNUTYPE_SPARSE, "is a sparse file: pack without --sparse"),
        (tarfile.BLKTYPE, "is a device"),
        (b"M", "has the type b'M'"),
    ],
)
def test_kinds_that_only_tar_has(kind: bytes, words: str, tmp_path: Path) -> None:
    info = tarfile.TarInfo("odd")
    info.type, info.linkname = kind, "first"
    data = tar([Member("first")])[:1024][:512] + info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)
    assert words in why(data, Format.TAR, tmp_path / "out")


def test_headers_of_all_entries_rename_none(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", pax_headers={"comment": "made by git"}) as archive:
        archive.addfile(tarfile.TarInfo("a"))
    assert survey(io.BytesIO(buffer.getvalue()), Format.TAR) == Contents(1, 0)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", pax_headers={"path": "../x"}) as archive:
        archive.addfile(tarfile.TarInfo("a"))
    assert "renames all entries" in why(buffer.getvalue(), Format.TAR, tmp_path / "out")


def test_gnu_sparse_in_a_pax_header(tmp_path: Path) -> None:
    info = tarfile.TarInfo("holes")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.name": "holes"}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)
    assert "is a sparse file" in why(buffer.getvalue(), Format.TAR, tmp_path / "out")


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_are_utf8_and_may_be_long(form: int, tmp_path: Path) -> None:
    long = Member("d" * 120 + "/" + "f" * 200, b"1")
    assert survey(io.BytesIO(tar([long], form)), Format.TAR) == Contents(1, 1)
    latin = tar([Member(b"caf\xe9".decode("utf-8", "surrogateescape"))], form)
    assert "is not UTF-8" in why(latin, Format.TAR, tmp_path / "out")


def test_zips_of_their_own_kind(tmp_path: Path) -> None:
    plain = bytearray(zipped([Member("secret", b"x" * 100)]))
    at = plain.find(b"PK\x01\x02")
    encrypted = plain.copy()
    encrypted[at + 8] |= 1
    assert "'secret': is encrypted" in why(bytes(encrypted), Format.ZIP, tmp_path / "a")
    method = plain.copy()
    method[at + 10] = 99
    assert "is packed by method 99" in why(bytes(method), Format.ZIP, tmp_path / "b")
    latin = plain.replace(b"secret", b"caf\xe9et")
    assert "is not UTF-8" in why(bytes(latin), Format.ZIP, tmp_path / "c")
    longer = plain.copy()
    longer[at + 24 : at + 28] = struct.pack("<L", 50)
    assert "is longer than it says" in why(bytes(longer), Format.ZIP, tmp_path / "d")
    shorter = plain.copy()
    shorter[at + 24 : at + 28] = struct.pack("<L", 150)
    assert "shorter than it says" in why(bytes(shorter), Format.ZIP, tmp_path / "e")
    crc = plain.copy()
    crc[at + 16] ^= 1
    assert "checksum is wrong" in why(bytes(crc), Format.ZIP, tmp_path / "f")


def test_zips_behind_other_bytes_and_with_comments() -> None:
    buffer = io.BytesIO(b"#!/bin/sh\nexit\n")
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"c" * 1000
        archive.writestr("a.txt", "hello")
    assert survey(buffer, Format.ZIP) == Contents(1, 5)


def test_zip64() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(66_000):
            archive.writestr(f"f{number}", b"")
        with archive.open("large", "w", force_zip64=True) as file:
            file.write(b"1" * 1000)
    assert survey(buffer, Format.ZIP) == Contents(66_001, 1000)


def test_a_file_is_one_entry_under_its_own_name(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    extract(io.BytesIO(b"1,2\n"), Format.FILE, fd, filename="table.csv")
    with pytest.raises(ValidationError, match="leads out"):
        extract(io.BytesIO(b"1,2\n"), Format.FILE, fd, filename="../table.csv")
    with pytest.raises(ValidationError, match="is no file name"):
        extract(io.BytesIO(b"1,2\n"), Format.FILE, fd, filename="a/table.csv")
    os.close(fd)
    assert (tmp_path / "table.csv").read_bytes() == b"1,2\n"


@pytest.mark.parametrize(
    ("data", "name", "form"),
    [
        (b"", "x.tar", Format.FILE),
        (b"1,2,3\n", "x.tar.gz", Format.FILE),
        (gzip.compress(b"a log"), "log.gz", Format.FILE),
        (b"\x1f\x8b\x08 is no gzip", "x.tar.gz", Format.FILE),
        (zipped([Member("arr.npy")]), "arrays.npz", Format.FILE),
        (zipped([Member("a.txt")]), "a.ZIP", Format.ZIP),
        (tar([Member("a.txt")]), "a.csv", Format.TAR),
        (zipped([]), "", Format.ZIP),
    ],
)
def test_the_content_decides_what_it_is(data: bytes, name: str, form: Format) -> None:
    assert detect(io.BytesIO(data), name) is form


NAMES: st.SearchStrategy[str] = st.lists(
    st.sampled_from(["a", "b", "..", ".", "", "c d", "\\", "é", "C:"]), min_size=1, max_size=5
).map("/".join)


@given(names=st.lists(NAMES, min_size=1, max_size=6), targets=st.lists(NAMES, max_size=3))
def test_nothing_ever_lands_outside(
    names: Sequence[str], targets: Sequence[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    top = tmp_path_factory.mktemp("top")
    links = [
        Member(f"l{n}", kind=tarfile.SYMTYPE, target=target) for n, target in enumerate(targets)
    ]
    through = [Member(f"l{n}/{name}", b"x") for n, name in enumerate(names[: len(links)])]
    data = tar([*links, *(Member(name, b"x") for name in names), *through])
    with contextlib.suppress(ValidationError):
        laid_out(data, Format.TAR, top / "out")
    assert [path.name for path in top.iterdir()] == ["out"]
    for found, _, files in os.walk(top / "out"):
        for name in files:
            assert (Path(found) / name).resolve().is_relative_to(top)
