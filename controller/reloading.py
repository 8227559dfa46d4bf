"""SIGHUP: what of the configuration holds at once. Reads the file and the environment.

The sources are as it says now; for everything else the controller is started anew, which jobs and
their streams outlive. A configuration that is wrong changes nothing, and is told in the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from loguru import logger

from ..crd_like_specs.errors import ValidationError
from .config import Config
from .gitops.settings import SourceConfig


class Reloading:
    """config: as it was at the start; read: as it is now; configure: takes the sources."""

    def __init__(
        self,
        config: Config,
        read: Callable[[], Config],
        configure: Callable[[Sequence[SourceConfig]], Awaitable[None]],
    ) -> None:
        self._config = config
        self._read = read
        self._configure = configure
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Soon; several at once are one."""
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self._reload()

    async def _reload(self) -> None:
        try:
            fresh = await asyncio.to_thread(self._read)
            await self._configure(fresh.sources)
        except ValidationError as error:
            for problem in error.problems:
                logger.error("the configuration stays as it was: {}", problem)
            return
        names = ", ".join(one.name for one in fresh.sources) or "none"
        logger.info("configuration read again; sources: {}", names)
        differ = sorted(
            field.alias or name
            for name, field in Config.model_fields.items()
            if name != "sources" and getattr(fresh, name) != getattr(self._config, name)
        )
        if differ:
            logger.warning("changed, and in effect once started anew: {}", ", ".join(differ))
