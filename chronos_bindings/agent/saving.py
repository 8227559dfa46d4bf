"""How what jobs leave is brought to the controller: made into an archive, sent, tried again. I/O.

Used by `checkpoints` and `outputs`. Archives are made one at a time and sent a few at a time: a
large one delays another, never a lease.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeVar

from loguru import logger

from ...api.outputs import ArtifactKind
from ...crd_like_specs.errors import Permanent, Temporary
from ...crd_like_specs.wording import whole
from .ports import ArtifactSink, Clock

PATIENCE: Final = 120.0
"""Seconds in contact without any progress after which what a job left is given up."""

_FIRST_RETRY: Final = 0.5
_RETRY_CEILING: Final = 5.0
_SENDING: Final = 2


class Archived(Protocol):
    """What was made into an archive. digest: of that."""

    @property
    def digest(self) -> str:
        """`sha256:<hex>`."""


ArchivedT = TypeVar("ArchivedT", bound=Archived)


@dataclass(eq=False)
class Progress:
    """Since when nothing has gone on, monotonic seconds. sent: bytes, the most that ever were."""

    clock: Clock
    at: float = field(init=False)
    sent: int = 0

    def __post_init__(self) -> None:
        self.at = self.clock.monotonic()

    @property
    def idle(self) -> float:
        """Seconds without progress."""
        return self.clock.monotonic() - self.at

    def arrived(self, sent: int) -> None:
        """More bytes than ever before are progress; the same ones again are not."""
        if sent > self.sent:
            self.sent, self.at = sent, self.clock.monotonic()

    @contextlib.contextmanager
    def not_counting(self) -> Iterator[None]:
        """What this takes is nobody's fault: the archive is being made, or others are before it."""
        began = self.clock.monotonic()
        try:
            yield
        finally:
            self.at += self.clock.monotonic() - began


class Saver:
    """outbox: a folder of its own for archives on their way, on the same disk as the caches, emptied
    here; sink: to the controller; contact: whether it can be reached.
    """

    def __init__(
        self, outbox: Path, sink: ArtifactSink, clock: Clock, *, contact: Callable[[], bool]
    ) -> None:
        self._outbox = outbox
        self._sink = sink
        self.clock = clock
        self.contact = contact
        self._taking = asyncio.Semaphore(1)
        self._sending = asyncio.Semaphore(_SENDING)
        outbox.mkdir(parents=True, exist_ok=True)
        outbox.chmod(0o700)
        for left in outbox.iterdir():
            left.unlink()

    async def save(
        self,
        unit: str,
        kind: ArtifactKind,
        make: Callable[[Path], ArchivedT | None],
        kept: Callable[[ArchivedT, Path], None],
        *,
        known: Collection[str] = (),
        progress: Progress | None = None,
    ) -> ArchivedT | None:
        """Make the archive and see it safe; what is new now, None where there is nothing, or
        nothing but what is `known` (digests).

        make: writes the archive into a file; kept: told of it once the controller has it, while
        the file is still there. Both run in threads. Permanent, Temporary.
        """
        progress = progress or Progress(self.clock)
        file = self._outbox / f"{unit}.{kind.value}"
        try:
            with progress.not_counting():
                async with self._taking:
                    taken = await asyncio.to_thread(make, file)
            if taken is None or taken.digest in known:
                return None
            with progress.not_counting():
                await self._sending.acquire()
            try:
                await self._sink.send(unit, taken.digest, file, progress.arrived, kind)
            finally:
                self._sending.release()
            await asyncio.to_thread(kept, taken, file)
        except OSError as e:
            raise Temporary(
                f"it cannot be kept here: {e.strerror}: {e.filename}", reason="StagingFailed"
            ) from e
        finally:
            file.unlink(missing_ok=True)
        return taken

    async def insist(self, work: Callable[[Progress], Awaitable[None]]) -> str:
        """Do it until it is done: "", or why it was given up, in words that can be sent: the job
        named its files. A controller that cannot be reached is waited for as long as it takes.
        """
        progress, pause = Progress(self.clock), _FIRST_RETRY
        while True:
            try:
                await work(progress)
            except Permanent as e:
                return whole(e.message)
            except Temporary as e:
                if progress.idle >= PATIENCE:
                    return f"{whole(e.message)} (given up after {PATIENCE:.0f} s)"
                away = progress.not_counting() if not self.contact() else contextlib.nullcontext()
                with away:
                    await self.clock.sleep_until(self.clock.monotonic() + pause)
                pause = min(2 * pause, _RETRY_CEILING)
                continue
            return ""


def or_else(task: asyncio.Task[None], unit: str, done: Callable[[str], None]) -> None:
    """Added to a task's end: a bug of ours must not hold a lease for ever. done: told the bug."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        logger.bind(lease=unit).opt(exception=error).error("keeping what a job left broke")
        done(whole(f"{type(error).__name__}: {error}"))


async def stopped(tasks: Collection[asyncio.Task[None]]) -> None:
    """Break them off; the agent after this one takes it up again."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
