"""The locks pin everything the package asks for, with hashes, and name no host."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCKS = ["requirements.lock", "requirements-dev.lock", "bootstrap/chronos.lock"]


def pinned(lock: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / lock).read_text(), re.MULTILINE))


def wanted(section: str) -> set[str]:
    """Names in one list of pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text()
    body = re.search(rf"^{section} = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert body
    names = re.findall(r'^\s*"([A-Za-z0-9._-]+)', body[1], re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_host_and_hashes_everything(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.search(r"--(index|extra-index|find-links|trusted)", text)
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in entry, entry


def test_what_runs_is_pinned() -> None:
    run = wanted("dependencies") | wanted("controller") | wanted("agent")
    assert run | {"setuptools"} <= pinned(LOCKS[0])


def test_what_works_on_it_is_pinned_to_the_same_versions() -> None:
    assert wanted("dev") <= pinned(LOCKS[1])
    ours, theirs = ((ROOT / lock).read_text() for lock in LOCKS[:2])
    pins = set(re.findall(r"^([^\s=]+==[^\s]+)", ours, re.MULTILINE))
    assert pins <= set(re.findall(r"^([^\s=]+==[^\s]+)", theirs, re.MULTILINE))


def imported(folder: Path) -> set[str]:
    """Top-level names of what its modules cannot be imported without. The code of templates is what
    jobs run, in images of their own.
    """
    names = set()
    for file in folder.rglob("*.py"):
        if file.is_relative_to(folder / "templates"):
            continue
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"cumulus"}


@pytest.mark.parametrize("room", ["api", "chronos_bindings", "controller", "crd_like_specs", "sdk"])
def test_what_a_room_imports_is_pinned_for_users_who_have_no_dev_lock(room: str) -> None:
    made_by = packages_distributions()
    lacking = {
        name
        for name in imported(ROOT / room)
        if not {re.sub(r"[-_.]+", "-", made).lower() for made in made_by[name]} & pinned(LOCKS[0])
    }
    assert not lacking


def test_the_scripts_refuse_the_pythons_that_the_package_refuses() -> None:
    package = re.search(r'requires-python = ">=3\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    scripts = re.search(
        r"sys\.version_info < \(3, (\d+)\)", (ROOT / "bootstrap/lib.sh").read_text()
    )
    assert package
    assert scripts
    assert package[1] == scripts[1]
