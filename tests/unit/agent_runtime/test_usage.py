"""What units and devices use: cgroup files of both versions, real processes, drivers' answers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cumulus.api.frames import DeviceUsage, UnitUsage
from cumulus.chronos_bindings.agent import cgroups
from cumulus.chronos_bindings.agent.cgroups import Use
from cumulus.chronos_bindings.agent.node_facts import kernel_facts
from cumulus.chronos_bindings.agent.unit_files import Leader, process_stat
from cumulus.chronos_bindings.agent.unit_usage import (
    DockerUses,
    ProcessUses,
    UnitUse,
    of_engine,
)
from cumulus.chronos_bindings.agent.usage import Cards, Usage
from cumulus.chronos_bindings.hardware import Hardware
from cumulus.chronos_bindings.nvml import Gpu, Snapshot
from cumulus.crd_like_specs.errors import Temporary

ID = "c" * 64
UNIT = f"cumulus-{'a' * 32}-1"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def v1(root: Path, folder: str = f"docker/{ID}") -> None:
    write(root / "cpuacct" / folder / "cpuacct.usage", "2500000000\n")
    write(root / "memory" / folder / "memory.usage_in_bytes", "1000\n")
    write(root / "memory" / folder / "memory.max_usage_in_bytes", "3000\n")
    write(root / "memory" / folder / "memory.stat", "cache 5\ntotal_inactive_file 400\n")
    write(root / "pids" / folder / "cgroup.procs", "11\n12\n")


def v2(root: Path, folder: str = f"system.slice/docker-{ID}.scope") -> None:
    write(root / folder / "cpu.stat", "usage_usec 2500000\nuser_usec 1\n")
    write(root / folder / "memory.current", "1000\n")
    write(root / folder / "memory.peak", "3000\n")
    write(root / folder / "memory.stat", "anon 5\ninactive_file 400\n")
    write(root / folder / "cgroup.procs", "11\n12\n")


@pytest.mark.parametrize("layout", [v1, v2])
@pytest.mark.parametrize("folder", [f"docker/{ID}", f"system.slice/docker-{ID}.scope"])
def test_both_versions_and_both_drivers_tell_the_same(
    tmp_path: Path, layout: Any, folder: str
) -> None:
    assert cgroups.use(ID, tmp_path) is None
    layout(tmp_path, folder)
    assert cgroups.use(ID, tmp_path) == Use(2.5, 600, 3000)
    assert cgroups.processes(ID, tmp_path) == [11, 12]


def test_a_kernel_without_peaks_tells_none(tmp_path: Path) -> None:
    v2(tmp_path)
    (tmp_path / f"system.slice/docker-{ID}.scope/memory.peak").unlink()
    assert cgroups.use(ID, tmp_path) == Use(2.5, 600, 0)


def test_the_engines_own_figures_read_the_same() -> None:
    cpu = {"cpu_usage": {"total_usage": 2_500_000_000}}
    memory = {"usage": 1000, "max_usage": 3000, "stats": {"total_inactive_file": 400}}
    assert of_engine({"cpu_stats": cpu, "memory_stats": memory}) == Use(2.5, 600, 3000)
    newer = {"usage": 1000, "stats": {"inactive_file": 400}}
    assert of_engine({"cpu_stats": cpu, "memory_stats": newer}) == Use(2.5, 600, 0)
    assert of_engine({"cpu_stats": cpu, "memory_stats": {}}) is None  # it does not run


class Engine:
    """Answers `stats` as told, or not at all."""

    def __init__(self, answer: Mapping[str, Any] | None) -> None:
        self.answer = answer

    def call_here(self, _work: Any) -> Mapping[str, Any]:
        if self.answer is None:
            raise Temporary("gone", reason="EngineUnreachable")
        return self.answer


async def test_containers_are_summed_by_unit_and_the_ended_are_left_out(tmp_path: Path) -> None:
    v1(tmp_path)
    engine: Any = Engine(None)
    uses = DockerUses(engine, lambda: {UNIT: (ID, "d" * 64), "gone": ("e" * 64,)}, tmp_path)
    assert await uses.read() == [UnitUse(UNIT, 2.5, 600, 3000, (11, 12))]


async def test_the_engine_is_asked_where_its_groups_are_not_in_sight(tmp_path: Path) -> None:
    memory = {"usage": 7, "stats": {}}
    stats = {"cpu_stats": {"cpu_usage": {"total_usage": 1e9}}, "memory_stats": memory}
    engine: Any = Engine(stats)
    uses = DockerUses(engine, lambda: {UNIT: (ID,)}, tmp_path)
    assert await uses.read() == [UnitUse(UNIT, 1.0, 7)]


@contextmanager
def running(program: str) -> Iterator[int]:
    """Pid of a process that leads a group and has said that it is where it wants to be."""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"up\n"
            yield process.pid
        finally:
            os.killpg(process.pid, 9)


async def test_a_units_processes_are_summed_and_nobody_elses() -> None:
    program = (
        "import os, time\nheld = bytearray(64 << 20)\n"
        "while time.process_time() < 0.2: pass\n"
        "if os.fork() == 0: time.sleep(60)\n"
        "print('up', flush=True)\ntime.sleep(60)"
    )
    with running(program) as pid:
        stat = process_stat(pid)
        assert stat
        (use,) = await ProcessUses(lambda: {UNIT: Leader(pid, stat.start)}).read()
    assert use.unit == UNIT
    assert len(use.pids) == 2
    assert use.memory > 64 << 20
    assert 0.1 < use.cpu_seconds < 30


async def test_nothing_runs_nothing_is_told() -> None:
    assert await ProcessUses(dict).read() == []


class Units:
    def __init__(self, *uses: UnitUse) -> None:
        self.uses = uses

    async def read(self) -> list[UnitUse]:
        return list(self.uses)


def card(uuid: str, used: int | None, processes: Mapping[int, int | None] | None) -> Gpu:
    return Gpu(uuid, "H200", "", used=used, busy_milli=370, processes=processes)


def usage(tmp_path: Path, *cards: Gpu, now: tuple[Gpu, ...] | None = None) -> Usage:
    told = Snapshot(cards if now is None else now)
    reader: Any = SimpleNamespace(read=lambda: told)
    found = Hardware(cards=dict(enumerate(cards)), reader=reader)
    units = Units(UnitUse("b", 1.0, 2, 3, (11, 12)), UnitUse("a", 4.0, 5, 6, (13,)))
    return Usage(units, Cards(found), tmp_path, wall=lambda: 99.0)


async def test_a_frame_tells_units_with_their_share_of_devices(tmp_path: Path) -> None:
    frame = await usage(
        tmp_path, card("GPU-a", 100, {11: 40, 12: None, 7: 50}), card("GPU-b", None, None)
    ).read()
    assert frame.time == 99.0
    assert frame.disk_free > 0
    assert frame.units == (UnitUsage("a", 4.0, 5, 6, 0), UnitUsage("b", 1.0, 2, 3, 40))
    assert frame.devices == (DeviceUsage(0, 100, 370), DeviceUsage(1, 0, 370))


@pytest.mark.parametrize(
    ("processes", "expected"),
    [
        ({11: 40, 12: 2, 13: 9}, 42),
        ({13: 9}, 0),
        ({}, 0),
        ({11: 40, 12: None}, None),  # it holds something that the driver does not tell
        (None, None),
    ],
)
async def test_what_a_unit_still_holds(
    tmp_path: Path, processes: Mapping[int, int | None] | None, expected: int | None
) -> None:
    assert await usage(tmp_path, card("GPU-a", 100, processes)).of_unit("b") == expected


async def test_all_devices_count_together_and_one_silent_one_makes_it_unknown(
    tmp_path: Path,
) -> None:
    both = card("GPU-a", 100, {11: 40}), card("GPU-b", 100, {12: 2})
    assert await usage(tmp_path, *both).of_unit("b") == 42
    assert await usage(tmp_path, *both, now=both[:1]).of_unit("b") is None


async def test_where_no_driver_speaks_nobody_can_tell(tmp_path: Path) -> None:
    assert await usage(tmp_path, card("GPU-a", 1, {}), now=()).of_unit("b") is None
    assert await usage(tmp_path).of_unit("b") is None


async def test_memory_that_the_driver_frees_late_is_still_the_ended_units(tmp_path: Path) -> None:
    reader: Any = SimpleNamespace(read=lambda: told)
    told = Snapshot((card("GPU-a", 100, {11: 40}),))
    units = Units(UnitUse("b", 1.0, 2, 3, (11,)))
    watched = Usage(units, Cards(Hardware(cards={0: told.gpus[0]}, reader=reader)), tmp_path)
    await watched.read()
    units.uses = ()
    assert await watched.of_unit("b") == 40
    told = Snapshot((card("GPU-a", 0, {}),))
    assert await watched.of_unit("b") == 0


def test_kernel_facts_are_this_machines(tmp_path: Path) -> None:
    facts = kernel_facts(tmp_path)
    assert facts.pids > 300
    assert facts.disk > 1 << 30
    assert len(facts.boot_id) == 36
    assert kernel_facts(tmp_path, tmp_path / "no-proc").boot_id == ""
