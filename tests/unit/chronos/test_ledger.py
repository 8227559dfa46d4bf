"""The ledger's time, on a clock of our own."""

from __future__ import annotations

import pytest
from cumulus.chronos_bindings.ledger import LedgerPartitioner
from cumulus.crd_like_specs.errors import Permanent


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_time_left_falls_and_a_forgotten_share_ends_after_the_margin() -> None:
    clock = Clock()
    ledger = LedgerPartitioner([0], now=clock, margin=100)
    ledger.create(0, 1000, 60)
    clock.now += 45
    assert ledger.list()[0].expires_in == 15.0
    clock.now += 100
    assert ledger.list()[0].expires_in == 0.0
    assert ledger.available(0) == 0
    clock.now += 15
    assert ledger.list() == []
    assert ledger.available(0) == 1000


def test_devices_are_counted_apart() -> None:
    ledger = LedgerPartitioner([0, 2])
    ledger.create(0, 1000, 60)
    ledger.create(2, 400, 60)
    assert (ledger.available(0), ledger.available(2)) == (0, 600)
    assert [part.device for part in ledger.list()] == [0, 2]


def test_without_devices_nothing_can_be_had() -> None:
    with pytest.raises(Permanent, match="there is no device 0: this worker has none"):
        LedgerPartitioner([]).create(0, 1, 1)
