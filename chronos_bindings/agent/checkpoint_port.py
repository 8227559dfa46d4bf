"""What a lease's task needs of what units leave. Protocol and plain values, no I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ...crd_like_specs.checkpoint import Snapshot
from ...crd_like_specs.outputs import KeptOutputs


@dataclass(frozen=True, slots=True)
class Excess:
    """Why a unit's folder is too large to go on. reason: a word; message: what people read of it."""

    reason: str
    message: str


class Keeping(Protocol):
    """Brings what units leave to safety. All return at once; what takes long goes on meanwhile."""

    def follow(self, unit: str) -> None:
        """It is staged: look after its folders from now on."""

    def finish(self, unit: str, done: Callable[[str], None]) -> bool:
        """Nothing of it runs any more: keep what it left. False where there is nothing to keep; else
        `done` is told once, with "" or with why it could not be kept.
        """

    def forget(self, unit: str) -> None:
        """Its folders go now."""

    def last(self, unit: str) -> Snapshot | None:
        """The checkpoint of it that was kept last."""

    def outputs(self, unit: str) -> KeptOutputs | None:
        """What was kept of its outputs, None before that, or where it left none."""

    def excess(self, unit: str) -> Excess | None:
        """Why one of its folders is too large to go on, None where none is."""

    def trouble(self, unit: str) -> str:
        """Why its newest state is not kept, "" where nothing is wrong."""


class NothingKept:
    """Of units that have neither /checkpoint nor /results."""

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

    def outputs(self, unit: str) -> KeptOutputs | None:  # noqa: ARG002 (same)
        """See `Keeping`."""
        return None

    def excess(self, unit: str) -> Excess | None:  # noqa: ARG002 (same)
        """See `Keeping`."""
        return None

    def trouble(self, unit: str) -> str:  # noqa: ARG002 (same)
        """See `Keeping`."""
        return ""
