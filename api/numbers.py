"""Whole numbers that are given once: ids for clients that want no others. A port, no I/O here."""

from __future__ import annotations

from typing import Protocol


class NumbersPort(Protocol):
    """Implemented by `controller/runtime/numbers.py`."""

    async def next(self) -> int:
        """From 1 on, each larger than all before it, over restarts too. StoreError."""
