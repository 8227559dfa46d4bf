"""Code as a zip whose digest depends on its content alone. `read_folder` reads files; the rest is
pure. Called by the SDK before an upload, and by the controller for code given as text.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from .errors import Problem, ValidationError
from .ignoring import Ignored
from .job import Code, Job
from .meta import ObjectMeta
from .template import Template

MAX_FILES: Final = 10_000
MAX_BYTES: Final = 512 << 20
MAX_RATIO: Final = 200
"""Unpacked to packed size above 100 MiB; the runner takes more for a bomb."""
ENTRY: Final = "main.py"

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold


def pack(files: Mapping[str, bytes]) -> bytes:
    """A zip of these files (name with / → content): equal files give equal bytes.

    ValidationError for names that could leave the folder, for too many files or bytes, and where
    there is no main.py. Permissions are no part of it: every file is plain and readable.
    """
    problems = [Problem(wrong, path=repr(name)) for name in files if (wrong := _unsafe(name))]
    problems += [
        Problem("is both a file and a folder", path=repr(str(parent)))
        for parent in sorted({p for name in files for p in PurePosixPath(name).parents})
        if str(parent) in files
    ]
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
    packed = buffer.getvalue()
    if size > 100 << 20 and size > MAX_RATIO * len(packed):
        raise ValidationError(
            f"{size} bytes of nearly nothing, {size // len(packed)} times their packed size: "
            f"expected at most {MAX_RATIO} times; let the job make such files itself"
        )
    return packed


def digest(data: bytes) -> str:
    """`sha256:<64 hex digits>`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def read_folder(folder: Path) -> dict[str, bytes]:
    """The files below a folder, without what `.cumulusignore` or `.gitignore` name (ignoring.py).

    Hidden files are taken, links to files inside the folder too. Refused, with every place named:
    links that lead out of the folder, to folders or nowhere, and what is no file (pipes, sockets).
    OSError where something cannot be read.
    """
    root = folder.resolve()
    files: dict[str, bytes] = {}
    problems: list[Problem] = []
    size = 0
    pending = [(root, Ignored.at(folder))]
    while pending:
        inside, ignored = pending.pop()
        for path in sorted(inside.iterdir()):
            name = path.relative_to(root).as_posix()
            is_folder = path.is_dir() and not path.is_symlink()
            if ignored.ignores(path, folder=is_folder):
                continue
            if is_folder:
                pending.append((path, ignored.inside(path)))
                continue
            if wrong := _unreadable(path, root):
                problems.append(Problem(wrong, path=name, file=str(folder)))
                continue
            size += path.stat().st_size
            if len(files) == MAX_FILES or size > MAX_BYTES:
                message = (
                    f"holds more than {MAX_FILES} files or {MAX_BYTES >> 20} MiB: name what is not "
                    "needed in .cumulusignore"
                )
                raise ValidationError([Problem(message, file=str(folder))])
            files[name] = path.read_bytes()
    if problems:
        raise ValidationError(problems)
    return files


def _unreadable(path: Path, root: Path) -> str:
    """Why a path cannot be packed as a file, or ""."""
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: a link that leads to itself, before Python 3.13
        return "is a link that leads nowhere"
    if not target.is_relative_to(root):
        return "is a link that leads out of the folder"
    if target.is_dir():
        return "is a link to a folder: expected files, or the folder itself"
    return "" if target.is_file() else "is neither a file nor a folder"


def resolve_code(job: Job, folder: Path) -> tuple[Job, bytes | None]:
    """The job with its code named by digest, and the zip; None where it was named so already.

    folder: where a relative `spec.code.path` starts.
    """
    code = job.spec.code
    if code is None or code.digest is not None:
        return job, None
    if code.files is not None:
        data = pack({name: _encoded(name, text) for name, text in code.files.items()})
    else:
        assert code.path is not None
        data = _read(folder / code.path)
    return with_digest(job, digest(data)), data


def resolve_template(template: Template, folder: Path) -> tuple[Template, bytes | None]:
    """As `resolve_code`, of the job that a template makes."""
    like = Job(metadata=ObjectMeta(name="template"), spec=template.spec.job)
    try:
        named, packed = resolve_code(like, folder)
    except ValidationError as error:
        raise ValidationError(
            [replace(p, path=p.path.replace("spec.", "spec.job.", 1)) for p in error.problems]
        ) from error
    spec = template.spec.model_copy(update={"job": named.spec})
    return template.model_copy(update={"spec": spec}), packed


def with_digest(job: Job, named: str) -> Job:
    """The job with its code named by this digest."""
    spec = job.spec.model_copy(update={"code": Code(digest=named)})
    return job.model_copy(update={"spec": spec})


def _encoded(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        message = f"holds half a character at position {error.start}: expected text"
        raise ValidationError([Problem(message, f"spec.code.files[{name!r}]")]) from error


def _read(path: Path) -> bytes:
    wrong = "expected a folder or a zip"
    try:
        if path.is_dir():
            return _packed(path)
        if path.suffix == ".zip" and path.is_file():
            if path.stat().st_size > MAX_BYTES:
                wrong = f"is too large: expected at most {MAX_BYTES} bytes"
            else:
                data = path.read_bytes()
                with zipfile.ZipFile(io.BytesIO(data)) as archive:
                    if ENTRY in archive.namelist():
                        return data
                wrong = f"has no {ENTRY} at its top"
        elif not path.exists():
            wrong = "does not exist: expected a folder or a zip"
    except OSError as error:
        wrong = f"cannot be read: {error.strerror or error}"
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
        wrong = f"is no zip archive: {error}"
    raise ValidationError([Problem(wrong, "spec.code.path", str(path))])


def _packed(folder: Path) -> bytes:
    try:
        return pack(read_folder(folder))
    except ValidationError as error:
        problems = [p if p.file else replace(p, file=str(folder)) for p in error.problems]
        raise ValidationError(problems) from error


def _unsafe(name: str) -> str:
    """Why no archive may hold a file of this name, or "": the runner refuses the same."""
    parts = PurePosixPath(name).parts
    if not name or name.startswith("/") or "\\" in name or name.endswith("/") or name[1:2] == ":":
        return "is no relative file name with forward slashes"
    if ".." in parts or name != str(PurePosixPath(name)):
        return "could leave the folder"
    if any(ord(char) < 32 or "\ud800" <= char <= "\udfff" for char in name):
        return "holds a character that no file name should"
    if len(name.encode()) > 1024 or any(len(part.encode()) > 255 for part in parts):
        return "is longer than file systems take (255 bytes a part, 1024 in all)"
    return ""
