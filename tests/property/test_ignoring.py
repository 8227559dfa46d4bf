"""What git leaves out of a folder is not packed, whatever the patterns; git itself is asked."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from cumulus.crd_like_specs.ignoring import ALWAYS
from cumulus.crd_like_specs.packing import read_folder
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

NAMES = ("a", "ab", "b.py", "d/a", "d/b.py", "d/e/a", "d/e/b.py", "e/a", "e/d/b.py")
PARTS = st.sampled_from(["a", "b.py", "d", "e", "*", "**", "*.py", "a*", "[ab]*", ".*"])
PATTERNS = st.builds(
    lambda back, top, parts, end: f"{back}{top}{'/'.join(parts)}{end}",
    *(st.sampled_from(["", "!"]), st.sampled_from(["", "/"])),
    *(st.lists(PARTS, min_size=1, max_size=3), st.sampled_from(["", "/"])),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "code"
    made(root, *(name.encode() for name in NAMES))
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


def made(root: Path, *names: bytes) -> None:
    for name in names:
        path = root / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def left_by_git(root: Path) -> list[str]:
    asked = ["git", "-C", str(root), "ls-files", "-z", "--others", "--exclude-standard"]
    listed = subprocess.run(asked, capture_output=True, check=True).stdout.split(b"\0")
    return sorted(os.fsdecode(name) for name in listed if name and name != b".gitignore")


def left_by_us(root: Path) -> list[str]:
    return sorted(name for name in read_folder(root) if name not in ALWAYS)


@given(st.lists(PATTERNS, min_size=1, max_size=4))
@example(["*", "!*/", "!*.py"])  # only Python, wherever it lies
@example(["d/**", "!d/**/", "!d/**/*.py"])  # the same within a folder
@example(["*", "!.*"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_git_ignores_is_not_packed_and_all_else_is(folder: Path, lines: list[str]) -> None:
    (folder / ".gitignore").write_text("\n".join(lines))
    assert left_by_us(folder) == left_by_git(folder)


@pytest.mark.parametrize(
    ("rules", "name"),
    [
        (b"\xef\xbb\xbfsecret\n", b"secret"),  # as editors on Windows write it
        (b"secret\r\n", b"secret"),
        (b"se\xe9*\n", b"se\xe9"),  # names that are no UTF-8
        (b"a\x0cb\n", b"a\x0cb"),
        ("a\u2028b\n".encode(), "a\u2028b".encode()),
        (b"!\n\\\nsecret\n", b"secret"),  # patterns of nothing
    ],
)
def test_lines_are_what_they_are_to_git(folder: Path, rules: bytes, name: bytes) -> None:
    made(folder, name)
    (folder / ".gitignore").write_bytes(rules)
    assert left_by_us(folder) == left_by_git(folder)
