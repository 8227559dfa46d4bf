"""SIGHUP: other sources while the controller runs, and what a wrong configuration changes: nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from cumulus.controller.config import Config, load_config
from cumulus.controller.gitops.sources import Sources
from cumulus.controller.reloading import Reloading
from cumulus.controller.runtime.documents import SOURCES
from cumulus.crd_like_specs.errors import ValidationError
from loguru import logger
from runtime_kit import Kit, until


class Running:
    """A controller's sources as its file says, and all that its log says."""

    def __init__(self, kit: Kit, folder: Path) -> None:
        self.kit = kit
        self.file = folder / "controller.yaml"
        self.folder = folder
        self.said: list[str] = []
        self.write(nightly="interval: 10s")
        config = self.read()
        self.sources = Sources(config.sources, kit.records, kit.desired, kit.blobs, kit.clock)
        self.reloading = Reloading(config, self.read, self.sources.configure)

    def read(self) -> Config:
        return load_config(self.file)

    def write(self, others: str = "", **sources: str) -> None:
        entries = [
            f"- {{name: {name}, path: {self.folder / name}, {rest}}}\n"
            for name, rest in sources.items()
        ]
        for name in sources:
            (self.folder / name).mkdir(exist_ok=True)
        self.file.write_text("sources:\n" + "".join(entries) + others if entries else others)

    async def known(self, *names: str) -> None:
        await until(lambda: sorted(self.kit.store.ids(SOURCES)) == sorted(names))

    async def told(self, words: str) -> None:
        await until(lambda: any(words in line for line in self.said))


@pytest.fixture
async def running(kit: Kit, tmp_path: Path) -> AsyncIterator[Running]:
    made = Running(kit, tmp_path)
    handler = logger.add(made.said.append, format="{message}")
    tasks = [asyncio.create_task(part) for part in (made.sources.run(), made.reloading.run())]
    yield made
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    logger.remove(handler)


async def test_sources_come_go_and_change_while_it_runs(running: Running) -> None:
    await running.known("nightly")
    kept = running.sources.all["nightly"]

    running.write(nightly="interval: 10s", more="prune: true")
    running.reloading.ask()
    await running.known("more", "nightly")
    assert running.sources.all["nightly"] is kept, "what did not change goes on as it was"

    running.write(more="prune: true, suspend: true")
    running.reloading.ask()
    await running.known("more")
    await running.told("sources: more")
    assert running.sources.all["more"].config.suspend

    running.file.write_text("")
    running.reloading.ask()
    await running.known()
    await running.told("sources: none")


async def test_a_wrong_configuration_changes_nothing(running: Running) -> None:
    await running.known("nightly")
    before = running.sources.all
    running.write("placement: anywhere\n", other="interval: 10s")
    running.reloading.ask()
    await running.told("the configuration stays as it was: ")
    assert any("placement" in line for line in running.said)
    assert running.sources.all is before


async def test_text_of_the_environment_that_no_file_may_be_given_changes_nothing(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running.known("nightly")
    before = running.sources.all
    monkeypatch.setenv("REGION", "two\nlines")
    running.write(other="substituteFrom: [REGION]")
    with pytest.raises(ValidationError, match="REGION"):
        await running.sources.configure(running.read().sources)
    assert running.sources.all is before


async def test_what_takes_a_start_is_named(running: Running) -> None:
    running.write("dataDir: /elsewhere\nlog: {level: DEBUG}\n", nightly="interval: 10s")
    running.reloading.ask()
    await running.told("changed, and in effect once started anew: dataDir, log")
