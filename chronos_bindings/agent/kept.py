"""All that is kept of units: their checkpoints and their outputs. Implements `checkpoint_port.Keeping`.

Made by `agent`. A lease is over once both are safe, or given up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ...crd_like_specs import checkpoint, outputs
from ...crd_like_specs.checkpoint import Snapshot
from ...crd_like_specs.outputs import KeptOutputs
from .checkpoint_port import Excess
from .checkpoints import Checkpoints
from .outputs import Outputs
from .ports import Clock

LOOK_SECONDS: Final = 1.0
"""Between looks at what is committed, and at how large the folders are."""


class Kept:
    """See the module docstring."""

    def __init__(self, checkpoints: Checkpoints, outputs: Outputs, clock: Clock) -> None:
        self._checkpoints = checkpoints
        self._outputs = outputs
        self._clock = clock

    def follow(self, unit: str) -> None:
        """See `Keeping`."""
        self._checkpoints.follow(unit)
        self._outputs.follow(unit)

    def finish(self, unit: str, done: Callable[[str], None]) -> bool:
        """See `Keeping`."""
        both = _Both(done)
        under_way = [
            half.finish(unit, both.one_is_done) for half in (self._checkpoints, self._outputs)
        ]
        return both.wait_for(sum(under_way))

    def forget(self, unit: str) -> None:
        """See `Keeping`."""
        self._checkpoints.forget(unit)
        self._outputs.forget(unit)

    def last(self, unit: str) -> Snapshot | None:
        """See `Keeping`."""
        return self._checkpoints.last(unit)

    def outputs(self, unit: str) -> KeptOutputs | None:
        """See `Keeping`."""
        return self._outputs.last(unit)

    def excess(self, unit: str) -> Excess | None:
        """See `Keeping`."""
        if words := self._checkpoints.excess(unit):
            return Excess(checkpoint.TOO_LARGE, words)
        if words := self._outputs.excess(unit):
            return Excess(outputs.TOO_LARGE, words)
        return None

    def trouble(self, unit: str) -> str:
        """See `Keeping`."""
        return self._checkpoints.trouble(unit)

    async def run(self) -> None:
        """Look at the folders for ever."""
        while True:
            await self._clock.sleep_until(self._clock.monotonic() + LOOK_SECONDS)
            await self._checkpoints.look()
            await self._outputs.look()

    async def stop(self) -> None:
        """What is under way is broken off; the agent after this one takes it up again."""
        await self._checkpoints.stop()
        await self._outputs.stop()


class _Both:
    """Tells once of two ends. Neither can come before `wait_for`: tasks begin after this one."""

    def __init__(self, done: Callable[[str], None]) -> None:
        self._done = done
        self._left = 0
        self._words: list[str] = []

    def wait_for(self, count: int) -> bool:
        """How many ends there will be; whether there is any."""
        self._left = count
        return count > 0

    def one_is_done(self, message: str) -> None:
        """With "", or with why it could not be kept."""
        self._words += [message] if message else []
        self._left -= 1
        if not self._left:
            self._done("; ".join(self._words))
