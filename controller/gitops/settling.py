"""What the datasets that files name stand for at this look. Asks `desired`, writes nothing.

A file names a dataset, a record its content: they are compared once the name is looked up. So
another upload under the name makes a job run again, as changed code does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...api.viewer import Viewer
from ...crd_like_specs.errors import Problem, ValidationError
from ..runtime.desired import Desired
from .declared import Declared, Reading


class Settler:
    """owner: whose the source's jobs are; who: as events name it."""

    def __init__(self, desired: Desired, owner: str, who: str) -> None:
        self._desired = desired
        self._viewer = Viewer(owner, own_only=True, who=who)

    async def settled(self, readings: Sequence[Reading]) -> tuple[Reading, ...]:
        """The readings; a file with a job that reads what there is not is not taken, and keeps
        what it declared.
        """
        return tuple([await self._reading(reading) for reading in readings])

    async def _reading(self, reading: Reading) -> Reading:
        if not any(one.job.spec.datasets for one in reading.jobs):
            return reading
        jobs: list[Declared] = []
        problems: list[Problem] = []
        for one in reading.jobs:
            try:
                jobs.append(await self._declared(one))
            except ValidationError as error:
                problems += [replace(p, file=reading.path, line=one.line) for p in error.problems]
        if problems:
            names = frozenset(one.name for one in reading.jobs)
            return Reading(reading.path, problems=tuple(problems), mentions=names)
        return replace(reading, jobs=tuple(jobs))

    async def _declared(self, one: Declared) -> Declared:
        job = await self._desired.settled(one.job, self._viewer)
        given = one.given
        if given is not None:
            spec = given.spec.model_copy(update={"datasets": job.spec.datasets})
            given = given.model_copy(update={"spec": spec})
        return replace(one, job=job, run_hash=job.spec.run_hash(), given=given)
