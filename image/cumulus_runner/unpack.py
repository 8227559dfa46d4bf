"""Unpacks /job/code.zip into the work folder. I/O; called by the child before main.py is loaded.

The archive comes from whoever may submit a job, so it is not trusted: names that lead elsewhere,
links, bombs and damage are refused before or while it is written, never half believed.
"""

from __future__ import annotations

import os
import stat

from . import archive
from .report import JobError

MAX_BYTES = 1 << 30
"""Unpacked size of an archive."""

MAX_ENTRIES = 10_000

MAX_RATIO = 200
"""Unpacked to packed size; counts only above 100 MiB, as small zeros compress well too."""

_RATIO_FROM = 100 << 20

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO


def unpack(path: str, work_dir: str) -> str:
    """Folder of the unpacked code, a new one below `work_dir`. Raises JobError BadCode, NoMain."""
    try:
        with open(path, "rb") as file:
            entries = archive.directory(file, MAX_ENTRIES)
            _check(entries, os.path.getsize(path))
            folder = _new_folder(work_dir)
            for entry in entries:
                _write(file, entry, folder)
    except FileNotFoundError:
        raise JobError("BadCode", f"there is no {path}: expected a zip with main.py") from None
    except archive.ArchiveError as e:
        raise _bad(str(e)) from e
    except OSError as e:
        raise _bad(f"cannot be unpacked: {e}") from e
    if not os.path.isfile(os.path.join(folder, "main.py")):
        raise JobError("NoMain", _without_main([entry.name for entry in entries]))
    return folder


def _check(entries: list[archive.Entry], packed: int) -> None:
    """Refuses the whole archive for what any entry's name, kind or size tells."""
    total = sum(entry.size for entry in entries)
    if total > MAX_BYTES:
        raise _bad(f"unpacks to {total} bytes, the limit is {MAX_BYTES}")
    if total > _RATIO_FROM and total > MAX_RATIO * packed:
        raise _bad(f"unpacks to {total // max(packed, 1)} times its size, the limit is {MAX_RATIO}")
    seen: set[str] = set()
    for entry in entries:
        name = entry.name
        if problem := _name_problem(name):
            raise _refused(name, problem)
        if stat.S_ISLNK(entry.mode):
            raise _refused(name, "is a symbolic link")
        if stat.S_IFMT(entry.mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refused(name, "is neither a file nor a folder")
        if entry.flags & archive.ENCRYPTED:
            raise _refused(name, "is encrypted")
        if name in seen:
            raise _refused(name, "is there twice")
        seen.add(name)


def _name_problem(name: str) -> str:
    """Why a name is refused, or ""."""
    if not name or name.startswith(("/", "\\")) or name[1:2] == ":":
        return "is not a relative name"
    if "\\" in name:
        return "has a backslash"
    parts = name.rstrip("/").split("/")
    if ".." in parts:
        return "leads out of the folder"
    if "" in parts or "." in parts:
        return "is not a plain name"
    if any(ord(char) < 32 for char in name):
        return "has a control character"
    return ""


def _new_folder(work_dir: str) -> str:
    """A folder that did not exist: nothing of an earlier run is mixed in, or removed."""
    os.makedirs(work_dir, exist_ok=True)
    for number in range(10_000):
        folder = os.path.join(work_dir, f"code-{number}" if number else "code")
        try:
            os.mkdir(folder)
        except FileExistsError:
            continue
        return folder
    raise _bad(f"cannot be unpacked: {work_dir} is full of earlier runs")


def _write(file: BinaryIO, entry: archive.Entry, folder: str) -> None:
    target = os.path.join(folder, entry.name)
    if entry.is_folder:
        os.makedirs(target, exist_ok=True)
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    mode = 0o755 if entry.mode & 0o111 else 0o644
    # O_EXCL: on a file system that ignores case, two names may be one file.
    output = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(output, "wb") as target_file:
        for piece in archive.contents(file, entry):
            target_file.write(piece)


def _without_main(names: list[str]) -> str:
    inner = next((name for name in names if name.endswith("/main.py")), "")
    hint = f" (there is {inner}: zip what the folder holds, not the folder)" if inner else ""
    return f"code.zip has no main.py at its top{hint}"


def _bad(problem: str) -> JobError:
    return JobError("BadCode", f"code.zip {problem}")


def _refused(name: str, problem: str) -> JobError:
    return _bad(f"has the entry {name!r:.200}, which {problem}")
