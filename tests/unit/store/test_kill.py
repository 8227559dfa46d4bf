"""A real process, really killed, while eight threads write and the journal is compacted."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
import store_writer
from cumulus.controller.store import Store


class Ledger:
    """What writers were told: per key the last acknowledged number."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, int] = {}
        self.count = 0

    def read(self, output: bytes) -> None:
        for line in output.split(b"\n")[:-1]:
            if line == b"ready":
                continue
            key, number = line.decode().split()
            assert int(number) > self.acknowledged.get(key, 0)
            self.acknowledged[key] = int(number)
            self.count += 1

    def check(self, store: Store) -> int:
        """All of it is there, or what the same thread wrote next; the highest number found."""
        highest = max(self.acknowledged.values(), default=0)
        for key, number in self.acknowledged.items():
            record = store.get("jobs", key)
            found = record.doc["number"] if record else None
            if found is None:
                # Acknowledged as deleted, or deleted by the write that was under way.
                assert store_writer.deletes(number) or number % 5 == 4, (key, number)
            else:
                assert found >= number, (key, number, found)
                assert not store_writer.deletes(found)
                highest = max(highest, found)
        return highest


def kill_and_check(folder: Path, rounds: int, seed: int) -> Ledger:
    dice = random.Random(seed)
    ledger = Ledger()
    first = 1
    for _ in range(rounds):
        arguments = [sys.executable, store_writer.__file__, str(folder), str(first)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            try:
                # The time at which it is killed is what is tried out: nothing is waited for.
                process.wait(dice.uniform(0.0, 0.25))
            except subprocess.TimeoutExpired:
                process.kill()
            ledger.read(process.stdout.read())
        store = Store.open(folder, {"jobs": {"writer": lambda doc: (doc["writer"],)}})
        highest = ledger.check(store)
        for writer in range(store_writer.WRITERS):
            listed = [r.id for r in store.list("jobs")[0] if r.doc["writer"] == str(writer)]
            assert sorted(store.ids_by("jobs", "writer", str(writer))) == sorted(listed)
        store.close()
        first = highest - highest % 5 + 21
    return ledger


def test_no_kill_loses_what_was_acknowledged(tmp_path: Path) -> None:
    ledger = kill_and_check(tmp_path / "store", rounds=24, seed=1)
    assert ledger.count > 1_000


@pytest.mark.soak
def test_hundreds_of_kills(tmp_path: Path) -> None:
    ledger = kill_and_check(tmp_path / "store", rounds=300, seed=2)
    assert ledger.count > 10_000
