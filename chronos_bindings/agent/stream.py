"""The agent's end of Agent/Connect: connects for ever, says what is, hears what is wanted. I/O.

Made by `agent`. Both directions are level-triggered, so a broken stream loses nothing: the next
one begins with the whole state here, the whole wanted set there, and each unit's next record.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import grpc
import grpc.aio
import tenacity
from loguru import logger

from ...api.convert_agent import agent_frame_to_proto, controller_frame_from_proto
from ...api.frames import (
    AgentFrame,
    Heartbeat,
    LogAck,
    LogBatch,
    LookNow,
    NodeReport,
    NodeUsage,
    Wanted,
)
from ...api.gen.cumulus.v1 import agent_pb2_grpc
from ...api.options import CHANNEL_OPTIONS, Options
from ...crd_like_specs.errors import UnavailableError, ValidationError
from .ports import Clock
from .transfer import Metadata

BEAT_SECONDS: Final = 1.0
SILENCE_SECONDS: Final = 5.0
"""The controller answers each heartbeat at once. One that has heard none sent since so long ago
counts as gone, whatever comes from it: the way there may be cut and the way back open.
"""

LOOPBACK_CEILING: Final = 1.0
REMOTE_CEILING: Final = 5.0
"""Longest pause between attempts to connect, seconds."""

_PAUSE: Final = 0.05
_EOF: Final = grpc.aio.EOF  # type: ignore[attr-defined]  # the stubs don't know it


@dataclass(frozen=True)
class Peer:
    """What the stream needs of the agent; all are called on the event loop and return at once.

    report: the whole state. wanted: a frame, and whether it is the first of its connection.
    contact: True from the first frame of a connection on, False when it breaks. heard: when what
    the controller has heard was sent (monotonic seconds). take: the next batch of logs, None where
    there is none.
    """

    report: Callable[[], NodeReport]
    wanted: Callable[[Wanted, bool], None]
    ack: Callable[[LogAck], None]
    contact: Callable[[bool], None]
    heard: Callable[[float], None]
    take: Callable[[], LogBatch | None]


def is_loopback(target: str) -> bool:
    """Whether this `host:port` is on this machine."""
    host = target.rpartition(":")[0].strip("[]")
    return host in ("localhost", "::1") or re.match(r"127(\.\d+){3}$", host) is not None


def ceiling(target: str) -> float:
    """Longest pause between attempts to connect to this `host:port`."""
    return LOOPBACK_CEILING if is_loopback(target) else REMOTE_CEILING


def channel_options(target: str) -> Options:
    """CHANNEL_OPTIONS, and gRPC's own pauses between attempts no longer than ours. Each channel has
    a connection of its own, so that the stream's never has an image's gigabytes in front of it.
    """
    longest = int(ceiling(target) * 1000)
    return (
        *CHANNEL_OPTIONS,
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", longest),
    )


class Stream:
    """pause_ceiling: longest pause between attempts to connect, seconds. metadata: sent with the
    call, such as the agent's token.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        clock: Clock,
        peer: Peer,
        *,
        pause_ceiling: float,
        metadata: Metadata = (),
    ) -> None:
        self._stub = agent_pb2_grpc.AgentStub(channel)  # type: ignore[no-untyped-call]
        self._clock = clock
        self._peer = peer
        self._ceiling = pause_ceiling
        self._metadata = metadata
        self._news = asyncio.Event()
        self._looks: dict[str, None] = {}
        self._report_due = False
        self._beat_due = False
        self._contact = False
        self._last: NodeReport | None = None
        self._told = ""
        self._usage: NodeUsage | None = None
        self._heard = 0.0

    # What the agent has to say; all return at once

    def report_changed(self, *, urgent: bool) -> None:
        """Send the state now, or with the next beat."""
        if urgent:
            self._report_due = True
            self._news.set()

    def look_now(self, unit: str) -> None:
        """A unit started or ended. Without contact it is not kept: the platform is asked anyway."""
        if self._contact:
            self._looks[unit] = None
            self._news.set()

    def used(self, usage: NodeUsage) -> None:
        """What is used now; the newest only, and none without contact."""
        if self._contact:
            self._usage = usage
            self._news.set()

    def logs_ready(self) -> None:
        """There is something to take."""
        self._news.set()

    # The connection

    async def run(self) -> None:
        """For ever; cancel it to end it."""
        while True:
            async for attempt in tenacity.AsyncRetrying(
                retry=tenacity.retry_if_exception_type(UnavailableError),
                wait=tenacity.wait_random_exponential(multiplier=2 * _PAUSE, max=self._ceiling),
                sleep=self._sleep,
            ):
                with attempt:
                    await self._session()
            await self._sleep(_PAUSE)

    async def _sleep(self, seconds: float) -> None:
        await self._clock.sleep_until(self._clock.monotonic() + seconds)

    async def _session(self) -> None:
        """One connection, until it breaks. UnavailableError where there never was contact."""
        call = self._stub.Connect(metadata=self._metadata)
        self._heard = self._clock.monotonic()
        tasks = [asyncio.create_task(part) for part in (self._read(call), self._write(call))]
        tasks.append(asyncio.create_task(self._beat()))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            had_contact = self._contact
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            call.cancel()
            self._lose_contact()
        self._explain(done, had_contact=had_contact)

    def _lose_contact(self) -> None:
        self._looks.clear()
        self._last = self._usage = None
        if self._contact:
            self._contact = False
            self._peer.contact(False)
            self._told = ""

    def _explain(self, done: set[asyncio.Task[None]], *, had_contact: bool) -> None:
        """Say why the connection ended, in one line; bugs of ours are not swallowed."""
        words = "the controller ended the stream"
        for task in done:
            error = task.exception()
            if isinstance(error, grpc.aio.AioRpcError):
                words = f"{error.code().name}: {error.details()}"
            elif error is not None and not isinstance(error, _BROKEN):
                raise error
        if had_contact:
            logger.warning("contact with the controller lost: {}", words)
            return
        # Said once, whether refused or not reached: an agent asks again every few seconds.
        level = "DEBUG" if words == self._told else "WARNING"
        self._told = words
        logger.log(level, "no contact with the controller: {}", words)
        raise UnavailableError(words)

    async def _read(self, call: Any) -> None:
        while (message := await call.read()) is not _EOF:
            try:
                frame = controller_frame_from_proto(message)
            except ValidationError as e:
                logger.error("a frame of the controller is not understood: {}", e)
                continue
            if isinstance(frame, Wanted):
                self._hear_wanted(frame)
            elif isinstance(frame, LogAck):
                self._peer.ack(frame)
            elif isinstance(frame, Heartbeat):
                self._hear_echo(frame.echo)

    def _hear_echo(self, echo: float) -> None:
        """0.0: it has heard no heartbeat of this connection yet."""
        if 0.0 < echo <= self._clock.monotonic():
            self._heard = max(self._heard, echo)
            self._peer.heard(echo)

    def _hear_wanted(self, frame: Wanted) -> None:
        first, self._contact = not self._contact, True
        self._peer.wanted(frame, first)
        if first:
            logger.info("in contact with the controller, {} leases wanted", len(frame.leases))
            self._peer.contact(True)
            self._beat_due = True  # what is heard is to be known at once
            self._news.set()

    async def _write(self, call: Any) -> None:
        self._report_due, self._beat_due = True, False
        while True:
            self._news.clear()
            while (frame := self._next_frame()) is not None:
                await call.write(agent_frame_to_proto(frame))
            await self._news.wait()

    def _next_frame(self) -> AgentFrame | None:
        """What is most urgent: hints before states before beats before logs. A beat bears the
        moment of its sending, which comes back once it was heard.
        """
        if self._looks:
            unit = next(iter(self._looks))
            del self._looks[unit]
            return LookNow(unit)
        if self._report_due or self._beat_due:
            report, self._report_due = self._peer.report(), False
            if report != self._last:
                self._last = report
                return report
            if self._beat_due:
                self._beat_due = False
                return Heartbeat(self._clock.monotonic())
        if self._usage is not None:
            usage, self._usage = self._usage, None
            return usage
        # Records are numbered from where the controller is, which its first frame tells.
        return self._peer.take() if self._contact else None

    async def _beat(self) -> None:
        """Every second; returns where the controller has heard nothing for too long."""
        while self._clock.monotonic() - self._heard < SILENCE_SECONDS:
            await self._sleep(BEAT_SECONDS)
            self._beat_due = True
            self._news.set()
        logger.warning("the controller has heard nothing for {:.0f} s", SILENCE_SECONDS)


# What grpc.aio raises where a call has ended under a write.
_BROKEN: Final = (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError)
