"""What projects hold and have used, as their quotas are reckoned with; and the books of GPU time.

The books are one record for each project and UTC day: what leases that are gone have held. Leases
that are there speak for themselves, so that a restart finds the same. Owned by `world.py`, which tells
of leases; the executor writes a lease into the books in the transaction that deletes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from ...crd_like_specs.lease import Lease, LeaseState
from ..reconcile.quota import DAY, Held, Limits, QuotaSeen, by_day
from ..store import Delete, Op, Put, Store

SPENT: Final = "gpu_time"
KEPT_DAYS: Final = 35
"""Days of the books that are kept."""

_OVER: Final = (LeaseState.SAVING, LeaseState.ENDED, LeaseState.FAILED)

LimitsOf = Callable[[str], Limits | None]


def no_limits(_project: str) -> Limits | None:
    """Where nobody has any."""
    return None


class Quotas:
    """limits(project): None where it has none that concern jobs; now: POSIX seconds, of the start."""

    def __init__(
        self, store: Store, leases: Iterable[Lease], now: float, limits: LimitsOf = no_limits
    ) -> None:
        self._limits = limits
        self._held: dict[str, dict[str, Lease]] = {}
        self._owners: dict[str, str] = {}
        self._spent: dict[str, dict[int, int]] = {}
        self._settling: dict[str, list[tuple[int, int]]] = {}
        old: list[Op] = []
        for record in store.list(SPENT)[0]:
            doc = record.doc
            if doc["day"] < now // DAY - KEPT_DAYS:
                old.append(Delete(SPENT, record.id))
            else:
                self._spent.setdefault(doc["project"], {})[doc["day"]] = doc["spent"]
        if old:
            store.submit(old)
        for lease in leases:
            self.changed(lease.metadata.name, lease)

    def changed(self, name: str, lease: Lease | None) -> bool:
        """The lease is another one now, None: it is gone. Whether that gave a project with limits
        something back.
        """
        if lease is None:
            self._settling.pop(name, None)
            owner = self._owners.pop(name, "")
            if owner:
                self._held[owner].pop(name)
                if not self._held[owner]:
                    del self._held[owner]
        else:
            owner = lease.metadata.owner
            if not owner:
                return False
            self._owners[name] = owner
            self._held.setdefault(owner, {})[name] = lease
        freed = lease is None or lease.vacated
        return bool(owner) and freed and self._limits(owner) is not None

    def limited(self, project: str) -> bool:
        """Whether anything of it is limited that concerns jobs."""
        return bool(project) and self._limits(project) is not None

    def seen(self, project: str, now: float, ahead: Sequence[Held] = ()) -> QuotaSeen | None:
        """As the plan is told; None where it has no limits. ahead: see `QuotaSeen`."""
        limits = self._limits(project) if project else None
        if limits is None:
            return None
        held, spent = self._counted(project, now)
        return QuotaSeen(project, limits, held, spent, ahead)

    def use(self, project: str, now: float) -> tuple[int, int]:
        """How many jobs it runs, and micro-GPU-seconds of today, used or booked."""
        held, spent = self._counted(project, now)
        today = int(now // DAY)
        booked = (by_day(one.start, one.end, one.milli) for one in held)
        more = sum(amount for days in booked for day, amount in days if day == today)
        return len(held), spent.get(today, 0) + more

    def _counted(self, project: str, now: float) -> tuple[list[Held], dict[int, int]]:
        spent = dict(self._spent.get(project, {}))
        held: list[Held] = []
        for name, lease in self._held.get(project, {}).items():
            if not lease.vacated:
                held.append(held_by(lease, now))
            elif name not in self._settling:  # else the books have it already
                for day, amount in _used(lease, now):
                    spent[day] = spent.get(day, 0) + amount
        return held, spent

    # The books

    def settle(self, lease: Lease, now: float) -> list[Op]:
        """What is to be written in the transaction that deletes the lease. Where that fails, call
        `unsettle`; a lease that is being settled is so once.
        """
        name, project = lease.metadata.name, lease.metadata.owner
        if not project or name in self._settling:
            return []
        used = self._settling[name] = list(_used(lease, now))
        days = self._spent.setdefault(project, {})
        for day, amount in used:
            days[day] = days.get(day, 0) + amount
        return [
            Put(SPENT, f"{project}/{day}", {"project": project, "day": day, "spent": days[day]})
            for day, _ in used
        ]

    def unsettle(self, lease: Lease) -> None:
        """The transaction failed: the lease is still there."""
        days = self._spent.get(lease.metadata.owner, {})
        for day, amount in self._settling.pop(lease.metadata.name, ()):
            days[day] -= amount


def held_by(lease: Lease, now: float) -> Held:
    """A lease that is there: for all that it may last, from now on where it is not held yet."""
    spec, status = lease.spec, lease.status
    milli = spec.memory_milli * len(spec.devices)
    if status.state in _OVER:
        start, end = _span(lease, now)
        return Held(start, end, milli)
    start = _begun(lease, now) if status.held_at else max(now, spec.not_before)
    return Held(start, start + spec.duration, milli)


def _used(lease: Lease, now: float) -> Iterator[tuple[int, int]]:
    start, end = _span(lease, now)
    milli = lease.spec.memory_milli * len(lease.spec.devices)
    return (part for part in by_day(start, end, milli) if part[1])


def _span(lease: Lease, now: float) -> tuple[float, float]:
    """From when to when it was held, by our clock; nothing where it never was. Seconds are the
    worker's; where it never said when that was over, until now, or the lease's own end.
    """
    spec, status = lease.spec, lease.status
    start = _begun(lease, now)
    if not status.held_at:
        return start, start
    lasted = status.ended_at - status.held_at if status.ended_at else now - start
    return start, min(now, start + max(0.0, min(lasted, spec.duration)))


def _begun(lease: Lease, now: float) -> float:
    """When it came to be held: as its worker says, where that can be."""
    at, wanted = lease.status.held_at, lease.spec.not_before
    return at if wanted <= at <= now else wanted
