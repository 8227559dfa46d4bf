"""Left out of every run that does not ask for it by `-m gpu`: there it fails where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "gpu" in str(config.getoption("markexpr")):
        return
    left_out = [item for item in items if _HERE in item.path.parents]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
