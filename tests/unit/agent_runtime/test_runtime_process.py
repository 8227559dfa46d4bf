"""An output is read to its end, which its supervisor writes down, however long that takes."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest
from cumulus.chronos_bindings.agent.runtime_process import ProcessRuntime
from cumulus.chronos_bindings.agent.unit_files import process_stat
from cumulus.crd_like_specs.errors import NotFoundError, Temporary
from cumulus.crd_like_specs.identity import owned_labels, unit_name

UID = "a" * 32
UNIT = unit_name(UID, 1)
GONE = {"pid": os.getpid(), "start": 1}  # its number was given to another process since
LOOKS = 1000  # far more than an output without a supervisor is looked at


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / UNIT
    made.mkdir()
    (made / "service.json").write_text(json.dumps({"labels": owned_labels(UID, 1, "x")}))
    (made / "pid").write_text(json.dumps(GONE))
    (made / "log.jsonl").write_text(line(b"first"))
    return made


def line(data: bytes) -> str:
    return json.dumps({"t": 1.0, "s": "stdout", "d": base64.b64encode(data).decode()}) + "\n"


class Slow:
    """A supervisor that comes to write the last line and the end only after so many looks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.looks = 0

    async def pause(self, _seconds: float) -> None:
        self.looks += 1
        if self.looks == LOOKS:
            with (self.folder / "log.jsonl").open("a") as log:
                log.write(line(b"last"))
            end = json.dumps({"exit_code": 0, "finished_at": 2.0})
            (self.folder / "exit.json").write_text(end)


async def read(folder: Path, slow: Slow) -> list[bytes]:
    runtime = ProcessRuntime(folder.parent, slow.pause)
    return [frame.data async for frame in runtime.logs(UNIT)]


async def test_a_slow_supervisor_is_waited_for(folder: Path) -> None:
    own = process_stat(os.getpid())
    assert own is not None
    (folder / "shim.json").write_text(json.dumps({"pid": os.getpid(), "start": own.start}))
    assert await read(folder, Slow(folder)) == [b"first", b"last"]


async def test_a_dead_one_is_not(folder: Path) -> None:
    (folder / "shim.json").write_text(json.dumps(GONE))
    slow = Slow(folder)
    assert await read(folder, slow) == [b"first"]
    assert slow.looks < LOOKS


async def test_a_folder_that_cannot_be_read_is_not_gone(folder: Path) -> None:
    """An agent out of file descriptors reads nothing for a while."""
    slow = Slow(folder)
    runtime = ProcessRuntime(folder.parent, slow.pause)
    await runtime.list_units()
    (folder / "service.json").rename(folder / "aside")
    with pytest.raises(Temporary):
        await anext(runtime.logs(UNIT))
    (folder / "aside").rename(folder / "service.json")
    assert (await anext(runtime.logs(UNIT))).data == b"first"
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(NotFoundError):
        await anext(runtime.logs(UNIT))
