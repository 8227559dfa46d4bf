"""Simulations are quiet: a failing one names its seed, which plays it again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from loguru import logger


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logger.disable("cumulus")
    yield
    logger.enable("cumulus")
