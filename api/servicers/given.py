"""What an attempt is given beside its code, streamed to its worker. I/O through the port only.

Called by `agent.py` once it has checked that the caller speaks for the worker.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from ...crd_like_specs.errors import ValidationError
from ..gen.cumulus.v1 import agent_pb2 as pb
from ..ports import GivenPort
from . import checks


async def given(port: GivenPort, request: pb.GetBlobRequest) -> AsyncIterator[pb.BlobChunk]:
    """One content, from an offset."""
    digest, unit = checks.digest(request.digest), checks.name(request.unit, "unit")
    offset = checks.at_least_zero(request.offset, "offset")
    size = await port.size(request.worker, unit, digest)
    if offset > size:
        raise ValidationError(f"offset {offset} is beyond the {size} bytes of {digest}")
    if offset == size:
        yield pb.BlobChunk(total=size)
        return
    pieces: Any = port.read(unit, digest, offset=offset)
    async with aclosing(pieces):
        async for data in pieces:
            yield pb.BlobChunk(data=data, total=size)
