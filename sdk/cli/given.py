"""The options before the command. Pure; apart from settings.py so that starting stays fast."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line said; None where it said nothing."""

    server: str | None = None
    context: str | None = None
    token_file: str | None = None
    insecure: bool = False
    ca: str | None = None
