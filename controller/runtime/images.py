"""The images of the controller's own engine, and how workers get them. I/O by its engine and spool.

Implements `api.ports.ImagesPort`, and tells the world what can be had (`seen`). The engine is
listed every few seconds, and at once when a name is asked for that was not in the last listing;
an image is exported once, however many workers ask for it at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Final

from loguru import logger

from ...api.frames import ImageArchive, ImageWanted
from ...crd_like_specs.errors import CumulusError, ForbiddenError, NotFoundError
from ...crd_like_specs.images import familiar, is_id
from ..platforms.image_engine import EngineImage, ImageEngine
from ..platforms.registries import Registries, credentials
from ..reconcile.image_seen import ImageSeen
from .clock import Clock
from .image_spool import ImageSpool

LOOK_SECONDS: Final = 5.0
PAUSE_SECONDS: Final = 0.2
"""However many ask, the engine is not asked more often."""

PIECE: Final = 256 << 10

READERS: Final = 32
"""Parts read at the same time: each holds a few pieces in memory. Others wait for their turn."""


class Images:
    """engine: None for platforms without images, which then are nobody's concern here.

    wanted(worker): images that it should have. changed(): what can be had is something else now.
    """

    def __init__(
        self,
        engine: ImageEngine | None,
        spool: ImageSpool,
        registries: Registries,
        clock: Clock,
        *,
        wanted: Callable[[str], Iterable[ImageWanted]],
        changed: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._spool = spool
        self._registries = registries
        self._clock = clock
        self._wanted = wanted
        self._changed = changed
        self._held: dict[str, EngineImage] = {}
        self._by_name: dict[str, str] = {}
        self._looked_at = 0.0
        self._look_due = asyncio.Event()
        self._spooling = asyncio.Lock()
        self._exports: dict[str, asyncio.Task[ImageArchive]] = {}
        self._readers = asyncio.Semaphore(READERS)

    # What the world and the agents' sessions ask

    def seen(self, reference: str) -> ImageSeen:
        """What is known of an image that a job names, by id or by name."""
        if self._engine is None:
            return ImageSeen(reference)
        image = self._id_of(reference)
        if image is not None:
            return ImageSeen(image)
        obtainable = not is_id(reference) and self._registries.of(reference) is not None
        if not obtainable:
            self._look_due.set()
        return ImageSeen(reference, obtainable=obtainable, looked_at=self._looked_at)

    def auth(self, reference: str) -> str:
        """What a worker needs to pull this name, or "": by id, and from elsewhere, none is."""
        return "" if is_id(reference) else self._registries.auth(reference)

    def given(self, references: Mapping[str, str]) -> tuple[ImageWanted, ...]:
        """Those of the ids that the engine holds, for a worker that should have them.

        references: id → the name by which it was asked for (the id itself where by none).
        """
        return tuple(
            ImageWanted(image, () if is_id(name) else (familiar(name),))
            for image, name in references.items()
            if image in self._held
        )

    # ImagesPort

    async def archive(self, worker: str, image: str) -> ImageArchive:
        """See the port."""
        if not any(wanted.id == image for wanted in self._wanted(worker)):
            raise ForbiddenError(f"image {image} is not wanted on worker {worker or '?'}")
        task = self._exports.get(image)
        if task is None:
            task = self._exports[image] = asyncio.create_task(self._spooled(image))
            task.add_done_callback(lambda done: self._exported(image, done))
        return await asyncio.shield(task)

    async def part(self, worker: str, digest: str) -> int:
        """See the port."""
        dropped = False
        for wanted in self._wanted(worker):
            archive = await asyncio.to_thread(self._spool.archive, wanted.id)
            dropped = dropped or archive is None
            for part in archive.parts if archive is not None else ():
                if part.digest == digest:
                    return part.size
        if dropped:
            raise NotFoundError(f"{digest} is not here any more: ask for its image again")
        raise ForbiddenError(f"no image wanted on worker {worker or '?'} has a part {digest}")

    async def read_part(self, digest: str, *, offset: int) -> AsyncIterator[bytes]:
        """See the port. NotFoundError where it was dropped meanwhile, or damaged."""
        async with self._readers:
            path = await asyncio.to_thread(self._spool.sound, digest)
            with await asyncio.to_thread(path.open, "rb") as file:
                file.seek(offset)
                while piece := await asyncio.to_thread(file.read, PIECE):
                    yield piece

    # Its own life

    async def open(self) -> None:
        """Connect, and look for the first time."""
        if self._engine is not None:
            await self._engine.open()
            await self.look()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        if self._engine is None:
            await asyncio.Event().wait()
            return
        await self._check_credentials(self._engine)
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._look_due.wait()
            except TimeoutError:
                pass
            try:
                await self.look()
            except CumulusError as error:
                logger.warning("the engine's images cannot be listed: {}", error)
                await asyncio.sleep(LOOK_SECONDS)
            await asyncio.sleep(PAUSE_SECONDS)

    async def look(self) -> None:
        """List the engine's images; drop from the spool what it has no more."""
        assert self._engine is not None
        self._look_due.clear()
        now = self._clock.now()
        found = {image.id: image for image in await self._engine.images()}
        self._looked_at = now
        if found == self._held:
            return
        gone = self._held.keys() - found.keys()
        self._held = found
        self._by_name = {name: image.id for image in found.values() for name in image.names}
        async with self._spooling:
            if dropped := await asyncio.to_thread(self._spool.prune, found.keys()):
                logger.info("dropped the spooled archives of {} images", dropped)
        logger.debug("the engine holds {} images, {} are gone", len(found), len(gone))
        self._changed()

    async def close(self) -> None:
        """End exports under way and the engine's connections."""
        for task in list(self._exports.values()):
            task.cancel()
        await asyncio.gather(*self._exports.values(), return_exceptions=True)
        if self._engine is not None:
            self._engine.close()

    # How

    def _id_of(self, reference: str) -> str | None:
        if is_id(reference):
            return reference if reference in self._held else None
        return self._by_name.get(familiar(reference))

    async def _spooled(self, image: str) -> ImageArchive:
        """From the spool, or exported into it; one at a time, as the disk is one."""
        async with self._spooling:
            archive = await asyncio.to_thread(self._spool.archive, image)
            if archive is not None:
                return archive
            held = self._held.get(image)
            if held is None or self._engine is None:
                raise NotFoundError(f"the controller does not hold image {image} any more")
            await asyncio.to_thread(self._spool.make_room, image, held.size, ())
            log = logger.bind(image=image, names=held.names)
            log.info("exporting image {}", held.names[0] if held.names else image)
            archive = await self._engine.export(image, lambda s: self._spool.take(image, s))
            log.info("image is spooled, {} bytes", sum(part.size for part in archive.parts))
            return archive

    def _exported(self, image: str, done: asyncio.Task[ImageArchive]) -> None:
        self._exports.pop(image, None)
        error = None if done.cancelled() else done.exception()
        if error is not None:
            logger.bind(image=image).warning("image cannot be given to workers: {}", error)

    async def _check_credentials(self, engine: ImageEngine) -> None:
        """Say which credentials a registry refuses before a job finds out."""
        for entry in self._registries.with_credentials:
            why = await engine.refuses(credentials(entry))
            if why:
                logger.warning(
                    "registry {} does not take the credentials of {}: {}",
                    entry.server,
                    entry.username,
                    why,
                )
