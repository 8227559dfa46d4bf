"""Chronos or the ledger, with a Chronos that behaves as told."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from cumulus.chronos_bindings.base import Partitioner
from cumulus.chronos_bindings.choose import choose
from cumulus.chronos_bindings.ledger import LedgerPartitioner
from cumulus.crd_like_specs.errors import Permanent


class Chronos(LedgerPartitioner):
    closed = False

    def close(self) -> None:
        self.closed = True


def missing(_env: Mapping[str, str]) -> Partitioner:
    raise Permanent("a stub was installed", reason="NoBackend")


def test_chronos_that_works_for_every_device_is_taken_and_left_empty() -> None:
    chronos = Chronos([0, 1])
    assert choose([0, 1], start=lambda _: chronos).partitioner is chronos
    assert chronos.list() == []
    assert not chronos.closed


def test_chronos_that_misses_a_device_is_closed_and_the_ledger_says_why() -> None:
    chronos = Chronos([0])
    choice = choose([0, 1], start=lambda _: chronos)
    assert chronos.closed
    assert isinstance(choice.partitioner, LedgerPartitioner)
    assert choice.partitioner is not chronos
    assert "no device 1" in choice.reason
    assert choice.partitioner.available(1) == 1000


def test_no_chronos_at_all() -> None:
    choice = choose([0], start=missing)
    assert choice.partitioner.backend == "ledger"
    assert "a stub was installed" in choice.reason


def test_asked_for_it_does_not_fall_back() -> None:
    with pytest.raises(Permanent, match="a stub was installed") as caught:
        choose([0], prefer="chronos", start=missing)
    assert caught.value.reason == "NoBackend"


@pytest.mark.parametrize(("devices", "prefer"), [([], "auto"), ([0], "ledger")])
def test_it_is_not_even_started_where_it_is_of_no_use(devices: list[int], prefer: str) -> None:
    started = []
    choice = choose(devices, prefer=prefer, start=lambda env: started.append(env) or Chronos([]))  # type: ignore[arg-type,func-returns-value]
    assert choice.partitioner.backend == "ledger"
    assert started == []


def test_the_loaders_settings_reach_it() -> None:
    seen: list[Mapping[str, str]] = []

    def start(env: Mapping[str, str]) -> Partitioner:
        seen.append(env)
        return Chronos([0])

    choose([0], env={"OCL_ICD_VENDORS": "/x"}, start=start)
    assert seen == [{"OCL_ICD_VENDORS": "/x"}]
