"""Which partitioner this worker uses, and why. I/O: it tries Chronos out.

Called by the agent at start-up. pip installs chronos-gpu "successfully" as a stub, as a mock, or
without any device in sight, so that only a share taken from every device shows that it works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ..crd_like_specs.errors import DriverError, Permanent
from .base import Partitioner
from .ledger import LedgerPartitioner
from .native import NativePartitioner

Preference = Literal["auto", "chronos", "ledger"]


@dataclass(frozen=True, slots=True)
class Choice:
    """partitioner: the one to use, to be closed by the caller. reason: why it is this one."""

    partitioner: Partitioner
    reason: str


def choose(
    devices: Iterable[int],
    *,
    prefer: Preference = "auto",
    env: Mapping[str, str] | None = None,
    unseen: str = "",
    start: Callable[[Mapping[str, str]], Partitioner] = lambda env: NativePartitioner(env=env),
) -> Choice:
    """Chronos where a trial share of every device works, else the ledger with the reason.

    devices: indexes that shall be leased (`hardware.Hardware.devices`). env: `opencl.Survey.env`.
    prefer: `chronos` raises `Permanent(reason="NoBackend")` instead of falling back; `ledger`
    does not try Chronos at all. unseen: why Chronos cannot see these devices, "" where it can: it
    takes OpenCL's first platform, whatever the indexes were meant for.
    """
    indexes = sorted(set(devices))
    if prefer == "ledger":
        return Choice(LedgerPartitioner(indexes), "the ledger was asked for by configuration")
    try:
        if not indexes:
            raise Permanent("there is no device to hold a share of", reason="NoBackend")
        if unseen:
            raise Permanent(unseen, reason="NoBackend")
        return Choice(
            _tried(start(env or {}), indexes), "Chronos took a trial share of each device"
        )
    except DriverError as e:
        if prefer == "chronos":
            raise Permanent(f"Chronos was asked for: {e}", reason="NoBackend") from e
        return Choice(LedgerPartitioner(indexes), f"Chronos does not work here: {e}")


def _tried(partitioner: Partitioner, devices: Iterable[int]) -> Partitioner:
    try:
        for device in devices:
            partitioner.release(partitioner.create(device, 1, 1).id)
    except DriverError:
        partitioner.close()
        raise
    return partitioner
