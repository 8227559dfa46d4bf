"""One suite for every platform: what `base.Platform` promises, the fake, the processes and the
real Swarm keep.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from cumulus.controller.reconcile.observed import ServiceState
from cumulus.crd_like_specs.errors import NotFoundError, Permanent
from cumulus.crd_like_specs.identity import unit_name
from platform_benches import (
    FOREVER,
    KILLED,
    LONG,
    OK,
    SECONDS,
    TALK,
    TEN,
    THREE,
    Bench,
    fake_bench,
    process_bench,
    swarm_bench,
    sweep_volumes,
)


@pytest.fixture(scope="module", autouse=True)
def sweep(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if any(item.get_closest_marker("docker") for item in request.session.items):
        sweep_volumes()


@pytest.fixture(params=["fake", "process", pytest.param("swarm", marks=pytest.mark.docker)])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    makers = {
        "fake": fake_bench,
        "process": lambda: process_bench(tmp_path / "units"),
        "swarm": swarm_bench,
    }
    made = makers[request.param]()
    await made.platform.start()
    yield made
    await made.platform.close()
    made.close()


@pytest.fixture
async def names(bench: Bench) -> AsyncIterator[list[str]]:
    """Names of services to remove after the test."""
    made: list[str] = []
    yield made
    for name in made:
        await bench.platform.remove(name)


async def test_it_says_its_name_and_its_node_is_up(bench: Bench) -> None:
    assert bench.platform.name in ("fake", "process", "swarm")
    assert bool(bench.platform.notices) == (bench.platform.name != "swarm")
    assert bench.node_id in {n.node_id for n in await bench.platform.nodes() if n.up and n.name}


async def test_exit_code_0_is_complete(bench: Bench, names: list[str]) -> None:
    spec = bench.spec(OK)
    names.append(spec.name)
    await bench.platform.create(spec)
    seen = await bench.ended(spec.name)
    assert (seen.state, seen.exit_code, seen.message) == (ServiceState.COMPLETE, 0, "")
    assert (seen.uid, seen.attempt, seen.node_id) == (spec.uid, 1, bench.node_id)
    assert seen.finished_at > 0
    assert seen.started_at <= seen.finished_at


@pytest.mark.parametrize(("script", "code"), [(THREE, 3), (KILLED, 137)])
async def test_any_other_end_is_failed_with_its_code(bench: Bench, script: str, code: int) -> None:
    seen, _ = await bench.run(script)
    assert (seen.state, seen.exit_code, seen.message) == (ServiceState.FAILED, code, "")


async def test_it_is_seen_running_until_it_is_removed(bench: Bench, names: list[str]) -> None:
    spec = bench.spec(FOREVER)
    names.append(spec.name)
    await bench.platform.create(spec)
    seen = await bench.until(spec.name, lambda s: s.state is ServiceState.RUNNING)
    assert seen.exit_code is None
    assert seen.started_at > 0
    assert seen.finished_at == 0
    await bench.platform.remove(spec.name)
    assert await bench.seen(spec.name) is None
    await bench.platform.remove(spec.name)


async def test_removing_what_never_was_is_fine(bench: Bench) -> None:
    await bench.platform.remove(unit_name("0" * 32, 1))


async def test_forgetting_a_node_that_never_was_is_fine(bench: Bench) -> None:
    await bench.platform.remove_node("nobody")


async def test_creating_it_again_adopts_it(bench: Bench, names: list[str]) -> None:
    spec = bench.spec(TALK)
    names.append(spec.name)
    await bench.platform.create(spec)
    await bench.platform.create(spec)
    await bench.ended(spec.name)
    await bench.platform.create(spec)
    assert (await bench.ended(spec.name)).state is ServiceState.COMPLETE
    assert await bench.output(spec.name) == b"one\ntwo\nthree, no newline"


async def test_created_by_many_at_once_it_runs_once(bench: Bench, names: list[str]) -> None:
    spec = bench.spec(TALK)
    names.append(spec.name)
    await asyncio.gather(*(bench.platform.create(spec) for _ in range(5)))
    await bench.ended(spec.name)
    assert await bench.output(spec.name) == b"one\ntwo\nthree, no newline"
    assert [s.name for s in await bench.platform.list_owned()].count(spec.name) == 1


async def test_output_comes_in_order_with_its_streams(bench: Bench, names: list[str]) -> None:
    spec = bench.spec(TALK)
    names.append(spec.name)
    await bench.platform.create(spec)
    await bench.ended(spec.name)
    frames = await bench.platform.logs(spec.name)
    assert [f.stream for f in frames if f.data.strip()][-2:] == ["stderr", "stdout"]
    assert b"".join(f.data for f in frames) == b"one\ntwo\noops\nthree, no newline"
    assert [f.time for f in frames] == sorted(f.time for f in frames)
    assert frames[0].time > 0
    assert await bench.platform.logs(spec.name) == frames


async def test_a_long_line_is_whole(bench: Bench) -> None:
    _, output = await bench.run(LONG)
    assert output == b"x" * 40000 + b"\n"


async def test_logs_of_what_is_gone_are_not_found(bench: Bench) -> None:
    with pytest.raises(NotFoundError):
        await bench.platform.logs(unit_name("0" * 32, 1))


async def test_an_image_that_is_not_there_is_refused_at_once(bench: Bench) -> None:
    spec = bench.spec(OK, image="cumulus-test/never-built:1")
    with pytest.raises(Permanent, match="cumulus-test/never-built:1") as caught:
        await bench.platform.create(spec)
    assert caught.value.reason == bench.missing_image_reason
    assert await bench.seen(spec.name) is None


async def test_an_image_is_known_by_reference_and_by_id(bench: Bench) -> None:
    found = await bench.platform.image_id(bench.image)
    assert await bench.platform.image_id(found) == found
    assert re.fullmatch(r"(3\.\d+)?", await bench.platform.python_of(bench.image))
    assert found.startswith("sha256:") or bench.platform.name == "process"


async def test_what_is_not_ours_is_never_touched(bench: Bench) -> None:
    spec = bench.spec(OK)
    bench.make_foreign(spec.name)
    try:
        assert await bench.seen(spec.name) is None
        for attempt in (
            lambda: bench.platform.create(spec),
            lambda: bench.platform.remove(spec.name),
            lambda: bench.platform.logs(spec.name),
        ):
            with pytest.raises(Permanent, match="left alone") as caught:
                await attempt()
            assert caught.value.reason == "NotOwned"
    finally:
        bench.drop_foreign(spec.name)


async def test_a_new_driver_sees_the_same_and_may_end_it(bench: Bench, names: list[str]) -> None:
    running, done = bench.spec(FOREVER), bench.spec(THREE)
    names += [running.name, done.name]
    await bench.platform.create(running)
    await bench.platform.create(done)
    await bench.until(running.name, lambda s: s.state is ServiceState.RUNNING)
    await bench.ended(done.name)
    await bench.platform.close()

    bench.platform = bench.another()
    await bench.platform.start()
    again = await bench.seen(running.name)
    assert again is not None
    assert again.state is ServiceState.RUNNING
    ended = await bench.seen(done.name)
    assert ended is not None
    assert (ended.state, ended.exit_code) == (ServiceState.FAILED, 3)
    await bench.platform.remove(running.name)
    assert await bench.seen(running.name) is None


async def test_ten_at_once_keep_their_own_ends_and_output(bench: Bench, names: list[str]) -> None:
    specs = [bench.spec(script) for script in TEN]
    names += [spec.name for spec in specs]
    await asyncio.gather(*(bench.platform.create(spec) for spec in specs))
    for number, spec in enumerate(specs):
        assert (await bench.ended(spec.name)).exit_code == number % 3
        assert await bench.output(spec.name) == b"unit %d\n" % number


async def test_changes_hint_at_once_and_when_a_service_comes_or_goes(
    bench: Bench, names: list[str]
) -> None:
    changes = bench.platform.changes()

    async def hint() -> None:
        await asyncio.wait_for(anext(changes), SECONDS)

    async def quiet() -> None:
        """Until no hint has come for a moment."""
        waiting = asyncio.ensure_future(anext(changes))
        while (await asyncio.wait([waiting], timeout=2.0))[0]:
            waiting = asyncio.ensure_future(anext(changes))
        pending.append(waiting)

    pending: list[asyncio.Future[None]] = []
    await hint()
    await quiet()
    spec = bench.spec(FOREVER)
    names.append(spec.name)
    for change in (bench.platform.create(spec), bench.platform.remove(spec.name)):
        await change
        await asyncio.wait_for(pending.pop(), SECONDS)
        await quiet()
    pending.pop().cancel()
