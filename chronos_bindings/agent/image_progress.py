"""How far this worker is with its images, as a condition and in the log. Pure but for the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from loguru import logger

from ...crd_like_specs.images import FETCHING, IMAGES_PRESENT
from ...crd_like_specs.meta import Condition
from ...crd_like_specs.units import show_bytes
from .node_facts import Conditions

STEP: Final = 10
"""Per cent between reports: each is a write to the controller's store."""


class Progress:
    """wall: POSIX seconds. changed: told whenever the condition is another one."""

    def __init__(self, wall: Callable[[], float], changed: Callable[[], None]) -> None:
        self._conditions = Conditions(wall)
        self._changed = changed
        self._now = (
            False,
            "NotAsked",
            "the controller has not said yet which images it wants here",
        )
        self._name = ""
        self._total = 0

    def condition(self) -> Condition:
        """As it is now."""
        return self._conditions.of(IMAGES_PRESENT, *self._now)

    def asking(self, name: str) -> None:
        """The controller is asked for what the image is made of."""
        self._name, self._total = name, 0
        self._set(status=False, reason=FETCHING, message=f"{name}: asking for its parts")

    def begin(self, total: int, here: int) -> None:
        """So many bytes are needed, so many are here already."""
        self._total = total
        logger.info("fetching image {}: {} bytes, {} are here", self._name, total, here)
        self.arrived(here)

    def arrived(self, here: int) -> None:
        """Bytes that are here now, of all that are needed."""
        if not self._total:
            return
        percent = here * 100 // self._total // STEP * STEP
        message = f"{self._name}: {percent} % of {show_bytes(self._total)}"
        if self._now != (False, FETCHING, message):
            logger.info("image {}", message)
        self._set(status=False, reason=FETCHING, message=message)

    def loading(self) -> None:
        """Everything is here; the engine takes it in."""
        self._set(status=False, reason="Loading", message=f"{self._name}: the engine loads it")

    def failed(self, name: str, reason: str, message: str) -> None:
        """It is tried again later."""
        self._set(status=False, reason=reason, message=f"{name}: {message}")

    def complete(self, count: int) -> None:
        """Every wanted image is here."""
        self._set(status=True, reason="AllPresent", message=f"{count} wanted here")

    def _set(self, *, status: bool, reason: str, message: str) -> None:
        now = (status, reason, message)
        if now != self._now:
            self._now = now
            self._changed()
