"""The engine's store of networks goes only where it would keep the engine from running jobs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "bootstrap" / "forget_networks.sh"
LOCAL = b"\x00docker/network/v1.0/bridge/" + b"8bc4e688a6fea34a" * 4 + b"z\x00{}"
SWARM = b"\x00docker/network/v1.0/bridge/8h8uy5dd61c83rnl5uoqojet3\x01\x00{}"
OVERLAY = b"\x00docker/network/v1.0/overlay/8h8uy5dd61c83rnl5uoqojet3\x01"


def run(store: Path, *command: str) -> str:
    done = subprocess.run(
        [SCRIPT, *command],
        env={**os.environ, "CUMULUS_NETWORK_STORE": str(store)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    ("content", "kept"), [(LOCAL, True), (LOCAL + OVERLAY, True), (LOCAL + SWARM, False)]
)
def test_a_store_with_a_bridge_of_swarms_is_removed(
    tmp_path: Path, content: bytes, kept: bool
) -> None:
    store = tmp_path / "local-kv.db"
    store.write_bytes(content)
    run(store)
    assert store.exists() == kept


def test_without_a_store_the_engine_starts(tmp_path: Path) -> None:
    assert run(tmp_path / "none", "echo", "started") == "started\n"
