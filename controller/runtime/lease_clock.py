"""When leases end and services changed, by the controller's own clock. In memory; part of the
`World`.

A worker's wall clock may say anything. What counts is when a lease was first heard to be held: it
is over at the latest its duration after that. The moment is kept with the lease's record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from ...crd_like_specs.lease import Lease, LeaseSpec
from ..reconcile.observed import LeaseTimes, ServiceSeen
from .clock import Clock

ENDS: Final = "cumulus.dev/ends"
"""Annotation of a lease that is or was held: when it ends, as `Clock.mark` writes it."""


class LeaseClock:
    """leases: those there are as the controller starts, at `started` (POSIX seconds); marked: see
    `Clock.marked`.
    """

    def __init__(
        self, leases: Iterable[Lease], started: float, marked: Callable[[str], float | None]
    ) -> None:
        self._started = started
        self._marked = marked
        self._times: dict[str, LeaseTimes] = {}
        for lease in leases:
            # When it was released, an earlier controller's clock told.
            released = started if lease.metadata.deletion_timestamp is not None else 0.0
            self._times[lease.metadata.name] = LeaseTimes(self._ends(lease), released)

    def changed(self, name: str, lease: Lease | None) -> None:
        """Its record was written, or deleted (None)."""
        if lease is None:
            self._times.pop(name, None)
            return
        known = self._times.get(name, LeaseTimes())
        released = known.released or lease.metadata.deletion_timestamp or 0.0
        # What is extended ends later; nothing lets it end sooner.
        self._times[name] = LeaseTimes(max(known.ends, self._ends(lease)), released)

    def times(self, names: Iterable[str]) -> dict[str, LeaseTimes]:
        """Of those of the named leases that are known."""
        return {name: self._times[name] for name in names if name in self._times}

    def _ends(self, lease: Lease) -> float:
        if not lease.status.expires_at:
            return 0.0
        ends = self._marked(lease.metadata.annotations.get(ENDS, ""))
        # Where nobody knows any more how long ago it was held, it ends after this at the latest.
        return ends or self._started + lease.spec.duration


class StateClock:
    """Since when each service is in the state it is seen in."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def seen(
        self, old: Mapping[str, ServiceSeen], fresh: Mapping[str, ServiceSeen], now: float
    ) -> None:
        """All services, by name, before and with a new listing."""
        for name, service in fresh.items():
            before = old.get(name)
            if before is None or before.state is not service.state or name not in self._since:
                self._since[name] = now
        for name in self._since.keys() - fresh.keys():
            del self._since[name]

    def since(self, names: Iterable[str]) -> dict[str, float]:
        """Of those of the named services that were listed."""
        return {name: self._since[name] for name in names if name in self._since}


def lengthened(lease: Lease, spec: LeaseSpec, clock: Clock) -> Lease:
    """The lease with this spec, which may let it end later than is noted.

    Its agent may hear of it at once, and then nobody any more of the agent: from here on it counts
    as running until the later end.
    """
    longer = spec.duration - lease.spec.duration
    meta, ends = lease.metadata, clock.marked(lease.metadata.annotations.get(ENDS, ""))
    if longer > 0 and ends is not None:
        notes = {**meta.annotations, ENDS: clock.mark(ends + longer)}
        meta = meta.model_copy(update={"annotations": notes})
    return lease.model_copy(update={"metadata": meta, "spec": spec})
