"""What stands against a controller's health, and against giving it work now. In memory only; asked by
its probes, by sources and as it starts.
"""

from __future__ import annotations

from .clock import Clock
from .records import Records
from .world import World


class Health:
    """embedded: whether an agent runs beside the controller, which is to have reported."""

    def __init__(self, records: Records, world: World, clock: Clock, *, embedded: bool) -> None:
        self._records = records
        self._world = world
        self._clock = clock
        self._embedded = embedded

    def unhealthy(self) -> tuple[str, ...]:
        """What keeps the controller from doing its work at all."""
        trouble = self._records.store.trouble()
        return (trouble,) if trouble else ()

    def unready(self) -> tuple[str, ...]:
        """What keeps it from being given work now."""
        against = list(self.unhealthy())
        if not self._world.services.observed:
            against.append(f"the platform {self._world.platform} has not answered")
        if self._embedded and not self._any_worker():
            against.append("the embedded agent has not reported yet")
        return tuple(against)

    def _any_worker(self) -> bool:
        return any(worker.ready for worker in self._world.workers(self._clock.now()))
