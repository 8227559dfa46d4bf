"""Functions of notebook cells as jobs, in a real kernel, as JupyterLab speaks to it."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from system import System

PATIENCE = 60.0


@dataclass
class Cell:
    """What came of one: value as text, printed and displayed text, traceback."""

    value: str = ""
    text: str = ""
    shown: list[str] = field(default_factory=list)
    error: str = ""
    trace: str = ""


class Notebook:
    def __init__(self, folder: Path) -> None:
        self.kernel = KernelManager(kernel_name="python3", transport="ipc")
        self.kernel.ip = str(folder / "kernel")
        self.kernel.start_kernel(extra_arguments=["--colors=NoColor"], cwd=str(folder))
        self.client: BlockingKernelClient = self.kernel.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)

    def run(self, source: str) -> Cell:
        cell = Cell()
        self.client.execute_interactive(
            source, timeout=PATIENCE, output_hook=lambda message: _take(cell, message)
        )
        return cell

    def interrupt_once_shown(self, source: str, shown: str) -> Cell:
        """Run a cell, and press the stop button when this is on the screen."""
        cell = Cell()
        request = self.client.execute(source)
        end = time.monotonic() + PATIENCE
        pressed = False
        while time.monotonic() < end:
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            if message["parent_header"].get("msg_id") != request:
                continue
            _take(cell, message)
            if not pressed and any(shown in one for one in cell.shown):
                pressed = True
                self.kernel.interrupt_kernel()
            if message["content"].get("execution_state") == "idle":
                return cell
        raise AssertionError(f"the cell did not end: {cell}")

    def close(self) -> None:
        self.client.stop_channels()
        self.kernel.shutdown_kernel(now=True)


def _take(cell: Cell, message: dict[str, Any]) -> None:
    kind, content = message["msg_type"], message["content"]
    if kind == "stream":
        cell.text += content["text"]
    elif kind in ("display_data", "update_display_data"):
        cell.shown.append(content["data"]["text/plain"])
    elif kind == "execute_result":
        cell.value = content["data"]["text/plain"]
    elif kind == "error":
        cell.error, cell.trace = content["ename"], "\n".join(content["traceback"])


@pytest.fixture
def notebook(process: System, tmp_path: Path) -> Iterator[Notebook]:
    opened = Notebook(tmp_path)
    opened.run(
        "from cumulus.sdk import AsyncCumulusClient, CumulusClient, remote\n"
        f"client = CumulusClient('127.0.0.1:{process.grpc}')\n"
        "factor = 3"
    )
    yield opened
    opened.close()


def test_cells_become_jobs(process: System, notebook: Notebook) -> None:
    notebook.run(
        "class Odd(Exception):\n"
        "    def __init__(self, number): super().__init__(f'{number} is odd')\n"
        "@remote(client, gpu_memory=None)\n"
        "def times(x):\n"
        "    print('at work on', x)\n"
        "    if x == 13:\n"
        "        raise Odd(x)\n"
        "    return x * factor"
    )

    first = notebook.run("times(4)")
    assert (first.value, first.text) == ("12", "at work on 4\n")
    assert "Succeeded" in first.shown[-1]

    # A global that another cell changed since is what a function sees, here as anywhere.
    notebook.run("factor = 10")
    assert notebook.run("times(4)").value == "40"

    mapped = notebook.run("list(times.map(range(3)))")
    assert (mapped.value, mapped.shown[-1]) == ("[0, 10, 20]", "times: 3 of 3 done")

    # Its own class, with the line of the cell, which only this side knows.
    failed = notebook.run("times(13)")
    assert failed.error == "Odd"
    assert "raise Odd(x)" in failed.trace
    assert "_cumulus_call" not in failed.trace
    caught = notebook.run("try:\n    times(13)\nexcept Odd as error:\n    print('caught', error)")
    assert "caught Job failed: Odd: 13 is odd" in caught.text

    # Cells may await: the kernel's own loop.
    notebook.run(f"aclient = AsyncCumulusClient('127.0.0.1:{process.grpc}')")
    assert notebook.run("await aclient.run(lambda: factor + 1, gpu_memory=None)").value == "11"

    # A class that is defined anew is another one.
    notebook.run(
        "class Box:\n    def __init__(self, v): self.v = v\n    def twice(self): return self.v * 2"
    )
    box = "client.run(lambda box: box.twice(), gpu_memory=None, args=[Box(4)])"
    assert notebook.run(box).value == "8"
    notebook.run("class Box(Box):\n    def twice(self): return 'twice'")
    assert notebook.run(box).value == "'twice'"


def test_the_stop_button_detaches(notebook: Notebook) -> None:
    notebook.run("def slow():\n    import time\n    print('up', flush=True)\n    time.sleep(600)\n")
    stopped = notebook.interrupt_once_shown("client.run(slow, gpu_memory=None)", "Running")
    assert stopped.error == "KeyboardInterrupt"
    left = notebook.run("[j['status'] for j in client.list_jobs() if 'slow' in str(j)]")
    assert left.value == "['running']"
    notebook.run("[client.cancel_job(j['job_id']) for j in client.list_jobs()]")
