"""Datasets in a job: which ones its container finds, and where. Pure.

People name a dataset, or give the digest of its bytes. The controller notes beside that what lies
behind the name at the moment (`Mounted` fields), so that what defines a run is content, and a job
that waits for days gets what it was submitted with.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import Field, field_validator, model_validator

from .dataset import FOLDER
from .identity import DIGEST_PATTERN, NAME_PATTERN
from .meta import Model

ENV_DATASETS: Final = "CUMULUS_DATASETS"
"""Environment variable of a job with its datasets: a JSON object, name → folder."""

FOLDERS: Final = "datasets"
"""Folder of a unit on its worker with a link to each of its datasets, see `DatasetMount.link`."""

MOST_DATASETS: Final = 16
"""Datasets of one job."""

LONGEST_PATH: Final = 255

TAKEN: Final = (
    *("/job", "/env", "/work", "/checkpoint", "/results"),
    *("/tmp", "/dev", "/proc", "/sys", "/run", "/etc"),  # noqa: S108 (paths inside the container)
    *("/bin", "/boot", "/lib", "/lib32", "/lib64", "/libx32", "/sbin", "/usr", "/opt/cumulus"),
)
"""What Cumulus mounts, and what programs need to run at all: no dataset lies there or inside."""

_PATH: Final = re.compile(r"(/[A-Za-z0-9._@+=-]+)+")


class DatasetMount(Model):
    """One dataset in a job's container, read-only. Either name or digest is given.

    name: of a dataset of the job's owner; digest: `sha256:<hex>` of its bytes as they were
    uploaded, of what the name stands for at the moment the job is submitted where only that is
    given; path: absolute folder in the container, /datasets/<name> where it is not given, or
    /datasets/<first 12 hex digits>; format: of its bytes, `file` for what is no archive and is a
    folder with one file; filename: of that file; size: bytes as uploaded; extracted: bytes of its
    files. All but name, digest and path is set by the controller, whatever is given.
    """

    name: str = ""
    digest: str = ""
    path: str = Field(default="", max_length=LONGEST_PATH)
    size: int = Field(default=0, ge=0)
    extracted: int = Field(default=0, ge=0)
    format: str = Field(default="", max_length=16)
    filename: str = Field(default="", max_length=255)

    @field_validator("name")
    @classmethod
    def _is_name(cls, name: str) -> str:
        if name and not re.fullmatch(NAME_PATTERN, name):
            raise ValueError(
                f"{name!r:.80} is given, expected lower-case letters, digits and inner dashes, "
                "at most 63"
            )
        return name

    @field_validator("digest")
    @classmethod
    def _is_digest(cls, digest: str) -> str:
        if digest and not re.fullmatch(DIGEST_PATTERN, digest):
            raise ValueError(f"{digest!r:.80} is given, expected sha256:<64 hex digits>")
        return digest

    @field_validator("path")
    @classmethod
    def _is_free(cls, path: str) -> str:
        if path:
            _check_path(path)
        return path

    @model_validator(mode="before")
    @classmethod
    def _with_path(cls, given: Any) -> Any:
        if isinstance(given, dict) and not given.get("path"):
            name = given.get("name") or str(given.get("digest") or "").removeprefix("sha256:")[:12]
            if name:
                return {**given, "path": f"{FOLDER}/{name}"}
        return given

    @model_validator(mode="after")
    def _says_which(self) -> DatasetMount:
        if not (self.name or self.digest):
            raise ValueError("either name or digest is expected, got neither")
        return self

    @property
    def label(self) -> str:
        """How people are told of it: its name, or the beginning of its digest."""
        return self.name or self.digest.removeprefix("sha256:")[:12]

    @property
    def resolved(self) -> bool:
        """Whether the controller has noted what it stands for."""
        return bool(self.digest and self.format)

    @property
    def link(self) -> str:
        """Name of the link to it in the unit's folder on its worker."""
        return hashlib.sha256(self.path.encode()).hexdigest()[:16]

    def content(self) -> dict[str, Any]:
        """What of it defines a run: what the job reads, and where."""
        if not self.resolved:
            return {"name": self.name, "digest": self.digest, "path": self.path}
        known = {"digest": self.digest, "path": self.path, "format": self.format}
        return {**known, "filename": self.filename} if self.format == "file" else known


def as_mounts(datasets: Iterable[str | Mapping[str, str]]) -> list[dict[str, str]]:
    """As a file has them: of `NAME`, `NAME:/PATH` or a digest in place of the name, or of what is
    so already.
    """
    found = []
    for one in datasets:
        if not isinstance(one, str):
            found.append(dict(one))
            continue
        name, mark, path = one.partition(":/")
        key = "digest" if name.startswith("sha256:") else "name"
        found.append({key: name, **({"path": f"/{path}"} if mark else {})})
    return found


def check_mounts(mounts: Sequence[DatasetMount]) -> None:
    """ValueError where two datasets would lie in the same folder, or one inside another's."""
    if len(mounts) > MOST_DATASETS:
        raise ValueError(f"{len(mounts)} datasets are given, expected at most {MOST_DATASETS}")
    paths = sorted((mount.path, mount.label) for mount in mounts)
    for number, (path, label) in enumerate(paths):
        for other, its_label in paths[number + 1 :]:
            if _within(other, path):
                raise ValueError(
                    f"dataset {its_label} would lie at {other}, inside {path} of dataset {label}: "
                    "expected folders of their own"
                )


def _check_path(path: str) -> None:
    parts = path.split("/")
    if not _PATH.fullmatch(path) or "." in parts or ".." in parts:
        raise ValueError(
            f"{path!r:.80} is given, expected an absolute path of letters, digits and ._@+=-, "
            "such as /data/train"
        )
    for taken in TAKEN:
        if _within(path, taken):
            raise ValueError(
                f"{path} is given, expected a path outside of {taken}, which is taken: "
                f"such as {FOLDER}/{parts[-1]}"
            )


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
