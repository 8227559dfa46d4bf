"""Carries out what a plan asks for, one action at a time. Decides nothing.

Each action may be repeated; each failure is a `Temporary` or `Permanent` that the reconciler
turns into a back-off or an end. Called by `reconciler.py` only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ...api.happened import Happened
from ...crd_like_specs.errors import NotFoundError, Temporary
from ...crd_like_specs.identity import parse_unit
from ...crd_like_specs.lease import Lease
from ..platforms.base import LogFrame, Platform
from ..reconcile.actions import (
    Action,
    CollectJob,
    CollectLogs,
    CreateService,
    ForgetLease,
    PutLease,
    ReleaseLease,
    RemoveService,
)
from .clock import Clock
from .happenings import of_job
from .lease_clock import lengthened
from .left import Left
from .logs import Logs
from .records import Records
from .world import World


class Signals(Protocol):
    """Who must hear of what an action changed."""

    def wanted_changed(self, worker: str) -> None:
        """The set of leases wanted on this worker changed."""

    def room_freed(self) -> None:
        """A lease is gone: jobs that wait for room may fit now."""


class Executor:
    """platform: where services run; signals: told after each change that others act upon; note:
    keeps an event; left: what attempts left.
    """

    def __init__(
        self,
        records: Records,
        world: World,
        platform: Platform,
        logs: Logs,
        clock: Clock,
        signals: Signals,
        note: Callable[[Happened], None] = lambda _: None,
        left: Left | None = None,
    ) -> None:
        self._note = note
        self._records = records
        self._world = world
        self._platform = platform
        self._logs = logs
        self._clock = clock
        self._signals = signals
        self._left = left

    async def do(self, action: Action) -> None:
        """Carry out one action; returns when it is durable or the platform has accepted it."""
        match action:
            case PutLease(lease):
                await self._put_lease(lease)
            case ReleaseLease(name):
                await self._release(name)
            case ForgetLease(name):
                await self._forget(name)
            case CreateService(service):
                await self._platform.create(service)
                self._world.services.created(
                    service.name, service.uid, service.attempt, service.node_id
                )
            case RemoveService(name):
                await self._platform.remove(name)
                self._world.services.removed(name)
            case CollectLogs(name, last):
                await self._collect_logs(name, last=last)
            case CollectJob(uid, name):
                await self._collect_job(uid, name)

    async def _put_lease(self, lease: Lease) -> None:
        name = lease.metadata.name
        if name not in self._records.leases:
            self._changed(name, await self._records.put_lease(lease, expect=0))
            return
        # What was seen of it since the plan was made stays.
        self._changed(
            name,
            await self._records.change_lease(
                name, lambda known: lengthened(known, lease.spec, self._clock)
            ),
        )

    async def _release(self, name: str) -> None:
        now = self._clock.now()

        def release(lease: Lease) -> Lease:
            if lease.metadata.deletion_timestamp is not None:
                return lease
            meta = lease.metadata.model_copy(update={"deletion_timestamp": now})
            return lease.model_copy(update={"metadata": meta})

        lease = await self._records.change_lease(name, release)
        self._changed(name, lease)
        if lease is not None and lease.vacated:
            self._signals.room_freed()

    async def _forget(self, name: str) -> None:
        lease = self._records.leases.get(name)
        if lease is None:
            return
        quotas = self._world.quotas
        try:
            spent = quotas.settle(lease, self._clock.now())
            await self._records.delete_lease(name, spent)
        except BaseException:  # also when we are stopped: the books say what is on record, no more
            quotas.unsettle(lease)
            raise
        self._world.lease_changed(name, lease.spec.job)
        self._signals.wanted_changed(lease.spec.worker)
        self._signals.room_freed()

    def _changed(self, name: str, lease: Lease | None) -> None:
        if lease is not None:
            self._world.lease_changed(name, lease.spec.job)
            self._signals.wanted_changed(lease.spec.worker)

    async def _collect_job(self, uid: str, name: str) -> None:
        job = self._records.job(name)
        attempts = job.status.attempt if job is not None and job.metadata.uid == uid else 0
        await self._records.delete_job(name, uid)
        self._logs.delete(uid, attempts)
        if job is not None and job.metadata.uid == uid:
            asked = job.metadata.deletion_timestamp is not None
            self._note(of_job(job, "Deleted", "" if asked else "its time to live is over"))
        if self._left is not None:
            self._left.delete(uid)

    async def _collect_logs(self, name: str, *, last: bool) -> None:
        assert parse_unit(name) is not None
        frames: list[LogFrame] | None = None
        try:
            frames = await self._platform.logs(name)
        except NotFoundError:  # gone meanwhile: what was delivered is all there is
            frames, last = [], True
        except Temporary:
            if not last:
                raise
        await self._logs.collect(name, frames, last=last, now=self._clock.now())
