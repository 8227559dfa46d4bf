"""Runs the reconciler over the queue: a few workers, each key with one of them at a time.

Outcomes are three: look again at a time, back off (any error of ours), or nothing. A bug in one
job's pass must not stop the others, so the boundary here is broad and says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from loguru import logger

from ...crd_like_specs.errors import ConflictError, CumulusError
from .clock import Clock
from .queue import KeyQueue

WORKERS: Final = 8
FAR: Final = 3600.0
"""A job is looked at after so long at the latest where its plan names a later time: the wall
clock may be set meanwhile. Finished jobs name none, see `upkeep.py`."""

Reconcile = Callable[[str], Awaitable[float | None]]


class Loop:
    """queue: whose keys; reconcile: one pass for one key, see `Reconciler.reconcile`; who: fields
    that log lines about a key bear.
    """

    def __init__(
        self,
        queue: KeyQueue,
        reconcile: Reconcile,
        clock: Clock,
        who: Callable[[str], dict[str, object]] = lambda key: {"job": key},
    ) -> None:
        self.queue = queue
        self._reconcile = reconcile
        self._clock = clock
        self._who = who
        self._news = asyncio.Condition()
        self._loop = asyncio.get_running_loop()
        self._pending = False

    def add(self, key: str) -> None:
        """Look at the key as soon as possible. On the event loop's thread only."""
        self.queue.add(key)
        self._wake()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._worker())

    async def once(self, key: str) -> None:
        """One pass over one key that was taken from the queue."""
        now = self._clock.now()
        try:
            wake_at = await self._reconcile(key)
        except ConflictError as error:
            # At once, since the version is known now; a conflict with oneself must not spin.
            delay = self.queue.retry(key, now, first_at_once=True)
            self._log(key).debug("someone wrote first: {}; again in {:.1f} s", error, delay)
        except CumulusError as error:
            delay = self.queue.retry(key, now)
            self._log(key).warning("{}: {}; again in {:.1f} s", type(error).__name__, error, delay)
        except Exception:  # noqa: BLE001 (the boundary: see the top)
            delay = self.queue.retry(key, now)
            self._log(key).exception("reconcile failed; again in {:.1f} s", delay)
        else:
            self.queue.forgive(key)
            if wake_at is not None:
                self.queue.add_at(key, min(wake_at, now + FAR))
        finally:
            self.queue.done(key)

    def _log(self, key: str) -> Any:
        return logger.bind(**self._who(key))

    async def _worker(self) -> None:
        while True:
            key = self.queue.take(self._clock.now())
            if key is None:
                await self._sleep()
                continue
            await self.once(key)
            self._wake()
            await asyncio.sleep(0)  # a pass that awaits nothing would leave no turn to others

    async def _sleep(self) -> None:
        due = self.queue.next_due()
        wait = None if due is None else max(0.0, due - self._clock.now())
        async with self._news:
            try:
                async with asyncio.timeout(wait):
                    await self._news.wait()
            except TimeoutError:
                return

    def _wake(self) -> None:
        if not self._pending:
            self._pending = True
            self._loop.create_task(self._notify())

    async def _notify(self) -> None:
        self._pending = False
        async with self._news:
            self._news.notify_all()
