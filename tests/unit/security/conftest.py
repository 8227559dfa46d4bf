"""One front of a controller per test, on real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fleet_kit import FleetKit


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[FleetKit]:
    folder = tmp_path / "controller"
    folder.mkdir()
    async with FleetKit(folder) as one:
        yield one
