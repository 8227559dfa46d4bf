"""Where the values of secrets come from: files of a folder that the operator keeps. File I/O.

    <folder>/<owner>/<name>   for the jobs of this owner
    <folder>/<name>           for everybody's jobs

Read at the moment a container is made, and handed to its platform alone: a value is never in the
store, in a log, in an argument or in a variable of the container.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ...crd_like_specs.errors import Permanent
from ..reconcile.actions import SecretFile

LARGEST: Final = 500_000
"""Bytes: Swarm takes less than 512,000."""

Values = Callable[[SecretFile], bytes]
"""The value of a secret. Permanent("SecretMissing" | "SecretUnsafe")."""


def no_secrets(secret: SecretFile) -> bytes:
    """Where there is no such folder."""
    raise Permanent(
        f"this controller has no secrets, {secret.name!r} neither: expected secrets.folder in its "
        "configuration",
        reason="SecretMissing",
    )


class SecretFolder:
    """folder: None where there are no secrets."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def why_not(self, name: str, owner: str) -> str:
        """Why a job of this owner cannot have it, "" where it can."""
        try:
            self.read(SecretFile(name, name, owner))
        except Permanent as error:
            return error.message
        return ""

    def read(self, secret: SecretFile) -> bytes:
        """The value. Permanent("SecretMissing" | "SecretUnsafe")."""
        if self._folder is None:
            return no_secrets(secret)
        folders = [self._folder / secret.owner, self._folder] if secret.owner else [self._folder]
        for folder in folders:
            value = _read(folder / secret.name, secret.name)
            if value is not None:
                return value
        whose = f" for {secret.owner}" if secret.owner else ""
        raise Permanent(f"there is no secret {secret.name!r}{whose}", reason="SecretMissing")


def _read(path: Path, name: str) -> bytes | None:
    """None where there is no such file. Names come checked: they lead nowhere else."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Permanent(
            f"secret {name!r} cannot be read: {error.strerror}", reason="SecretUnsafe"
        ) from error
    try:
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            return None  # an owner of the same name
        if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077:
            raise Permanent(
                f"secret {name!r} is not used: expected a file that its owner alone can read (0600)",
                reason="SecretUnsafe",
            )
        with open(handle, "rb", closefd=False) as file:
            value = file.read(LARGEST + 1)
    finally:
        os.close(handle)
    if not 0 < len(value) <= LARGEST:
        raise Permanent(
            f"secret {name!r} is not used: expected 1 to {LARGEST} bytes", reason="SecretUnsafe"
        )
    return value
