"""Large datasets on their way in: at constant memory, and over a controller that is killed."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from cumulus.sdk import CumulusClient
from cumulus.sdk.datasets import Transfer
from system import System

MIB = 1 << 20


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """One of its own: its memory is measured, and it is killed."""
    found = System(tmp_path / "system", "process")
    found.start()
    yield found
    found.stop()


def folder_of(path: Path, size: int) -> Path:
    """A folder with a few files of so many MiB in all, which no compression makes smaller."""
    path.mkdir()
    block = os.urandom(MIB)
    for number in range(4):
        with (path / f"{number}.bin").open("wb") as file:
            for at in range(size // 4):
                file.write(at.to_bytes(8, "big") + block[8:])
    return path


def memory(system: System, field: str) -> int:
    """Bytes: VmRSS now, VmHWM at most."""
    assert system.process
    said = Path(f"/proc/{system.process.pid}/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB$", said, re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def grown_by(system: System, folder: Path) -> int:
    """Bytes that the controller grew at most while it took the folder in and gave it back."""
    assert system.process
    with CumulusClient(f"127.0.0.1:{system.grpc}", timeout=600) as client:
        small = folder.parent / "small.txt"
        small.write_text("what is loaded once is loaded")
        client.datasets.upload(small)
        before = memory(system, "VmRSS")
        Path(f"/proc/{system.process.pid}/clear_refs").write_text("5")  # VmHWM begins anew
        made = client.datasets.upload(folder, name="large")
        assert (made.status.files, made.spec.format.value) == (4, "tar")
        hashed = hashlib.sha256()
        for piece in client.datasets.stream("large"):
            hashed.update(piece)
        assert f"sha256:{hashed.hexdigest()}" == made.spec.digest
        grown = memory(system, "VmHWM") - before
    print(f"{made.spec.size / MIB:.0f} MiB: the controller grew by {grown / MIB:.1f} MiB")  # noqa: T201 (read in reports)
    return grown


def test_256_mib_take_64_of_memory_at_most(system: System, tmp_path: Path) -> None:
    assert grown_by(system, folder_of(tmp_path / "large", 256)) < 64 * MIB


@pytest.mark.soak
@pytest.mark.parametrize("size", [2 << 10, 10 << 10])
def test_gibs_take_256_mib_of_memory_at_most(system: System, tmp_path: Path, size: int) -> None:
    folder = folder_of(tmp_path / "large", size)
    assert grown_by(system, folder) < 256 * MIB
    shutil.rmtree(folder)  # pytest keeps what is left
    shutil.rmtree(system.folder / "data" / "datasets")


def test_a_killed_controller_goes_on_with_an_upload(system: System, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "large", 96)
    half = threading.Event()
    steps: list[Transfer] = []

    def tell(step: Transfer) -> None:
        if step.what == "sending":
            steps.append(step)
            if step.total and step.done > step.total // 2:
                half.set()

    with CumulusClient(f"127.0.0.1:{system.grpc}") as client:
        thread = threading.Thread(
            target=client.datasets.upload, args=[folder], kwargs={"progress": tell}
        )
        thread.start()
        assert half.wait(60)
        system.kill9()
        system.start()
        thread.join(120)
        assert not thread.is_alive()
        (made,) = client.datasets.list()
        sent = sum(
            after.done - before.done
            for before, after in pairwise(steps)
            if after.done > before.done
        )
        assert sent < made.spec.size * 3 // 2, "it began anew"
        hashed = hashlib.sha256()
        for piece in client.datasets.stream(made.metadata.name):
            hashed.update(piece)
        assert f"sha256:{hashed.hexdigest()}" == made.spec.digest
        uploads = system.folder / "data" / "datasets" / "uploads"
        assert list(uploads.iterdir()) == []
        whole = uploads.parent / "whole"
        assert [path.stat().st_size for path in whole.glob("*/*")] == [made.spec.size]


def test_a_controller_killed_at_any_moment_has_nothing_half(system: System, tmp_path: Path) -> None:
    for number in range(4):
        folder = folder_of(tmp_path / f"set{number}", 16)
        asked = threading.Event()
        reached = (2 + 5 * number) * MIB

        def tell(step: Transfer, reached: int = reached, asked: threading.Event = asked) -> None:
            if step.what == "sending" and step.done >= min(reached, step.total or 0):
                asked.set()

        with CumulusClient(f"127.0.0.1:{system.grpc}") as client:
            thread = threading.Thread(
                target=client.datasets.upload, args=[folder], kwargs={"progress": tell}
            )
            thread.start()
            assert asked.wait(60)
            system.kill9()
            whole = system.folder / "data" / "datasets" / "whole"
            for path in whole.glob("*/*"):
                with path.open("rb") as file:
                    assert hashlib.file_digest(file, "sha256").hexdigest() == path.name
            system.start()
            thread.join(120)
            assert not thread.is_alive()
            known = {one.metadata.name: one.spec.digest for one in client.datasets.list()}
            assert sorted(known) == [f"set{n}" for n in range(number + 1)]
