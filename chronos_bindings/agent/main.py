"""`cumulus-agent`: the composition root of a worker's agent.

    cumulus-agent join --controller HOST:50051 --data DIR    makes it a worker: `join_command`
    cumulus-agent --identity DIR/identity --data DIR --platform docker
    cumulus-agent --controller 127.0.0.1:50051 --data DIR --platform docker|process …
    cumulus-agent status --data DIR        what it last knew: see `status_file`

Exit codes: 0 stopped by SIGTERM or SIGINT, 2 bad arguments, 75 another agent has the data folder,
1 anything else. Units run on after it, in every case; their ends are on disk for the next agent.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import Coroutine, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, Final

import grpc
import grpc.aio
from loguru import logger

from ...api.program_log import configure_logging
from ...crd_like_specs.errors import CumulusError, DriverError
from ...crd_like_specs.identity import JOB_UID
from ...crd_like_specs.meta import Condition
from ..choose import Choice, choose
from ..hardware import Hardware, find
from . import status_file
from .agent import Agent, Machine
from .clock import SystemClock
from .deadlines import DEADLINES, Deadlines
from .devices import Devices
from .engine import Engine
from .env_cache import EnvCache, units_in_use
from .guard import Guard
from .identity import Identity
from .image_store import DockerImages
from .isolation import Isolation
from .join_command import main as join_main
from .link import Link
from .node_facts import DockerFacts, ProcessFacts
from .options import Options, parse
from .pip_docker import PipDocker
from .pip_process import PipProcess
from .ports import LocalRuntime, NodeFacts
from .prepare import Builder, PipPreparer
from .runtime_docker import DockerRuntime
from .runtime_process import ProcessRuntime
from .stream import ceiling, channel_options
from .unit_usage import DockerUses, ProcessUses, UnitUses
from .usage import Cards, Usage

LOCKED: Final = 75


def main(argv: Sequence[str] | None = None) -> int:
    """See the module docstring."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["join"]:
        return join_main(words[1:])
    if words[:1] == ["status"]:
        return status_file.main(words[1:])
    options = parse(words)
    configure_logging(options.log_format, options.log_level)
    try:
        options.data.mkdir(parents=True, exist_ok=True)
        with locked(options.data / "lock") as held:
            if held is None:
                logger.error("another agent has {}", options.data)
                return LOCKED
            return asyncio.run(serve(options))
    except CumulusError as e:
        logger.error("the agent cannot run: {}", e.message)
    except OSError as e:
        logger.error("the agent cannot run: {}: {}", e.strerror, e.filename)
    return 1


@contextlib.contextmanager
def locked(path: Path) -> Iterator[IO[str] | None]:
    """The lock file, which holds this process's id; None where another process has it."""
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        try:
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), f"{os.getpid()}\n".encode())
        except OSError as e:  # a full disk must not keep an agent from ending leases
            logger.warning("{} does not tell this process's id: {}", path, e.strerror)
        yield file


async def serve(options: Options) -> int:
    """Until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopped.set)
    clock = SystemClock()
    engine = Engine(options.endpoint or None) if options.platform == "docker" else None
    guard = asyncio.ensure_future(
        Guard(_runtime(options, engine), Deadlines(options.data / DEADLINES, clock), clock).run()
    )
    uid = JOB_UID if options.platform == "docker" else os.getuid()
    found = await asyncio.to_thread(find, uid)
    for note in found.notes:
        logger.info(note)
    choice = await asyncio.to_thread(_choose, options, found)
    logger.bind(backend=choice.partitioner.backend).info("shares are held: {}", choice.reason)
    machine = await _machine(options, engine, found, Devices(found, uid), choice)
    identity = Identity(options.identity, options.controller, clock) if options.identity else None
    link = identity.link if identity else Link(_channel(options))
    bulk = identity.bulk if identity else Link(_channel(options))
    agent = Agent(
        options.name,
        machine,
        link.as_channel,
        options.data,
        clock,
        version=version("cumulus"),
        pause_ceiling=ceiling(options.controller),
        metadata=(("authorization", f"Bearer {options.token}"),) if options.token else (),
        bulk=bulk.as_channel,
    )
    guard.cancel()  # from here on the agent's keeper has them
    try:
        code = await _until([agent.run(), *([identity.keep()] if identity else [])], stopped)
    finally:
        await asyncio.gather(link.close(), bulk.close())
    await machine.runtime.close()
    if engine is not None:
        await engine.close()
    if found.reader is not None:
        await asyncio.to_thread(found.reader.close)
    return code


async def _until(parts: Sequence[Coroutine[Any, Any, None]], stopped: asyncio.Event) -> int:
    logger.info("agent started")
    running = [asyncio.ensure_future(part) for part in parts]
    stopping = asyncio.ensure_future(stopped.wait())
    await asyncio.wait({stopping, *running}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    ended = [part for part in running if part.done()]
    for part in running:
        part.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for part in ended:
        part.result()
    if ended:
        return 1
    logger.info("agent stopped")
    return 0


def _runtime(options: Options, engine: Engine | None) -> DockerRuntime | ProcessRuntime:
    if engine is not None:
        return DockerRuntime(engine)
    options.process_root.mkdir(parents=True, exist_ok=True)
    return ProcessRuntime(options.process_root)


def _choose(options: Options, found: Hardware) -> Choice:
    return choose(
        (device.index for device in found.devices),
        prefer=options.partitioner,
        env=found.env,
        unseen=found.unseen,
    )


async def _machine(
    options: Options, engine: Engine | None, found: Hardware, devices: Devices, choice: Choice
) -> Machine:
    runtime: LocalRuntime
    facts: NodeFacts
    builder: Builder
    units: UnitUses
    images = None
    if engine is not None:
        runtime = docker_runtime = DockerRuntime(engine)
        units = DockerUses(engine, docker_runtime.containers)
        facts = DockerFacts(engine, Isolation(engine, options.image), options.data, options.labels)
        builder = pip = PipDocker(engine)
        images = DockerImages(engine)
        try:
            await pip.clean()
        except DriverError as e:
            logger.warning("preparations of an agent before this one may be left: {}", e.message)
    else:
        runtime = process_runtime = ProcessRuntime(options.process_root)
        units = ProcessUses(process_runtime.leaders)
        facts = ProcessFacts(options.data, options.labels)
        builder = PipProcess()
    staging = options.data / "staging"
    preparer = PipPreparer(
        EnvCache(options.data / "envs", in_use=lambda: units_in_use(staging)), builder
    )
    await preparer.open()
    backend = choice.partitioner.backend
    usage = Usage(units, Cards(found), options.data)
    return Machine(
        runtime=runtime,
        preparer=preparer,
        partitioner=choice.partitioner,
        facts=facts,
        devices=devices.all,
        env_of=devices.env_of,
        mounts_of=devices.mounts_of,
        look=devices.look,
        usage=usage.read,
        memory=usage,
        images=images,
        job_user=JOB_UID if engine is not None else None,
        dataset_cache=options.dataset_cache,
        conditions=(
            Condition(
                type="ChronosWorks",
                status=backend == "chronos",
                reason="TrialShareTaken" if backend == "chronos" else "LedgerInUse",
                message=choice.reason,
                since=SystemClock().wall(),
            ),
        ),
    )


def _channel(options: Options) -> grpc.aio.Channel:
    settings = channel_options(options.controller)
    if options.ca is None:
        return grpc.aio.insecure_channel(options.controller, options=settings)
    credentials = grpc.ssl_channel_credentials(options.ca.read_bytes())
    return grpc.aio.secure_channel(options.controller, credentials, options=settings)


if __name__ == "__main__":
    sys.exit(main())
