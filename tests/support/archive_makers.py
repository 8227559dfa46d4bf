"""Archives for tests, good and hostile, made on the spot."""

from __future__ import annotations

import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import zstandard
from cumulus.crd_like_specs.archives.entries import Format


@dataclass(frozen=True)
class Member:
    """What a test puts in. kind: tar's type byte."""

    name: str
    data: bytes = b""
    kind: bytes = tarfile.REGTYPE
    target: str = ""
    mode: int = 0o644
    mtime: int = 1_700_000_000


def tar(members: Sequence[Member], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=form, encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.type, info.linkname, info.mode = member.kind, member.target, member.mode
            info.mtime, info.uid, info.size = member.mtime, 4242, len(member.data)
            archive.addfile(info, io.BytesIO(member.data))
    return buffer.getvalue()


def zipped(members: Sequence[Member]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in members:
            folder = member.kind == tarfile.DIRTYPE
            info = zipfile.ZipInfo(member.name + "/" * folder, (2023, 11, 14, 22, 13, 20))
            info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, 3
            kind = {
                tarfile.DIRTYPE: stat.S_IFDIR,
                tarfile.SYMTYPE: stat.S_IFLNK,
                tarfile.FIFOTYPE: stat.S_IFIFO,
                tarfile.CHRTYPE: stat.S_IFCHR,
            }.get(member.kind, stat.S_IFREG)
            info.external_attr = (kind | member.mode) << 16
            archive.writestr(info, member.target.encode() or member.data)
    return buffer.getvalue()


COMPRESS: dict[Format, Callable[[bytes], bytes]] = {
    Format.TAR: bytes,
    Format.TAR_GZ: gzip.compress,
    Format.TAR_XZ: lzma.compress,
    Format.TAR_LZMA: lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    Format.TAR_ZST: zstandard.compress,
}


def packed(members: Sequence[Member], form: Format) -> bytes:
    """The members as an archive of this format."""
    return zipped(members) if form is Format.ZIP else COMPRESS[form](tar(members))
