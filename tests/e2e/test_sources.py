"""A git working copy of 500 specs is the truth: it converges, a revert prunes exactly what it took
back, nothing that finished runs again, and a controller killed in the middle comes to the same.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from source_kit import Repo
from system import System, wait_for

FIRST, SECOND = 300, 200
MAIN = """
import pathlib
def main(marker):
    with pathlib.Path(marker).open("a") as file:
        file.write("ran\\n")
"""


class Synced:
    """A controller whose source is a real repository, and the markers that its jobs leave."""

    def __init__(self, folder: Path) -> None:
        self.repo = Repo(folder / "repo")
        self.markers = folder / "markers"
        self.markers.mkdir()
        self.system = System(folder, "process")
        config = json.loads(self.system.config.read_text())
        source = {"name": "fleet", "path": str(self.repo.folder), "interval": "1s", "prune": True}
        self.system.config.write_text(json.dumps({**config, "sources": [source]}))

    def write(self, name: str, run: str = "") -> None:
        spec = {
            "code": {"files": {"main.py": MAIN}},
            "args": {"marker": str(self.markers / name)},
            "resources": {"cpus": "50m", "memory": "32Mi"},
            "env": {"RUN": run},
            "duration": 60,
            "ttlAfterFinished": "2d",
        }
        job = {
            "apiVersion": "cumulus.dev/v1",
            "kind": "Job",
            "metadata": {"name": name},
            "spec": spec,
        }
        (self.repo.folder / f"{name}.yaml").write_text(json.dumps(job))

    def ran(self) -> dict[str, int]:
        return {m.name: len(m.read_text().splitlines()) for m in self.markers.iterdir()}

    def source(self) -> dict[str, Any]:
        shown = self.system.ctl("get", "sources", "fleet", "-o", "json")
        found: dict[str, Any] = json.loads(shown.stdout) if shown.returncode == 0 else {}
        return found

    def jobs(self) -> dict[str, str]:
        shown = self.system.ctl("get", "jobs", "--all", "-o", "json")
        assert shown.returncode == 0, shown.stderr
        items = json.loads(shown.stdout)["items"]
        return {item["metadata"]["name"]: item["status"]["phase"] for item in items}

    def kill_in_the_middle(self, words: str, total: int) -> None:
        """Once the log has a tenth of `total` lines with these words more than it had."""
        with self.system.log.open() as log:
            before = sum(words in line for line in log)
            found = 0
            deadline = time.monotonic() + 60
            while found < total // 10:
                assert time.monotonic() < deadline, f"{words}: {found} of {total}"
                found += sum(words in line for line in log)
        self.system.kill9()
        done = self.system.log.read_text().count(words) - before
        assert total // 10 <= done < total, f"{done} of {total}: it was not in the middle"

    def at(self, commit: str, **counts: int) -> None:
        """The source is at this commit, and its files are in these states."""

        def there() -> Any:
            status = self.source().get("status", {})
            return status.get("commit") == commit and all(
                status.get(key, 0) == value for key, value in counts.items()
            )

        wait_for(there, 120)

    def all_succeeded(self, names: list[str]) -> None:
        wanted = dict.fromkeys(names, "Succeeded")

        def done() -> Any:
            return len(self.ran()) >= len(names) and self.jobs() == wanted

        wait_for(done, 400)


@pytest.fixture
def synced(tmp_path: Path) -> Iterator[Synced]:
    made = Synced(tmp_path)
    yield made
    made.system.stop()


def test_500_specs_converge_and_a_revert_prunes_what_it_took_back(synced: Synced) -> None:
    first = [f"first-{n}" for n in range(FIRST)]
    second = [f"second-{n}" for n in range(SECOND)]
    for name in first:
        synced.write(name)
    synced.repo.commit("first")
    system = synced.system
    system.start()
    for name in second:
        synced.write(name)
    synced.at(synced.repo.git("rev-parse", "HEAD"), synced=FIRST)
    head = synced.repo.commit("second")
    synced.kill_in_the_middle("submitted, generation", SECOND)
    system.start()
    synced.at(head, synced=FIRST + SECOND, outOfSync=0, invalid=0)
    synced.all_succeeded([*first, *second])
    assert synced.ran() == dict.fromkeys([*first, *second], 1)

    synced.repo.git("revert", "--no-edit", "HEAD")
    reverted = synced.repo.git("rev-parse", "HEAD")
    synced.kill_in_the_middle("deletion asked for", SECOND)
    system.start()
    synced.at(reverted, synced=FIRST, outOfSync=0, invalid=0, pruned=SECOND)
    wait_for(lambda: sorted(synced.jobs()) == sorted(first), 60)

    synced.repo.git("revert", "--no-edit", "HEAD")
    again = synced.repo.git("rev-parse", "HEAD")
    synced.at(again, synced=FIRST + SECOND, outOfSync=0, invalid=0)
    for name in first[:5]:
        synced.write(name, run="2")
    (synced.repo.folder / f"{first[9]}.yaml").rename(synced.repo.folder / "renamed.yaml")
    (synced.repo.folder / "broken.yaml").write_text("kind: Job\n  spec: {}\n")
    last = synced.repo.commit("rerun five, rename one, break one")
    synced.at(last, synced=FIRST + SECOND, outOfSync=0, invalid=1)
    wait_for(lambda: sum(synced.ran().values()) >= FIRST + SECOND + 5, 120)
    synced.all_succeeded(first)
    assert synced.ran() == Counter([*first, *second, *first[:5]])
    shown = system.ctl("describe", "source", "fleet").stdout
    assert last in shown
    assert "broken.yaml" in shown
    assert "2:" in next(line for line in shown.splitlines() if line.startswith("broken.yaml"))
    system.clean()
