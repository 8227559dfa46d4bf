"""`cumulus-controller`: the composition root. It alone knows every part, and only wires them.

Start-up is the ordinary path: every open job and everything that bears our label goes on the
queue, and the loop finds out what each needs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

from loguru import logger

from .. import __version__
from ..api.auth import check_exposure, is_loopback
from ..api.frames import ImageWanted
from ..api.joining import Joined, worker_name
from ..api.program_log import configure_logging
from ..api.server import GrpcServer
from ..api.web.app import build_app
from ..api.web.probes import Probes
from ..api.web.server import HttpServer
from ..crd_like_specs.errors import CumulusError, ValidationError
from ..crd_like_specs.job import Job
from .config import Config, load_config, read_registries
from .gitops.sources import Sources
from .platforms.base import Platform
from .platforms.image_engine import ImageEngine
from .platforms.process import ProcessPlatform
from .platforms.registries import Registries
from .platforms.swarm import SwarmPlatform
from .platforms.swarm_images import SwarmImages
from .runtime.agents import Agents
from .runtime.artifact_gate import ArtifactGate
from .runtime.artifacts import Artifacts
from .runtime.blobs import Blobs
from .runtime.clock import SystemClock
from .runtime.desired import Admission, Desired
from .runtime.embedded import EmbeddedAgent, kept_token
from .runtime.executor import Executor
from .runtime.follow import Streams
from .runtime.history import History
from .runtime.image_spool import ImageSpool
from .runtime.images import Images
from .runtime.logs import Logs
from .runtime.loop import Loop
from .runtime.metrics import Metrics
from .runtime.observers import PlatformObserver
from .runtime.operations import Operations
from .runtime.overview import Overview
from .runtime.queue import KeyQueue
from .runtime.reconciler import ORPHAN, Reconciler
from .runtime.records import open_records
from .runtime.room import Room
from .runtime.service import JobsService
from .runtime.telling import Telling
from .runtime.upkeep import Upkeep
from .runtime.views import Views
from .runtime.workers import Signals, Workers
from .runtime.world import World
from .security.joining import Place
from .security.setup import Security, dialled_here, place_of

EXIT_CONFIG = 2
EXIT_FAILED = 1


class Controller:
    """Every part of one controller, wired. `run` is its life."""

    def __init__(
        self,
        config: Config,
        platform: Platform,
        image: str,
        engine: ImageEngine | None,
        registries: Registries,
        python: str,
    ) -> None:
        self.config = config
        self.platform = platform
        data = config.data_dir
        clock = SystemClock()
        self.records = open_records(data / "store")
        telling = Telling.open(data / "events", clock, self.records)
        self.events, note = telling.events, telling.events.note
        self.logs = Logs(data / "logs")
        blobs = Blobs(data / "blobs")
        self.images = Images(
            engine,
            ImageSpool(data / "images", config.image_spool),
            registries,
            clock,
            wanted=self._wanted_images,
            changed=self._images_changed,
        )
        self.world = World(
            self.records,
            self.logs,
            blobs,
            platform=platform.name,
            default_image=image,
            started=clock.now(),
            best_fit=config.placement == "bestFit",
            images=self.images.seen,
            marked=clock.marked,
        )
        queue = KeyQueue()
        self.metrics = Metrics(self.records, self.world, queue, clock)
        self.history = History(self.records, self.world, clock)
        artifacts = Artifacts(data / "artifacts")
        self.agents = Agents(
            self.records,
            self.world,
            self.logs,
            clock,
            look=self._look_now,
            add=self._add,
            room=self._workers_changed,
            overrun=self._overran,
            images=self.images,
            job_image=config.image,
            told=telling.lease,
            artifacts=artifacts,
        )
        executor = Executor(
            self.records, self.world, platform, self.logs, clock, self, note, artifacts
        )
        reconciler = Reconciler(
            self.records,
            self.world,
            executor,
            clock,
            telling.after(self._transition),
            moved_up=self.room_freed,
        )
        self.loop = Loop(queue, reconciler.reconcile, clock, reconciler.who)
        self.room = Room(self.records, self.world, clock, self.loop.add)
        changed = self.room.workers_changed
        self.observer = PlatformObserver(
            platform, self.world, self.records, clock, self.loop.add, changed
        )
        self.upkeep = Upkeep(self.records, blobs, self.logs, clock, self.loop.add, artifacts)
        self._artifacts = artifacts
        self._clock = clock
        self._agent_data = data / "agent"
        self._agent_data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._agent_token = kept_token(self._agent_data / "token")
        self._image = image
        self._port = 0
        self.security = Security(
            config,
            self.records.store,
            self.records.workers,
            self._place,
            clock.now,
            agent_token=self._agent_token,
            note=note,
        )
        admission = Admission(platform.name, blobs)
        desired = Desired(self.records, admission, clock, self.loop.add, changed, note)
        self.gitops = Sources(config.sources, self.records, desired, blobs, clock, self.unready)
        self.metrics.registry.register(self.gitops.gauges)
        shown = self.gitops.shown
        forget = self.security.forget if self.security.identities is not None else None
        signals = Signals(self._add, changed, forget)
        self.jobs = JobsService(
            desired,
            Views(self.records, self.world, platform, clock, config.image, python, shown),
            Streams(self.records, self.logs),
            Workers(self.records, self.world, self.agents, platform, clock, signals),
            Operations(self.records, self.world, desired, clock, self.events, self._add),
        )
        tls, tokens = self.security.tls, self.security.tokens
        self.grpc = GrpcServer(
            jobs=self.jobs,
            blobs=blobs,
            agents=self.agents,
            images=self.images,
            artifacts=ArtifactGate(self.records, artifacts),
            listen=config.listen.grpc,
            tls=tls,
            tokens=tokens,
            fleet=self.security.fleet,
            join=self.security.join,
        )
        self.http = HttpServer(
            build_app(
                jobs=self.jobs,
                overview=Overview(self.records, self.world, self.history, clock),
                probes=Probes(self.unhealthy, self.unready),
                registry=self.metrics.registry,
                tokens=tokens,
                local=is_loopback(config.listen.http),
            ),
            listen=config.listen.http,
            certificate=str(tls.certificate) if tls else None,
            key=str(tls.key) if tls else None,
        )

    # What happens, told to all who count it

    def _transition(self, old: Job, new: Job, rule: str) -> None:
        self.metrics.transition(old, new, rule)
        self.history.transition(old, new)
        # What its status names no more is of no use to anybody.
        kept = {snapshot.digest for snapshot in new.status.checkpoints}
        gone = {snapshot.digest for snapshot in old.status.checkpoints} - kept
        self._artifacts.drop(new.metadata.uid, gone)

    def _overran(self, seconds: float) -> None:
        self.metrics.overrun(seconds)
        self.history.overran(seconds)

    # Parts that come after the agents' side in construction

    def _look_now(self, unit: str) -> None:
        self.observer.look_now(unit)

    def _add(self, key: str) -> None:
        self.loop.add(key)

    def _workers_changed(self) -> None:
        self.room.workers_changed()

    def _wanted_images(self, worker: str) -> Iterable[ImageWanted]:
        return self.agents.wanted_images(worker)

    def _images_changed(self) -> None:
        self.agents.images_changed()
        self.room.workers_changed()

    # What the executor signals

    def wanted_changed(self, worker: str) -> None:
        """The set of leases wanted on this worker changed."""
        self.agents.wanted_changed(worker)

    def room_freed(self) -> None:
        """A lease is gone: jobs that wait for room may fit now."""
        self.room.freed()

    # Probes

    def unhealthy(self) -> tuple[str, ...]:
        """What keeps the controller from doing its work at all."""
        return () if self.records.store.healthy else ("the store refuses writes: see the log",)

    def unready(self) -> tuple[str, ...]:
        """What keeps it from being given work now."""
        against = list(self.unhealthy())
        if not self.world.services.observed:
            against.append(f"the platform {self.platform.name} has not answered")
        if self.config.agent.embedded and not self._any_worker():
            against.append("the embedded agent has not reported yet")
        return tuple(against)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. Services and leases outlive it; the embedded agent does not."""
        await self.observer.list_once()
        await self.images.open()
        for name in self.records.open_jobs():
            self.loop.add(name)
        for uid in self.world.uids():
            if self.records.name_of(uid) is None:
                self.loop.add(f"{ORPHAN}{uid}")
        self._reserve_own_node()
        self._port = await self.grpc.start()
        http_port = await self.http.start()
        ports = (self._port, self.grpc.agents_port, http_port)
        logger.info("gRPC on port {}, agents on port {}, HTTP on port {}", *ports)
        parts = [self.loop.run(), self.observer.run(), self.upkeep.run(), self._say_ready()]
        parts += [self.images.run(), self.history.run(), self.events.run()]
        parts += [self.security.keep(self.http.renewed), self.gitops.run()]
        if self.config.agent.embedded:
            parts.append((await self._embedded()).run())
        tasks = [asyncio.create_task(part) for part in parts]
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done() and not task.cancelled():
                    task.result()  # a part that ended by itself is a bug: raise what ended it
        finally:
            logger.info("stopping")
            self.agents.close()
            self.room.close()
            await self.grpc.stop(grace=1.0)
            await self.http.stop()
            stopping.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(stopping, *tasks, return_exceptions=True)
            await self.images.close()
            await self.platform.close()
            self.events.close()
            self.logs.close()
            self.records.store.close()

    async def _say_ready(self) -> None:
        """Health checks answer SERVING from the moment work is welcome."""
        while self.unready():  # noqa: ASYNC110 (start-up only; its parts have no common event)
            await asyncio.sleep(0.02)
        await self.grpc.set_serving(serving=True)
        logger.info("ready on platform {}", self.platform.name)
        for notice in self.platform.notices:
            logger.warning(notice)
        await asyncio.Event().wait()

    def _any_worker(self) -> bool:
        return any(worker.ready for worker in self.world.workers(self._clock.now()))

    def _facts(self, worker: str = "", agents: str = "") -> Joined:
        return Joined(worker, agents, self.platform.name, image=self._image, version=__version__)

    def _place(self) -> Place:
        swarm = self.platform.worker_join if isinstance(self.platform, SwarmPlatform) else None
        return place_of(self.config, (self._port, self.grpc.agents_port), self._facts(), swarm)

    def _reserve_own_node(self) -> None:
        """Nobody but the embedded agent may call this machine its own."""
        if isinstance(self.platform, SwarmPlatform) and self.security.identities is not None:
            own = self._own_worker() if self.config.agent.embedded else ""
            self.security.identities.reserve(self.platform.node_id, own)

    def _own_worker(self) -> str:
        return self.config.agent.name or worker_name(socket.gethostname())

    async def _embedded(self) -> EmbeddedAgent:
        config, data = self.config, self._agent_data
        address = dialled_here(config.agents_listen, self.grpc.agents_port)
        process = self.platform.name == "process"
        command = [
            sys.executable, "-m", "cumulus.chronos_bindings.agent.main",
            "--data", str(data),
            "--platform", "process" if process else "docker",
            "--partitioner", config.agent.partitioner,
        ]  # fmt: skip
        if process:
            command += ["--process-root", str(config.data_dir / "units")]
        else:
            command += ["--image", config.image, "--endpoint", config.platform.endpoint]
        name, identity = self._own_worker(), data / "identity"
        if await self.security.give_own_agent(identity, self._facts(name, address)):
            command += ["--identity", str(identity)]
            return EmbeddedAgent(command, data / "lock", data / "agent.log")
        command += ["--controller", address, "--name", name]
        trusted = config.tls.ca or config.tls.cert
        if trusted is not None:
            command += ["--ca", str(trusted)]
        secret = {"CUMULUS_AGENT_TOKEN": self._agent_token}  # never in argv
        return EmbeddedAgent(command, data / "lock", data / "agent.log", secret)


def build_platform(config: Config, registries: Registries) -> tuple[Platform, ImageEngine | None]:
    """The platform that the configuration names, and what holds its images."""
    if config.platform.type == "swarm":
        endpoint = config.platform.endpoint
        return SwarmPlatform(endpoint, registries=registries), SwarmImages(endpoint)
    return ProcessPlatform(config.data_dir / "units"), None


async def serve(config: Config) -> None:
    """One controller until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    registries = read_registries(config.registries)
    platform, engine = build_platform(config, registries)
    await platform.start()
    image = await platform.image_id(config.image)
    python = await platform.python_of(config.image)
    await Controller(config, platform, image, engine, registries, python).run(stop)


def main(arguments: list[str] | None = None) -> None:
    """Entry point; exits 2 where the configuration is wrong, 1 where a part cannot start."""
    parser = argparse.ArgumentParser(prog="cumulus-controller", description=__doc__)
    parser.add_argument("--config", type=Path, help="YAML file, see controller/config.py")
    parser.add_argument(
        "--insecure", action="store_true", help="listen openly without TLS and tokens"
    )
    given = parser.parse_args(arguments)
    try:
        config = load_config(given.config, {"insecure": True} if given.insecure else None)
        check_exposure(
            config.listeners,
            tls=config.tls.auto or config.tls.cert is not None,
            tokens=config.tls.auto or config.tokens_file is not None,
            insecure=config.insecure,
        )
        configure_logging(config.log.format, config.log.level)
        config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(config))
    except ValidationError as error:
        for problem in error.problems:
            sys.stderr.write(f"cumulus-controller: {problem}\n")
        sys.exit(EXIT_CONFIG)
    except (CumulusError, OSError) as error:
        sys.stderr.write(f"cumulus-controller: {error}\n")
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
