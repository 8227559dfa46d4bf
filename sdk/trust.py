"""What decides whom to trust and who may join: an authority's file, a token's life. I/O: that file.

Called by `client.py`.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from ..crd_like_specs.errors import Problem, ValidationError
from ..crd_like_specs.units import parse_seconds


def authority(path: str | Path) -> bytes:
    """Certificates of a PEM file. ValidationError where there are none."""
    try:
        text = Path(path).read_text(encoding="ascii")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except ssl.SSLError as e:
        raise ValidationError(f"{path} is no authority: expected a PEM certificate") from e
    except OSError as e:
        raise ValidationError(f"the authority {path} cannot be read: {e.strerror}") from e
    except ValueError as e:  # no text, or nothing in it
        raise ValidationError(f"{path} is no authority: expected a PEM certificate") from e
    return text.encode()


def lifetime(ttl: float | str) -> int:
    """Seconds. ValidationError where it is no duration, or not longer than nothing."""
    try:
        seconds = parse_seconds(ttl)
    except ValueError as e:
        raise ValidationError([Problem(str(e), path="ttl")]) from e
    if seconds <= 0:
        raise ValidationError([Problem(f"{ttl} is given, expected 1 s or more", path="ttl")])
    return seconds
