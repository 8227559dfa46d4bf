"""Files of content that never changes, over HTTP: ranges, entity tags, names. Pure but for the pieces.

A range of more than one part, or one that is not understood, gives the whole, as RFC 9110 allows.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Final, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request, Response

from . import sse
from .live import Streams

Handler = TypeVar("Handler", bound=Callable[..., Any])
Read = Callable[[int, int], AsyncIterator[bytes]]
"""(offset, length) → that many bytes in pieces; at least one is asked for."""

_RANGE: Final = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)

_BYTES: Final = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
DOCUMENTED: Final[dict[int | str, Any]] = {
    200: {"description": "The whole.", "content": _BYTES},
    206: {"description": "The range that was asked for.", "content": _BYTES},
    304: {"description": "It is what `If-None-Match` names."},
    416: {"description": "Nothing of it is in that range; `Content-Range` says how long it is."},
}
"""Answers of `download`, for OpenAPI."""


@dataclass(frozen=True, slots=True)
class Content:
    """name: file name, without folders; size: bytes; digest: of the whole; modified: POSIX seconds,
    0.0 where unknown.
    """

    name: str
    size: int
    digest: str
    modified: float = 0.0


async def download(request: Request, content: Content, read: Read, streams: Streams) -> Response:
    """The answer: 200, 206, 304 or 416."""
    tag = f'"{content.digest}"'
    headers = {
        "etag": tag,
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "content-disposition": _disposition(content.name),
        "x-content-type-options": "nosniff",
    }
    if content.modified:
        headers["last-modified"] = formatdate(content.modified, usegmt=True)
    if _names(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    start, end, code = 0, content.size, 200
    asked = request.headers.get("range", "")
    if asked and request.headers.get("if-range", tag) == tag:
        found = _range(asked, content.size)
        if found is not None:
            (start, end), code = found, 206
            if start >= end:
                return Response(
                    status_code=416, headers={**headers, "content-range": f"bytes */{content.size}"}
                )
            headers["content-range"] = f"bytes {start}-{end - 1}/{content.size}"
    headers["content-length"] = str(end - start)
    kind = "application/octet-stream"  # nothing that a job wrote is shown as a page
    if request.method == "HEAD" or start == end:
        return Response(status_code=code, headers=headers, media_type=kind)
    pieces = read(start, end - start)
    return await sse.data(pieces, streams, kind, status_code=code, headers=headers)


def served(
    paths: APIRouter | FastAPI,
    path: str,
    allowed: Any,
    responses: dict[int | str, Any],
    *,
    head: str,
) -> Callable[[Handler], Handler]:
    """Decorator of what answers GET, and HEAD under the name `head`. allowed: see `calls.may`."""
    known: dict[str, Any] = {
        "dependencies": [allowed],
        "response_class": Response,
        "responses": responses,
    }

    def add(handler: Handler) -> Handler:
        paths.head(path, name=head, **known)(handler)
        return paths.get(path, **known)(handler)

    return add


async def streamed(
    request: Request, items: AsyncIterator[bytes], streams: Streams, media_type: str
) -> Response:
    """The answer with bytes whose number is not known before they end; to HEAD, without them."""
    answer = sse.head if request.method == "HEAD" else sse.data
    return await answer(items, streams, media_type)


def _names(given: str, tag: str) -> bool:
    """Whether `If-None-Match` has the tag."""
    tags = [one.strip().removeprefix("W/") for one in given.split(",")]
    return tag in tags or "*" in tags


def _range(given: str, size: int) -> tuple[int, int] | None:
    """(from, to) without `to`; empty where it lies beyond the end; None where it is not understood."""
    match = _RANGE.fullmatch(given.replace(" ", ""))
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size
    start, last = int(match[1]), int(match[2]) if match[2] else size - 1
    if match[2] and last < start:
        return None
    return (start, min(last + 1, size)) if start < size else (size, size)


def _disposition(name: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name) or "file"
    encoded = quote(name.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
