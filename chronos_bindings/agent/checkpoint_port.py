"""What a lease's task needs of checkpoints. Protocol and plain values, no I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ...crd_like_specs.checkpoint import Snapshot


class Keeping(Protocol):
    """Brings what units leave to safety. All return at once; what takes long goes on meanwhile."""

    def follow(self, unit: str) -> None:
        """It is staged: look after its folder from now on."""

    def finish(self, unit: str, done: Callable[[str], None]) -> bool:
        """Nothing of it runs any more: keep what it left. False where there is nothing to keep; else
        `done` is told once, with "" or with why it could not be kept.
        """

    def forget(self, unit: str) -> None:
        """Its folder goes now."""

    def last(self, unit: str) -> Snapshot | None:
        """What was kept of it last."""

    def excess(self, unit: str) -> str:
        """Why its folder is too large to go on, "" where it is not."""

    def trouble(self, unit: str) -> str:
        """Why its newest state is not kept, "" where nothing is wrong."""


class NothingKept:
    """Of units that have no /checkpoint."""

    def follow(self, unit: str) -> None:
        """See `Keeping`."""

    def finish(self, unit: str, done: Callable[[str], None]) -> bool:  # noqa: ARG002
        """See `Keeping`."""
        return False

    def forget(self, unit: str) -> None:
        """See `Keeping`."""

    def last(self, unit: str) -> Snapshot | None:  # noqa: ARG002 (nothing is kept of any)
        """See `Keeping`."""
        return None

    def excess(self, unit: str) -> str:  # noqa: ARG002 (same)
        """See `Keeping`."""
        return ""

    def trouble(self, unit: str) -> str:  # noqa: ARG002 (same)
        """See `Keeping`."""
        return ""
