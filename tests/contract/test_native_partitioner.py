"""The traps of Chronos that only the native partitioner has: deaths, hangs, locks, expiry."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cumulus.chronos_bindings.choose import choose
from cumulus.chronos_bindings.native import NativePartitioner
from cumulus.chronos_bindings.native_child import LOCK_DIR
from cumulus.chronos_bindings.opencl import survey
from cumulus.crd_like_specs.errors import Permanent, Temporary

pytestmark = pytest.mark.chronos


@pytest.fixture
def native() -> Iterator[NativePartitioner]:
    made = NativePartitioner(call_timeout=5.0)
    yield made
    made.close()


def eventually(what: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for a real process; the limit is generous because machines are shared."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def locks_of(pid: int) -> list[Path]:
    return list(Path(LOCK_DIR).glob(f"partition_{pid}_*"))


def alive(pid: int) -> bool:
    try:
        # A zombie has ended; whoever adopted it may not have reaped it yet.
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_killed_child_loses_all_and_another_takes_over(native: NativePartitioner) -> None:
    first = native.pid
    native.create(0, 1000, 60)
    assert locks_of(first)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: native.epoch == 1)
    eventually(lambda: native.pid not in (0, first))
    assert native.list() == []
    assert native.create(0, 1000, 60).memory_milli == 1000
    assert native.epoch == 1
    eventually(lambda: not locks_of(first))


def test_a_call_in_flight_is_told_at_once_that_the_child_died() -> None:
    slow = NativePartitioner(call_timeout=60.0)
    errors: list[BaseException] = []

    def call() -> None:
        try:
            slow.create(0, 100, 60)
        except Temporary as e:
            errors.append(e)

    os.kill(slow.pid, signal.SIGSTOP)  # so that the call surely is in flight
    thread = threading.Thread(target=call)
    thread.start()
    assert slow._child
    eventually(slow._child._calling.locked)
    os.kill(slow.pid, signal.SIGKILL)
    thread.join(5)
    assert [type(e) for e in errors] == [Temporary]
    assert "restarted" in str(errors[0])
    slow.close()


def test_a_child_that_hangs_is_killed_and_replaced(native: NativePartitioner) -> None:
    hung = native.pid
    os.kill(hung, signal.SIGSTOP)
    with pytest.raises(Temporary, match="did not answer within 5 s"):
        native.create(0, 100, 60)
    eventually(lambda: native.pid not in (0, hung))
    assert native.epoch == 1
    assert native.list() == []


def test_it_comes_back_however_often_it_dies(native: NativePartitioner) -> None:
    for death in range(1, 4):
        eventually(lambda: native.pid)
        os.kill(native.pid, signal.SIGKILL)
        eventually(lambda death=death: native.epoch == death)
    eventually(lambda: native.pid)
    assert native.available(0) == 1000


def test_closing_leaves_no_process_and_no_lock_file() -> None:
    made = NativePartitioner()
    pid = made.pid
    for _ in range(5):
        made.create(0, 100, 60)
    assert len(locks_of(pid)) == 5
    made.close()
    assert not alive(pid)
    assert not locks_of(pid)
    with pytest.raises(Temporary, match="closed"):
        made.create(0, 100, 60)


def test_lock_files_of_the_dead_are_swept_at_the_start() -> None:
    ended = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, check=True)
    dead = int(ended.stdout)
    Path(LOCK_DIR).mkdir(exist_ok=True)
    stale = Path(LOCK_DIR, f"partition_{dead}_1700000000000_0001.lock")
    stale.write_text("pid: gone\n")
    alive_one = Path(LOCK_DIR, f"partition_{os.getpid()}_1700000000000_0001.lock")
    alive_one.write_text("pid: here\n")
    try:
        NativePartitioner().close()
        assert not stale.exists()
        assert alive_one.exists()
    finally:
        alive_one.unlink()


def test_a_cleaner_of_tmp_does_not_stop_it(native: NativePartitioner) -> None:
    folder = Path(LOCK_DIR)
    aside = folder.with_name("chronos_locks_aside")
    folder.rename(aside)
    try:
        native.release(native.create(0, 100, 60).id)
        assert folder.is_dir()
    finally:
        for lock in folder.glob("*"):
            lock.rename(aside / lock.name)
        folder.rmdir()
        aside.rename(folder)


def test_the_child_dies_with_its_parent_however_that_goes() -> None:
    code = (
        "import time\n"
        "from cumulus.chronos_bindings.native import NativePartitioner\n"
        "made = NativePartitioner()\n"
        "made.create(0, 500, 60)\n"
        "print(made.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert alive(child)
        parent.kill()
    eventually(lambda: not alive(child))


def test_a_share_that_nobody_gives_back_frees_itself_after_the_margin() -> None:
    made = NativePartitioner(margin=0)
    try:
        held = made.create(0, 1000, 1)
        eventually(lambda: made.list() == [])
        made.release(held.id)
        assert made.available(0) == 1000
    finally:
        made.close()


def test_the_margin_keeps_a_share_beyond_its_end(native: NativePartitioner) -> None:
    native.create(0, 1000, 1)
    eventually(lambda: native.list()[0].expires_in == 0.0)
    time.sleep(1.5)  # Chronos looks once a second; this is about its real clock
    assert len(native.list()) == 1


def test_a_machine_without_opencl_says_so() -> None:
    made = NativePartitioner(env={"OCL_ICD_VENDORS": "/nonexistent"})
    try:
        with pytest.raises(Permanent, match="No OpenCL platforms found") as caught:
            made.create(0, 100, 60)
        assert caught.value.reason == "NoDevice"
    finally:
        made.close()


def test_a_python_without_chronos_says_so(tmp_path: Path) -> None:
    (tmp_path / "chronos.py").write_text("raise ImportError('no native library here')")
    with pytest.raises(Permanent, match="no native library here") as caught:
        NativePartitioner(env={"PYTHONPATH": str(tmp_path)})
    assert caught.value.reason == "NoBackend"


def test_a_child_that_aborts_at_the_start_leaves_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "chronos.py").write_text(
        "import os, sys\nsys.stderr.write('out of device memory\\n')\nsys.stderr.flush()\nos.abort()\n"
    )
    with pytest.raises(Permanent, match=r"by SIGABRT: out of device memory"):
        NativePartitioner(env={"PYTHONPATH": str(tmp_path)})


def test_this_machine_chooses_chronos_for_the_devices_it_finds() -> None:
    found = survey()
    assert found.devices, found.notes
    choice = choose([device.index for device in found.devices], env=found.env, prefer="chronos")
    try:
        assert choice.partitioner.backend == "chronos"
        assert choice.partitioner.list() == []
    finally:
        choice.partitioner.close()


def test_nothing_is_left_open(native: NativePartitioner) -> None:
    eventually(lambda: native.pid)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        NativePartitioner().close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
