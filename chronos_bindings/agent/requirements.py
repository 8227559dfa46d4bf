"""Which packages a job asks for: its spec's and its own zip's requirements.txt, merged. Reads a zip
that is already here; called by `staging`. What is allowed in a line is `pip_requirements`' to say.
"""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ...crd_like_specs.errors import Permanent
from .pip_requirements import normalise

MAX_BYTES: Final = 256 << 10
_NAME: Final = "requirements.txt"
_ENCRYPTED: Final = 1  # bit of ZipInfo.flag_bits
_UNREADABLE: Final = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(OSError, EOFError, ValueError, NotImplementedError),
)
"""What reading a damaged zip may raise: `zipfile` passes on what its parts do."""


def merge(own: str, listed: Iterable[str]) -> tuple[str, ...]:
    """Canonical requirements of both, without repetitions. own: text of the zip's file; listed:
    of the job's spec. `Permanent(reason="RequirementsFailed")` names every line that is refused.
    """
    return normalise([*own.splitlines(), *listed])


def of_zip(path: Path) -> str:
    """Text of the zip's own requirements.txt, "" where there is none.

    A zip that cannot be read gives "" too: the runner tells the user what is wrong with it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.NameToInfo.get(_NAME)
            if info is None:
                return ""
            if stat.S_ISLNK(info.external_attr >> 16) or info.flag_bits & _ENCRYPTED:
                raise _refused("is a link or encrypted: expected a plain text file")
            with archive.open(info) as file:
                data = file.read(MAX_BYTES + 1)  # the size in the zip's directory may lie
    except _UNREADABLE:
        return ""
    if len(data) > MAX_BYTES:
        raise _refused(f"is larger than {MAX_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise _refused(f"is not UTF-8 (byte {e.start})") from e


def _refused(message: str) -> Permanent:
    return Permanent(f"the code's {_NAME} {message}", reason="RequirementsFailed")
