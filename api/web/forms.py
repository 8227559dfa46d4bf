"""Forms, read as they come: files of any size pass through, never held in memory or on disk here.

    async for piece in parts(request):
        if isinstance(piece, Part): …  # a field or file begins
        else: …                        # bytes of it

I/O: the request's body.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from ...crd_like_specs.errors import Problem, ValidationError
from .calls import body_of

FIELD_BYTES: Final = 1 << 20
"""Of one field that is no file."""

FIELDS: Final = 200
HEADERS: Final = 32
"""Of one part."""

_HEADER_BYTES: Final = 16 << 10


@dataclass(frozen=True, slots=True)
class Part:
    """What begins. filename: None for a plain field."""

    name: str
    filename: str | None = None


class _Reader:
    """What the parser says, in order, until it is taken."""

    def __init__(self, boundary: bytes) -> None:
        self.said: list[Part | bytes] = []
        self.ended = False
        self._headers: dict[bytes, bytes] = {}
        self._field = self._value = b""
        self._parts = 0
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._on_field,
                    "on_header_value": self._on_value,
                    "on_header_end": self._on_header,
                    "on_headers_finished": self._on_headers,
                    "on_part_data": self._on_data,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:  # such as a boundary that is too long
            raise _wrong(f"is no multipart form: {error}") from error

    def feed(self, data: bytes) -> list[Part | bytes]:
        """What these bytes add."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise _wrong(f"is no multipart form: {error}") from error
        said, self.said = self.said, []
        return said

    def _begin(self) -> None:
        self._headers = {}
        self._parts += 1
        if self._parts > FIELDS:
            raise _wrong(f"has more than {FIELDS} parts")

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field = self._bounded(self._field + data[start:end])

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value = self._bounded(self._value + data[start:end])

    def _on_header(self) -> None:
        self._headers[self._field.lower()] = self._value
        if len(self._headers) > HEADERS:
            raise _wrong(f"has a part with more than {HEADERS} headers")
        self._field = self._value = b""

    def _on_headers(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise _wrong("has a part without a name")
        filename = options.get(b"filename")
        self.said.append(
            Part(_text(options[b"name"]), None if filename is None else _text(filename))
        )

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self.said.append(data[start:end])

    def _on_end(self) -> None:
        self.ended = True

    @staticmethod
    def _bounded(data: bytes) -> bytes:
        if len(data) > _HEADER_BYTES:
            raise _wrong(f"has a header of more than {_HEADER_BYTES} bytes")
        return data


async def parts(request: Request) -> AsyncIterator[Part | bytes]:
    """Parts and their bytes, in the order of the form. ValidationError for what is no form, or
    ends before its end.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind == b"application/x-www-form-urlencoded":
        for name, value in _pairs(await body_of(request, FIELD_BYTES)):
            yield Part(name)
            yield value.encode()
        return
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise _wrong("is no form: expected multipart/form-data, as curl -F sends it")
    reader = _Reader(boundary)
    async for data in request.stream():
        for piece in reader.feed(data):
            yield piece
    if not reader.ended:
        raise _wrong("ends before the end of its form")


async def fields(request: Request) -> dict[str, str]:
    """The fields of a form without files, each name once: the last one counts. ValidationError."""
    found: dict[str, bytearray] = {}
    into = bytearray()
    async for piece in parts(request):
        if isinstance(piece, Part):
            if piece.filename is not None:
                raise ValidationError([Problem("is a file: expected a plain field", piece.name)])
            into = found[piece.name] = bytearray()
            continue
        into += piece
        bounded(into)
    return {name: text(value) for name, value in found.items()}


def bounded(value: bytearray) -> None:
    """ValidationError for a field that is larger than fields are."""
    if len(value) > FIELD_BYTES:
        raise _wrong(f"has a field of more than {FIELD_BYTES} bytes")


def text(value: bytes | bytearray) -> str:
    """A field's value. ValidationError where it is no UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise _wrong("has a field that is no UTF-8 text") from error


def documented(file: str = "", **known: dict[str, Any]) -> dict[str, Any]:
    """Documentation of a form. file: name of the one with a file, "" for none; known: JSON Schema
    of the other fields, with `required` where it is.
    """
    fields = {
        name: {k: v for k, v in one.items() if k != "required"} for name, one in known.items()
    }
    required = [name for name, one in known.items() if one.get("required")]
    if file:
        fields = {file: {"type": "string", "format": "binary"}, **fields}
        required = [file, *required]
    schema: dict[str, Any] = {"type": "object", "properties": fields}
    if required:
        schema["required"] = required
    kinds = ["multipart/form-data"]
    if not file:
        kinds.append("application/x-www-form-urlencoded")
    content = {kind: {"schema": schema} for kind in kinds}
    return {"requestBody": {"required": True, "content": content}}


def _pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text(body), keep_blank_values=True, max_num_fields=FIELDS)
    except ValueError as error:
        raise _wrong(f"is no form: {error}") from error


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _wrong(words: str) -> ValidationError:
    return ValidationError([Problem(words, "body")])
