"""A lease's outputs: taken once nothing runs any more, safe before it is over, beside its checkpoint."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cumulus.api.frames import LeaseWanted
from cumulus.api.outputs import ArtifactKind
from cumulus.crd_like_specs.errors import Permanent, Temporary
from cumulus.crd_like_specs.lease import LeaseState
from cumulus.crd_like_specs.outputs import KeptOutputs

from .conftest import unit
from .test_checkpoints import SIZE, Kept


class Leaving(Kept):
    """A world whose jobs have both folders."""

    def wants(self, number: int = 1, **spec: object) -> LeaseWanted:
        return super().wants(number, **{"outputs_size": SIZE, **spec})

    def results(self, number: int = 1) -> Path:
        return self.path / "staging" / unit(number) / "outputs"

    def left(self, number: int = 1) -> KeptOutputs:
        found = self.status(number).outputs
        assert found is not None
        return found


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Leaving]:
    made = Leaving(tmp_path)
    await made.boot()
    yield made
    await made.crash()


async def test_both_are_safe_before_it_is_over(world: Leaving) -> None:
    await world.tell(world.wants())
    assert [(m.target, Path(m.source).name) for m in world.status().mounts] == [
        ("/checkpoint", "checkpoint"),
        ("/results", "outputs"),
    ]
    world.runtime.start(unit())
    await world.advance(1)
    world.commit("one", "1")
    (world.results() / "model.pt").write_text("weights")
    await world.advance(40)
    assert world.sink.kinds == [ArtifactKind.CHECKPOINT], "a job may be at its outputs still"
    world.commit("two", "2")
    world.sink.fails = [Temporary("no room", reason="x")]
    world.runtime.end(unit())
    await world.tell()
    assert world.status().state is LeaseState.SAVING
    await world.advance(6)
    assert world.status().state is LeaseState.ENDED
    assert sorted(world.sink.kinds[1:]) == [ArtifactKind.CHECKPOINT, ArtifactKind.OUTPUTS]
    left = world.left()
    assert (left.files, left.size, left.attempt, left.message) == (1, 7, 1, "")
    assert world.status().checkpoint is not None
    await world.echo()
    assert world.keeper.reports() == (), "forgotten, once the controller knows"


async def test_one_that_takes_longer_is_waited_for(world: Leaving) -> None:
    await world.tell(world.wants())
    world.commit("one", "1")
    (world.results() / "log.txt").write_text("x")
    world.sink.down = Temporary("away", reason="x")
    await world.tell()
    world.heard = False
    await world.advance(500)
    assert world.status().state is LeaseState.SAVING
    assert len(list((world.path / "outbox").iterdir())) <= 2
    world.heard, world.sink.down = True, None
    await world.advance(6)
    assert world.status().state is LeaseState.ENDED
    assert len(world.sink.took) == 2


async def test_an_empty_folder_is_nothing(world: Leaving) -> None:
    await world.tell(world.wants())
    (world.results() / "empty").mkdir()
    await world.tell()
    await world.advance(1)
    assert world.status().outputs is None
    assert world.sink.took == []


async def test_what_is_not_kept_is_told(world: Leaving) -> None:
    await world.tell(world.wants())
    (world.results() / "big").write_bytes(bytes(SIZE + 1))
    await world.tell()
    await world.advance(1)
    assert world.sink.took == []
    left = world.left()
    assert (left.digest, left.files) == ("", 0)
    assert left.message == (
        "its outputs are not all kept: big does not fit into the 1Mi that outputs.size allows"
    )


async def test_what_the_controller_refuses_is_told_too(world: Leaving) -> None:
    await world.tell(world.wants())
    (world.results() / "a").write_text("x")
    world.sink.down = Permanent("the archive of outputs is no archive of ours", reason="x")
    await world.tell()
    await world.advance(1)
    assert world.status().state is LeaseState.ENDED
    assert world.left().message.endswith("kept: the archive of outputs is no archive of ours")


async def test_what_is_told_can_be_sent_whatever_files_are_called(world: Leaving) -> None:
    await world.tell(world.wants())
    (world.results() / "a").write_text("x")
    world.sink.down = Permanent("it cannot be read: caf\udce9", reason="x")
    await world.tell()
    await world.advance(1)
    assert world.status().state is LeaseState.ENDED
    assert world.left().message.endswith("kept: it cannot be read: caf\ufffd")


async def test_an_agent_that_was_killed_meanwhile_takes_it_up(world: Leaving) -> None:
    await world.tell(world.wants())
    world.runtime.start(unit())
    await world.advance(1)
    (world.results() / "a").write_text("x")
    world.sink.down = Temporary("away", reason="x")
    world.runtime.end(unit())
    await world.tell()
    await world.advance(1)
    await world.crash()
    world.sink.down = None
    await world.boot()
    await world.tell()
    await world.advance(1)
    assert world.left().files == 1
    assert world.sink.kinds == [ArtifactKind.OUTPUTS]
    await world.crash()
    await world.boot()
    await world.tell()
    await world.advance(1)
    assert len(world.sink.took) == 1, "what is safe is not sent again"


async def test_too_much_ends_the_job(world: Leaving) -> None:
    await world.tell(world.wants())
    world.runtime.start(unit())
    await world.advance(1)
    (world.results() / "much").write_bytes(bytes(2 * SIZE + (17 << 20)))
    await world.advance(3)
    status = world.status()
    assert status.reason == "OutputsTooLarge"
    assert "holds more than 2 times the 1Mi that outputs.size allows" in status.message


async def test_without_a_size_there_is_no_folder(world: Leaving) -> None:
    await world.tell(world.wants(outputs_size=0))
    assert [m.target for m in world.status().mounts] == ["/checkpoint"]
    assert not world.results().exists()
