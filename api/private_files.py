"""Files that only their owner may read, replaced at once. I/O.

For keys, certificates and tokens, of the controller and of agents: after a power cut there is the
old file or the new one, never half of one, and no other user could read it in between.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

OWNER_ONLY = 0o600


def private_folder(path: Path) -> Path:
    """The folder, made with its parents where it is missing, open to its owner alone."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)
    return path


def write_private(path: Path, data: bytes, mode: int = OWNER_ONLY) -> None:
    """Replace the file. OSError where that cannot be; the old one is still there then."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)  # whatever the umask left of it
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:  # also Ctrl-C: no half-written secret stays behind
        fresh.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
