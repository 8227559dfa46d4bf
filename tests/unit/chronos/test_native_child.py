"""The child's requests and replies, with a Chronos that behaves as told."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from cumulus.chronos_bindings import native_child


class Chronos:
    def __init__(self) -> None:
        self.held: list[str] = []

    def create_raw(self, device: int, memory: float, duration: int) -> str:
        if device:
            os.write(2, b"Invalid device index: 3\n  and more\n")
            raise RuntimeError("Failed to create partition")
        self.held.append(f"partition_{memory:g}_{duration}")
        return self.held[-1]

    def release(self, partition_id: str) -> bool:
        if partition_id not in self.held or partition_id.endswith("_13"):
            raise RuntimeError("Failed to release partition")
        self.held.remove(partition_id)
        return True

    def get_available(self, device: int) -> float:
        return 50.0 + device

    def list(self) -> list[Any]:
        return [SimpleNamespace(partition_id=name) for name in self.held]


@pytest.fixture(autouse=True)
def _stderr() -> Iterator[None]:
    """fd 2 is a file, as the parent makes it."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        yield
        os.dup2(kept, 2)
        os.close(kept)


def talk(chronos: Chronos, *requests: dict[str, Any]) -> list[dict[str, Any]]:
    replies = io.StringIO()
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    native_child.serve(chronos, io.StringIO(lines), replies)
    return [json.loads(line) for line in replies.getvalue().splitlines()]


CREATE = {"op": "create", "device": 0, "memory": 0.5, "seconds": 9}


def test_a_share_from_taking_to_giving_back() -> None:
    chronos = Chronos()
    name = "partition_0.5_9"
    replies = talk(chronos, CREATE, {"op": "list"}, {"op": "release", "id": name}, {"op": "list"})
    assert [reply["ok"] for reply in replies] == [name, [name], True, []]


def test_what_the_driver_wrote_is_the_detail_of_its_own_call_only() -> None:
    bad = CREATE | {"device": 3}
    first, second, third = talk(
        Chronos(), bad, {"op": "nonsense"}, {"op": "available", "device": 1}
    )
    assert first == {
        "error": "RuntimeError: Failed to create partition",
        "detail": "Invalid device index: 3; and more",
    }
    assert second == {"error": "ValueError: unknown op 'nonsense'", "detail": ""}
    assert third == {"ok": 51.0}


def test_what_has_expired_counts_as_released_but_what_is_held_does_not() -> None:
    stuck = CREATE | {"seconds": 13}
    replies = talk(
        Chronos(),
        stuck,
        {"op": "release", "id": "gone"},
        {"op": "release", "id": "partition_0.5_13"},
    )
    assert replies[1] == {"ok": True}
    assert "Failed to release" in replies[2]["error"]


@pytest.mark.parametrize("end", [[{"op": "stop"}, {"op": "list"}], []])
def test_at_the_end_everything_is_given_back(end: list[dict[str, Any]]) -> None:
    chronos = Chronos()
    replies = talk(chronos, CREATE, CREATE | {"seconds": 13}, *end)
    assert chronos.held == ["partition_0.5_13"]  # the one that cannot be released stops nobody
    assert len(replies) == (3 if end else 2)
