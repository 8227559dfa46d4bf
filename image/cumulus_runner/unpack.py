"""Unpacks /job/code.zip into the work folder. I/O; called by the child before main.py is loaded.

The archive comes from whoever may submit a job, so it is not trusted: names that lead elsewhere,
links, bombs and damage are refused before or while it is written, never half believed.
"""

from __future__ import annotations

import os
import stat

from .report import JobError

MAX_BYTES = 1 << 30
"""Unpacked size of an archive."""

MAX_ENTRIES = 10_000

MAX_RATIO = 200
"""Unpacked to packed size; counts only above 100 MiB, as small zeros compress well too."""

_RATIO_FROM = 100 << 20
_CHUNK = 1 << 20

TYPE_CHECKING = False
if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo


def unpack(archive: str, work_dir: str) -> str:
    """Folder of the unpacked code, a new one below `work_dir`. Raises JobError BadCode, NoMain."""
    import zipfile  # noqa: PLC0415 (after the fork: the parent needs none of it)
    import zlib  # noqa: PLC0415 (same)

    try:
        with zipfile.ZipFile(archive) as zipped:
            entries = _checked(zipped, os.path.getsize(archive))
            folder = _new_folder(work_dir)
            for entry in entries:
                _write(zipped, entry, folder)
    except FileNotFoundError:
        raise JobError("BadCode", f"there is no {archive}: expected a zip with main.py") from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as e:
        raise _bad(f"is damaged or no zip archive ({e})") from e
    except (NotImplementedError, RuntimeError) as e:
        raise _bad(f"cannot be read: {e}") from e
    except (OSError, ValueError) as e:
        raise _bad(f"cannot be unpacked: {e}") from e
    if not os.path.isfile(os.path.join(folder, "main.py")):
        raise JobError("NoMain", _without_main([entry.filename for entry in entries]))
    return folder


def _checked(zipped: ZipFile, packed: int) -> list[ZipInfo]:
    """The entries, once none of them is refused."""
    entries = zipped.infolist()
    if len(entries) > MAX_ENTRIES:
        raise _bad(f"has {len(entries)} entries, the limit is {MAX_ENTRIES}")
    total = sum(entry.file_size for entry in entries)
    if total > MAX_BYTES:
        raise _bad(f"unpacks to {total} bytes, the limit is {MAX_BYTES}")
    if total > _RATIO_FROM and total > MAX_RATIO * packed:
        raise _bad(f"unpacks to {total // max(packed, 1)} times its size, the limit is {MAX_RATIO}")
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename
        mode = entry.external_attr >> 16
        if problem := _name_problem(name):
            raise _bad(f"has the entry {name!r:.200}, which {problem}")
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            kind = "a symbolic link" if stat.S_ISLNK(mode) else "neither a file nor a folder"
            raise _bad(f"has the entry {name!r:.200}, which is {kind}")
        if entry.flag_bits & 0x1:
            raise _bad(f"has the entry {name!r:.200}, which is encrypted")
        if name in seen:
            raise _bad(f"has the entry {name!r:.200} twice")
        seen.add(name)
    return entries


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
    for number in range(10_000):
        folder = os.path.join(work_dir, f"code-{number}" if number else "code")
        try:
            os.mkdir(folder)
        except FileExistsError:
            continue
        return folder
    raise _bad(f"cannot be unpacked: {work_dir} is full of earlier runs")


def _write(zipped: ZipFile, entry: ZipInfo, folder: str) -> None:
    target = os.path.join(folder, entry.filename)
    if entry.is_dir():
        os.makedirs(target, exist_ok=True)
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    mode = 0o755 if entry.external_attr >> 16 & 0o111 else 0o644
    # O_EXCL: on a file system that ignores case, two names may be one file.
    output = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    left = entry.file_size
    with os.fdopen(output, "wb") as file, zipped.open(entry) as source:
        while chunk := source.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise _bad(f"has the entry {entry.filename!r:.200}, which is larger than it says")
            file.write(chunk)
    if left:
        raise _bad(f"has the entry {entry.filename!r:.200}, which is shorter than it says")


def _without_main(names: list[str]) -> str:
    inner = next((name for name in names if name.endswith("/main.py")), "")
    hint = f" (there is {inner}: zip what the folder holds, not the folder)" if inner else ""
    return f"code.zip has no main.py at its top{hint}"


def _bad(problem: str) -> JobError:
    return JobError("BadCode", f"code.zip {problem}")
