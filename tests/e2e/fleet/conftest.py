"""One fleet for all tests of this folder; each test finds it whole and leaves nothing of its jobs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster import Cluster, cluster
from witness import Runs


@pytest.fixture(scope="session")
def one_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    yield from cluster(tmp_path_factory.mktemp("fleet"))


@pytest.fixture
def fleet(one_fleet: Cluster) -> Iterator[Cluster]:
    """Whole; whatever a test did to it is undone after it."""
    one_fleet.settle()
    yield one_fleet
    one_fleet.heal()
    one_fleet.clean()


@pytest.fixture
def runs(fleet: Cluster) -> Iterator[Runs]:
    """What the engines say that really ran; checked after each test."""
    listening = Runs(fleet)
    yield listening
    listening.check()
