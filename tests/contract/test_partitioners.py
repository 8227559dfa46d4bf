"""One suite for every partitioner: what `base.Partitioner` promises, the ledger and Chronos keep."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from cumulus.chronos_bindings.base import Partitioner
from cumulus.chronos_bindings.ledger import LedgerPartitioner
from cumulus.chronos_bindings.native import NativePartitioner
from cumulus.crd_like_specs.errors import DriverError, Permanent


def _ledger() -> Partitioner:
    return LedgerPartitioner([0])


@pytest.fixture(params=[_ledger, pytest.param(NativePartitioner, marks=pytest.mark.chronos)])
def shares(request: pytest.FixtureRequest) -> Iterator[Partitioner]:
    make: Callable[[], Partitioner] = request.param
    made = make()
    yield made
    made.close()


def refused(reason: str, call: Callable[[], object]) -> str:
    with pytest.raises(Permanent) as caught:
        call()
    assert caught.value.reason == reason
    return caught.value.message


def test_it_says_what_it_is(shares: Partitioner) -> None:
    assert (
        shares.backend == {LedgerPartitioner: "ledger", NativePartitioner: "chronos"}[type(shares)]
    )
    assert shares.epoch == 0


def test_a_share_is_listed_as_it_was_asked_for(shares: Partitioner) -> None:
    made = shares.create(0, 250, 60)
    assert (made.device, made.memory_milli, made.expires_in) == (0, 250, 60.0)
    (seen,) = shares.list()
    assert (seen.id, seen.device, seen.memory_milli) == (made.id, 0, 250)
    assert 55 < seen.expires_in <= 60
    assert shares.available(0) == 750


def test_ten_tenths_fit_and_the_eleventh_is_told_what_is_free(shares: Partitioner) -> None:
    held = [shares.create(0, 100, 60) for _ in range(10)]
    assert shares.available(0) == 0
    message = refused("NoCapacity", lambda: shares.create(0, 100, 60))
    assert message == "device 0 has 0 of its memory free, 0.1 was asked"
    shares.release(held[3].id)
    message = refused("NoCapacity", lambda: shares.create(0, 101, 60))
    assert message == "device 0 has 0.1 of its memory free, 0.101 was asked"
    assert shares.create(0, 100, 60).id not in {part.id for part in held}


@pytest.mark.parametrize(
    "parts", [(500, 500), (900, 100), (200,) * 5, (1000,), (333, 333, 334), (1,) * 1000]
)
def test_parts_of_a_whole_fit(shares: Partitioner, parts: tuple[int, ...]) -> None:
    held = [shares.create(0, part, 60) for part in parts]
    assert len({part.id for part in held}) == len(parts)
    assert shares.available(0) == 0
    for part in held:
        shares.release(part.id)
    assert shares.available(0) == 1000


def test_giving_back_twice_or_what_never_was_is_fine(shares: Partitioner) -> None:
    held = shares.create(0, 1000, 60)
    shares.release(held.id)
    shares.release(held.id)
    shares.release("never-was")
    assert shares.list() == []
    assert shares.available(0) == 1000


def test_a_device_that_is_not_there(shares: Partitioner) -> None:
    assert "no device 7" in refused("NoDevice", lambda: shares.create(7, 100, 60))
    assert "no device 7" in refused("NoDevice", lambda: shares.available(7))
    assert shares.list() == []


@pytest.mark.parametrize(
    ("device", "memory", "seconds", "word"),
    [
        (-1, 100, 60, "device"),
        (2**32, 100, 60, "device"),  # Chronos would take it for device 0
        (True, 100, 60, "device"),
        (0, 0, 60, "memory"),
        (0, 1001, 60, "memory"),
        (0, 0.5, 60, "memory"),
        (0, 100, 0, "duration"),
        (0, 100, -5, "duration"),
        (0, 100, 2**31, "duration"),
        (0, 100, float("nan"), "duration"),
        (0, 100, True, "duration"),
    ],
)
def test_nonsense_is_refused(
    shares: Partitioner, device: int, memory: int, seconds: int, word: str
) -> None:
    assert word in refused("BadRequest", lambda: shares.create(device, memory, seconds))
    assert shares.list() == []


def test_the_longest_duration(shares: Partitioner) -> None:
    shares.create(0, 100, 2**31 - 1)
    assert shares.list()[0].expires_in > 2**31 - 100


def test_many_cycles_leave_nothing(shares: Partitioner) -> None:
    for _ in range(500):
        shares.release(shares.create(0, 1000, 60).id)
    assert shares.list() == []
    assert shares.available(0) == 1000


def test_several_threads_never_hold_more_than_there_is(shares: Partitioner) -> None:
    refusals: list[str] = []

    def once() -> None:
        try:
            held = shares.create(0, 300, 60)
        except DriverError as e:
            refusals.append(e.reason)
        else:
            assert sum(part.memory_milli for part in shares.list()) <= 1000
            shares.release(held.id)

    def work() -> None:
        for _ in range(25):
            once()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert set(refusals) <= {"NoCapacity"}
    assert shares.available(0) == 1000


def test_closing_twice_is_fine(shares: Partitioner) -> None:
    shares.create(0, 100, 60)
    shares.close()
    shares.close()
    shares.release("anything")
