"""Requirements become a cached folder of installed packages. I/O. Called by the agent's core.

One environment per (image, requirements), built once however many ask for it. Where and how pip
runs is the `Builder`'s: `pip_docker` in a container of the job's image, `pip_process` here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from ...crd_like_specs.errors import Permanent, Temporary
from .env_cache import EnvCache
from .pip_output import NotInstalled, reason_in, without_addresses
from .pip_requirements import key, normalise, redact

TIMEOUT: Final = 600.0  # seconds for one run of pip


@dataclass(frozen=True, slots=True)
class PipRun:
    """How pip ended. output: the end of what it wrote, both streams together."""

    exit_code: int
    output: str


class Builder(Protocol):
    """Runs pip somewhere. Cancelling stops pip before the cancellation goes on."""

    async def image_id(self, image: str) -> str:
        """What the environment is built for; Permanent("ImageMissing"), Temporary."""

    async def run(self, image: str, requirements: tuple[str, ...], work: Path) -> PipRun:
        """Install into `<work>/site`, with `<work>/scratch` for what pip needs meanwhile.

        Raises TimeoutError after `TIMEOUT`, Temporary, Permanent.
        """


@dataclass
class _Build:
    """One build under way and how many wait for it."""

    task: asyncio.Task[Path]
    waiting: int = field(default=0)


class PipPreparer:
    """Preparer; see `ports`. Call `open` once before the first `prepare`."""

    def __init__(self, cache: EnvCache, builder: Builder) -> None:
        self._cache = cache
        self._builder = builder
        self._builds: dict[str, _Build] = {}
        self._files = asyncio.Lock()  # the cache is used from one thread at a time

    async def open(self) -> None:
        """Make the cache's folder and clean it. Permanent(reason="CacheUnusable")."""
        try:
            await asyncio.to_thread(self._cache.open)
        except OSError as e:
            raise Permanent(
                f"the folder for environments cannot be used: {e}", reason="CacheUnusable"
            ) from e

    async def prepare(self, image: str, requirements: tuple[str, ...]) -> Path | None:
        """See `Preparer`."""
        wanted = normalise(requirements)
        if not wanted:
            return None
        image_id = await self._builder.image_id(image)
        name = key(image_id, wanted)
        if name not in self._builds:
            async with self._files:
                path = await asyncio.to_thread(self._cache.get, name)
            if path is not None:
                return path
        build = self._builds.get(name)  # another may have begun while the cache was asked
        if build is None:
            task = asyncio.create_task(self._build(name, image_id, wanted))
            build = self._builds[name] = _Build(task)
        return await self._share(name, build)

    async def _share(self, name: str, build: _Build) -> Path:
        """Wait with the others; the last who gives up stops the build."""
        build.waiting += 1
        try:
            return await asyncio.shield(build.task)
        finally:
            build.waiting -= 1
            if build.waiting == 0:
                if self._builds.get(name) is build:
                    del self._builds[name]
                if not build.task.done():
                    build.task.cancel()
                    await asyncio.wait([build.task])

    async def _build(self, name: str, image: str, requirements: tuple[str, ...]) -> Path:
        try:
            async with self._files:
                partial = await asyncio.to_thread(self._cache.begin, name)
            ran = await self._run(image, requirements, partial)
            if ran.exit_code != 0:
                raise _failed(requirements, f"pip ended with {ran.exit_code}", ran.output)
            async with self._files:
                return await asyncio.to_thread(
                    self._cache.commit, name, partial / "site", requirements
                )
        except OSError as e:
            raise Temporary(f"the environment cannot be stored: {e}", reason="CacheUnusable") from e
        finally:
            async with self._files:
                await asyncio.to_thread(self._cache.discard, name)

    async def _run(self, image: str, requirements: tuple[str, ...], partial: Path) -> PipRun:
        try:
            return await self._builder.run(image, requirements, partial)
        except TimeoutError as e:  # before Python 3.11 asyncio's own is another class, see builders
            raise _failed(requirements, f"pip took longer than {TIMEOUT:g} s", "") from e


def _failed(requirements: tuple[str, ...], what: str, output: str) -> NotInstalled:
    names = without_addresses(", ".join(requirements))
    short = names if len(names) <= 200 else names[:197] + "..."
    why = reason_in(output)
    message = f"installing {short}: {what}" + (f": {why}" if why else "")
    return NotInstalled(message, output=redact(output))
