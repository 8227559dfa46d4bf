"""Code as a zip whose digest depends on its content alone. `read_folder` reads files; the rest is
pure. Called by the SDK before an upload, and by the controller for code given as text.
"""

from __future__ import annotations

import fnmatch
import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from .errors import Problem, ValidationError
from .job import Code, Job

MAX_FILES: Final = 10_000
MAX_BYTES: Final = 512 << 20
ENTRY: Final = "main.py"
IGNORE_FILES: Final = (".cumulusignore", ".gitignore")
ALWAYS_IGNORED: Final = (".git", "__pycache__", "*.pyc", ".venv", ".cumulusignore", ".gitignore")

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold


def pack(files: Mapping[str, bytes]) -> bytes:
    """A zip of these files (name with / → content): equal files give equal bytes.

    ValidationError for names that could leave the folder, for too many files or bytes, and where
    there is no main.py.
    """
    problems = [Problem(wrong, path=repr(name)) for name in files if (wrong := _unsafe(name))]
    if ENTRY not in files:
        problems.append(Problem(f"there is no {ENTRY}: expected one with a main() at the top"))
    if len(files) > MAX_FILES:
        problems.append(Problem(f"{len(files)} files: expected at most {MAX_FILES}"))
    size = sum(len(content) for content in files.values())
    if size > MAX_BYTES:
        problems.append(Problem(f"{size} bytes: expected at most {MAX_BYTES}"))
    if problems:
        raise ValidationError(problems)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # the same on every system that packs
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, files[name], compresslevel=6)
    return buffer.getvalue()


def digest(data: bytes) -> str:
    """`sha256:<64 hex digits>`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def read_folder(folder: Path) -> dict[str, bytes]:
    """The files below a folder, without what `.cumulusignore` (else `.gitignore`) names.

    Links that lead out of the folder are refused; hidden files are taken.
    """
    patterns = (*ALWAYS_IGNORED, *_ignored(folder))
    root = folder.resolve()
    files: dict[str, bytes] = {}
    problems: list[Problem] = []
    pending = [folder]
    while pending:
        for path in sorted(pending.pop().iterdir()):
            name = path.relative_to(folder).as_posix()
            if _matches(name, patterns, folder=path.is_dir()):
                continue
            if not path.resolve().is_relative_to(root):
                problems.append(Problem("leads out of the folder", path=name, file=str(folder)))
            elif path.is_dir() and not path.is_symlink():
                pending.append(path)
            elif path.is_file():
                files[name] = path.read_bytes()
            if len(files) > MAX_FILES:
                message = f"more than {MAX_FILES} files: name what is not needed in .cumulusignore"
                raise ValidationError([Problem(message, file=str(folder))])
    if problems:
        raise ValidationError(problems)
    return files


def resolve_code(job: Job, folder: Path) -> tuple[Job, bytes | None]:
    """The job with its code named by digest, and the zip; None where it was named so already.

    folder: where a relative `spec.code.path` starts.
    """
    code = job.spec.code
    if code is None or code.digest is not None:
        return job, None
    if code.files is not None:
        data = pack({name: text.encode() for name, text in code.files.items()})
    else:
        assert code.path is not None
        data = _read(folder / code.path)
    return with_digest(job, digest(data)), data


def with_digest(job: Job, named: str) -> Job:
    """The job with its code named by this digest."""
    spec = job.spec.model_copy(update={"code": Code(digest=named)})
    return job.model_copy(update={"spec": spec})


def _read(path: Path) -> bytes:
    try:
        if path.is_dir():
            return pack(read_folder(path))
        if path.suffix == ".zip" and zipfile.is_zipfile(path):
            return path.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise ValidationError([Problem(message, "spec.code.path", str(path))]) from error
    raise ValidationError([Problem("expected a folder or a zip", "spec.code.path", str(path))])


def _unsafe(name: str) -> str:
    parts = PurePosixPath(name).parts
    if not name or name.startswith("/") or "\\" in name or "\0" in name or name.endswith("/"):
        return "is no relative file name with forward slashes"
    if ".." in parts or name != str(PurePosixPath(name)):
        return "could leave the folder"
    return "" if len(name.encode()) <= 1024 else "is longer than 1024 bytes"


def _ignored(folder: Path) -> Sequence[str]:
    for name in IGNORE_FILES:
        path = folder / name
        if path.is_file():
            lines = (line.strip() for line in path.read_text(errors="replace").splitlines())
            return [line for line in lines if line and not line.startswith("#")]
    return ()


def _matches(name: str, patterns: Sequence[str], *, folder: bool) -> bool:
    """Git's rules, as far as lists of what to leave out use them: later ones win, `!` takes back."""
    ignored = False
    for given in patterns:
        pattern = given.removeprefix("!")
        if pattern.endswith("/") and not folder:
            continue
        bare = pattern.strip("/")
        anchored = "/" in pattern.rstrip("/")
        target = name if anchored else name.rsplit("/", 1)[-1]
        if fnmatch.fnmatchcase(target, bare):
            ignored = not given.startswith("!")
    return ignored
