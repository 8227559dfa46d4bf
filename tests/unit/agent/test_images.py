"""A worker's images: fetched part by part over real gRPC, resumed, checked, loaded, named.

The controller's side is the real one over archives in memory; the engine loads as Docker does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from cumulus.api.frames import ImageArchive, ImagePart
from cumulus.chronos_bindings.agent.clock import SystemClock
from cumulus.chronos_bindings.agent.image_client import GrpcImages
from cumulus.chronos_bindings.agent.image_parts import check
from cumulus.chronos_bindings.agent.images import Images
from cumulus.chronos_bindings.agent.link import Link
from cumulus.crd_like_specs.errors import Permanent, Temporary
from image_kit import (
    Cable,
    MemoryEngine,
    MemoryStore,
    Saved,
    Served,
    client,
    noise,
    saved,
    serving,
    sha,
)
from runtime_kit import until

BASE = noise(1, 3 << 20)
JOB = saved(BASE, noise(2, 70_000), name="job")
NEXT = saved(BASE, noise(3, 70_000), name="job")
MIB = 1 << 20


class Hasty(SystemClock):
    """Pauses between tries are short: what is waited for here comes over a real connection."""

    async def sleep_until(self, deadline: float) -> None:
        await asyncio.sleep(min(0.01, max(0.0, deadline - self.monotonic())))


class Worker:
    """An agent's images without the agent. `said`: each condition, as `reason: message`."""

    def __init__(self, served: Served, source: Any, folder: Path, store: MemoryStore) -> None:
        self.served, self.store, self.folder = served, store, folder
        self.said: list[str] = []
        self.exchange_at: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}
        self._exchanges: list[asyncio.Future[None]] = []
        self.images = Images(store, source, folder, Hasty(), changed=self._changed, spare=0)
        self._task = asyncio.ensure_future(self.images.run())

    def _changed(self) -> None:
        condition = self.images.condition()
        self.said.append(f"{condition.reason}: {condition.message}")
        for words in [w for w in self.exchange_at if w in condition.message]:
            self._exchanges.append(asyncio.ensure_future(self.exchange_at.pop(words)()))

    def want(self, *images: Saved) -> None:
        self.images.set_wanted(self.served.want("w", *images))

    async def until(self, reason: str) -> None:
        await until(lambda: self.images.condition().reason == reason)

    async def stop(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def parts(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@asynccontextmanager
async def worker_of(
    tmp_path: Path, *images: Saved, store: MemoryStore | None = None, spool: Path | None = None
) -> AsyncIterator[tuple[Worker, Cable]]:
    engine = MemoryEngine(*images)
    async with (
        serving(engine, spool or tmp_path / "spool") as (served, cable, port),
        client(port, "w") as source,
    ):
        one = Worker(served, source, tmp_path / "parts", store or MemoryStore())
        try:
            yield one, cable
        finally:
            await one.stop()


async def test_a_wanted_image_comes_and_bears_its_name(tmp_path: Path) -> None:
    async with worker_of(tmp_path, JOB) as (worker, _):
        assert worker.images.condition().reason == "NotAsked"
        assert not worker.images.condition().status
        worker.want(JOB)
        assert await worker.images.ensure(JOB.id, "") == JOB.id
        await worker.until("AllPresent")
        assert worker.images.condition().status
        assert worker.store.tags == {"job:latest": JOB.id}
        assert worker.parts() == []
        assert worker.said[0] == "Fetching: job:latest: asking for its parts"
        assert "Fetching: job:latest: 30 % of 3.067Mi" in worker.said
        assert worker.said[-2] == "Loading: job:latest: the engine loads it"


@pytest.mark.parametrize("skips", [True, False])
async def test_layers_that_the_engine_has_are_not_sent_again(tmp_path: Path, skips: bool) -> None:
    async with worker_of(tmp_path, JOB, NEXT, store=MemoryStore(skips=skips)) as (worker, cable):
        worker.want(JOB)
        await worker.until("AllPresent")
        before = cable.down
        worker.want(NEXT)
        await worker.images.ensure(NEXT.id, "")
        await worker.until("AllPresent")
        sent = cable.down - before
        assert worker.store.tags == {"job:latest": NEXT.id}
        if skips:
            assert sent < 200_000
            assert len(worker.store.loads) == 2
        else:  # this engine wants all of it, and gets it
            assert len(BASE) < sent < len(BASE) + 300_000


async def test_a_part_of_two_images_is_sent_once(tmp_path: Path) -> None:
    async with worker_of(tmp_path, JOB, NEXT, store=MemoryStore(skips=False)) as (worker, cable):
        worker.store.fail = [Temporary("busy", reason="ImageLoadFailed")] * 2
        worker.want(JOB, NEXT)
        await worker.until("AllPresent")
        assert cable.down < 1.4 * len(BASE)
        assert set(worker.store.by_id) == {JOB.id, NEXT.id}


@pytest.mark.parametrize("at", [1, MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 12345, len(BASE) - 1])
async def test_a_break_costs_what_was_on_its_way_and_nothing_more(tmp_path: Path, at: int) -> None:
    async with worker_of(tmp_path, JOB) as (worker, cable):
        cable.break_after = at
        worker.want(JOB)
        await worker.until("AllPresent")
        assert cable.breaks == 1
        assert worker.store.by_id == {JOB.id: JOB.layers}
        # Less than two pieces are on their way at a time, and lost with the connection.
        assert cable.down < len(JOB.archive) + 2.2 * MIB


async def test_a_renewed_certificate_costs_no_transfer(tmp_path: Path) -> None:
    async with serving(MemoryEngine(JOB), tmp_path / "spool") as (served, cable, port):
        link = Link(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
        source = GrpcImages(link.as_channel, "w")
        worker = Worker(served, source, tmp_path / "parts", MemoryStore())
        for after in ("asking", "30 %", "60 %"):
            worker.exchange_at[after] = lambda: link.exchange(  # as `Identity` does
                grpc.aio.insecure_channel(f"127.0.0.1:{port}")
            )
        worker.want(JOB)
        await worker.until("AllPresent")
        assert worker.exchange_at == {}
        assert worker.store.by_id == {JOB.id: JOB.layers}
        assert any(said.startswith("ImageUnavailable") for said in worker.said)
        assert cable.down < len(JOB.archive) + 2 * 2.2 * MIB
        await worker.stop()
        await link.close()


@pytest.mark.parametrize("have", [0, 1, MIB - 1, MIB, MIB + 1, len(BASE) - 1, len(BASE)])
async def test_a_part_is_resumed_at_every_offset(tmp_path: Path, have: int) -> None:
    async with worker_of(tmp_path, JOB) as (worker, cable):
        worker.want(JOB)
        (worker.folder / f"{sha(BASE)[7:]}.part").write_bytes(BASE[:have])
        await worker.until("AllPresent")
        assert worker.store.by_id == {JOB.id: JOB.layers}
        assert cable.down < len(JOB.archive) - have + 20_000


@pytest.mark.parametrize("suffix", ["", ".part"])
async def test_what_an_agent_before_left_damaged_is_fetched_anew(
    tmp_path: Path, suffix: str
) -> None:
    async with worker_of(tmp_path, JOB) as (worker, cable):
        (worker.folder / f"{sha(BASE)[7:]}{suffix}").write_bytes(b"x" * len(BASE))
        (worker.folder / f"{'0' * 64}.part").write_bytes(b"of an image that nobody wants")
        worker.want(JOB)
        await worker.until("AllPresent")
        assert worker.store.by_id == {JOB.id: JOB.layers}
        assert cable.down > len(BASE)
        assert worker.parts() == []


async def test_what_the_controller_has_damaged_is_exported_anew(tmp_path: Path) -> None:
    async with worker_of(tmp_path, JOB) as (worker, _):
        worker.served.want("w", JOB)
        await worker.served.images.archive("w", JOB.id)
        path = worker.served.spool.sound(sha(BASE))
        path.write_bytes(b"x" * len(BASE))
        os.utime(path, (1, 1))
        worker.want(JOB)
        await worker.until("AllPresent")
        assert worker.served.engine.exports == [JOB.id] * 2
        assert worker.store.by_id == {JOB.id: JOB.layers}


async def test_many_workers_share_one_export(tmp_path: Path) -> None:
    engine = MemoryEngine(JOB)
    async with serving(engine, tmp_path / "spool") as (served, cable, port):
        engine.gate.clear()
        workers = []
        for number in range(8):
            source = client(port, f"w{number}")
            stub = await source.__aenter__()
            worker = Worker(served, stub, tmp_path / str(number), MemoryStore())
            worker.images.set_wanted(served.want(f"w{number}", JOB))
            workers.append((worker, source))
        await until(lambda: engine.exports)
        engine.gate.set()
        for worker, source in workers:
            await worker.until("AllPresent")
            await worker.stop()
            await source.__aexit__(None, None, None)
        assert engine.exports == [JOB.id]
        assert cable.down < 8 * len(JOB.archive) + 200_000


async def test_nothing_but_what_is_wanted_here_is_given(tmp_path: Path) -> None:
    async with worker_of(tmp_path, JOB, NEXT) as (worker, _):
        worker.served.want("w", JOB)
        worker.served.want("other", NEXT)
        await worker.served.images.archive("other", NEXT.id)
        await worker.served.images.archive("w", JOB.id)
        source: Any = worker.images._source
        with pytest.raises(Temporary, match="is not wanted on worker w"):
            await source.archive(NEXT.id)
        with pytest.raises(Temporary, match="no image wanted on worker w has a part"):
            await source.part(sha(noise(3, 70_000)), tmp_path / "x", lambda _: None)


async def test_an_image_that_is_not_wanted_any_more_is_given_up(tmp_path: Path) -> None:
    async with worker_of(tmp_path, JOB) as (worker, _):
        worker.served.engine.gate.clear()
        worker.want(JOB)
        waiting = asyncio.ensure_future(worker.images.ensure(JOB.id, ""))
        await worker.until("Fetching")
        worker.want()
        with pytest.raises(Permanent, match="the controller does not hold it") as caught:
            await waiting
        assert caught.value.reason == "ImageMissing"
        await worker.until("AllPresent")
        worker.served.engine.gate.set()


async def test_a_disk_too_full_is_said_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with worker_of(tmp_path, JOB) as (worker, cable):
        folder: Any = worker.images._folder
        monkeypatch.setattr(folder, "_spare", 1 << 60)
        worker.want(JOB)
        await worker.until("DiskTooFull")
        assert "job:latest needs 3Mi at" in worker.images.condition().message
        with pytest.raises(Temporary) as caught:
            await worker.images.ensure(JOB.id, "")
        assert caught.value.reason == "DiskTooFull"
        assert worker.parts() == []
        assert cable.down < 1_000_000
        monkeypatch.setattr(folder, "_spare", 0)
        await worker.until("AllPresent")


async def test_a_disk_that_fills_meanwhile_leaves_nothing_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with worker_of(tmp_path, JOB) as (worker, _):
        worker.store.fail = [Temporary("no space left on device", reason="DiskTooFull")]
        seen: list[list[str]] = []
        note: Callable[..., None] = worker.images._clean

        def cleaned() -> None:
            note()
            seen.append(worker.parts())

        monkeypatch.setattr(worker.images, "_clean", cleaned)
        worker.want(JOB)
        await worker.until("AllPresent")
        assert any(said.startswith("DiskTooFull: job:latest: no space") for said in worker.said)
        assert [] in seen[1:]


async def test_a_name_is_given_again_where_it_was_taken_away(tmp_path: Path) -> None:
    async with worker_of(tmp_path, JOB) as (worker, _):
        worker.store.have(saved(b"older", name="job"))
        worker.want(JOB)
        await worker.until("AllPresent")
        worker.store.tags.clear()
        worker.images.look()
        await until(lambda: worker.store.tags)
        assert worker.store.tags == {"job:latest": JOB.id}


async def test_a_name_that_moved_on_is_left_where_it_is(tmp_path: Path) -> None:
    """The operator built the job image anew on the engine that the agent shares."""
    async with worker_of(tmp_path, JOB) as (worker, _):
        worker.want(JOB)
        await worker.until("AllPresent")
        worker.store.have(NEXT)
        assert worker.store.tags == {"job:latest": NEXT.id}
        worker.want(JOB)
        await worker.until("AllPresent")
        await worker.images._round()
        assert worker.store.tags == {"job:latest": NEXT.id}


async def test_a_name_is_pulled_once_and_only_from_where_it_may_be(tmp_path: Path) -> None:
    async with worker_of(tmp_path) as (worker, _):
        worker.want()
        with pytest.raises(Permanent, match="not configured for its registry") as caught:
            await worker.images.ensure("r:5000/job:1", "")
        assert caught.value.reason == "ImageMissing"
        assert worker.store.pulls == []
        worker.store.registry["r:5000/job:1"] = saved(b"x", name="r:5000/job:1")
        ids = await asyncio.gather(
            *(worker.images.ensure("r:5000/job:1", '{"username": "u"}') for _ in range(5))
        )
        assert len(worker.store.pulls) == 1
        assert set(ids) == set(worker.store.by_id)
        assert await worker.images.ensure("r:5000/job:1", "") == ids[0]


@pytest.mark.parametrize("image", ["", "../containers", "a b", "x/../y", "a\n"])
async def test_what_is_no_reference_reaches_no_engine(tmp_path: Path, image: str) -> None:
    async with worker_of(tmp_path) as (worker, _):
        with pytest.raises(Permanent, match="no reference"):
            await worker.images.ensure(image, "{}")
        assert await worker.images.present(image) == ""


PART = ImagePart("manifest.json", sha(b""), 0)


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (replace(PART, path="a"),),
        (PART, replace(PART, path="../a")),
        (PART, replace(PART, path="/a")),
        (PART, replace(PART, path="a/../../b")),
        (PART, replace(PART, digest="sha256:../../x")),
        (PART, replace(PART, size=-1)),
    ],
)
def test_an_archive_that_makes_no_sense_is_refused(parts: tuple[ImagePart, ...]) -> None:
    with pytest.raises(Permanent) as caught:
        check(ImageArchive(parts))
    assert caught.value.reason == "BadImage"
