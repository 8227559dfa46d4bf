"""One wired runtime and one source per test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from make import worker
from runtime_kit import Kit
from source_kit import SourceKit


@pytest.fixture
async def kit(tmp_path: Path) -> AsyncIterator[Kit]:
    """With a worker that takes nothing: without any, sources hand nothing in."""
    made = Kit(tmp_path)
    await made.records.put_worker(worker("n0", cordoned=True))
    yield made
    made.close()


@pytest.fixture
def folder(kit: Kit, tmp_path: Path) -> SourceKit:
    return SourceKit(kit, tmp_path / "specs")
