"""code.zip comes from anybody: what is refused, and that ordinary archives unpack whole."""

import os
import random
import stat
import struct
import zipfile

import pytest
from run_job import Job

GOOD = "def main(): return 1"


def bad(job: Job) -> str:
    kind, message = job.run().error
    assert kind == "BadCode"
    assert message.startswith(("code.zip ", "there is no "))
    return message


def test_no_archive_at_all(job: Job) -> None:
    assert "there is no " in bad(job)


@pytest.mark.parametrize("data", [b"", b"x", b"PK\x03\x04", b"hello" * 1000, b"PK\x05\x06"])
def test_what_is_no_archive(job: Job, data: bytes) -> None:
    (job.job / "code.zip").write_bytes(data)
    assert "no zip archive" in bad(job) or "cut off" in bad(job)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("../evil.py", "leads out of the folder"),
        ("a/../../evil.py", "leads out of the folder"),
        ("/etc/evil", "is not a relative name"),
        ("C:/evil", "is not a relative name"),
        ("a\\..\\evil", "has a backslash"),
        ("a//b", "is not a plain name"),
        ("./a", "is not a plain name"),
        ("a\nb", "has a control character"),
        ("", "is not a relative name"),
        ("main.py", "is there twice"),
    ],
)
def test_names_that_lead_elsewhere(job: Job, name: str, part: str) -> None:
    job.zip_entry(name)
    assert part in bad(job)
    assert not (job.work / "code").exists()  # refused as a whole, before anything is written


@pytest.mark.parametrize(
    ("mode", "part"),
    [
        (stat.S_IFLNK | 0o777, "is a symbolic link"),
        (stat.S_IFIFO | 0o644, "is neither a file nor a folder"),
        (stat.S_IFCHR | 0o644, "is neither a file nor a folder"),
    ],
)
def test_links_and_devices(job: Job, mode: int, part: str) -> None:
    job.zip_entry("link", mode, "/etc/passwd")
    assert part in bad(job)


def test_a_file_where_a_folder_is_needed(job: Job) -> None:
    job.zip({"main.py": GOOD, "a": "file", "a/b": "below it"})
    assert "cannot be unpacked" in bad(job)


def test_a_name_longer_than_the_file_system_takes(job: Job) -> None:
    job.zip({"main.py": GOOD, "x" * 300: ""})
    assert "cannot be unpacked" in bad(job)


def test_too_many_entries(job: Job) -> None:
    job.zip({"main.py": GOOD} | {f"f{i}": "" for i in range(10_000)}, zipfile.ZIP_STORED)
    assert "has 10001 entries, the limit is 10000" in bad(job)


def test_a_bomb_by_ratio(job: Job) -> None:
    job.zip({"main.py": GOOD, "zeros": b"\0" * (101 << 20)})
    assert "times its size, the limit is 200" in bad(job)


def test_a_bomb_by_size_is_refused_by_what_it_declares(job: Job) -> None:
    job.zip({"main.py": GOOD, "big": "x"})
    path = job.job / "code.zip"
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<L", (1 << 30) + 1)
    path.write_bytes(data)
    assert "the limit is 1073741824" in bad(job)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("declared", [9_999, 10_001])
def test_an_entry_that_lies_about_its_size(job: Job, method: int, declared: int) -> None:
    job.zip({"main.py": GOOD, "data": b"x" * 10_000}, method)
    path = job.job / "code.zip"
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<L", declared)
    path.write_bytes(data)
    assert "its size is not what it says" in bad(job)


def test_entries_that_share_their_data(job: Job) -> None:
    job.zip({"main.py": GOOD, "a": "x" * 100, "b": "x" * 100}, zipfile.ZIP_STORED)
    path = job.job / "code.zip"
    data = bytearray(path.read_bytes())
    second = data.rfind(b"PK\x01\x02")
    first = data.rfind(b"PK\x01\x02", 0, second)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    path.write_bytes(data)
    assert "overlaps" in bad(job)


def test_encrypted_entries(job: Job) -> None:
    job.zip({"main.py": GOOD})
    path = job.job / "code.zip"
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "is encrypted" in bad(job)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_packing(job: Job, method: int) -> None:
    job.zip({"main.py": GOOD}, method)
    assert f"packed by method {method}" in bad(job)


def test_a_wrong_checksum(job: Job) -> None:
    job.zip({"main.py": GOOD, "data": "hello"}, zipfile.ZIP_STORED)
    path = job.job / "code.zip"
    path.write_bytes(path.read_bytes().replace(b"hello", b"jello"))
    assert "its checksum is wrong" in bad(job)


def test_zip64(job: Job) -> None:
    with zipfile.ZipFile(job.job / "code.zip", "w") as file:
        file.writestr("main.py", GOOD)
    path = job.job / "code.zip"
    data = bytearray(path.read_bytes())
    data[-6:-2] = b"\xff" * 4
    path.write_bytes(data)
    assert "ZIP64" in bad(job)


def test_wherever_it_is_cut_off_it_is_an_error_and_never_a_traceback(job: Job) -> None:
    """The directory stands at the end, so that every cut loses it; the reader is called here
    itself, as starting the runner thousands of times would take minutes."""
    job.zip({"main.py": GOOD, "data": bytes(range(256)) * 4})
    whole = (job.job / "code.zip").read_bytes()
    for length in range(len(whole)):
        assert read(whole[:length]) is None
    assert read(whole) == {"main.py": GOOD.encode(), "data": bytes(range(256)) * 4}


def test_damage_is_an_error_or_harmless_and_never_wrong_data(job: Job) -> None:
    job.zip({"main.py": GOOD, "data": b"some text " * 50})
    whole = (job.job / "code.zip").read_bytes()
    expected = {b"some text " * 50, GOOD.encode()}
    chance = random.Random(7)
    for _ in range(3000):
        data = bytearray(whole)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        found = read(bytes(data))
        assert found is None or set(found.values()) <= expected


def read(data: bytes) -> dict[str, bytes] | None:
    import io

    from cumulus.image.cumulus_runner import archive

    file = io.BytesIO(data)
    try:
        return {
            entry.name: b"".join(archive.contents(file, entry))
            for entry in archive.directory(file, 100)
        }
    except archive.ArchiveError:
        return None


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_ordinary_archives_unpack_whole(job: Job, method: int) -> None:
    noise = random.Random(1).randbytes(3 << 20)
    job.zip(
        {
            "main.py": "import os\ndef main(): return [len(open('a/b/data', 'rb').read()), "
            "os.path.isdir('empty'), open('ü').read()]",
            "a/b/data": noise,
            "empty/": "",
            "ü": "umlaut",
        },
        method,
    )
    assert job.run().result == [len(noise), True, "umlaut"]
    assert (job.work / "code" / "a" / "b" / "data").read_bytes() == noise


def test_a_comment_and_permissions_are_understood(job: Job) -> None:
    with zipfile.ZipFile(job.job / "code.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("main.py", "import subprocess\n"
                      "def main(): return subprocess.check_output(['./tool']).decode()")  # fmt: skip
        tool = zipfile.ZipInfo("tool")
        tool.external_attr = (stat.S_IFREG | 0o4777) << 16
        tool.create_system = 3
        file.writestr(tool, "#!/bin/sh\necho ran\n")
        file.comment = b"PK\x05\x06 in a comment"[:2] + b" a comment"
    assert job.run().result == "ran\n"
    assert (job.work / "code" / "tool").stat().st_mode & 0o7022 == 0


def test_an_archive_that_was_streamed(job: Job) -> None:
    """Sizes and checksums stand behind the data then, and in the directory."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as stream, zipfile.ZipFile(stream, "w") as file:
        file.writestr("main.py", GOOD)
    with os.fdopen(reader, "rb") as stream:
        data = stream.read()
    assert data[6] & 0x8
    (job.job / "code.zip").write_bytes(data)
    assert job.run().result == 1


def test_main_py_in_a_folder_is_pointed_at(job: Job) -> None:
    job.zip({"train/main.py": GOOD})
    kind, message = job.run().error
    assert kind == "NoMain"
    assert "there is train/main.py" in message


def test_a_second_run_in_the_same_folder_starts_afresh(job: Job) -> None:
    code = "import os\ndef main(): return sorted(f for f in os.listdir() if f[0] != '_')"
    assert job.run(code, old__txt="").result == ["main.py", "old.txt"]
    assert job.run(code).result == ["main.py"]


def test_a_work_folder_that_cannot_be_written(job: Job) -> None:
    job.work.write_text("a file, not a folder")
    job.code(GOOD)
    kind, message = job.run().error
    assert kind == "BadCode"
    assert "File exists" in message
