"""Files over HTTP, in part: what a Range asks for, and what is answered."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from cumulus.api.web.ranges import Span, UnsatisfiableError, disposition, ranged, span_of
from fastapi import FastAPI, Request, Response
from hypothesis import given
from hypothesis import strategies as st

CONTENT = bytes(range(256)) * 5
ETAG = f'"sha256:{"a" * 64}"'


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", Span(0, 1)),
        ("bytes=0-", Span(0, 1280)),
        ("bytes=1279-", Span(1279, 1)),
        ("bytes=10-5000", Span(10, 1270)),
        ("bytes=-1", Span(1279, 1)),
        ("bytes=-5000", Span(0, 1280)),
        *((text, None) for text in ("", "bytes=-", "bytes=5-3", "bytes=1-2,5-6", "lines=1-2")),
        *((text, None) for text in ("bytes=a-b", f"bytes=0-{'9' * 30}", "bytes=--1")),
    ],
)
def test_what_a_range_asks_for(header: str, span: Span | None) -> None:
    assert span_of(header, len(CONTENT)) == span


@pytest.mark.parametrize("header", ["bytes=1280-", "bytes=5000-6000", "bytes=-0"])
def test_a_range_beyond_the_end(header: str) -> None:
    with pytest.raises(UnsatisfiableError):
        span_of(header, len(CONTENT))


@given(st.text(max_size=30) | st.from_regex(r"bytes=\d{0,4}-\d{0,4}", fullmatch=True))
def test_no_header_leads_out_of_the_file(header: str) -> None:
    try:
        span = span_of(header, 100)
    except UnsatisfiableError:
        return
    assert span is None or (span.offset >= 0 and 0 < span.length <= 100 - span.offset)


@pytest.fixture
def client() -> httpx.AsyncClient:
    app = FastAPI()

    async def read(offset: int, length: int) -> AsyncIterator[bytes]:
        for at in range(offset, offset + length, 100):
            yield CONTENT[at : min(at + 100, offset + length)]

    @app.api_route("/file", methods=["GET", "HEAD"])
    async def file(request: Request) -> Response:
        head = request.method == "HEAD"
        digest = f"sha256:{'a' * 64}"
        return ranged(request.headers, len(CONTENT), digest, read, "é/“x”.pth", head=head)

    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def test_whole_and_in_part(client: httpx.AsyncClient) -> None:
    whole = await client.get("/file")
    assert (whole.status_code, whole.content, whole.headers["etag"]) == (200, CONTENT, ETAG)
    part = await client.get("/file", headers={"range": "bytes=700-1099"})
    assert (part.status_code, part.content) == (206, CONTENT[700:1100])
    assert part.headers["content-range"] == "bytes 700-1099/1280"
    assert part.headers["content-length"] == "400"
    beyond = await client.get("/file", headers={"range": "bytes=1280-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */1280")


async def test_a_changed_file_is_sent_whole(client: httpx.AsyncClient) -> None:
    for tag, code in ((ETAG, 206), ('"sha256:other"', 200)):
        got = await client.get("/file", headers={"range": "bytes=0-9", "if-range": tag})
        assert got.status_code == code
    for tags, code in ((ETAG, 304), (f'"x", W/{ETAG}', 304), ("*", 304), ('"x"', 200)):
        got = await client.get("/file", headers={"if-none-match": tags})
        assert (got.status_code, bool(got.content)) == (code, code == 200)


async def test_a_look_at_the_headers(client: httpx.AsyncClient) -> None:
    got = await client.head("/file")
    assert (got.status_code, got.content, got.headers["content-length"]) == (200, b"", "1280")


def test_names_are_saved_as_they_are() -> None:
    assert disposition('a"b\r\nx: y') == (
        "attachment; filename=\"a_b__x_ y\"; filename*=UTF-8''a%22b%0D%0Ax%3A%20y"
    )
