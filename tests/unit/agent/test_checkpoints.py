"""A lease's last checkpoint: it is over only once that is safe, and nothing else waits for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cumulus.api.frames import LeaseWanted
from cumulus.api.outputs import ArtifactKind
from cumulus.chronos_bindings.agent.blob_cache import BlobCache
from cumulus.chronos_bindings.agent.checkpoints import Checkpoints
from cumulus.chronos_bindings.agent.kept import Kept as Both
from cumulus.chronos_bindings.agent.outputs import Outputs
from cumulus.chronos_bindings.agent.saving import PATIENCE, Saver
from cumulus.chronos_bindings.agent.staging import Staging
from cumulus.crd_like_specs.errors import DriverError, Permanent, Temporary
from cumulus.crd_like_specs.lease import LeaseState

from .conftest import World, unit
from .fakes import settle

SIZE = 1 << 20


class Sink:
    """Takes what is sent, unless it is told to fail, or to wait."""

    def __init__(self) -> None:
        self.took: list[tuple[str, str, bytes]] = []
        self.kinds: list[ArtifactKind] = []
        self.fails: list[DriverError] = []
        self.down: DriverError | None = None

    async def send(
        self,
        unit: str,
        digest: str,
        path: Path,
        arrived: Callable[[int], None],
        kind: ArtifactKind,
    ) -> None:
        if self.fails:
            raise self.fails.pop(0)
        if self.down is not None:
            raise self.down
        arrived(path.stat().st_size)
        self.took.append((unit, digest, path.read_bytes()))
        self.kinds.append(kind)

    async def fetch(self, unit: str, digest: str, dest: Path) -> None:
        for _, known, data in self.took:
            if known == digest:
                dest.write_bytes(data)
                return
        raise Permanent(f"{digest} of {unit} is not here", reason="CheckpointMissing")


class Kept(World):
    """A world whose jobs have a /checkpoint, and a /results where they ask for it."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path)
        self.sink = Sink()
        self.heard = True

    def make_staging(self) -> tuple[Staging, Both]:
        archives = BlobCache(self.path / "checkpoints", None)
        blobs = BlobCache(self.path / "blobs", self.blobs)
        staging = Staging(self.path / "staging", blobs, archives, self.sink)
        saver = Saver(self.path / "outbox", self.sink, self.clock, contact=lambda: self.heard)
        self.both = Both(
            Checkpoints(staging.root, archives, saver, changed=self._news),
            Outputs(staging.root, saver, changed=self._news),
            self.clock,
        )
        return staging, self.both

    def also(self) -> list[Coroutine[Any, Any, None]]:
        return [self.both.run()]

    async def crash(self) -> None:
        await super().crash()
        await self.both.stop()

    def _news(self, name: str) -> None:
        self.keeper.kept(name)

    async def advance(self, seconds: float) -> None:
        """Time goes by, in contact as far as the keeper knows."""
        await self.clock.advance(seconds)

    def wants(self, number: int = 1, **spec: object) -> LeaseWanted:
        lease = self.lease(number)
        told = {"checkpoint_size": SIZE, "checkpoint_interval": 30, **spec}
        return replace(lease, spec=lease.spec.model_copy(update=told))

    def folder(self, number: int = 1) -> Path:
        return self.path / "staging" / unit(number) / "checkpoint"

    def commit(self, name: str, text: str) -> None:
        (self.folder() / name).write_text(text)
        (self.folder() / ".new").write_text(name)
        (self.folder() / ".new").replace(self.folder() / "COMMITTED")

    async def echo(self) -> None:
        """The controller heard all that was said so far."""
        await self.advance(0.1)
        self.keeper.set_heard(self.clock.monotonic())
        await settle()


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    world = Kept(tmp_path)
    await world.boot()
    yield world
    await world.crash()


async def test_what_it_left_is_safe_before_it_is_over(kept: Kept) -> None:
    await kept.tell(kept.wants())
    kept.runtime.start(unit())
    await kept.advance(1)
    (kept.folder() / "model").write_text("weights")
    kept.sink.down = Temporary("the disk is full", reason="x")
    kept.runtime.end(unit())
    await kept.tell()
    await kept.advance(1)
    status = kept.status()
    assert status.state is LeaseState.SAVING
    assert kept.partitioner.list() == [], "its share is given back meanwhile"
    kept.sink.down = None
    await kept.advance(6)
    status = kept.status()
    assert status.state is LeaseState.ENDED
    assert status.checkpoint is not None
    assert (status.checkpoint.files, status.checkpoint.size) == (1, 7)
    assert [digest for _, digest, _ in kept.sink.took] == [status.checkpoint.digest]
    await kept.echo()
    assert kept.keeper.reports() == (), "forgotten, once the controller knows"


async def test_it_is_given_up_after_a_stated_time(kept: Kept) -> None:
    await kept.tell(kept.wants())
    (kept.folder() / "model").write_text("weights")
    kept.sink.down = Temporary("no room", reason="x")
    await kept.tell()
    await kept.advance(PATIENCE - 10)
    assert kept.status().state is LeaseState.SAVING
    await kept.advance(20)
    status = kept.status()
    assert status.state is LeaseState.ENDED
    assert "last checkpoint could not be kept: no room (given up after 120 s)" in status.message


async def test_nobody_is_blamed_for_a_controller_that_is_away(kept: Kept) -> None:
    await kept.tell(kept.wants())
    (kept.folder() / "model").write_text("weights")
    kept.sink.down = Temporary("no route", reason="x")
    await kept.tell()
    kept.heard = False
    await kept.advance(3 * PATIENCE)
    assert kept.status().state is LeaseState.SAVING
    kept.heard, kept.sink.down = True, None
    await kept.advance(6)
    assert kept.status().state is LeaseState.ENDED


async def test_what_is_refused_is_not_tried_again(kept: Kept) -> None:
    await kept.tell(kept.wants())
    (kept.folder() / "model").write_text("weights")
    kept.sink.down = Permanent("it is over", reason="x")
    await kept.tell()
    await kept.advance(0.1)
    assert kept.status().state is LeaseState.ENDED


async def test_an_empty_folder_costs_nothing(kept: Kept) -> None:
    await kept.tell(kept.wants())
    (kept.folder() / ".pausable").touch()
    await kept.tell()
    assert kept.keeper.reports() == ()
    assert kept.sink.took == []


async def test_while_it_runs_only_what_is_committed_is_taken(kept: Kept) -> None:
    await kept.tell(kept.wants())
    kept.runtime.start(unit())
    (kept.folder() / "half").write_text("…")
    await kept.advance(60)
    assert kept.sink.took == []
    kept.commit("one", "1")
    await kept.advance(2)
    assert len(kept.sink.took) == 1
    assert b"half" not in kept.sink.took[0][2]
    assert kept.status().checkpoint is not None
    kept.commit("two", "2")
    await kept.advance(20)
    assert len(kept.sink.took) == 1, "not before its interval"
    await kept.advance(12)
    assert len(kept.sink.took) == 2
    await kept.advance(100)
    assert len(kept.sink.took) == 2, "nothing new was committed"


async def test_the_next_attempt_begins_with_it(kept: Kept) -> None:
    await kept.tell(kept.wants())
    kept.commit("one", "1")
    await kept.tell()
    await kept.advance(0.1)
    known = kept.status().checkpoint
    assert known is not None
    await kept.echo()
    await kept.tell(kept.wants(2, checkpoint=known.digest))
    assert (kept.folder(2) / "one").read_text() == "1"
    await kept.tell()
    await kept.advance(0.1)
    assert kept.status(2).state is LeaseState.ENDED
    assert len(kept.sink.took) == 1, "what did not change is not sent again"


async def test_a_checkpoint_that_is_gone_fails_the_lease_clearly(kept: Kept) -> None:
    await kept.tell(kept.wants(checkpoint=f"sha256:{'a' * 64}"))
    status = kept.status()
    assert (status.state, status.reason) == (LeaseState.FAILED, "CheckpointMissing")


async def test_a_restarted_agent_goes_on_saving(kept: Kept) -> None:
    await kept.tell(kept.wants())
    kept.runtime.start(unit())
    kept.commit("one", "1")
    await kept.advance(2)
    await kept.crash()
    kept.commit("two", "2")
    await kept.boot()
    assert kept.status().checkpoint is not None, "it knows what was kept before"
    kept.runtime.end(unit())
    await kept.tell()
    await kept.advance(1)
    assert kept.status().state is LeaseState.ENDED
    assert len(kept.sink.took) == 2


async def test_a_folder_that_grows_too_large_ends_its_job(kept: Kept) -> None:
    await kept.tell(kept.wants())
    kept.runtime.start(unit())
    await kept.advance(1)
    (kept.folder() / "much").write_bytes(bytes(3 * SIZE + (17 << 20)))
    await kept.advance(3)
    status = kept.status()
    assert status.reason == "CheckpointTooLarge"
    assert "holds more than 3 times 1Mi" in status.message


async def test_a_job_that_asks_is_given_its_notice(kept: Kept) -> None:
    """Warned at once, SIGTERM after the notice, SIGKILL after the grace."""
    await kept.tell(kept.wants())
    kept.runtime.start(unit())
    await kept.advance(5)
    (kept.folder() / ".pausable").touch()
    await kept.tell(kept.wants(revoked="Suspended", grace=10.0, notice=30.0))
    began = kept.clock.monotonic()
    await kept.advance(50)
    did = [(round(at - began), verb) for at, verb, *_ in kept.runtime.verbs("signal", "kill")]
    assert did[:3] == [(0, "signal"), (30, "signal"), (40, "kill")]


async def test_a_job_that_is_cancelled_meanwhile_is_not_given_it(kept: Kept) -> None:
    await kept.tell(kept.wants())
    kept.runtime.start(unit())
    await kept.advance(5)
    (kept.folder() / ".pausable").touch()
    await kept.tell(kept.wants(revoked="Suspended", grace=10.0, notice=3600.0))
    began = kept.clock.monotonic()
    await kept.advance(5)
    await kept.tell(kept.wants(revoked="Suspended", grace=10.0, notice=0.0))
    await kept.advance(20)
    did = [(round(at - began), verb) for at, verb, *_ in kept.runtime.verbs("signal", "kill")]
    assert did[:3] == [(0, "signal"), (5, "signal"), (15, "kill")]


async def test_a_job_that_does_not_ask_is_not_waited_for(kept: Kept) -> None:
    await kept.tell(kept.wants())
    kept.runtime.start(unit())
    await kept.advance(5)
    await kept.tell(kept.wants(revoked="Suspended", grace=10.0, notice=30.0))
    began = kept.clock.monotonic()
    await kept.advance(20)
    did = [(round(at - began), verb) for at, verb, *_ in kept.runtime.verbs("signal", "kill")]
    assert (10, "kill") in did
