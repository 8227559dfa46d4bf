from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cumulus.controller.store import Store

INDEXES = {
    "jobs": {
        "phase": lambda doc: (doc["phase"],),
        "label": lambda doc: doc.get("labels", ()),
    }
}


@pytest.fixture
def reopen(tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens the store of this test's folder, after closing the one opened before."""
    opened: list[Store] = []

    def again() -> Store:
        for store in opened:
            store.close()
        opened.append(Store.open(tmp_path / "store", INDEXES))
        return opened[-1]

    yield again
    for store in opened:
        store.close()


@pytest.fixture(params=["memory", "journal"])
def store(request: pytest.FixtureRequest, reopen: Callable[[], Store]) -> Iterator[Store]:
    """The same tests for both kinds: they must not differ."""
    if request.param == "journal":
        yield reopen()
    else:
        made = Store.open(None, INDEXES)
        yield made
        made.close()
