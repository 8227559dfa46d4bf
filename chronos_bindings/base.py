"""The port to whatever holds shares of devices. Protocol only.

Implementations: `native` (chronos-gpu in a supervised child process) and `ledger` (book-keeping
only, where Chronos can't run). Both are held to `tests/contract/test_partitioners.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Partition:
    """A share that is held. memory_milli: thousandths of the device; expires_in: seconds."""

    id: str
    device: int
    memory_milli: int
    expires_in: float


class Partitioner(Protocol):
    """Calls block for at most a few seconds and are safe from several threads.

    Errors: `Temporary` (the child died and is being restarted: every partition is gone, ask
    `list` and create again), `Permanent(reason="NoCapacity" | "NoDevice" | "BadRequest")`.
    """

    @property
    def backend(self) -> str:
        """`chronos` or `ledger`; shows wherever a partition shows."""

    @property
    def epoch(self) -> int:
        """Rises whenever everything held was lost at once (the child restarted)."""

    def create(self, device: int, memory_milli: int, seconds: int) -> Partition:
        """Take a share: 1 <= memory_milli <= 1000, 1 <= seconds < 2**31."""

    def release(self, partition_id: str) -> None:
        """Give it back; one that is unknown or expired counts as released."""

    def list(self) -> list[Partition]:
        """Everything held now."""

    def available(self, device: int) -> int:
        """Thousandths of the device that are free."""

    def close(self) -> None:
        """Release everything and stop."""
