"""The real inventory and store under a source: a controller that is killed before any of its writes
comes to the same end, with every job made once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cumulus.controller.runtime.documents import FINISHED
from cumulus.crd_like_specs.errors import StoreError
from cumulus.crd_like_specs.job import Phase
from make import worker
from runtime_kit import Kit
from source_kit import SourceKit


class Failing:
    """Lets so many writes through, then none."""

    def __init__(self, kit: Kit, writes: int) -> None:
        self.left = writes
        self._submit = kit.store.submit
        self._kit = kit
        kit.store.submit = self  # type: ignore[method-assign,assignment]

    def __call__(self, ops: Any, *_: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise StoreError("killed here")
        return self._submit(ops)

    def mend(self) -> None:
        self._kit.store.submit = self._submit  # type: ignore[method-assign]


async def start(tmp_path: Path) -> tuple[Kit, SourceKit]:
    kit = Kit(tmp_path)
    await kit.records.put_worker(worker("n0", cordoned=True))
    return kit, SourceKit(kit, tmp_path / "specs")


@pytest.mark.parametrize("writes", range(9))
async def test_killed_before_any_write(tmp_path: Path, writes: int) -> None:
    kit, source = await start(tmp_path)
    source.jobs("a.yaml", "old", "gone")
    await source.settle()
    old = kit.records.find_job("old")
    source.jobs("a.yaml", "old")
    source.jobs("b.yaml", "new", "newer")
    await source.look()
    failing = Failing(kit, writes)
    await source.look()
    made = {name: kit.records.find_job(name).metadata.uid for name in source.names()}
    failing.mend()
    source.restart()
    await source.settle(4)
    assert source.names() == ["new", "newer", "old"]
    assert kit.records.find_job("old").metadata.uid == old.metadata.uid
    for name in source.names():
        assert made.get(name) in (None, kit.records.find_job(name).metadata.uid)
    assert set(source.states().values()) == {"Synced"}
    (source.folder / "b.yaml").unlink()
    await source.settle(4)
    assert source.names() == ["old"], "what was made before the kill is known for its own"
    kit.close()


async def test_a_store_that_refuses_is_waited_for(tmp_path: Path) -> None:
    """Also where a look fails, and that is to be written down."""
    kit, source = await start(tmp_path)
    source.jobs("a.yaml", "one")
    await source.look()
    failing = Failing(kit, 0)
    put, kit.store.put = kit.store.put, failing  # type: ignore[method-assign,assignment]
    await source.look()
    source.folder.rename(tmp_path / "moved")
    assert await source.look() == 10
    (tmp_path / "moved").rename(source.folder)
    failing.mend()
    kit.store.put = put  # type: ignore[method-assign]
    await source.settle()
    assert source.names() == ["one"]
    kit.close()


@pytest.mark.parametrize("writes", [0, 1])
async def test_that_a_run_finished_is_known_with_the_status_or_not_at_all(
    tmp_path: Path, writes: int
) -> None:
    kit, source = await start(tmp_path)
    source.jobs("a.yaml", "one")
    await source.settle()
    failing = Failing(kit, writes)
    if writes:
        await source.end("one")
    else:
        with pytest.raises(StoreError):
            await source.end("one")
    failing.mend()
    over = kit.records.find_job("one").status.phase is Phase.SUCCEEDED
    assert over is bool(writes)
    assert len(kit.store.ids(FINISHED)) == writes
    kit.close()


async def test_a_run_that_its_removal_stopped_did_not_finish(tmp_path: Path) -> None:
    kit, source = await start(tmp_path)
    source.jobs("a.yaml", "one", "two")
    await source.settle()
    await kit.desired.cancel("one")
    await kit.settle()
    await kit.desired.delete("two")
    await kit.settle()
    assert [name.split("/")[1] for name in kit.store.ids(FINISHED)] == ["one"]
    await source.settle()
    assert source.names() == ["one", "two"], "a user's own cancel is an end, a deletion is drift"
    kit.close()


async def test_what_finished_long_ago_and_is_declared_no_more_is_forgotten(tmp_path: Path) -> None:
    kit, source = await start(tmp_path)
    source.jobs("a.yaml", "one")
    source.jobs("b.yaml", "two")
    await source.settle()
    for name in ("one", "two"):
        await source.end(name)
    (source.folder / "b.yaml").unlink()
    await source.settle()
    kit.clock.advance(401 * 86400)
    await source.syncing.forget_finished()
    assert [name.split("/")[1] for name in kit.store.ids(FINISHED)] == ["one"]
    kit.close()
