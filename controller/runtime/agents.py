"""Where agents report to: their observed state in, the set of leases wanted on them out.

Level-triggered both ways: a report replaces everything known of the worker, and the wanted set is
sent whole whenever it may have changed. Implements `api.ports.AgentsPort` on the event loop.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Final

from loguru import logger

from ...api.frames import (
    ControllerFrame,
    Heartbeat,
    LeaseWanted,
    LogAck,
    LogBatch,
    LookNow,
    NodeReport,
    Wanted,
)
from ...crd_like_specs.lease import Lease, LeaseState, LeaseStatus
from ...crd_like_specs.meta import ObjectMeta
from ...crd_like_specs.worker import Worker
from .clock import Clock
from .logs import Logs
from .records import Records
from .world import World

BEAT_SECONDS: Final = 1.0

_RANK: Final = {state: rank for rank, state in enumerate(LeaseState)}


class Agents:
    """look(unit): list the platform soon; add(key): put a job on the queue; room(): jobs that
    wait may fit now; overrun(seconds): a lease ended so long after its time.
    """

    def __init__(
        self,
        records: Records,
        world: World,
        logs: Logs,
        clock: Clock,
        *,
        look: Callable[[str], None],
        add: Callable[[str], None],
        room: Callable[[], None],
        overrun: Callable[[float], None],
    ) -> None:
        self._records = records
        self._world = world
        self._logs = logs
        self._clock = clock
        self._look = look
        self._add = add
        self._room = room
        self._overrun = overrun
        self._sessions: dict[str, Session] = {}

    # AgentsPort

    async def session(self, worker: str, peer: str) -> Session:
        """Open one; an older session of the same worker ends."""
        older = self._sessions.get(worker)
        if older is not None:
            older.end()
        session = self._sessions[worker] = Session(self, worker)
        logger.bind(worker=worker).info("agent connected from {}", peer)
        return session

    async def may_read_blob(self, worker: str, digest: str) -> bool:
        """Whether a lease wanted on this worker ("" any) needs that code."""
        return any(
            wanted.code_digest == digest
            for lease in self._records.leases.values()
            if worker in ("", lease.spec.worker) and (wanted := self._compose(lease)) is not None
        )

    # What the executor signals

    def wanted_changed(self, worker: str) -> None:
        """Send the wanted set anew."""
        session = self._sessions.get(worker)
        if session is not None:
            session.wake()

    def close(self) -> None:
        """End every session."""
        for session in list(self._sessions.values()):
            session.end()

    # What sessions hand over

    def wanted(self, worker: str) -> Wanted:
        """Everything wanted on the worker now."""
        leases = (x for x in self._records.leases.values() if x.spec.worker == worker)
        composed = (self._compose(x) for x in leases if x.metadata.deletion_timestamp is None)
        return Wanted(tuple(item for item in composed if item is not None))

    async def report(self, report: NodeReport) -> None:
        """The worker's whole state: its record, and the status of every lease on it."""
        now, name = self._clock.now(), report.worker
        await self._put_worker(report)
        self._world.agent_heard(name, now)
        seen = {lease.name: lease.status for lease in report.leases}
        for lease in list(self._records.leases.values()):
            if lease.spec.worker == name:
                await self._put_status(lease, seen.get(lease.metadata.name), now)

    async def logs(self, batch: LogBatch) -> LogAck:
        """Keep records of a unit; the job is looked at once its output is complete."""
        following, completed = await self._logs.append(batch.unit, batch.records, batch.total)
        lease = self._records.leases.get(batch.unit)
        if completed and lease is not None:
            self._add(lease.spec.job_name)
        return LogAck(batch.unit, following)

    def heard(self, worker: str) -> None:
        """The agent lives."""
        self._world.agent_heard(worker, self._clock.now())

    def hint(self, hint: LookNow) -> None:
        """A container of ours changed."""
        self._look(hint.unit)

    def left(self, session: Session) -> None:
        """The session's stream is gone."""
        if self._sessions.get(session.worker) is session:
            del self._sessions[session.worker]
            self._world.agent_left(session.worker)
            logger.bind(worker=session.worker).warning("agent disconnected")

    def now(self) -> float:
        """POSIX seconds."""
        return self._clock.now()

    # How

    async def _put_worker(self, report: NodeReport) -> None:
        old = self._records.workers.get(report.worker)
        meta = (
            old.metadata
            if old
            else ObjectMeta(
                name=report.worker, uid=report.worker, creation_timestamp=self._clock.now()
            )
        )
        worker = Worker(
            metadata=meta.model_copy(update={"labels": dict(report.labels)}),
            spec=old.spec if old else Worker.model_fields["spec"].default,
            status=report.status.model_copy(update={"last_heartbeat": 0.0}),
        )
        if old == worker:
            return
        await self._records.put_worker(worker)
        self._world.worker_changed()
        self._room()

    async def _put_status(self, lease: Lease, seen: LeaseStatus | None, now: float) -> None:
        """seen: None where the worker does not hold it."""
        old = lease.status
        if seen is None:
            if lease.metadata.deletion_timestamp is None or old.state is LeaseState.ENDED:
                return  # not created yet, or known to be gone
            seen = old.model_copy(update={"state": LeaseState.ENDED})
        elif _RANK[seen.state] < _RANK[old.state] and seen.state is not LeaseState.FAILED:
            return  # a restarted agent is on its way to where this lease was
        if seen == old:
            return
        current = self._records.leases.get(lease.metadata.name)
        if current is None:
            return
        written = await self._records.put_lease(current.model_copy(update={"status": seen}))
        self._world.lease_changed(written, lease.metadata.name, lease.spec.job)
        if seen.state is LeaseState.ENDED and seen.expires_at and not lease.spec.revoked:
            self._overrun(max(0.0, now - seen.expires_at))
        logger.bind(job=lease.spec.job, attempt=lease.spec.attempt, worker=lease.spec.worker).info(
            "lease {} -> {} {}", old.state.value, seen.state.value, seen.message
        )
        self._add(lease.spec.job_name)

    def _compose(self, lease: Lease) -> LeaseWanted | None:
        """The lease with what must be staged for it; None where its job is gone."""
        job = self._records.job(lease.spec.job_name)
        if job is None or job.metadata.uid != lease.spec.job:
            return None
        # Once held it has an end, which a restarted agent must keep.
        spec = lease.spec.model_copy(update={"not_after": lease.status.expires_at})
        name, code = lease.metadata.name, job.spec.code
        return LeaseWanted(
            name=name,
            spec=spec,
            code_digest=(code.digest or "") if code else "",
            requirements=job.spec.requirements,
            args_json=json.dumps(job.spec.args),
            image=job.spec.image or self._world.default_image,
            next_log=self._logs.next_of(name),
        )


class Session:
    """One connected agent. Implements `api.ports.AgentSession`."""

    def __init__(self, agents: Agents, worker: str) -> None:
        self._agents = agents
        self.worker = worker
        self._acks: dict[str, int] = {}
        self._dirty = True
        self._ended = False
        self._news = asyncio.Event()

    async def on_state(self, report: NodeReport) -> None:
        """The worker's whole observed state."""
        await self._agents.report(report)

    async def on_heartbeat(self, beat: Heartbeat) -> None:
        """The agent lives."""
        del beat  # its clock is of no use here: contact is judged by ours
        self._agents.heard(self.worker)

    async def on_logs(self, batch: LogBatch) -> None:
        """Keep records, then acknowledge them."""
        ack = await self._agents.logs(batch)
        self._acks[ack.unit] = ack.next
        self._news.set()

    async def on_look_now(self, hint: LookNow) -> None:
        """Ask the platform about this unit soon."""
        self._agents.hint(hint)

    async def outgoing(self) -> AsyncIterator[ControllerFrame]:
        """The wanted set at once and after each change, acknowledgements, a heartbeat."""
        while not self._ended:
            self._news.clear()
            if self._dirty:
                self._dirty = False
                yield self._agents.wanted(self.worker)
            while self._acks:
                yield LogAck(*self._acks.popitem())
            try:
                await asyncio.wait_for(self._news.wait(), BEAT_SECONDS)
            except TimeoutError:
                yield Heartbeat(self._agents.now())

    async def close(self) -> None:
        """The stream is gone."""
        self.end()
        self._agents.left(self)

    def wake(self) -> None:
        """Send the wanted set anew."""
        self._dirty = True
        self._news.set()

    def end(self) -> None:
        """Finish `outgoing`."""
        self._ended = True
        self._news.set()
