"""Which agents are in contact, and whose workers are clean. In memory; part of the `World`."""

from __future__ import annotations

from .silences import CONTACT_SECONDS


class Contacts:
    """started: POSIX seconds when this controller came up; who was never heard since then counts
    as heard then.
    """

    def __init__(self, started: float) -> None:
        self._started = started
        self.times: dict[str, float] = {}
        """Worker → when it was last heard, POSIX seconds."""
        self._since: dict[str, float] = {}
        self._connected: set[str] = set()
        self._clean: set[str] = set()

    def heard(self, worker: str, now: float) -> bool:
        """Its agent spoke; returns whether it had been out of contact until now."""
        came = not self.holds(worker, now)
        if came:
            self._since[worker] = now
        self.times[worker] = now
        self._connected.add(worker)
        return came

    def left(self, worker: str) -> None:
        """Its agent's stream broke: what comes next has to show that it is clean."""
        self._connected.discard(worker)
        self._clean.discard(worker)

    def reported(self, worker: str, *, clean: bool) -> bool:
        """Its agent told all it has; clean: nothing of it is unknown here. Once it was clean, it
        stays so while its agent stays. Returns whether it is so since now.
        """
        if not clean or worker in self._clean:
            return False
        self._clean.add(worker)
        return True

    def forget(self, worker: str) -> None:
        """There is no such worker any more."""
        self.left(worker)
        self.times.pop(worker, None)
        self._since.pop(worker, None)

    def holds(self, worker: str, now: float) -> bool:
        """Whether its agent can be told anything now."""
        return worker in self._connected and self.silent_for(worker, now) < CONTACT_SECONDS

    def is_clean(self, worker: str) -> bool:
        """Whether its agent has shown it clean since it came."""
        return worker in self._clean

    def silent_for(self, worker: str, now: float) -> float:
        """Seconds since its agent was last heard."""
        return max(0.0, now - self.last(worker))

    def last(self, worker: str) -> float:
        """When its agent was last heard; where it never was, when this controller came up."""
        return self.times.get(worker, self._started)

    def since(self, worker: str) -> float:
        """When its agent last came, POSIX seconds; 0.0 for not since this controller came up."""
        return self._since.get(worker, 0.0)

    def heard_at(self, worker: str) -> float:
        """When its agent last spoke, POSIX seconds; 0.0 for not since this controller came up."""
        return self.times.get(worker, 0.0)
