from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .ctl import Ctl
from .fake_server import FakeServer


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    fake.start()
    yield fake
    fake.stop()


@pytest.fixture
def ctl(
    server: FakeServer,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Ctl:
    for name in ("CUMULUS_SERVER", "CUMULUS_TOKEN", "CUMULUS_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return Ctl(server, capfd, tmp_path)
