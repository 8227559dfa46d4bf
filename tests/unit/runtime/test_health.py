from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cumulus.controller.runtime.clock import SystemClock
from cumulus.controller.runtime.health import Health


class AStore:
    """What a store says of itself, one after the other."""

    def __init__(self, *said: str) -> None:
        self._said = iter(said)

    def trouble(self) -> str:
        return next(self._said)


@pytest.fixture
def health() -> Callable[[AStore], Health]:
    class Is:
        def __init__(self, **parts: Any) -> None:
            self.__dict__.update(parts)

    def of(store: AStore) -> Health:
        world: Any = Is(services=Is(observed=True), platform="swarm")
        records: Any = Is(store=store)
        return Health(records, world, SystemClock(), embedded=False)

    return of


def test_what_the_store_says_is_told_until_it_goes_on(health: Callable[[AStore], Health]) -> None:
    full = "the store is read-only: no space"
    asked = health(AStore(full, full, "", ""))
    assert asked.unhealthy() == (full,)
    assert asked.unready() == (full,)
    assert asked.unready() == ()
    assert asked.unhealthy() == ()
