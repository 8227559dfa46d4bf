"""Registries in the configuration: each wrong entry named, no password shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cumulus.controller.config import Config, load_config
from cumulus.controller.credential_files import read_registries
from cumulus.crd_like_specs.errors import ValidationError


def config(tmp_path: Path, *entries: dict[str, Any]) -> Config:
    file = tmp_path / "c.yaml"
    file.write_text(json.dumps({"registries": entries}))
    return load_config(file)


def test_entries_with_their_passwords(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("s3cret\n")
    found = config(
        tmp_path,
        {"server": "r.example.org:5000", "username": "me", "passwordFile": str(tmp_path / "p")},
        {"server": "docker.io"},
    )
    registries = read_registries(found.registries)
    assert json.loads(registries.auth("r.example.org:5000/x")) == {
        "serveraddress": "r.example.org:5000",
        "username": "me",
        "password": "s3cret",
    }
    assert json.loads(registries.auth("ubuntu")) == {"serveraddress": "docker.io"}
    assert [entry.server for entry in registries.with_credentials] == ["r.example.org:5000"]
    assert "s3cret" not in f"{found!r}{registries.with_credentials!r}"
    assert found.image_spool == 20 << 30


@pytest.mark.parametrize(
    ("entry", "path", "words"),
    [
        ({}, "registries[0].server", "is missing"),
        ({"server": "https://r.org"}, "registries[0].server", "is no registry"),
        ({"server": "r.org/team"}, "registries[0].server", "is no registry"),
        ({"server": "R.org"}, "registries[0].server", "is no registry"),
        ({"server": "r.org:0"}, "registries[0].server", "is no registry"),
        ({"server": "r.org", "username": "me"}, "registries[0]", "or neither"),
        ({"server": "r.org", "passwordFile": "/x"}, "registries[0]", "or neither"),
        ({"server": "r.org", "password": "x"}, "registries[0].password", "no known field"),
    ],
)
def test_a_wrong_entry_is_named(
    tmp_path: Path, entry: dict[str, Any], path: str, words: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        config(tmp_path, entry)
    (problem,) = caught.value.problems
    assert problem.path == path
    assert words in problem.message


def test_a_server_is_listed_once(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"r\.org is given more than once"):
        config(tmp_path, {"server": "r.org"}, {"server": "r.org"})


def test_every_file_that_is_of_no_use_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "two").write_text("a\nb\n")
    names = ("empty", "two", "gone")
    found = config(
        tmp_path,
        *(
            {"server": f"{name}.org", "username": "me", "passwordFile": str(tmp_path / name)}
            for name in names
        ),
    )
    with pytest.raises(ValidationError) as caught:
        read_registries(found.registries)
    assert [Path(problem.file).name for problem in caught.value.problems] == list(names)
