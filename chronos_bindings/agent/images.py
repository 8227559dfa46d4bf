"""Brings the images that this worker should have, and says whether it has them. I/O by its ports.

Level-triggered: each round compares what is wanted with what the engine has. One image is fetched
at a time; its parts stay on the disk until it is loaded, so that a break, or a new agent, costs
nothing that has come already. Made by `agent`; leases wait here for their image (`ensure`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import tenacity
from loguru import logger

from ...api.frames import ImageArchive, ImageWanted
from ...crd_like_specs.errors import CumulusError, DriverError, Permanent, Temporary
from ...crd_like_specs.images import DISK_TOO_FULL, familiar, is_id, is_reference
from ...crd_like_specs.meta import Condition
from .image_fetch import Fetch, title
from .image_folder import SPARE, ImageFolder
from .image_parts import check, sizes
from .image_ports import ImageSource, ImageStore
from .image_progress import Progress
from .ports import Clock

LONGEST_PAUSE: Final = 60.0
"""Between tries to fetch what cannot be fetched, seconds."""


class Images:
    """changed: told that the worker's condition is another one. spare: bytes left free on disks."""

    def __init__(
        self,
        store: ImageStore,
        source: ImageSource,
        folder: Path,
        clock: Clock,
        *,
        changed: Callable[[], None],
        spare: int = SPARE,
    ) -> None:
        self._store = store
        self._source = source
        self._folder = ImageFolder(folder, spare)
        self._clock = clock
        self._progress = Progress(clock.wall, changed)
        self._wanted: dict[str, ImageWanted] = {}
        self._lacking: set[str] = set()
        self._archives: dict[str, ImageArchive] = {}
        self._failed: dict[str, DriverError] = {}
        self._fetching: tuple[str, asyncio.Task[None]] | None = None
        self._due = asyncio.Event()
        self._waiters: set[asyncio.Event] = set()
        self._pulls: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    # What the agent says

    def set_wanted(self, images: tuple[ImageWanted, ...]) -> None:
        """The whole set that the controller wants here; what failed is tried again at once."""
        self._wanted = {image.id: image for image in images if is_id(image.id)}
        self._failed.clear()
        if self._fetching is not None and self._fetching[0] not in self._wanted:
            self._fetching[1].cancel()
        self.look()
        self._tell()

    def look(self) -> None:
        """The engine's images may have changed."""
        self._due.set()

    def condition(self) -> Condition:
        """Whether every wanted image is here."""
        return self._progress.condition()

    # What leases ask

    async def ensure(self, image: str, auth: str) -> str:
        """The id on this worker of the image that a lease names, once it is here.

        auth: see `frames.LeaseWanted.registry_auth`. Permanent("ImageMissing"), Temporary.
        """
        if not is_reference(image):
            raise Permanent(f"{image!r} is no reference of an image", reason="ImageMissing")
        found = await self._store.find(image)
        if found is not None:
            return found
        if is_id(image):
            await self._arrival(image)
            return image
        if not auth:
            raise Permanent(
                f"image {familiar(image)} is neither on the controller nor on this worker, and "
                "the controller is not configured for its registry (registries)",
                reason="ImageMissing",
            )
        lock = self._pulls.setdefault(image, asyncio.Lock())
        async with lock:
            return await self.present(image) or await self._pull(image, auth)

    async def present(self, image: str) -> str:
        """Its id if it is here, else ""; nothing is fetched."""
        return (await self._store.find(image) or "") if is_reference(image) else ""

    async def _pull(self, image: str, auth: str) -> str:
        logger.info("pulling image {}", familiar(image))
        await self._store.pull(image, auth)
        found = await self._store.find(image)
        if found is None:
            raise Temporary(
                f"image {familiar(image)} went as soon as it was pulled", reason="ImageUnavailable"
            )
        logger.bind(image=found).info("image {} is here", familiar(image))
        return found

    async def _arrival(self, image: str) -> None:
        """Return once the engine has it; raise what keeps it from coming."""
        news = asyncio.Event()
        self._waiters.add(news)
        try:
            while image in self._wanted:
                if image in self._failed:
                    error = self._failed[image]
                    raise Temporary(error.message, reason=error.reason) from error
                await news.wait()
                news.clear()
                if await self.present(image):
                    return
        finally:
            self._waiters.discard(news)
        raise Permanent(
            f"image {image} is not on this worker, and the controller does not hold it",
            reason="ImageMissing",
        )

    # Its own life

    async def run(self) -> None:
        """For ever; cancel it to end it."""
        while True:
            await self._due.wait()
            async for attempt in tenacity.AsyncRetrying(
                retry=tenacity.retry_if_exception_type(CumulusError),
                wait=tenacity.wait_random_exponential(multiplier=0.5, max=LONGEST_PAUSE),
                sleep=self._pause,
            ):
                with attempt:
                    await self._round()

    async def _pause(self, seconds: float) -> None:
        """So long, or until there is news."""
        until = self._clock.monotonic() + seconds
        timer = asyncio.ensure_future(self._clock.sleep_until(until))
        news = asyncio.ensure_future(self._due.wait())
        try:
            await asyncio.wait({timer, news}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (timer, news):
                task.cancel()

    async def _round(self) -> None:
        """Every missing image once. Raises what kept one from coming, so that it is tried again."""
        self._due.clear()
        failure: CumulusError | None = None
        missing = await self._missing()
        for wanted in missing:
            try:
                await self._fetch_while_wanted(wanted)
            except DriverError as e:
                self._note(wanted, e)
                failure = e
            self._clean()
            self._tell()
        if failure is not None:
            raise failure
        if not missing or not await self._missing():
            self._folder.keep_only(())
            self._progress.complete(len(self._wanted))

    async def _missing(self) -> list[ImageWanted]:
        """Wanted images that the engine lacks. One that it has is given its names, but none that
        another image bears: on the controller's own machine that is one that was just built.
        """
        images = await self._store.images()
        here = {image.id for image in images}
        taken = {name for image in images for name in image.names}
        for wanted in list(self._wanted.values()):
            for name in wanted.names if wanted.id in here else ():
                if name not in taken:
                    await self._store.tag(wanted.id, name)
        missing = [wanted for wanted in self._wanted.values() if wanted.id not in here]
        self._lacking = {wanted.id for wanted in missing}
        return missing

    async def _fetch_while_wanted(self, wanted: ImageWanted) -> None:
        """In a task of its own, which ends when the image is not wanted any more."""
        if wanted.id not in self._wanted:
            return
        task = asyncio.ensure_future(self._fetch(wanted))
        self._fetching = (wanted.id, task)
        try:
            await asyncio.wait({task})
        finally:
            self._fetching = None
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, DriverError):
                await task
        if not task.cancelled():
            task.result()

    async def _fetch(self, wanted: ImageWanted) -> None:
        self._progress.asking(title(wanted))
        archive = check(await self._source.archive(wanted.id))
        self._archives[wanted.id] = archive
        self._clean()
        parts = (self._store, self._source, self._folder, self._progress)
        await Fetch(wanted, archive, *parts).run()
        self._archives[wanted.id] = ImageArchive(())
        self._failed.pop(wanted.id, None)

    def _note(self, wanted: ImageWanted, error: DriverError) -> None:
        self._failed[wanted.id] = error
        self._progress.failed(title(wanted), error.reason, error.message)
        logger.bind(image=wanted.id, reason=error.reason).warning(
            "image {}: {}", title(wanted), error.message
        )
        if error.reason == DISK_TOO_FULL:
            self._archives[wanted.id] = ImageArchive(())  # leave nothing of it: space is short

    def _clean(self) -> None:
        """Remove parts that no missing image needs, once it is known what each is made of: an
        agent before this one may have left some that are of use.
        """
        lacking = self._lacking & self._wanted.keys()
        self._archives = {i: a for i, a in self._archives.items() if i in lacking}
        if self._archives.keys() >= lacking:
            needed = {digest for archive in self._archives.values() for digest in sizes(archive)}
            self._folder.keep_only(needed)

    def _tell(self) -> None:
        for waiter in self._waiters:
            waiter.set()
