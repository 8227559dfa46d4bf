"""One wired runtime and one source per test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from runtime_kit import Kit
from source_kit import SourceKit


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    made = Kit(tmp_path)
    yield made
    made.close()


@pytest.fixture
def folder(kit: Kit, tmp_path: Path) -> SourceKit:
    return SourceKit(kit, tmp_path / "specs")
