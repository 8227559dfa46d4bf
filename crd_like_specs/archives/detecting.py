"""What an upload is, told by its first bytes. Reads the file that is given."""

from __future__ import annotations

import lzma
import tarfile
from pathlib import PurePosixPath
from typing import BinaryIO, Final

from ..errors import ValidationError
from .entries import Format
from .inflating import inflated

_COMPRESSED: Final = (
    (b"\x1f\x8b\x08", Format.TAR_GZ),
    (b"\xfd7zXZ\x00", Format.TAR_XZ),
    (b"\x28\xb5\x2f\xfd", Format.TAR_ZST),
    (b"\x5d\x00\x00", Format.TAR_LZMA),
)
_ZIPPED: Final = (b"PK\x03\x04", b"PK\x05\x06")  # the second one holds nothing
COMPRESSION: Final = {
    Format.TAR_GZ: "gzip",
    Format.TAR_XZ: "xz",
    Format.TAR_LZMA: "lzma",
    Format.TAR_ZST: "zstd",
}


def detect(file: BinaryIO, filename: str = "") -> Format:
    """The format by content; the file is left at its start.

    The name decides only whether a zip is to be unpacked: many formats are zips within (`.npz`,
    `.pt`, `.docx`), and those are files.
    """
    file.seek(0)
    start = file.read(tarfile.BLOCKSIZE)
    found = Format.FILE
    if start.startswith(_ZIPPED):
        suffix = PurePosixPath(filename).suffix.lower()
        found = Format.ZIP if suffix in ("", ".zip") else Format.FILE
    elif _is_tar(start):
        found = Format.TAR
    else:
        for magic, form in _COMPRESSED:
            if start.startswith(magic) and _is_tar(_first_block(file, form)):
                found = form
    file.seek(0)
    return found


def _first_block(file: BinaryIO, form: Format) -> bytes:
    file.seek(0)
    try:
        return inflated(file, COMPRESSION[form]).read(tarfile.BLOCKSIZE)
    except (ValidationError, lzma.LZMAError):
        return b""  # begins like one, and is none


def _is_tar(block: bytes) -> bool:
    """Whether it is a header, of which the checksum is right; a block of zeros is none."""
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True
