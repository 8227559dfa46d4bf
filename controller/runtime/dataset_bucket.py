"""Imports from S3-compatible storage. Network I/O through s3fs, blocks.

Endpoint and credentials are the operator's, by configuration and environment; a request names a
bucket and a key, and is told nothing of either. s3fs is no part of what a controller needs: where
it is missing, the error says what to install.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from loguru import logger

from ...crd_like_specs.archives.making import Packed, packed_size, stream
from ...crd_like_specs.archives.names import clean
from ...crd_like_specs.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnavailableError,
    ValidationError,
)
from ..dataset_settings import BucketConfig, read_credentials
from .dataset_root import MOST_FILES, Answer

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

RANGE: Final = 8 << 20
"""Bytes of one request."""
_MISSING: Final = (
    "this controller cannot import from S3: install the package s3fs beside it "
    "(pip install 'cumulus[s3]')"
)


class Bucket:
    """One bucket. ValidationError where its credentials cannot be read."""

    def __init__(self, config: BucketConfig) -> None:
        self._config = config
        self._fs = _connected(config)

    def found(self, key: str) -> Answer:
        """An object, or with a slash at its end all below it, as a tar."""
        with self._told(key):
            if key.endswith("/") or not key:
                return self._below(key)
            info = self._fs.info(self._path(key))
            if info["type"] != "file":
                raise NotFoundError(
                    f"{self._url(key)} is no object: for all below it end it with a slash"
                )
        size = int(info["size"])
        return (
            key.rpartition("/")[2],
            size,
            lambda offset: self._ranges(key, size, offset),
            partial(self._check, key, _version(info)),
        )

    def _below(self, prefix: str) -> Answer:
        known = self._fs.find(self._path(prefix), detail=True)
        start = len(self._path(prefix))
        sizes: dict[str, tuple[str, int]] = {}
        for path, info in sorted(known.items()):
            below = path[start:].lstrip("/")
            if below and not path.endswith("/"):
                sizes[clean(below)] = (path[len(self._config.bucket) + 1 :], int(info["size"]))
        if not sizes:
            raise NotFoundError(f"there is nothing below {self._url(prefix)}")
        if len(sizes) > MOST_FILES:
            raise ValidationError(
                f"{self._url(prefix)} has more than {MOST_FILES} objects: pack them first"
            )
        entries = [Packed(path, size) for path, (_, size) in sizes.items()]
        name = prefix.rstrip("/").rpartition("/")[2] or self._config.bucket

        def opened(one: Packed) -> BinaryIO:
            key, size = sizes[one.path]
            raw = _Object(partial(self._range, key), size)
            return cast("BinaryIO", io.BufferedReader(raw, RANGE))

        return (
            f"{name}.tar",
            packed_size(entries),
            lambda offset: stream(entries, opened, offset),
            lambda: None,
        )

    def _ranges(self, key: str, size: int, offset: int) -> Iterator[bytes]:
        while offset < size:
            piece = self._range(key, offset, min(size, offset + RANGE))
            if not piece:
                raise ConflictError(f"{self._url(key)} became shorter while it was read")
            offset += len(piece)
            for at in range(0, len(piece), 1 << 20):
                yield piece[at : at + (1 << 20)]

    def _range(self, key: str, start: int, end: int) -> bytes:
        with self._told(key):
            return cast("bytes", self._fs.cat_file(self._path(key), start=start, end=end))

    def _check(self, key: str, before: tuple[str, int]) -> None:
        with self._told(key):
            now = _version(self._fs.info(self._path(key)))
        if now != before:
            raise ConflictError(f"{self._url(key)} changed while it was read: try again")

    def _path(self, key: str) -> str:
        return f"{self._config.bucket}/{key}"

    def _url(self, key: str) -> str:
        return f"s3://{self._path(key)}"

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """The storage's errors, in our words and without what the operator configured."""
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 (an extra)

        try:
            yield
        except FileNotFoundError as e:
            raise NotFoundError(f"{self._url(key)} is not there") from e
        except PermissionError as e:
            raise ForbiddenError(f"the storage does not let us read {self._url(key)}") from e
        except (OSError, BotoCoreError) as e:
            raise UnavailableError(
                f"{self._url(key)} cannot be read now: {type(e).__name__}"
            ) from e


class _Object(io.RawIOBase):
    """An object as a file: seeks, and reads by ranges."""

    def __init__(self, ranged: Any, size: int) -> None:
        self._ranged = ranged
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = start + offset
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        end = min(self._size, self._at + len(view))
        piece = self._ranged(self._at, end) if end > self._at else b""
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def _version(info: Any) -> tuple[str, int]:
    return str(info.get("ETag", "")), int(info["size"])


def _connected(config: BucketConfig) -> Any:
    try:
        from s3fs import S3FileSystem  # noqa: PLC0415 (an extra)
    except ModuleNotFoundError as error:
        raise UnavailableError(_MISSING) from error
    given: dict[str, Any] = {}
    if config.credentials_file is not None:
        try:
            key, secret = read_credentials(config.credentials_file)
        except ValidationError as error:  # it was good at the start: no fault of who asks
            logger.warning("credentials of bucket {}: {}", config.bucket, error)
            raise UnavailableError(
                f"the controller's credentials for bucket {config.bucket} cannot be read"
            ) from error
        given |= {"key": key, "secret": secret}
    client = {"region_name": config.region} if config.region else {}
    return S3FileSystem(
        anon=config.anonymous,
        endpoint_url=config.endpoint or None,
        client_kwargs=client,
        config_kwargs={"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 2}},
        use_listings_cache=False,
        skip_instance_cache=True,
        **given,
    )
