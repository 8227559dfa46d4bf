"""Dataset: bytes that jobs read, uploaded or imported once and kept by their digest. Pure.

The controller keeps the bytes once, however many datasets point at them; workers unpack archives
and mount them read-only. Made by uploads and imports only, never applied.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from .archives.entries import Format
from .identity import DIGEST_PATTERN
from .meta import API_VERSION, Model, ObjectMeta

FOLDER: Final = "/datasets"
"""Where jobs find their datasets, unless they say otherwise."""

MOST_NAME: Final = 255
"""Bytes of a file's name."""


class DatasetSpec(Model):
    """What it is. digest: `sha256:<hex>` of the bytes as they were uploaded; size: how many they
    are; filename: what a file is called in a job, and what is downloaded; format: `file` is mounted
    as it is, archives are unpacked; pinned: it stays although no job uses it.
    """

    digest: Annotated[str, Field(pattern=DIGEST_PATTERN)]
    size: int = Field(default=0, ge=0)
    filename: str = "data"
    format: Format = Format.FILE
    pinned: bool = Field(default=False, strict=True)


class DatasetStatus(Model):
    """Seen. files: in it, links included; extracted_bytes: that it takes once it is unpacked;
    last_used_at: POSIX seconds at which a job last needed it, or it was uploaded; used_by: names of
    jobs that need it and are not finished, at most a few, as of when it was read: a watch sends
    nothing for that alone.
    """

    files: int = Field(default=0, ge=0)
    extracted_bytes: int = Field(default=0, ge=0)
    last_used_at: float = 0.0
    used_by: tuple[str, ...] = ()


class Dataset(Model):
    """See the module docstring. `metadata.owner` is whose it is: for others it is not there.

    api_version: `cumulus.dev/v1`; kind: `Dataset`; metadata: what it is called, and bookkeeping;
    spec: what it is; status: what is known of it.
    """

    api_version: Literal["cumulus.dev/v1"] = API_VERSION
    kind: Literal["Dataset"] = "Dataset"
    metadata: ObjectMeta
    spec: DatasetSpec
    status: DatasetStatus = DatasetStatus()
