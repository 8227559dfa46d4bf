"""Code to a zip: by content alone, nothing unsafe in it, and clear words for what cannot be."""

import os
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from cumulus.crd_like_specs.codec import load_text
from cumulus.crd_like_specs.errors import ValidationError
from cumulus.crd_like_specs.job import Job
from cumulus.crd_like_specs.packing import digest, pack, read_folder, resolve_code

MAIN = {"main.py": b"def main(): return 1\n"}


def refused(action: Callable[[], object]) -> str:
    with pytest.raises(ValidationError) as caught:
        action()
    return str(caught.value)


def job(code: str) -> Job:
    text = "apiVersion: cumulus.dev/v1\nkind: Job\nmetadata: {name: a}\n"
    (found,) = load_text(f"{text}spec: {{code: {code}}}\n")
    assert isinstance(found, Job)
    return found


def test_equal_files_give_equal_bytes_in_whatever_order() -> None:
    one = pack(MAIN | {"b": b"2", "a/c": b"1"})
    assert one == pack({"a/c": b"1", "b": b"2"} | MAIN)
    assert digest(one) == digest(pack({"b": b"2"} | MAIN | {"a/c": b"1"}))
    assert digest(one) != digest(pack(MAIN | {"b": b"2", "a/c": b"3"}))


def test_a_digest_is_what_sha256sum_says() -> None:
    assert digest(b"") == (
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


def test_other_tools_read_it() -> None:
    with zipfile.ZipFile(BytesIO(pack(MAIN | {"ü/x": b"1"}))) as archive:
        assert archive.namelist() == ["main.py", "ü/x"]
        assert archive.testzip() is None
        assert archive.read("ü/x") == b"1"


@pytest.mark.parametrize(
    "name",
    ["", "/etc/x", "../x", "a/../x", "a//b", "./a", "a/", "a\\b", "a\0b", "a\nb", "C:x", "\udcff",
     "x" * 256, "/".join(["x" * 200] * 6), ".", ".."],
)  # fmt: skip
def test_names_that_no_archive_may_hold(name: str) -> None:
    assert repr(name) in refused(lambda: pack(MAIN | {name: b""}))


def test_limits_and_what_is_missing() -> None:
    assert "there is no main.py" in refused(lambda: pack({"x.py": b""}))
    many = {f"f{n}": b"" for n in range(10_000)}
    assert "10001 files: expected at most 10000" in refused(lambda: pack(MAIN | many))
    half = bytes(1 << 20) * 257
    text = refused(lambda: pack(MAIN | {"a": half, "b": half}))
    assert "bytes: expected at most 536870912" in text
    assert "'a': is both a file and a folder" in refused(
        lambda: pack(MAIN | {"a": b"", "a/b": b"", "a/c": b""})
    )
    assert "times their packed size" in refused(lambda: pack(MAIN | {"zeros": bytes(101 << 20)}))


def test_all_problems_are_told_at_once() -> None:
    text = refused(lambda: pack({"../a": b"", "/b": b""}))
    assert len(text.splitlines()) == 3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "code"
    root.mkdir()
    (root / "main.py").write_bytes(MAIN["main.py"])
    return root


def fill(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def test_a_folder_is_read_whole_but_for_what_no_job_needs(folder: Path) -> None:
    fill(folder, "a/b/c.txt", ".hidden", "__pycache__/x.pyc", "y.pyc", ".git/config", ".venv/bin/x")
    assert sorted(read_folder(folder)) == [".hidden", "a/b/c.txt", "main.py"]


def test_ignore_files_are_honoured(folder: Path) -> None:
    fill(
        folder,
        "data/big.bin",
        "keep.log",
        "x.log",
        "sub/x.log",
        "build/out",
        "sub/build/out",
        "top",
    )
    (folder / ".cumulusignore").write_text(
        "# comment\n\n*.log\n!keep.log\ndata/*.bin\n/build/\ntop\n"
    )
    assert sorted(read_folder(folder)) == ["keep.log", "main.py", "sub/build/out"]


def test_gitignore_counts_where_there_is_no_list_of_our_own(folder: Path) -> None:
    fill(folder, "a", "b")
    (folder / ".gitignore").write_text("a\n")
    assert sorted(read_folder(folder)) == ["b", "main.py"]
    (folder / ".cumulusignore").write_text("b\n")
    assert sorted(read_folder(folder)) == ["a", "main.py"]


def test_each_folder_has_rules_of_its_own_before_those_above(folder: Path) -> None:
    fill(folder, "a.bin", "sub/a.bin", "sub/b.txt", "sub/deep/b.txt", "sub/deep/a.bin", "x/b.txt")
    (folder / ".gitignore").write_text("*.bin\n")
    (folder / "sub" / ".gitignore").write_text("b.txt\n")
    (folder / "sub" / "deep" / ".cumulusignore").write_text("!*.bin\n!b.txt\n")
    found = sorted(read_folder(folder))
    assert found == ["main.py", "sub/deep/a.bin", "sub/deep/b.txt", "x/b.txt"]


def test_git_s_patterns_mean_what_they_mean_to_git(folder: Path) -> None:
    fill(folder, "docs/a.md", "src/docs/b.md", "src/x/y/z.tmp", "logs/keep", "logs/a", "sp ace")
    (folder / ".gitignore").write_text("/docs\n**/y/*.tmp\nlogs/*\n!logs/keep\nsp\\ ace\n")
    assert sorted(read_folder(folder)) == ["logs/keep", "main.py", "src/docs/b.md"]


def test_what_a_repository_keeps_out_is_not_sent(tmp_path: Path) -> None:
    code = tmp_path / "repo" / "jobs" / "train"
    fill(code, "main.py", ".env", "weights.pt", "small.pt")
    fill(tmp_path / "repo", ".git/config", "build/job/main.py", "build/job/.env")
    (tmp_path / ".gitignore").write_text("main.py\n")  # above the repository
    (tmp_path / "repo" / ".gitignore").write_text(".env\n*.pt\nbuild/\n")
    (tmp_path / "repo" / "jobs" / ".gitignore").write_text("!small.pt\n")
    assert sorted(read_folder(code)) == ["main.py", "small.pt"]
    built = tmp_path / "repo" / "build" / "job"  # made, and so ignored as a whole
    assert sorted(read_folder(built)) == [".env", "main.py"]


def test_the_digest_knows_nothing_but_names_and_contents(tmp_path: Path) -> None:
    found = set()
    for number, order in enumerate((("a", "b/c", "main.py"), ("main.py", "b/c", "a"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        fill(folder, *order)
        for path in folder.rglob("*"):
            path.chmod(0o755 if number or path.is_dir() else 0o600)
            os.utime(path, (1_000 + number, 1_000_000 * (number + 1)))
        found.add(digest(pack(read_folder(folder))))
    assert len(found) == 1


def test_links(folder: Path) -> None:
    fill(folder, "sub/real")
    (folder / "inside").symlink_to("sub/real")
    assert read_folder(folder)["inside"] == b"sub/real"
    (folder / "out").symlink_to("/etc/hostname")
    (folder / "up").symlink_to("..")
    (folder / "nowhere").symlink_to("gone")
    (folder / "self").symlink_to("self")
    (folder / "dir").symlink_to("sub")
    os.mkfifo(folder / "pipe")
    text = refused(lambda: read_folder(folder))
    for line in (
        "out: is a link that leads out of the folder",
        "up: is a link that leads out of the folder",
        "nowhere: is a link that leads nowhere",
        "self: is a link that leads nowhere",
        "dir: is a link to a folder",
        "pipe: is neither a file nor a folder",
    ):
        assert line in text
    assert "inside" not in text


def test_a_folder_that_is_itself_a_link_is_read(folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder)
    assert read_folder(link) == MAIN


def test_a_huge_folder_is_refused_before_it_is_read(folder: Path) -> None:
    with (folder / "huge").open("wb") as file:
        file.truncate(1 << 40)
    assert "512 MiB: name what is not needed in .cumulusignore" in refused(
        lambda: read_folder(folder)
    )


def test_code_is_named_by_its_digest(folder: Path) -> None:
    by_path, data = resolve_code(job("{path: code}"), folder.parent)
    by_files, same = resolve_code(
        job('{files: {main.py: "def main(): return 1\\n"}}'), Path("/nowhere")
    )
    assert data == same == pack(MAIN)
    assert by_path.spec.code == by_files.spec.code
    assert by_path.spec.run_hash() == by_files.spec.run_hash()
    again, nothing = resolve_code(by_path, folder)
    assert again is by_path
    assert nothing is None


def test_a_zip_is_taken_as_it_is(folder: Path) -> None:
    data = pack(MAIN | {"x": b"1"})
    (folder / "code.zip").write_bytes(data)
    assert resolve_code(job("{path: code.zip}"), folder)[1] == data


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("missing", None, "does not exist: expected a folder or a zip"),
        ("main.py", None, "expected a folder or a zip"),
        ("bad.zip", b"PK\x03\x04 no more", "is no zip archive"),
        (
            "name.zip",
            pack(MAIN | {"é": b""}).replace("é".encode(), b"\xff\xff"),
            "is no zip archive",
        ),
        ("other.zip", b"PK\x05\x06" + bytes(18), "has no main.py at its top"),
    ],
)
def test_a_path_that_is_no_code(folder: Path, name: str, content: bytes | None, part: str) -> None:
    if content is not None:
        (folder / name).write_bytes(content)
    text = refused(lambda: resolve_code(job(f"{{path: {name}}}"), folder))
    assert text.startswith(str(folder / name))
    assert "spec.code.path" in text
    assert part in text


def test_text_that_is_no_text_is_refused() -> None:
    body = {"name": "a"}
    broken = Job.model_validate(
        {"metadata": body, "spec": {"code": {"files": {"main.py": "x", "b": "a"}}}}
    )
    assert broken.spec.code is not None
    code = broken.spec.code.model_copy(update={"files": {"main.py": "x\ud800"}})
    spec = broken.spec.model_copy(update={"code": code})
    text = refused(lambda: resolve_code(broken.model_copy(update={"spec": spec}), Path()))
    assert "spec.code.files['main.py']: holds half a character at position 1" in text
