"""Machines that start units for the contract of local runtimes: played, processes, containers."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any, Protocol

import docker
from cumulus.chronos_bindings.agent.engine import Engine
from cumulus.chronos_bindings.agent.ports import LocalRuntime
from cumulus.chronos_bindings.agent.runtime_docker import DockerRuntime
from cumulus.chronos_bindings.agent.runtime_process import ProcessRuntime
from cumulus.chronos_bindings.agent.unit_files import process_stat
from cumulus.crd_like_specs.errors import NotFoundError
from cumulus.crd_like_specs.identity import owned_labels, unit_name
from fake_local_runtime import FakeLocalRuntime

IMAGE = os.environ.get("CUMULUS_TEST_IMAGE", "cumulus-job:latest")
TALKS = """
import sys
for i in range(3):
    print("out", i, flush=True)
    print("err", i, file=sys.stderr, flush=True)
sys.stdout.write("x" * 40000 + "\\n")
sys.stdout.write("no end of line")
sys.stdout.flush()
sys.exit(3)
"""
WAITS = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("told to end", flush=True), sys.exit(0)))
print("ready", flush=True)
time.sleep(60)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""

PARENT = """
import os, signal, time
who = "child" if os.fork() == 0 else "parent"
signal.signal(signal.SIGUSR1, lambda *_: print(who, "told", flush=True))
print("ready", flush=True)
while True:
    time.sleep(60)
"""


class Machine(Protocol):
    """Starts units as the platform would, and cleans up."""

    runtime: LocalRuntime

    async def start(self, program: str) -> str: ...

    async def remove(self, unit: str) -> None: ...

    async def close(self) -> None: ...


class FakeMachine:
    def __init__(self, _folder: Path) -> None:
        self.runtime: Any = FakeLocalRuntime()

    async def start(self, program: str) -> str:
        unit, fake = unit_name(uuid.uuid4().hex, 1), self.runtime
        fake.start(
            unit, ignores=frozenset({signal.SIGTERM}) if program == STUBBORN else frozenset()
        )
        if program == TALKS:
            for i in range(3):
                fake.write(unit, b"out %d\n" % i)
                fake.write(unit, b"err %d\n" % i, "stderr")
            fake.write(unit, b"x" * 40000 + b"\n")
            fake.write(unit, b"no end of line")
            fake.end(unit, 3)
        else:
            fake.write(unit, b"ready\n")
        if program == WAITS:
            send = fake.signal

            async def answering(name: str, signum: int) -> None:
                if name == unit and fake.units[unit].seen.running and signum == signal.SIGTERM:
                    fake.write(unit, b"told to end\n")
                    fake.end(unit, 0)
                await send(name, signum)

            fake.signal = answering
        return unit

    async def remove(self, unit: str) -> None:
        self.runtime.remove(unit)

    async def close(self) -> None:
        await self.runtime.close()


class ProcessMachine:
    """Keeps a unit's folder as the process platform does, with a thread in place of its shim."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.runtime: LocalRuntime = ProcessRuntime(folder)
        self.running: list[tuple[subprocess.Popen[bytes], threading.Thread]] = []

    async def start(self, program: str) -> str:
        uid = uuid.uuid4().hex
        unit = unit_name(uid, 1)
        folder = self.root / unit
        folder.mkdir()
        (folder / "service.json").write_text(json.dumps({"labels": owned_labels(uid, 1, "x")}))
        process = subprocess.Popen(  # noqa: ASYNC220 (its pipes are read by threads)
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        stat = process_stat(process.pid)
        assert stat is not None
        (folder / "pid").write_text(json.dumps({"pid": process.pid, "start": stat.start}))
        thread = threading.Thread(target=self._shim, args=(folder, process))
        thread.start()
        self.running.append((process, thread))
        return unit

    @staticmethod
    def _shim(folder: Path, process: subprocess.Popen[bytes]) -> None:
        lock = threading.Lock()

        def pump(stream: str, pipe: Any) -> None:
            while data := os.read(pipe.fileno(), 16 << 10):
                record = {"t": time.time(), "s": stream, "d": base64.b64encode(data).decode()}
                with lock, (folder / "log.jsonl").open("a") as log:
                    log.write(json.dumps(record) + "\n")

        pumps = [
            threading.Thread(target=pump, args=(name, pipe))
            for name, pipe in (("stdout", process.stdout), ("stderr", process.stderr))
        ]
        for one in pumps:
            one.start()
        for one in pumps:
            one.join()
        end = {"exit_code": process.wait(), "finished_at": time.time()}
        (folder / "exit.part").write_text(json.dumps(end))
        (folder / "exit.part").rename(folder / "exit.json")

    async def remove(self, unit: str) -> None:
        for file in (self.root / unit).iterdir():
            file.unlink()
        (self.root / unit).rmdir()

    async def close(self) -> None:
        for process, thread in self.running:
            process.kill()
            await asyncio.to_thread(thread.join)
            for pipe in (process.stdout, process.stderr):
                assert pipe is not None
                pipe.close()
        await self.runtime.close()


class DockerMachine:
    def __init__(self, _folder: Path) -> None:
        self.engine = Engine()
        self.runtime: LocalRuntime = DockerRuntime(self.engine)
        self.made: dict[str, str] = {}

    async def start(self, program: str) -> str:
        unit = await self.create(program)
        await self.engine.call(lambda client: client.api.start(self.made[unit]))
        return unit

    async def create(self, program: str, network: str = "none") -> str:
        uid = uuid.uuid4().hex

        def create(client: docker.DockerClient) -> str:
            container = client.containers.create(
                IMAGE,
                entrypoint=["python3"],
                command=["-c", program],
                labels=owned_labels(uid, 1, "x"),
                network_mode=network,
                init=True,
            )
            return str(container.id)

        unit = unit_name(uid, 1)
        self.made[unit] = await self.engine.call(create)
        return unit

    async def remove(self, unit: str) -> None:
        ident = self.made.pop(unit)
        await self.engine.call(lambda client: client.api.remove_container(ident, force=True))

    async def close(self) -> None:
        for unit in list(self.made):
            try:
                await self.remove(unit)
            except NotFoundError:
                continue  # the test removed it
        await self.runtime.close()
        await self.engine.close()
