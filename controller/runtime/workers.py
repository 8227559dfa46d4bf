"""What operators do about workers that are lost or leave: vouch for them, forget them.

One part of what `service.JobsService` offers the API. Writes records, decides nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from loguru import logger

from ...crd_like_specs.errors import ConflictError, NotFoundError
from ...crd_like_specs.meta import ObjectMeta
from ...crd_like_specs.worker import Worker
from ..platforms.base import Platform
from .agents import Agents
from .clock import Clock
from .records import Records
from .world import World


@dataclass(frozen=True, slots=True)
class Signals:
    """add(key): put a job on the queue; room(): workers changed; forget(worker): refuse its
    certificates from now on, and whether it had any; None where agents come without certificates.
    """

    add: Callable[[str], None]
    room: Callable[[], None]
    forget: Callable[[str], Awaitable[bool]] | None = None


class Workers:
    """See the module docstring."""

    def __init__(
        self,
        records: Records,
        world: World,
        agents: Agents,
        platform: Platform,
        clock: Clock,
        signals: Signals,
    ) -> None:
        self._records = records
        self._world = world
        self._agents = agents
        self._platform = platform
        self._clock = clock
        self._signals = signals

    async def fence(self, name: str, *, fenced: bool) -> Worker:
        """Vouch that nothing runs there, or take that back. ConflictError while its agent speaks:
        what it has, it can be asked to end.
        """
        self._find(name)
        if fenced and self._in_contact(name):
            raise ConflictError(
                f"worker {name!r} is in contact with the controller, so it needs no vouching: "
                f"drain it (cumulusctl drain {name})"
            )
        written = await self._records.change_worker(
            name,
            lambda worker: worker.model_copy(
                update={"spec": worker.spec.model_copy(update={"fenced": fenced})}
            ),
        )
        if written is None:
            raise NotFoundError(f"worker {name!r} not found")
        logger.bind(worker=name).warning("fenced" if fenced else "no longer fenced")
        self._agents.wanted_changed(name)
        for lease in self._records.leases_on(name):
            self._signals.add(lease.spec.job_name)
        self._signals.room()
        return written

    async def remove(self, name: str) -> Worker:
        """Forget a worker that is drained or fenced and on which nothing is left. ConflictError
        where that is not so, or where it would come back by itself. One that joined and was never
        heard of has no record, but a certificate that must not let it in later.
        """
        forget = self._signals.forget
        if name not in self._records.workers and forget is not None and await forget(name):
            self._agents.end_session(name)
            return Worker(metadata=ObjectMeta(name=name, uid=name))
        worker = self._find(name)
        left = len(self._records.leases_on(name))
        if left:
            raise ConflictError(
                f"worker {name!r} still has {left} lease(s): drain it and wait, "
                "or fence it if the machine is dead"
            )
        if not (worker.spec.drain or worker.spec.fenced):
            raise ConflictError(
                f"worker {name!r} still takes jobs: drain it first, or fence it if it is dead"
            )
        if forget is None and self._in_contact(name):
            raise ConflictError(
                f"the agent of worker {name!r} is in contact and would come back: stop it first"
            )
        if forget is not None:
            await forget(name)
        self._agents.end_session(name)
        if worker.status.node_id:
            await self._platform.remove_node(worker.status.node_id)
        await self._records.delete_worker(name)
        self._signals.room()
        logger.bind(worker=name).info("removed")
        return worker

    def _find(self, name: str) -> Worker:
        worker = self._records.workers.get(name)
        if worker is None:
            raise NotFoundError(f"worker {name!r} not found")
        return worker

    def _in_contact(self, name: str) -> bool:
        return self._world.in_contact(name, self._clock.now())
