"""What a folder declares, and what is remembered of it: plain frozen values. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ...crd_like_specs.errors import Problem
from ...crd_like_specs.job import Job
from ...crd_like_specs.template import Template


@dataclass(frozen=True, slots=True)
class Declared:
    """One job of a file, as it should be stored: its code named by digest. line: where it begins;
    given: the same as the file has it, if its code stands in it; code: the folder or zip, from the
    source's folder on, that its code was packed from, "" where there is none.
    """

    job: Job
    run_hash: str
    line: int
    given: Job | None = None
    code: str = ""

    @property
    def name(self) -> str:
        """Of the job."""
        return self.job.metadata.name


@dataclass(frozen=True, slots=True)
class DeclaredTemplate:
    """One template of a file, as it should be stored. like: a job with the same code, by which that
    is packed and kept.
    """

    template: Template
    like: Declared

    @property
    def name(self) -> str:
        """Of the template."""
        return self.template.metadata.name


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of one file. problems: why nothing of it is taken; settled: False while it may
    still be written; blind: it could not even be read, so that any job might be in it; mentions:
    words of a file that is not taken, among them the names of jobs that it may be about.
    """

    path: str
    jobs: tuple[Declared, ...] = ()
    problems: tuple[Problem, ...] = ()
    settled: bool = True
    blind: bool = False
    mentions: frozenset[str] = frozenset()
    templates: tuple[DeclaredTemplate, ...] = ()

    @property
    def taken(self) -> bool:
        """Whether its jobs are to be as it says."""
        return self.settled and not self.problems


@dataclass(frozen=True, slots=True)
class Entry:
    """The inventory's line for one job of a source. run_hash: of the spec that was applied last;
    uid: of the job's record, "" until it is known; file: which declares it, or did last.
    """

    job: str
    run_hash: str
    uid: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a source deals with differences. owner: whom its jobs belong to; see `SourceSpec`."""

    name: str
    owner: str
    prune: bool = False
    allow_empty: bool = False
    suspend: bool = False


Run = tuple[str, str]
"""A job's name and the hash of the spec that ran: what is never run twice."""
