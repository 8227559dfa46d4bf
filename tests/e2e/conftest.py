"""Controllers that the tests of one file share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from system import System


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One controller for a file: two on one Swarm would take each other's jobs for orphans."""
    system = System(tmp_path_factory.mktemp("swarm"), "swarm")
    system.start()
    yield system
    system.stop()


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One controller on the process platform."""
    system = System(tmp_path_factory.mktemp("process"), "process")
    system.start()
    yield system
    system.stop()
