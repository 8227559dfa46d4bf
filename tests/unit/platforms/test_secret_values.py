"""Values of secrets: whose, and only from files that nobody else can read."""

from __future__ import annotations

from pathlib import Path

import pytest
from cumulus.controller.platforms.secret_values import LARGEST, SecretFolder
from cumulus.controller.reconcile.actions import SecretFile
from cumulus.crd_like_specs.errors import Permanent


def put(path: Path, value: bytes = b"s3cret", mode: int = 0o600) -> None:
    path.parent.mkdir(exist_ok=True, mode=0o700)
    path.write_bytes(value)
    path.chmod(mode)


def read(folder: Path | None, name: str, owner: str = "") -> bytes:
    return SecretFolder(folder).read(SecretFile(name, name, owner))


def test_an_owners_own_comes_before_everybodys(tmp_path: Path) -> None:
    put(tmp_path / "key", b"everybody's")
    put(tmp_path / "hers" / "key", b"hers")
    assert read(tmp_path, "key", "hers") == b"hers"
    assert read(tmp_path, "key", "his") == read(tmp_path, "key") == b"everybody's"
    put(tmp_path / "hers" / "other", b"hers")
    for owner in ("his", ""):
        with pytest.raises(Permanent, match="there is no secret 'other'"):
            read(tmp_path, "other", owner)
    with pytest.raises(Permanent, match="there is no secret 'hers'"):
        read(tmp_path, "hers")


def test_what_others_could_read_is_not_used(tmp_path: Path) -> None:
    put(tmp_path / "open", mode=0o640)
    put(tmp_path / "empty", b"")
    put(tmp_path / "large", b"x" * (LARGEST + 1))
    put(tmp_path / "target")
    (tmp_path / "link").symlink_to("target")
    for name, why in (
        ("open", "expected a file that its owner alone can read"),
        ("empty", "expected 1 to"),
        ("large", "expected 1 to"),
        ("link", "cannot be read"),
    ):
        with pytest.raises(Permanent, match=why) as error:
            read(tmp_path, name)
        assert error.value.reason == "SecretUnsafe"
        assert "s3cret" not in error.value.message


def test_without_a_folder_there_are_none() -> None:
    assert "expected secrets.folder" in SecretFolder(None).why_not("key", "hers")
