"""From where datasets are imported: what is configured, and nothing else.

    s3://bucket/key          an object
    s3://bucket/prefix/      all below it, as a tar
    mount://root/path        a file or folder below a configured root; a folder as a tar

Blocking I/O, in threads. Used by `datasets.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from ...crd_like_specs.errors import ForbiddenError, Problem, ValidationError
from ..dataset_settings import BucketConfig, RootConfig
from .dataset_bucket import Bucket
from .dataset_root import Root

T = TypeVar("T")

_SCHEMES: Final = "expected s3://bucket/key or mount://root/path"


@dataclass(frozen=True, slots=True)
class Found:
    """What is to be fetched. size: bytes; stream: them, from an offset on; unchanged: raises
    ConflictError where they are others by now. The last two block.
    """

    filename: str
    size: int
    stream: Callable[[int], Iterator[bytes]]
    unchanged: Callable[[], None]


class Origin:
    """One import's other end."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self.filename = found.filename
        self.size = found.size

    async def pieces(self, offset: int) -> AsyncIterator[bytes]:
        """The bytes from there on."""
        stream = self._found.stream(offset)
        work: asyncio.Future[Any] | None = None
        loop = asyncio.get_running_loop()
        try:
            while True:
                work = loop.run_in_executor(None, next, stream, None)
                piece = await asyncio.shield(work)
                if piece is None:
                    return
                yield piece
        finally:
            if work is not None and not work.done():  # a generator cannot be closed while it runs
                await asyncio.wait([work])
            close = getattr(stream, "close", None)
            if close is not None:
                await asyncio.to_thread(close)

    async def check(self) -> None:
        """ConflictError where what was read has changed meanwhile."""
        await asyncio.to_thread(self._found.unchanged)


class Origins:
    """buckets, roots: as configured. Credentials are read when they are needed."""

    def __init__(
        self, buckets: Sequence[BucketConfig] = (), roots: Sequence[RootConfig] = ()
    ) -> None:
        self._buckets = tuple(buckets)
        self._roots = {root.name: root for root in roots}

    @asynccontextmanager
    async def opened(self, url: str) -> AsyncIterator[Origin]:
        """ValidationError for what is no such URL, ForbiddenError for what is not configured,
        NotFoundError, UnavailableError.
        """
        scheme, mark, rest = url.partition("://")
        place, _, path = rest.partition("/")
        look: Callable[[], Found]
        if scheme == "s3" and mark and place:
            look = partial(self._in_bucket, place, path)
        elif scheme == "mount" and mark and place:
            look = partial(self._below_root, place, path)
        else:
            raise ValidationError([Problem(f"{url!r:.200} is given, {_SCHEMES}", path="url")])
        if any(part in ("", ".", "..") for part in path.removesuffix("/").split("/") if path):
            raise ValidationError(
                [Problem(f"{url!r:.200} is given: expected no empty, '.' or '..' part", path="url")]
            )
        yield Origin(await asyncio.to_thread(look))

    def _in_bucket(self, bucket: str, key: str) -> Found:
        for config in self._buckets:
            if config.bucket == bucket and key.startswith(config.prefix):
                return Found(*Bucket(config).found(key))
        raise ForbiddenError(
            f"s3://{bucket}/{key} is none that imports may come from: an operator lists those "
            "under datasets.buckets"
        )

    def _below_root(self, name: str, path: str) -> Found:
        root = self._roots.get(name)
        if root is None:
            raise ForbiddenError(
                f"{name!r:.80} is no root that imports may come from: an operator lists those "
                "under datasets.roots"
            )
        return Found(*Root(root).found(path))
