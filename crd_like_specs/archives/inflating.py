"""Compressed streams, read in order at constant memory. Reads the file that is given."""

from __future__ import annotations

import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final

import zstandard

from .entries import PIECE, broken

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MEMORY: Final = 160 << 20
"""Bytes that a decompressor may take: `xz -9` needs 65 MiB, `zstd --ultra -22` 128 MiB."""
_WINDOW: Final = 128 << 20


def inflated(file: BinaryIO, compression: str) -> BinaryIO:
    """What the file holds; compression: "", gzip, xz, lzma or zstd. Reading it raises
    ValidationError where it is broken, or needs more memory than is given.
    """
    if not compression:
        return file
    if compression == "gzip":
        source: BinaryIO = gzip.GzipFile(fileobj=file, mode="rb")  # type: ignore[assignment]
    elif compression == "zstd":
        decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
        source = decompressor.stream_reader(file, read_across_frames=True)
    else:
        source = io.BufferedReader(_Lzma(file, compression), PIECE)
    return io.BufferedReader(_Told(source, compression), PIECE)


@contextmanager
def telling(compression: str) -> Iterator[None]:
    """A decompressor's own errors, in our words."""
    try:
        yield
    except (zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile, zstandard.ZstdError) as e:
        raise broken(f"is broken, or no {compression}: {e}") from e


class _Told(io.RawIOBase):
    """A stream whose errors are ours."""

    def __init__(self, source: BinaryIO, compression: str) -> None:
        self._source = source
        self._compression = compression

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        with telling(self._compression):
            data = self._source.read(len(view))
        view[: len(data)] = data
        return len(data)


class _Lzma(io.RawIOBase):
    """`lzma.LZMAFile` with a limit of memory: whoever packed says how much unpacking takes."""

    def __init__(self, file: BinaryIO, compression: str) -> None:
        self._file = file
        self._format = lzma.FORMAT_XZ if compression == "xz" else lzma.FORMAT_ALONE
        self._stream = self._new()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        while True:
            data = b""
            if self._stream.eof:
                if not self._next():
                    return 0
            elif self._stream.needs_input:
                data = self._file.read(PIECE)
                if not data:
                    raise EOFError("it ends too early")
            out = self._stream.decompress(data, len(view))
            if out:
                view[: len(out)] = out
                return len(out)

    def _next(self) -> bool:
        """Begin the stream that follows the one that ended, if there is one."""
        if self._format == lzma.FORMAT_ALONE:
            return False
        rest = self._stream.unused_data
        while not (rest := rest.lstrip(b"\0")):  # padding, in fours
            rest = self._file.read(PIECE)
            if not rest:
                return False
        self._stream = self._new()
        self._stream.decompress(rest, 0)  # which keeps it
        return True

    def _new(self) -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(self._format, memlimit=MEMORY)
