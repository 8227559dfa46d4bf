"""The part of the configuration that is about datasets. Pure but for `read_credentials`.

    datasets:
      keep: 30d                       # unpinned and unused for so long, they go
      buckets:                        # what may be imported from S3-compatible storage
      - {bucket: research, prefix: public/, endpoint: "https://s3.example.org",
         credentialsFile: /etc/cumulus/research.s3}
      roots:                          # and from folders of this machine, such as a mounted bucket
      - {name: shared, path: /mnt/shared}

A credentials file has the key's id in its first line and the secret in its second one. Without one
the environment's are taken (`AWS_ACCESS_KEY_ID` and so on), or none with `anonymous`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from ..crd_like_specs.errors import Problem, ValidationError
from ..crd_like_specs.meta import Name
from ..crd_like_specs.units import Seconds
from .config_section import Section


def _prefix(text: str) -> str:
    parts = text.removesuffix("/").split("/")
    if text and ("" in parts or "." in parts or ".." in parts):
        raise PydanticCustomError(
            "prefix", "'{given}' is no prefix: expected one such as data/public/", {"given": text}
        )
    return f"{text.removesuffix('/')}/" if text else ""


class BucketConfig(Section):
    """bucket: its name; prefix: only what is below it, "" for all; endpoint: URL of storage that is
    not AWS; region: where the storage asks for one; credentials_file: see the module docstring;
    anonymous: the bucket is public.
    """

    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    prefix: Annotated[str, AfterValidator(_prefix)] = ""
    endpoint: str = Field(default="", pattern=r"^(https?://[^\s/@]+/?)?$")
    region: str = ""
    credentials_file: Path | None = None
    anonymous: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> BucketConfig:
        if self.anonymous and self.credentials_file is not None:
            raise PydanticCustomError(
                "bucket", "expected either anonymous or credentialsFile, not both"
            )
        return self


class RootConfig(Section):
    """name: in `mount://name/…`; path: an absolute folder of this machine."""

    name: Name
    path: Path

    @model_validator(mode="after")
    def _absolute(self) -> RootConfig:
        if not self.path.is_absolute():
            raise PydanticCustomError("root", "expected an absolute path")
        return self


class DatasetsConfig(Section):
    """keep: seconds for which a dataset stays that is not pinned and no job uses; buckets and
    roots: from where imports may come.
    """

    keep: Seconds = Field(default=30 * 86400, ge=60)
    buckets: tuple[BucketConfig, ...] = ()
    roots: tuple[RootConfig, ...] = ()


class Credentials(NamedTuple):
    """Of a bucket. Never shown: neither in logs nor in errors."""

    key: str
    secret: str


def read_credentials(path: Path) -> Credentials:
    """ValidationError repeats nothing of the file."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationError([Problem("cannot be read", file=str(path))]) from error
    given = [line for line in lines if line and not line.startswith("#")]
    if len(given) != 2:
        raise ValidationError(
            [Problem("expected two lines: the key's id, and the secret", file=str(path))]
        )
    return Credentials(given[0], given[1])
