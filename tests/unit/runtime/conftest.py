"""One wired runtime per test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cumulus.controller.runtime.documents import INDEXES
from cumulus.controller.store import Store
from runtime_kit import Kit


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    made = Kit(tmp_path)
    yield made
    made.close()


@pytest.fixture
def threaded_kit(tmp_path: Path) -> Iterator[Kit]:
    """Over a store with a thread, so that writes take a while and others come in between."""
    made = Kit(tmp_path, Store.open(tmp_path / "store", indexes=INDEXES))
    yield made
    made.close()
