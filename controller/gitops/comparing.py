"""What is declared beside what there is: whose a record is, and whether it is as it should be. Pure.

Called by `plan.py`, which decides by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ...crd_like_specs.errors import Problem
from ...crd_like_specs.job import Job
from ...crd_like_specs.source import LABEL_SOURCE
from .declared import Declared, Entry, Reading, Rules

IDEMPOTENCY: Final = "cumulus.dev/idempotency-key"
"""The one annotation that a job's record may have beside those of its file."""


def is_ours(job: Job, entry: Entry | None, rules: Rules) -> bool:
    """Whether this source made the record. One that it was about to make when it was killed bears
    its label and owner.
    """
    if entry is None or job.metadata.owner != rules.owner:
        return False
    return job.metadata.uid == entry.uid or (not entry.uid and is_labelled(job, rules))


def is_labelled(job: Job, rules: Rules) -> bool:
    """Whether it bears this source's label."""
    return job.metadata.labels.get(LABEL_SOURCE) == rules.name


def is_same(job: Job, declared: Declared) -> bool:
    """Whether the record says what the file says."""
    ours = declared.job
    notes = {k: v for k, v in job.metadata.annotations.items() if k != IDEMPOTENCY}
    return (
        job.spec == ours.spec
        and job.metadata.labels == ours.metadata.labels
        and notes == ours.metadata.annotations
    )


def is_over(job: Job) -> bool:
    """Whether its record asks for no run that has not ended."""
    return job.status.phase.terminal and job.status.run_hash == job.spec.run_hash()


def steered(declared: Declared, known: Job | None) -> Declared:
    """The job as it should be, left suspended or running as a user put it: where its file does not
    speak of `suspend`, a pause by hand holds, for as long as it is the same run.
    """
    if (
        known is None
        or known.spec == declared.job.spec
        or "suspend" in declared.job.spec.model_fields_set
        or known.spec.run_hash() != declared.run_hash
    ):
        return declared
    given = declared.given
    return replace(
        declared,
        job=_suspended(declared.job, known),
        given=_suspended(given, known) if given is not None else None,
    )


def _suspended(job: Job, known: Job) -> Job:
    if job.spec.suspend == known.spec.suspend:
        return job
    spec = job.spec.model_copy(update={"suspend": known.spec.suspend})
    return job.model_copy(update={"spec": spec})


def with_conflicts(readings: Sequence[Reading]) -> list[Reading]:
    """Files that declare the same job are all invalid, each naming the others."""
    places: dict[str, list[tuple[str, int]]] = {}
    for reading in readings:
        for one in reading.jobs if reading.taken else ():
            places.setdefault(one.name, []).append((reading.path, one.line))
    twice = {name: found for name, found in places.items() if len(found) > 1}
    if not twice:
        return list(readings)
    checked = []
    for reading in readings:
        problems = [
            Problem(_defined_too(one.name, twice[one.name], (reading.path, one.line)),
                    "metadata.name", reading.path, one.line)
            for one in reading.jobs
            if reading.taken and one.name in twice
        ]  # fmt: skip
        if problems:
            names = frozenset(one.name for one in reading.jobs)
            checked.append(Reading(reading.path, (), tuple(problems), mentions=names))
        else:
            checked.append(reading)
    return checked


def _defined_too(name: str, places: Sequence[tuple[str, int]], here: tuple[str, int]) -> str:
    others = ", ".join(f"{path}:{line}" for path, line in places if (path, line) != here)
    return f"job {name!r} is defined by {others} too: expected one definition"
