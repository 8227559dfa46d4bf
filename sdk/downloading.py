"""A download into a file, for outputs and datasets: it goes on where a break left it, also in
another process, and what is there in the end has its digest. I/O: files.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import IO, Any, Final

from ..crd_like_specs.errors import CumulusError, ValidationError

_PIECE: Final = 1 << 20


async def fetch(
    target: Path,
    digest: str,
    pieces: Callable[[int], AsyncGenerator[bytes, None]],
    *,
    what: str,
    job_id: str = "",
    arrived: Callable[[int], None] = lambda _: None,
) -> Path:
    """The content in `target`, whole at once. digest: `sha256:<hex>`; pieces: of it from an offset
    on; what: its name in messages; arrived: told how many bytes are there.

    ValidationError where it cannot be written, CumulusError where it came damaged.
    """
    known = target.name.encode(errors="surrogateescape")[:100].decode(errors="ignore")
    part = target.with_name(f".{known}.{digest[-12:]}.part")
    hashed = hashlib.sha256()
    try:
        with part.open("ab+") as file:
            done = await asyncio.to_thread(_take_up, file, hashed)
            async with aclosing(pieces(done)) as coming:
                async for piece in coming:
                    hashed.update(piece)
                    await asyncio.to_thread(file.write, piece)
                    done += len(piece)
                    arrived(done)
        if f"sha256:{hashed.hexdigest()}" != digest:
            part.unlink()
            raise CumulusError(f"{what} came damaged: try again", job_id=job_id)
        part.replace(target)
    except OSError as e:
        raise unwritten(what, target, e, job_id) from e
    return target


def unwritten(what: str, target: Path, error: OSError, job_id: str = "") -> ValidationError:
    """What is said of a file that cannot be written."""
    return ValidationError(f"{what} cannot be written to {target}: {error.strerror}", job_id=job_id)


def _take_up(file: IO[bytes], hashed: Any) -> int:
    """How much is there of it already."""
    file.seek(0)
    at = 0
    while piece := file.read(_PIECE):
        hashed.update(piece)
        at += len(piece)
    return at
