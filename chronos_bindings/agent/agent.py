"""A worker's agent: its parts wired together, and the loops between them. Made by `main`.

runtime ── changes ──▶ look now, list again ──▶ keeper ── a task per lease ──▶ runtime, shares
controller ◀── stream ── state, hints, logs         ▲
──▶ wanted, acknowledgements ────────────┴──▶ log pumps ◀── runtime's logs
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc.aio
from loguru import logger

from ...api.frames import LogAck, LogBatch, NodeReport, NodeUsage, Wanted
from ...api.records import LOG_LIMIT
from ...crd_like_specs.errors import DriverError
from ...crd_like_specs.lease import LeaseMount
from ...crd_like_specs.meta import Condition
from ...crd_like_specs.worker import Device, WorkerStatus
from ..base import Partitioner
from .artifact_client import GrpcArtifacts
from .blob_cache import BlobCache
from .blob_client import GrpcBlobs
from .checkpoints import Checkpoints
from .dataset_cache import DatasetCache
from .dataset_client import GrpcDatasets
from .dataset_folder import DatasetFolder
from .deadlines import DEADLINES, Deadlines
from .image_client import GrpcImages
from .image_ports import ImageStore, NoImages
from .images import Images
from .keeper import Keeper
from .kept import Kept
from .lease_task import Tools
from .log_pumps import LogPumps
from .node_facts import Conditions
from .outputs import Outputs
from .ports import Clock, DeviceMemory, LocalRuntime, NodeFacts, Preparer
from .saving import Saver
from .shares import Shares
from .staging import Staging, datasets_in_use
from .status_file import StatusFile
from .stream import Peer, Stream
from .transfer import Metadata
from .unit_conditions import unit_conditions

FACTS_SECONDS: Final = 30.0
USAGE_SECONDS: Final = 5.0
_FACTS_RETRY: Final = 1.0


@dataclass(frozen=True)
class Machine:
    """What the agent runs on. devices: those that are leased; env_of, mounts_of: see
    `lease_task.Tools`; conditions: of the worker, fixed while the agent runs. look: the devices
    with what enforces a share of them now (blocks); usage: what is used now, None to tell nothing.
    images: of the engine, None where units are no containers. memory: of the devices, None where
    nobody can tell what holds it. job_user: uid that jobs run as, None: the agent's own.
    dataset_cache: bytes that datasets may take on the disk, 0 for half of it.
    """

    runtime: LocalRuntime
    preparer: Preparer
    partitioner: Partitioner
    facts: NodeFacts
    devices: tuple[Device, ...]
    env_of: Callable[[tuple[int, ...], int], Mapping[str, str]]
    conditions: tuple[Condition, ...] = ()
    mounts_of: Callable[[tuple[int, ...]], tuple[LeaseMount, ...]] = lambda _devices: ()
    look: Callable[[], tuple[Device, ...]] | None = None
    usage: Callable[[], Awaitable[NodeUsage]] | None = None
    images: ImageStore | None = None
    memory: DeviceMemory | None = None
    job_user: int | None = None
    dataset_cache: int = 0


class Agent:
    """worker: name of this worker. data: absolute folder of this agent alone. version: as shown.

    pause_ceiling: longest pause between attempts to connect, seconds. log_limit: bytes of log
    kept of each unit. metadata: sent with every call. bulk: where images come by, so that no
    heartbeat waits behind them (default: `channel`).
    """

    def __init__(
        self,
        worker: str,
        machine: Machine,
        channel: grpc.aio.Channel,
        data: Path,
        clock: Clock,
        *,
        version: str,
        pause_ceiling: float,
        log_limit: int = LOG_LIMIT,
        metadata: Metadata = (),
        bulk: grpc.aio.Channel | None = None,
    ) -> None:
        self._worker = worker
        self._machine = machine
        self._clock = clock
        self._version = version
        self._file = StatusFile(data, worker, version)
        self._status = WorkerStatus()
        self._labels: Mapping[str, str] = {}
        self._wanted = Wanted()
        self._conditions = Conditions(clock.wall)
        self._list_due = asyncio.Event()
        self._read_due = asyncio.Event()
        peer = Peer(
            report=self.report,
            wanted=self._hear_wanted,
            ack=self._hear_ack,
            contact=self._hear_contact,
            heard=self._hear_echo,
            take=self._take,
        )
        self.stream = Stream(channel, clock, peer, pause_ceiling=pause_ceiling, metadata=metadata)
        self.pumps = LogPumps(machine.runtime, clock, ready=self.stream.logs_ready, limit=log_limit)
        artifacts = GrpcArtifacts(bulk or channel, worker, metadata=metadata)
        archives = BlobCache(data / "checkpoints", None)
        root = data / "staging"
        self.datasets = DatasetCache(
            DatasetFolder(data / "datasets", clock.wall),
            GrpcDatasets(bulk or channel, worker, metadata=metadata),
            limit=machine.dataset_cache or shutil.disk_usage(data).total // 2,
            in_use=lambda: datasets_in_use(root),
            changed=lambda: self.stream.report_changed(urgent=False),
        )
        self.staging = Staging(
            root,
            BlobCache(data / "blobs", GrpcBlobs(channel, worker, metadata=metadata)),
            archives,
            artifacts,
            machine.job_user,
            self.datasets,
        )
        saver = Saver(data / "outbox", artifacts, clock, contact=lambda: self.keeper.contact)
        changed = self._kept
        self.kept = Kept(
            Checkpoints(root, archives, saver, changed=changed),
            Outputs(root, saver, changed=changed),
            clock,
        )
        self.shares = Shares(machine.partitioner)
        self.images = (
            None
            if machine.images is None
            else Images(
                machine.images,
                GrpcImages(bulk or channel, worker, metadata=metadata),
                data / "images",
                clock,
                changed=lambda: self.stream.report_changed(urgent=True),
            )
        )
        self.keeper = Keeper(
            Tools(
                machine.runtime,
                self.staging,
                machine.preparer,
                self.shares,
                clock,
                machine.env_of,
                self.pumps.say,
                machine.mounts_of,
                self.images or NoImages(),
                machine.memory,
                self.kept,
            ),
            Deadlines(data / DEADLINES, clock),
            changed=lambda urgent: self.stream.report_changed(urgent=urgent),
            listed=self._follow,
        )

    async def run(self) -> None:
        """Until cancelled; returns only where it has to be started anew. Units run on after it."""
        self._file.contact(contact=False)
        await self.keeper.start()  # deadlines first: they need nobody else
        loops = [
            asyncio.ensure_future(loop)
            for loop in (
                self.keeper.watch(),
                self.keeper.broken(),
                self._watch_units(),
                self._list_units(),
                self._watch_facts(),
                self._talk(),
                self._tell_usage(),
                self.kept.run(),
                self.datasets.run(),
                *([self.images.run()] if self.images else []),
            )
        ]
        try:
            done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in loops:
                task.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await self.pumps.stop()
            await self.keeper.stop()
            await self.kept.stop()
            await self.shares.close()

    def report(self) -> NodeReport:
        """The whole state, as it is now."""
        own = unit_conditions(self._conditions, looked=self.keeper.looked, stuck=self.keeper.stuck)
        conditions = (*self._status.conditions, *own)
        if self.images is not None:
            conditions = (*conditions, self.images.condition())
        status = self._status.model_copy(
            update={"conditions": conditions, "datasets": self.datasets.digests}
        )
        return NodeReport(self._worker, status, self._labels, self.keeper.reports())

    # What the controller says

    def _hear_wanted(self, frame: Wanted, first: bool) -> None:
        old, self._wanted = self._wanted, frame
        if first:
            self.pumps.rewind(frame)
        if self.images is not None and (first or frame.images != old.images):
            self.images.set_wanted(frame.images)  # before the leases that wait for them
        self.datasets.drop(frame.dropped)
        self.keeper.set_wanted(frame)
        self._follow()

    def _hear_ack(self, ack: LogAck) -> None:
        self.pumps.ack(ack)

    def _take(self) -> LogBatch | None:
        return self.pumps.take()

    def _hear_contact(self, contact: bool) -> None:
        self._file.contact(contact=contact)
        self.keeper.set_contact(contact=contact)

    def _hear_echo(self, at: float) -> None:
        self.keeper.set_heard(at)

    def _kept(self, unit: str) -> None:
        self.keeper.kept(unit)

    # What the machine says

    def _follow(self) -> None:
        self.pumps.follow(self.keeper.seen_units(), self._wanted)

    async def _watch_units(self) -> None:
        async for unit in self._machine.runtime.changes():
            self.stream.look_now(unit)
            self.keeper.look(unit)
            self.pumps.follow([unit], self._wanted)
            self._list_due.set()

    async def _list_units(self) -> None:
        while True:
            await self._list_due.wait()
            self._list_due.clear()
            await self.keeper.refresh_units()

    async def _talk(self) -> None:
        """Connect once there is something to say: a worker without its facts takes no jobs."""
        while not await self._read_facts():
            await self._clock.sleep_until(self._clock.monotonic() + _FACTS_RETRY)
        timer = asyncio.ensure_future(self._reread_facts())
        try:
            await self.stream.run()
        finally:
            timer.cancel()
            await asyncio.gather(timer, return_exceptions=True)

    async def _watch_facts(self) -> None:
        async for _ in self._machine.facts.changes():
            self._read_due.set()

    async def _reread_facts(self) -> None:
        while True:
            alarm = asyncio.ensure_future(self._ring())
            try:
                await self._read_due.wait()
            finally:
                alarm.cancel()
            self._read_due.clear()
            await self._read_facts()

    async def _ring(self) -> None:
        """A cancelled alarm stays silent: were it heard, each reading would cause the next."""
        await self._clock.sleep_until(self._clock.monotonic() + FACTS_SECONDS)
        self._read_due.set()

    async def _tell_usage(self) -> None:
        """Now and then, while somebody hears it."""
        read = self._machine.usage
        while True:
            await self._clock.sleep_until(self._clock.monotonic() + USAGE_SECONDS)
            if read is not None and self.keeper.contact:
                try:
                    self.stream.used(await read())
                except OSError as e:
                    logger.warning(
                        "what is used here cannot be told: {}: {}", e.strerror, e.filename
                    )

    async def _read_facts(self) -> bool:
        machine = self._machine
        try:
            status, labels = await machine.facts.read(), await machine.facts.labels()
            devices = await asyncio.to_thread(machine.look) if machine.look else machine.devices
        except DriverError as e:
            logger.warning("this machine cannot be looked at: {}", e.message)
            return False
        self._labels = labels
        self._status = status.model_copy(
            update={
                "devices": devices,
                "partitioner": self.shares.backend,
                "staging_root": str(self.staging.root),
                "agent_version": self._version,
                "dataset_cache": self.datasets.limit,
                "last_heartbeat": 0.0,
                "conditions": (*status.conditions, *machine.conditions),
            }
        )
        self._file.seen(self._status)
        if self.images is not None:
            self.images.look()
        self.stream.report_changed(urgent=True)
        return True
