"""Pieces of output, put together to lines. PURE."""

from __future__ import annotations


class Lines:
    """Pieces end where the job flushed; lines end where they say so."""

    def __init__(self) -> None:
        self._open = b""

    def of(self, data: bytes) -> list[str]:
        """The lines that this piece completes, without their ends."""
        *whole, self._open = (self._open + data).split(b"\n")
        return [line.decode("utf-8", "replace").rstrip("\r") for line in whole]

    def rest(self) -> list[str]:
        """A last line without an end."""
        last, self._open = self._open, b""
        return [last.decode("utf-8", "replace")] if last else []
