"""Tar, entry by entry, in order. Reads the stream that is given.

`tarfile` would read headers of any length into memory, and keeps every entry; here a header is
refused as soon as it says to be too long, and what has no place in a dataset is refused by name.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import BinaryIO, Final, NoReturn

from .entries import LATEST, PIECE, Entry, Kind, broken, refused
from .names import clean

_BLOCK: Final = tarfile.BLOCKSIZE
_HEADER_BYTES: Final = 64 << 10
_FILES: Final = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_REFUSED: Final = {
    tarfile.LNKTYPE: "is a hard link: pack with --hard-dereference, or as a symbolic link",
    tarfile.CHRTYPE: "is a device",
    tarfile.BLKTYPE: "is a device",
    tarfile.FIFOTYPE: "is a pipe",
    tarfile.GNUTYPE_SPARSE: "is a sparse file: pack without --sparse",
}
_SPARSE: Final = "GNU.sparse."
_NAMING: Final = ("path", "linkpath", "size")


def entries(stream: BinaryIO) -> Iterator[Entry]:
    """Those of the archive; the top folder itself is none. ValidationError."""
    return _Tar(stream).entries()


class _Tar:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = 0  # bytes of the present file
        self._padding = 0
        self._name = ""  # as messages have it

    def entries(self) -> Iterator[Entry]:
        extended: dict[str, str] = {}
        while (block := self._block()) is not None:
            try:
                info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            except tarfile.HeaderError as e:
                raise broken(f"is no tar, or broken after {self._name!r:.200}: {e}") from e
            if info.size < 0:
                raise refused(info.name, "has a size below zero")
            if info.type == tarfile.GNUTYPE_LONGNAME:
                extended["path"] = self._text(info)
            elif info.type == tarfile.GNUTYPE_LONGLINK:
                extended["linkpath"] = self._text(info)
            elif info.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
                extended.update(_records(self._header(info), info.name))
            elif info.type == tarfile.XGLTYPE:
                if any(key in _NAMING for key in _records(self._header(info), info.name)):
                    raise refused(info.name, "renames all entries at once: pack without that")
            else:
                entry = self._entry(info, extended)
                extended = {}
                if entry is not None:
                    yield entry
                self._skip()
        self._drain()

    def _entry(self, info: tarfile.TarInfo, extended: dict[str, str]) -> Entry | None:
        name, target = extended.get("path", info.name), extended.get("linkpath", info.linkname)
        self._name = name
        if extended and any(key.startswith(_SPARSE) for key in extended):
            raise refused(name, _REFUSED[tarfile.GNUTYPE_SPARSE])
        size = _number(extended["size"], name) if "size" in extended else info.size
        path = clean(name)
        # frombuf takes the slash off: whoever packed before 1988 had no other sign of a folder.
        folder = info.type == tarfile.DIRTYPE or (info.type in _FILES and name.endswith("/"))
        link = info.type == tarfile.SYMTYPE
        if not folder and not link and info.type not in _FILES:
            why = _REFUSED.get(info.type, f"has the type {info.type!r}")
            raise refused(name, f"{why}; expected files, folders and symbolic links")
        if (folder or link) and size:
            raise refused(name, f"has {size} bytes of content, and is no file")
        mtime = min(max(0, int(info.mtime)), LATEST)
        if folder:
            return Entry(path, Kind.FOLDER, 0o755, mtime) if path else None
        if not path:
            raise refused(name, "has no name")
        if link:
            return Entry(path, Kind.LINK, 0o777, mtime, target=target)
        self._left, self._padding = size, -size % _BLOCK
        mode = 0o755 if info.mode & 0o100 else 0o644
        return Entry(path, Kind.FILE, mode, mtime, size, read=self._read)

    def _read(self, most: int) -> bytes:
        data = self._stream.read(min(most, self._left))
        self._left -= len(data)
        if not data and self._left and most:
            self._cut_off()
        return data

    def _skip(self) -> None:
        """To the next header, also where nobody read the file."""
        while self._read(PIECE):
            pass
        if len(self._stream.read(self._padding)) < self._padding:
            self._cut_off()
        self._padding = 0

    def _block(self) -> bytes | None:
        """The next header; None at the end, which is a block of zeros or the stream's own."""
        block = self._stream.read(_BLOCK)
        if not block and self._name:
            return None
        if len(block) < _BLOCK:
            self._cut_off()
        return None if block == tarfile.NUL * _BLOCK else block

    def _header(self, info: tarfile.TarInfo) -> bytes:
        """The content of an entry that is about the next one."""
        if info.size > _HEADER_BYTES:
            raise refused(info.name, f"is a header of {info.size} bytes: expected {_HEADER_BYTES}")
        padded = info.size + -info.size % _BLOCK
        data = self._stream.read(padded)
        if len(data) < padded:
            self._cut_off()
        return data[: info.size]

    def _text(self, info: tarfile.TarInfo) -> str:
        return self._header(info).split(b"\0")[0].decode("utf-8", "surrogateescape")

    def _drain(self) -> None:
        """What follows the end is padding; reading it checks the sums of what compressed it."""
        while self._stream.read(PIECE):
            pass

    def _cut_off(self) -> NoReturn:
        raise broken(f"ends too early, within or after {self._name!r:.200}")


def _records(data: bytes, name: str) -> dict[str, str]:
    """Lines of `<length> <key>=<value>`, as often as there is room."""
    found: dict[str, str] = {}
    while data:
        length, _, _ = data.partition(b" ")
        end = int(length) if length.isdigit() and len(length) < 6 else 0
        key, equals, value = data[len(length) + 1 : end - 1].partition(b"=")
        if end > len(data) or not equals or data[end - 1 : end] != b"\n":
            raise refused(name, "is a broken header")
        text = value.decode("utf-8", "surrogateescape")
        if "\0" in text and key in (b"path", b"linkpath"):
            raise refused(text, "holds a control character")
        found[key.decode("utf-8", "surrogateescape")] = text
        data = data[end:]
    return found


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise refused(name, f"has the size {text!r:.40}: expected a number")
    return int(text)
