"""`cumulus-controller`: the composition root. It alone knows every part, and only wires them.

Start-up is the ordinary path: every open job and everything that bears our label goes on the
queue, and the loop finds out what each needs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from loguru import logger

from .. import __version__
from ..api.auth import check_exposure
from ..api.frames import ImageWanted
from ..api.joining import Joined
from ..api.program_log import configure_logging
from ..api.web.probes import Probes
from ..crd_like_specs.errors import CumulusError, ValidationError
from ..crd_like_specs.job import Job
from .agent_beside import AgentBeside
from .chosen_platform import Chosen, choose
from .config import Config, default_data_dir, load_config
from .config import __doc__ as config_help
from .gitops.sources import Sources
from .jobrunner_settings import take_over
from .listeners import Listeners
from .platforms.allowed_images import AllowedImages
from .platforms.secret_values import SecretFolder
from .platforms.swarm import SwarmPlatform
from .reloading import Reloading
from .runtime.admission import Admission
from .runtime.agents import Agents
from .runtime.artifact_gate import ArtifactGate
from .runtime.audit import Audit
from .runtime.blobs import Blobs
from .runtime.clock import SystemClock
from .runtime.dataset_part import DatasetPart
from .runtime.desired import Desired
from .runtime.embedded import EmbeddedAgent
from .runtime.executor import Executor
from .runtime.follow import Streams
from .runtime.health import Health
from .runtime.history import History
from .runtime.image_spool import ImageSpool
from .runtime.images import Images
from .runtime.left import Left
from .runtime.logs import Logs
from .runtime.loop import Loop
from .runtime.metrics import Metrics
from .runtime.numbers import Numbers
from .runtime.observers import PlatformObserver
from .runtime.operations import Operations
from .runtime.outputs import OutputsService
from .runtime.overview import Overview
from .runtime.projects import Projects
from .runtime.queue import KeyQueue
from .runtime.reconciler import ORPHAN, Reconciler
from .runtime.records import open_records
from .runtime.room import Room
from .runtime.service import JobsService
from .runtime.shipped_templates import ship
from .runtime.telling import Telling
from .runtime.templates import Templates
from .runtime.upkeep import Upkeep
from .runtime.views import Views
from .runtime.workers import Signals, Workers
from .runtime.world import World
from .security.joining import Place
from .security.setup import Security, place_of
from .tenancy_settings import quotas_of

EXIT_CONFIG = 2
EXIT_FAILED = 1
SIGNALS = """SIGTERM and SIGINT stop it: jobs go on, and are found again at the next start.
SIGHUP has the configuration read again: sources at once, the rest at the next start.
Exit codes: 0 stopped, 1 a part could not start, 2 the configuration is wrong."""


class Controller:
    """Every part of one controller, wired. `run` is its life. read: the configuration anew."""

    def __init__(self, config: Config, chosen: Chosen, read: Callable[[], Config]) -> None:
        self.config = config
        self.chosen = chosen
        platform = chosen.platform
        data = config.data_dir
        clock = SystemClock()
        self.records = open_records(data / "store")
        telling = Telling.open(data / "events", clock, self.records)
        self.events, note = telling.events, telling.events.note
        self.audit = Audit(clock, data / "audit")
        projects = Projects(
            self.records.store, clock.now, quotas_of(config.projects), note, self._projects_changed
        )
        self.logs = Logs(data / "logs")
        blobs = Blobs(data / "blobs")
        self.images = Images(
            chosen.engine,
            ImageSpool(data / "images", config.image_spool),
            chosen.registries,
            clock,
            wanted=self._wanted_images,
            changed=self._images_changed,
        )
        self.world = World(
            self.records,
            self.logs,
            blobs,
            platform=platform.name,
            default_image=chosen.image,
            started=clock.now(),
            best_fit=config.placement == "bestFit",
            images=self.images.seen,
            marked=clock.marked,
            runtimes=config.runtimes,
            limits=projects.limits,
        )
        projects.used = self.world.quotas.use
        projects.waiting = self.records.count_waiting
        queue = KeyQueue()
        self.metrics = Metrics(self.records, self.world, queue, clock)
        self.history = History(self.records, self.world, clock)
        self._left = Left(data)
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
            left=self._left,
        )
        executor = Executor(
            self.records, self.world, platform, self.logs, clock, self, note, self._left
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
        self.upkeep = Upkeep(self.records, blobs, self.logs, clock, self.loop.add, self._left)
        self.beside = AgentBeside(config, platform)
        self.security = Security(
            config,
            self.records.store,
            self.records.workers,
            self._place,
            clock.now,
            agent_token=self.beside.token,
            note=note,
            audit=self.audit,
        )
        if self.security.tokens is not None:
            projects.named = self.security.tokens.projects
        embedded = config.agent.embedded
        self.health = Health(self.records, self.world, clock, embedded=embedded)
        dropped = self.agents.all_wanted_changed
        self.datasets = DatasetPart(
            data / "datasets", config.datasets, self.records, clock, projects, dropped
        )
        self.agents.gone = self.datasets.gone
        projects.dataset_bytes = self.datasets.records.bytes_of
        self.metrics.registry.register(self.datasets.gauges)
        admission = Admission(
            platform.name,
            blobs,
            self.datasets.port,
            config.runtimes,
            AllowedImages(config.images),
            SecretFolder(config.secrets.folder),
            everybody=self.security.tokens is None,
        )
        desired = Desired(self.records, admission, clock, self.loop.add, changed, note)
        self.gitops = Sources(
            config.sources, self.records, desired, blobs, clock, self.health.unready
        )
        self.metrics.registry.register(self.gitops.gauges)
        self.reloading = Reloading(config, read, self.gitops.configure)
        shown = self.gitops.shown
        forget = self.security.forget if self.security.identities is not None else None
        signals = Signals(self._add, changed, forget)
        self.templates = Templates(self.records.store, desired, blobs, clock, note)
        jobs = JobsService(
            desired,
            Views(self.records, self.world, platform, clock, config.image, chosen.python, shown),
            Streams(self.records, self.logs),
            Workers(self.records, self.world, self.agents, platform, clock, signals),
            Operations(
                self.records, self.world, desired, clock, self.events, self._add, self.templates
            ),
        )
        self.listeners = Listeners(
            config,
            self.security,
            jobs=jobs,
            templates=self.templates,
            blobs=blobs,
            agents=self.agents,
            images=self.images,
            artifacts=ArtifactGate(self.records, self._left),
            datasets=self.datasets.port,
            numbers=Numbers(self.records.store, "jobrunner"),
            dataset_files=self.datasets.files,
            outputs=OutputsService(self.records, self._left.outputs),
            overview=Overview(self.records, self.world, self.history, clock),
            probes=Probes(self.health.unhealthy, self.health.unready),
            registry=self.metrics.registry,
            projects=projects,
        )

    # What happens, told to all who count it

    def _transition(self, old: Job, new: Job, rule: str) -> None:
        self.metrics.transition(old, new, rule)
        self.history.transition(old, new)
        self._left.transition(old, new)
        self.datasets.transition(old, new)

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

    def _projects_changed(self) -> None:
        self.world.line.quota_moved()
        self.room.workers_changed()  # reasons for waiting may be others now

    def _wanted_images(self, worker: str) -> Iterable[ImageWanted]:
        return self.agents.wanted_images(worker)

    def _images_changed(self) -> None:
        self.agents.all_wanted_changed()
        self.room.workers_changed()

    # What the executor signals

    def wanted_changed(self, worker: str) -> None:
        """The set of leases wanted on this worker changed."""
        self.agents.wanted_changed(worker)

    def room_freed(self) -> None:
        """A lease is gone: jobs that wait for room may fit now."""
        self.room.freed()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. Services and leases outlive it; the embedded agent does not."""
        await self.observer.list_once()
        await self.images.open()
        for name in self.records.open_jobs():
            self.loop.add(name)
        for uid in self.world.uids():
            if self.records.name_of(uid) is None:
                self.loop.add(f"{ORPHAN}{uid}")
        self.beside.reserve_node(self.security)
        await ship(self.templates)
        await self.listeners.start()
        parts = [self.loop.run(), self.observer.run(), self.upkeep.run(), self._say_ready()]
        parts += [self.images.run(), self.history.run(), self.events.run(), self.audit.run()]
        parts += [
            self.security.keep(self.listeners.renewed),
            self.gitops.run(),
            self.reloading.run(),
            self.datasets.upkeep.run(),
        ]
        if self.config.agent.embedded:
            parts.append((await self._agent()).run())
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
            await self.listeners.stop()
            stopping.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(stopping, *tasks, return_exceptions=True)
            await self.images.close()
            await self.chosen.platform.close()
            self.events.close()
            self.audit.close()
            self.logs.close()
            self.records.store.close()

    async def _say_ready(self) -> None:
        """Health checks answer SERVING from the moment work is welcome."""
        while self.health.unready():  # noqa: ASYNC110 (start-up only; its parts have no common event)
            await asyncio.sleep(0.02)
        await self.listeners.welcome()
        platform = self.chosen.platform
        logger.info("ready on platform {}", platform.name)
        for notice in platform.notices:
            logger.warning(notice)
        await asyncio.Event().wait()

    async def _agent(self) -> EmbeddedAgent:
        return await self.beside.made(self.security, self._facts(), self.listeners.ports[1])

    def _facts(self) -> Joined:
        chosen = self.chosen
        return Joined("", "", chosen.platform.name, image=chosen.image, version=__version__)

    def _place(self) -> Place:
        platform = self.chosen.platform
        swarm = platform.worker_join if isinstance(platform, SwarmPlatform) else None
        return place_of(self.config, self.listeners.ports, self._facts(), swarm)


async def serve(config: Config, read: Callable[[], Config]) -> None:
    """One controller until SIGTERM or SIGINT; SIGHUP has the configuration read again."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    controller = Controller(config, await choose(config), read)
    loop.add_signal_handler(signal.SIGHUP, controller.reloading.ask)
    await controller.run(stop)


def main(arguments: list[str] | None = None) -> None:
    """Entry point; exits 2 where the configuration is wrong, 1 where a part cannot start."""
    parser = argparse.ArgumentParser(
        prog="cumulus-controller",
        description="Take jobs, plan them, run them on the configured platform. Without a "
        "configuration: as plain processes of this machine, gRPC on 127.0.0.1:50051, the "
        f"dashboard on http://127.0.0.1:8080/, data in {default_data_dir()}.",
        epilog=f"the configuration:\n\n{config_help}\n\n{SIGNALS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML; without it, see above")
    parser.add_argument(
        "--insecure", action="store_true", help="listen beyond loopback without TLS and tokens"
    )
    parser.add_argument("--version", action="version", version=__version__)
    given = parser.parse_args(arguments)
    read = partial(load_config, given.config, {"insecure": True} if given.insecure else None)
    try:
        config = read()
        check_exposure(
            config.listeners,
            tls=config.tls.auto or config.tls.cert is not None,
            tokens=config.tls.auto or config.tokens_file is not None or config.jobrunner.has_token,
            insecure=config.insecure,
        )
        configure_logging(config.log.format, config.log.level)
        for name in take_over(os.environ):
            logger.warning("{} says nothing here: workers tell what they have", name)
        config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(config, read))
    except ValidationError as error:
        for problem in error.problems:
            sys.stderr.write(f"cumulus-controller: {problem}\n")
        sys.exit(EXIT_CONFIG)
    except (CumulusError, OSError) as error:
        sys.stderr.write(f"cumulus-controller: {error}\n")
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
