"""The eyes on the platform: list services and nodes when something may have changed.

Observers only put keys on the queue; what they saw waits in the `World`. Hints come from the
platform's events, from agents (*look now*) and from the executor; a slow beat covers lost hints.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from loguru import logger

from ...crd_like_specs.errors import DriverError, StoreError
from ..platforms.base import Platform
from ..reconcile.observed import Unready
from .clock import Clock
from .readiness import with_ready
from .reconciler import ORPHAN
from .records import Records
from .world import World

BEAT_SECONDS: Final = 2.0
"""Between listings without any hint."""

CHASE_SECONDS: Final = (0.0, *[0.02] * 25, 0.1, 0.1, 0.2)
"""After an agent saw a container end, the platform takes a moment to say so too: look again
after each of these, until it does."""


class PlatformObserver:
    """add(key): puts a key on the queue; room(): told when a node came or went."""

    def __init__(
        self,
        platform: Platform,
        world: World,
        records: Records,
        clock: Clock,
        add: Callable[[str], None],
        room: Callable[[], None],
    ) -> None:
        self._platform = platform
        self._world = world
        self._records = records
        self._clock = clock
        self._add = add
        self._room = room
        self._hint = asyncio.Event()
        self._chased: dict[str, int] = {}
        self._unready: dict[str, Unready | None] = {}

    def look_now(self, unit: str = "") -> None:
        """Something may have changed; a named unit is chased until it is seen ended."""
        if unit:
            self._chased[unit] = 0
        self._hint.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._list_services())
            group.create_task(self._list_nodes())

    def key_of(self, uid: str) -> str:
        """The queue's key for whatever has this uid."""
        return self._records.name_of(uid) or f"{ORPHAN}{uid}"

    async def _listen(self) -> None:
        """Hints only: without them the beat still shows everything, later."""
        while True:
            try:
                async for _ in self._platform.changes():
                    self.look_now()
            except DriverError as error:
                logger.debug("the platform's events broke: {}", error)
            await asyncio.sleep(BEAT_SECONDS)

    async def _list_services(self) -> None:
        while True:
            self._hint.clear()
            await self.list_once()
            delay = self._chase()
            try:
                async with asyncio.timeout(delay):
                    await self._hint.wait()
            except TimeoutError:
                continue

    async def list_once(self) -> None:
        """One listing into the world; the jobs it concerns go on the queue."""
        mark = self._world.services.listing_begins()
        try:
            services = await self._platform.list_owned()
        except DriverError as error:
            if self._world.services.observed:
                logger.warning("the platform cannot be listed: {}", error)
            self._world.services.unseen()
            return
        for uid in self._world.services.listed(services, mark, self._clock.now()):
            self._add(self.key_of(uid))

    def _chase(self) -> float:
        """Seconds until the next look; soon while a chased unit is not seen ended."""
        going_on = self._world.services.unfinished(self._chased)
        tries = {
            unit: tried + 1
            for unit, tried in self._chased.items()
            if unit in going_on and tried + 1 < len(CHASE_SECONDS)
        }
        self._chased = tries
        return min((CHASE_SECONDS[tried] for tried in tries.values()), default=BEAT_SECONDS)

    async def _list_nodes(self) -> None:
        while True:
            try:
                changed = self._world.nodes_seen(await self._platform.nodes())
            except DriverError as error:
                logger.debug("nodes cannot be listed: {}", error)
                changed = set()
            await self._publish(self.check_readiness(force=bool(changed)))
            await asyncio.sleep(BEAT_SECONDS / 2)

    async def _publish(self, workers: set[str]) -> None:
        """Write down whether these workers are ready."""
        now = self._clock.now()
        for name in workers:
            why = self._unready.get(name, Unready.OUT_OF_CONTACT)
            try:
                await self._records.change_worker(name, partial(with_ready, unready=why, now=now))
            except StoreError as error:  # a full disk: what can be read goes on being read
                logger.error("worker {}: readiness cannot be written down: {}", name, error)

    def check_readiness(self, *, force: bool = False) -> set[str]:
        """Jobs on a worker that came or went are looked at, and those that wait for room.

        Returns the workers that did.
        """
        now = self._clock.now()
        unready = {w.worker.metadata.name: w.unready for w in self._world.workers(now)}
        old, self._unready = self._unready, unready
        changed = (unready.keys() ^ old.keys()) | {
            name for name in unready.keys() & old.keys() if unready[name] != old[name]
        }
        if not changed and not force:
            return changed
        for lease in self._records.leases.values():
            if lease.spec.worker in changed or force:
                self._add(self.key_of(lease.spec.job))
        self._room()
        return changed
