"""The services of ours on the platform, by listings and by what was done since they began. In memory
only; owned by `world.py`, fed by the platform observer and the executor.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..reconcile.observed import ServiceSeen, ServiceState
from .lease_clock import StateClock


class ServicesSeen:
    """See the module docstring; its length is how many there are."""

    def __init__(self) -> None:
        self.observed = False
        """Whether the platform could be listed when it was last tried."""
        self._seen: dict[str, ServiceSeen] = {}
        self._by_uid: dict[str, set[str]] = {}
        self._touched: dict[str, int] = {}
        self._serial = 0
        self._states = StateClock()

    def __len__(self) -> int:
        return len(self._seen)

    def listing_begins(self) -> int:
        """Call before listing; give the mark to `listed`."""
        return self._serial

    def listed(self, services: Iterable[ServiceSeen], mark: int, now: float) -> set[str]:
        """A whole listing that began at `mark`; returns the uids whose services changed.

        What was created or removed since the listing began keeps the younger knowledge.
        """
        fresh = {s.name: s for s in services}
        for name, serial in list(self._touched.items()):
            if serial > mark:
                if name in self._seen:
                    fresh[name] = self._seen[name]
                else:
                    fresh.pop(name, None)
            else:
                del self._touched[name]
        changed = {
            service.uid
            for name in fresh.keys() | self._seen.keys()
            if (service := fresh.get(name) or self._seen[name])
            and fresh.get(name) != self._seen.get(name)
        }
        first, self.observed = not self.observed, True
        self._states.seen(self._seen, fresh, now)
        self._seen = fresh
        self._by_uid = {}
        for service in fresh.values():
            self._by_uid.setdefault(service.uid, set()).add(service.name)
        return {s.uid for s in fresh.values()} | changed if first else changed

    def unseen(self) -> None:
        """The platform could not be listed: absence proves nothing until it can."""
        self.observed = False

    def created(self, name: str, uid: str, attempt: int, node_id: str) -> None:
        """Known before any listing shows it."""
        self._touch(name)
        if name not in self._seen:
            state = ServiceState.PENDING
            self._seen[name] = ServiceSeen(name, uid, attempt, state, node_id=node_id)
            self._by_uid.setdefault(uid, set()).add(name)

    def removed(self, name: str) -> None:
        """Known before any listing lacks it."""
        self._touch(name)
        service = self._seen.pop(name, None)
        if service is not None:
            _discard(self._by_uid, service.uid, name)

    def of(self, uid: str) -> tuple[ServiceSeen, ...]:
        """Services of one job, by name."""
        return tuple(self._seen[name] for name in sorted(self._by_uid.get(uid, ())))

    def since(self, uid: str) -> dict[str, float]:
        """Service of the job that was listed → when its state was first seen, POSIX seconds."""
        return self._states.since(self._by_uid.get(uid, ()))

    def unfinished(self, names: Iterable[str]) -> set[str]:
        """Those of the named services that are still there and not seen ended."""
        found = ((name, self._seen.get(name)) for name in names)
        return {name for name, service in found if service and not service.state.ended}

    def uids(self) -> set[str]:
        """Uids of all jobs that have a service."""
        return set(self._by_uid)

    def _touch(self, name: str) -> None:
        self._serial += 1
        self._touched[name] = self._serial


def _discard(names: dict[str, set[str]], uid: str, name: str) -> None:
    """Take a name out, and the set with its last one: uids come and go without end."""
    names[uid].discard(name)
    if not names[uid]:
        del names[uid]
