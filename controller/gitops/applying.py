"""Carrying a plan out: the same way in that every submission takes, as the source's owner. I/O."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterable
from pathlib import Path
from typing import Final

from ...api.viewer import Viewer
from ...crd_like_specs.errors import ConflictError, NotFoundError, ValidationError
from ...crd_like_specs.packing import resolve_code
from ...crd_like_specs.source import FileState
from ..runtime.blobs import Blobs
from ..runtime.desired import Desired
from ..runtime.templates import Templates
from .declared import Declared, Entry
from .inventory import Inventory
from .looking import Look, Looker
from .plan import Apply, Prune, SyncPlan
from .rows import Failure, said
from .template_plan import PREFIX
from .tree import UnreadableError

AT_ONCE: Final = 16
"""Applications on their way at a time: their commits are grouped."""


class Applier:
    """Of one source. owner: whose its jobs are; who: as events name it."""

    def __init__(
        self,
        desired: Desired,
        blobs: Blobs,
        inventory: Inventory,
        looker: Looker,
        owner: str,
        who: str,
        templates: Templates,
    ) -> None:
        self._desired = desired
        self._templates = templates
        self._blobs = blobs
        self._inventory = inventory
        self._looker = looker
        self._viewer = Viewer(owner, own_only=True, who=who)

    async def carry_out(self, plan: SyncPlan, look: Look) -> dict[str, Failure]:
        """What went wrong, by job. Everything in it can be done twice; killed anywhere, the next
        look goes on from there.
        """
        wanted = [_entry(apply, apply.expects) for apply in plan.applies]
        await self._inventory.write([*plan.notes, *wanted], plan.forgets)
        failures: dict[str, Failure] = {}
        made: list[Entry] = []

        async def apply(one: Apply) -> None:
            try:
                uid = await self._apply(one, look)
            except (ConflictError, UnreadableError) as error:
                failures[one.declared.name] = (FileState.OUT_OF_SYNC, str(error))
            except ValidationError as error:
                failures[one.declared.name] = (FileState.INVALID, said(error.problems))
            else:
                if uid != one.expects:
                    made.append(_entry(one, uid))

        await _some_at_a_time(apply(one) for one in plan.applies)
        await self._inventory.write(made)
        await _some_at_a_time(self._prune(one) for one in plan.prunes)
        failures.update(await self._carry_out_templates(plan, look))
        return failures

    async def _apply(self, one: Apply, look: Look) -> str:
        """The uid of its record."""
        declared = one.declared
        if declared.code:
            await self._keep_code(declared, look)
        job = declared.given or declared.job
        applied = await self._desired.apply(
            job, dry_run=False, viewer=self._viewer, over_uid=one.expects
        )
        return applied.resource.metadata.uid

    async def _carry_out_templates(self, plan: SyncPlan, look: Look) -> dict[str, Failure]:
        """What went wrong, by the names of their verdicts."""
        failures: dict[str, Failure] = {}
        for one in plan.templates:
            try:
                if one.like.code or one.like.given is not None:
                    await self._keep_code(one.like, look)
                await self._templates.put(one.template)
            except UnreadableError as error:
                failures[PREFIX + one.name] = (FileState.OUT_OF_SYNC, str(error))
            except ValidationError as error:
                failures[PREFIX + one.name] = (FileState.INVALID, said(error.problems))
        for name in plan.drops:
            with contextlib.suppress(NotFoundError):  # it went by itself
                await self._templates.delete(name)
        return failures

    async def _keep_code(self, declared: Declared, look: Look) -> None:
        code = declared.job.spec.code
        assert code is not None
        assert code.digest is not None
        if await self._blobs.has(code.digest) is not None:
            return
        data = await asyncio.to_thread(self._code, declared, look)
        upload = await self._blobs.receive(code.digest)
        await upload.write(data)
        await upload.commit()

    def _code(self, declared: Declared, look: Look) -> bytes:
        """Its zip: of a folder of the tree, or of files that stand in the spec itself."""
        if declared.code or declared.given is None:
            return self._looker.code(look.tree, declared)
        _, data = resolve_code(declared.given, Path("/"))
        assert data is not None
        return data

    async def _prune(self, one: Prune) -> None:
        try:
            await self._desired.delete(one.uid, viewer=self._viewer)
        except NotFoundError:
            return  # it went by itself


def _entry(apply: Apply, uid: str) -> Entry:
    return Entry(apply.declared.name, apply.declared.run_hash, uid, apply.file)


async def _some_at_a_time(work: Iterable[Awaitable[None]]) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item: Awaitable[None]) -> None:
        async with gate:
            await item

    for done in await asyncio.gather(*(one(item) for item in work), return_exceptions=True):
        if done is not None:
            raise done
