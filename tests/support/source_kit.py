"""Sources over the wired runtime of `runtime_kit`: folders that tests write, looks that they ask for."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cumulus.controller.gitops.settings import SourceConfig
from cumulus.controller.gitops.sources import Sources
from cumulus.controller.gitops.syncing import Syncing
from cumulus.controller.runtime.documents import SOURCES, decoded
from cumulus.crd_like_specs.job import Phase
from cumulus.crd_like_specs.source import Source, SourceFile
from runtime_kit import Kit

MAIN = "def main():\n    return 1\n"
LOOK = 2.0
"""Seconds between looks, longer than a file takes to settle."""


def spec(name: str, **fields: Any) -> str:
    base = {"code": {"files": {"main.py": MAIN}}, "duration": 60, "whenUnschedulable": "Wait"}
    body = {**base, **fields}
    return json.dumps(
        {"apiVersion": "cumulus.dev/v1", "kind": "Job", "metadata": {"name": name}, "spec": body}
    )


class SourceKit:
    """One source of the kit, and the folder it watches."""

    def __init__(self, kit: Kit, folder: Path, **config: Any) -> None:
        self.kit = kit
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.config = {"name": "nightly", "path": str(folder), "prune": True, **config}
        self.environment: Mapping[str, str] = {}
        self.restart()

    def restart(self, **config: Any) -> None:
        """As a controller does that was killed: nothing is left but the store."""
        self.config |= config
        self.sources = Sources(
            [SourceConfig.model_validate(self.config)],
            self.kit.records,
            self.kit.desired,
            self.kit.blobs,
            self.kit.clock,
            environment=self.environment,
        )

    @property
    def syncing(self) -> Syncing:
        return self.sources.all[str(self.config["name"])]

    def write(self, path: str, text: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def jobs(self, path: str, *names: str, **fields: Any) -> None:
        self.write(path, "\n---\n".join(spec(name, **fields) for name in names))

    async def look(self) -> float:
        self.kit.clock.advance(LOOK)
        return await self.syncing.sync()

    async def settle(self, looks: int = 3) -> Source:
        """Enough looks for files to settle, with all the work that follows from each."""
        for _ in range(looks):
            await self.look()
            await self.kit.settle()
        return self.source()

    def source(self) -> Source:
        record = self.kit.store.get(SOURCES, str(self.config["name"]))
        assert record is not None
        return decoded(Source, record)

    def files(self) -> dict[str, SourceFile]:
        return {file.path: file for file in self.source().status.files}

    def states(self) -> dict[str, str]:
        return {path: file.state.value for path, file in self.files().items()}

    def names(self) -> list[str]:
        return sorted(self.kit.store.ids("jobs"))

    async def end(self, name: str, phase: Phase = Phase.SUCCEEDED) -> None:
        """The job comes to an end, as the plan would write it."""
        job = self.kit.records.find_job(name)
        await self.kit.status(
            name,
            attempt=max(1, job.status.attempt),
            phase=phase,
            run_hash=job.spec.run_hash(),
            observed_generation=job.metadata.generation,
            finished_at=self.kit.clock.now(),
        )

    async def collect(self, name: str) -> None:
        """Its record goes, as after its time to live."""
        await self.kit.records.delete_job(name, self.kit.records.find_job(name).metadata.uid)


class Repo:
    """A real git repository in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "GIT_CONFIG_GLOBAL": os.devnull,
                "GIT_CONFIG_NOSYSTEM": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, message: str = "change") -> str:
        self.git("add", "-A")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")
