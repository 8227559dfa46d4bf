"""Every part of one controller, wired, and its life from start to stop. Decides nothing itself.

Start-up is the ordinary path: every open job and everything that bears our label goes on the
queue, and the loop finds out what each needs. Made and run by `controller.main`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from loguru import logger

from .. import __version__
from ..api.frames import ImageWanted
from ..api.joining import Joined
from ..api.web.probes import Probes
from ..crd_like_specs.job import Job
from .agent_beside import AgentBeside
from .chosen_platform import Chosen
from .config import Config
from .gitops.sources import Sources
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
