"""One connected agent: what comes over its stream, and what goes out. Made by `agents.py`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Final, Protocol

from loguru import logger

from ...api.frames import (
    ControllerFrame,
    Heartbeat,
    LogAck,
    LogBatch,
    LookNow,
    NodeReport,
    NodeUsage,
    Wanted,
)
from .shielded import to_the_end

BEAT_SECONDS: Final = 1.0
SILENT_SECONDS: Final = 10.0
"""A session over which nothing has come for so long is ended: its agent must not go on believing
that it is heard.
"""


class Listener(Protocol):
    """What a session hands over, and where it gets its words; `Agents` is it."""

    async def report(self, report: NodeReport) -> None:
        """The worker's whole state."""

    async def logs(self, batch: LogBatch, worker: str) -> LogAck:
        """Keep records of a unit."""

    def heard(self, worker: str) -> None:
        """Its agent lives."""

    def used(self, worker: str, usage: NodeUsage) -> None:
        """What it uses now."""

    def hint(self, hint: LookNow) -> None:
        """A container of ours changed."""

    def left(self, session: Session) -> None:
        """The session's stream is gone."""

    def wanted(self, worker: str) -> Wanted:
        """Everything wanted there now."""

    def now(self) -> float:
        """POSIX seconds."""


class Session:
    """One connected agent. Implements `api.ports.AgentSession`.

    What still comes over a stream whose worker has a newer one is old, and is not listened to.
    """

    def __init__(self, agents: Listener, worker: str) -> None:
        self._agents = agents
        self.worker = worker
        self._acks: dict[str, int] = {}
        self._dirty = True
        self._ended = False
        self._echo: float | None = None
        self._echoed = 0.0
        self._heard = agents.now()
        self._busy = 0
        self._news = asyncio.Event()

    async def on_state(self, report: NodeReport) -> None:
        """The worker's whole observed state."""
        if not self._ended:
            with self._hearing():
                await to_the_end(self._agents.report(report))

    async def on_heartbeat(self, beat: Heartbeat) -> None:
        """The agent lives. Its time comes back to it, so that it knows what was heard by when."""
        if not self._ended:
            self._heard = self._agents.now()
            self._agents.heard(self.worker)
            self._echo = beat.time
            self._news.set()

    async def on_logs(self, batch: LogBatch) -> None:
        """Keep records, then acknowledge them."""
        with self._hearing():
            ack = await to_the_end(self._agents.logs(batch, self.worker))
        self._acks[ack.unit] = ack.next
        self._news.set()

    async def on_usage(self, usage: NodeUsage) -> None:
        """What the worker uses now."""
        if not self._ended:
            self._agents.used(self.worker, usage)

    async def on_look_now(self, hint: LookNow) -> None:
        """Ask the platform about this unit soon."""
        self._agents.hint(hint)

    async def outgoing(self) -> AsyncIterator[ControllerFrame]:
        """The wanted set at once and after each change, acknowledgements, a heartbeat a second,
        and one at once for each of the agent's. It ends where the agent is silent for too long.
        """
        loop = asyncio.get_running_loop()
        due = loop.time() + BEAT_SECONDS
        while not self._ended:
            self._news.clear()
            if self._dirty:
                self._dirty = False
                yield self._agents.wanted(self.worker)
            for _ in range(len(self._acks)):  # more may come meanwhile: beats have their turn
                yield LogAck(*self._acks.popitem())
            if self._echo is not None or loop.time() >= due:
                due = loop.time() + BEAT_SECONDS
                if self._echo is not None:
                    self._echoed, self._echo = self._echo, None
                yield Heartbeat(self._agents.now(), self._echoed)
            if self.silent:
                logger.bind(worker=self.worker).warning("its agent is silent: the session is ended")
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._news.wait()

    @property
    def silent(self) -> bool:
        """Nothing has come for too long, and nothing that came is still being taken in."""
        return not self._busy and self._agents.now() - self._heard >= SILENT_SECONDS

    async def close(self) -> None:
        """The stream is gone."""
        self.end()
        self._agents.left(self)

    @contextlib.contextmanager
    def _hearing(self) -> Iterator[None]:
        """Something came, and takes a while to be taken in."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._heard = self._agents.now()

    def wake(self) -> None:
        """Send the wanted set anew."""
        self._dirty = True
        self._news.set()

    def end(self) -> None:
        """Finish `outgoing`."""
        self._ended = True
        self._news.set()
