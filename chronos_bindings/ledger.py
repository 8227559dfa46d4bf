"""Book-keeping of shares where Chronos can't run; shows as `ledger` everywhere. Pure but a lock.

Called by the agent through `choose.py`, and by tests with a clock of their own. It holds no
hardware: it only adds up, exactly (whole thousandths), what has been given away.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..crd_like_specs.errors import Permanent
from .base import Partition
from .rules import MARGIN, check_request, no_capacity, no_device


@dataclass(frozen=True, slots=True)
class _Share:
    device: int
    memory_milli: int
    ends: float  # on the clock given


class LedgerPartitioner:
    """A `Partitioner` over the given device indexes.

    now: seconds on a clock that only rises. margin: seconds after its end at which a share that
    nobody released frees itself.
    """

    backend = "ledger"
    epoch = 0  # nothing can be lost at once but with the process itself

    def __init__(
        self,
        devices: Iterable[int],
        *,
        now: Callable[[], float] = time.monotonic,
        margin: float = MARGIN,
    ) -> None:
        self._devices = frozenset(devices)
        self._now = now
        self._margin = margin
        self._shares: dict[str, _Share] = {}
        self._count = 0
        self._lock = threading.Lock()

    def create(self, device: int, memory_milli: int, seconds: int) -> Partition:
        """See `base.Partitioner`."""
        check_request(device, memory_milli, seconds)
        with self._lock:
            free = self._free(device)
            if memory_milli > free:
                raise no_capacity(device, memory_milli, free)
            self._count += 1
            name = f"ledger_{self._count:06d}"
            self._shares[name] = _Share(device, memory_milli, self._now() + seconds)
        return Partition(name, device, memory_milli, float(seconds))

    def release(self, partition_id: str) -> None:
        """See `base.Partitioner`."""
        with self._lock:
            self._shares.pop(partition_id, None)

    def list(self) -> list[Partition]:
        """See `base.Partitioner`."""
        with self._lock:
            self._drop_forgotten()
            now = self._now()
            return [
                Partition(name, share.device, share.memory_milli, max(0.0, share.ends - now))
                for name, share in self._shares.items()
            ]

    def available(self, device: int) -> int:
        """See `base.Partitioner`."""
        with self._lock:
            return self._free(device)

    def close(self) -> None:
        """See `base.Partitioner`."""
        with self._lock:
            self._shares.clear()

    def _free(self, device: int) -> int:
        if device not in self._devices:
            raise self._unknown(device)
        self._drop_forgotten()
        return 1000 - sum(s.memory_milli for s in self._shares.values() if s.device == device)

    def _drop_forgotten(self) -> None:
        limit = self._now() - self._margin
        self._shares = {name: s for name, s in self._shares.items() if s.ends > limit}

    def _unknown(self, device: int) -> Permanent:
        return no_device(device, f"this worker has {sorted(self._devices) or 'none'}")
