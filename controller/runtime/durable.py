"""Files that are there whole or not at all, also after a power cut. File I/O, blocks: in threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ...crd_like_specs.errors import StoreError


@contextmanager
def on_disk(what: str) -> Iterator[None]:
    """StoreError where the disk does not take it. what: is written."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"the controller's disk does not take {what}: {error.strerror or error}"
        ) from error


def flush(file: BinaryIO) -> None:
    """What was written to the file outlasts a power cut, but not yet its name."""
    file.flush()
    os.fdatasync(file.fileno())


def sync_folders(*folders: Path) -> None:
    """The names in these folders outlast it too."""
    for folder in folders:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write it whole, or leave what was there. mode 0600."""
    temporary = path.with_name(f"{path.name}.new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(text.encode())
        flush(file)
    temporary.replace(path)
    sync_folders(path.parent)
