"""One image's way from the controller into the local engine. I/O by its ports; used by `images`."""

from __future__ import annotations

import asyncio
from typing import Final

from loguru import logger

from ...api.frames import ImageArchive, ImageWanted
from ...crd_like_specs.errors import Temporary
from .image_folder import ImageFolder
from .image_parts import SMALL, compose, known_layers, sizes
from .image_ports import ImageSource, ImageStore
from .image_progress import Progress

UNPACKED: Final = 2
"""Times the archive's size that an image takes of the engine's disk while it is loaded: engines
unpack the archive first, and then its layers.
"""


class Fetch:
    """One image. archive: what it is made of."""

    def __init__(
        self,
        wanted: ImageWanted,
        archive: ImageArchive,
        store: ImageStore,
        source: ImageSource,
        folder: ImageFolder,
        progress: Progress,
    ) -> None:
        self._wanted = wanted
        self._archive = archive
        self._store = store
        self._source = source
        self._folder = folder
        self._progress = progress

    async def run(self) -> None:
        """Return once the engine has it under its names. Temporary, Permanent."""
        for digest, size in sizes(self._archive).items():
            if size <= SMALL:  # the manifest, and what else tells the layers apart
                await self._folder.fetch(digest, self._source, lambda _: None)
        chains = await self._store.chains()
        known = await asyncio.to_thread(known_layers, self._archive, self._folder.file, chains)
        if known:
            logger.info("image {}: {} layers are here already", title(self._wanted), len(known))
        await self._bring(known)
        await self._load(known)
        if known and await self._store.find(self._wanted.id) is None:
            logger.warning("the engine wants those layers all the same")
            await self._bring(set())
            await self._load(set())
        if await self._store.find(self._wanted.id) is None:
            raise Temporary(
                f"the engine loaded the archive, but has no image {self._wanted.id} after it",
                reason="ImageLoadFailed",
            )
        for name in self._wanted.names:
            await self._store.tag(self._wanted.id, name)
        logger.bind(image=self._wanted.id).info("image {} is here", title(self._wanted))

    async def _bring(self, known: set[str]) -> None:
        """Have all parts but those at the paths `known`."""
        parts = ImageArchive(tuple(p for p in self._archive.parts if p.path not in known))
        needed = sizes(parts)
        here = {digest: self._folder.size(digest) for digest in needed}
        total = sum(needed.values())
        await asyncio.to_thread(
            self._folder.need_room,
            title(self._wanted),
            total - sum(here.values()),
            UNPACKED * total,
            await self._store.root(),
        )
        self._progress.begin(total, sum(here.values()))

        for digest in needed:

            def arrived(count: int, digest: str = digest) -> None:
                here[digest] = count
                self._progress.arrived(sum(here.values()))

            await self._folder.fetch(digest, self._source, arrived)

    async def _load(self, known: set[str]) -> None:
        self._progress.loading()
        try:
            await self._store.load(compose(self._archive, self._folder.file, known))
        except Temporary as e:
            if not known or e.reason != "ImageLoadFailed":
                raise
            logger.debug("not without the layers that the engine has: {}", e.message)


def title(wanted: ImageWanted) -> str:
    """As people know it."""
    return wanted.names[0] if wanted.names else wanted.id[:19]
