"""Code on its way in: size limit, digest, and nothing left behind by a client that goes away.

I/O through BlobsPort. Used by Submit and PutBlob.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from ...crd_like_specs.errors import Problem, ValidationError
from ..ports import BlobsPort


class Received(NamedTuple):
    """An upload that is kept. size: bytes; existed: it was there already."""

    size: int
    existed: bool


async def receive(
    blobs: BlobsPort, digest: str, chunks: AsyncIterator[bytes], *, limit: int
) -> Received:
    """Take a blob in. limit: bytes. ValidationError for one too large or of another digest.

    A blob that is there already is read to its end and dropped.
    """
    there = await blobs.has(digest)
    if there is not None:
        async for _ in _limited(chunks, limit):
            pass
        return Received(there, existed=True)
    writer = await blobs.receive(digest)
    try:
        async for data in _limited(chunks, limit):
            await writer.write(data)
        size = await writer.commit()
    except BaseException:  # also when the client goes away, which cancels us
        await writer.abort()
        raise
    return Received(size, existed=False)


async def _limited(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    size = 0
    async for data in chunks:
        size += len(data)
        if size > limit:
            raise ValidationError(
                [Problem(f"the code is larger than {limit >> 20} MiB, the most that is taken")]
            )
        yield data
