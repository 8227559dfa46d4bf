"""A file as an HTTP answer, whole or in part: Range, If-Range, ETag. No I/O but the given reader.

    return ranged(request.headers, size, digest, lambda offset, length: port.read(…), "model.pth")

It is always an attachment of no particular type: what a job wrote must never run in a browser that
is logged in here. One range is served; where several are asked for, all of the file is, which the
standard allows. A reader that ends early ends the connection, so that no client takes a part for
the whole; it goes on with another Range.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

Read = Callable[[int, int], AsyncIterator[bytes]]
"""Content from an offset, so many bytes of it."""

_RANGE: Final = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*")


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of a file. offset: of the first; length: how many."""

    offset: int
    length: int


class UnsatisfiableError(Exception):
    """The range lies beyond the end of the file."""


def span_of(header: str, total: int) -> Span | None:
    """What a `Range` header asks of a file with so many bytes; None for all of it, also where the
    header is not understood, or names several ranges. UnsatisfiableError.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":  # the last so many bytes
        length = min(int(match[2]), total)
        if not length:
            raise UnsatisfiableError(header)
        return Span(total - length, length)
    first = int(match[1])
    last = int(match[2]) if match[2] else total - 1
    if match[2] and last < first:
        return None  # not a range at all, says the standard
    if first >= total:
        raise UnsatisfiableError(header)
    return Span(first, min(last, total - 1) - first + 1)


def ranged(
    headers: Mapping[str, str],
    size: int,
    digest: str,
    read: Read,
    filename: str,
    *,
    head: bool = False,
) -> Response:
    """The answer to a GET (or, with `head`, a HEAD) of one file. headers: of the request, by
    lower-case names; size: bytes; digest: of the content, from which its ETag is made; filename:
    as which it is saved, any text.
    """
    etag = f'"{digest}"'
    common = {
        "etag": etag,
        "accept-ranges": "bytes",
        "content-disposition": disposition(filename),
        "x-content-type-options": "nosniff",
        "cache-control": "private, no-cache",
    }
    if _matches(headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=common)
    span = None
    wanted = headers.get("range", "")
    if wanted and headers.get("if-range", etag) == etag:
        try:
            span = span_of(wanted, size)
        except UnsatisfiableError:
            return Response(status_code=416, headers={**common, "content-range": f"bytes */{size}"})
    whole = Span(0, size)
    part = span or whole
    common["content-length"] = str(part.length)
    if span is not None:
        last = span.offset + span.length - 1
        common["content-range"] = f"bytes {span.offset}-{last}/{size}"
    code = 206 if span is not None else 200
    if head or not part.length:
        return Response(status_code=code, headers=common, media_type="application/octet-stream")
    body = read(part.offset, part.length)
    return StreamingResponse(body, code, common, "application/octet-stream")


def disposition(filename: str) -> str:
    """`Content-Disposition` that saves a file under this name, whatever is in it."""
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", filename) or "output"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def _matches(header: str, etag: str) -> bool:
    """`If-None-Match`, by the weak comparison that it asks for."""
    given = [one.strip().removeprefix("W/") for one in header.split(",")]
    return etag in given or given == ["*"]
