"""Folders that change in any way, with crashes in between: what finished never runs again, what is
foreign is never touched, and in the end everything is as the folder says.

The plan is pure; here it is carried out against a model of the store, one write after the other, so
that a controller can be killed before any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from cumulus.controller.gitops.comparing import is_ours
from cumulus.controller.gitops.declared import Declared, Entry, Reading, Rules, Run
from cumulus.controller.gitops.plan import SyncPlan, plan
from cumulus.crd_like_specs.errors import Problem
from cumulus.crd_like_specs.job import Job, JobStatus, Phase
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.crd_like_specs.source import LABEL_SOURCE
from hypothesis import given, settings
from hypothesis import strategies as st
from make import spec

RULES = Rules("nightly", "source-nightly", prune=True, allow_empty=True)
NAMES = ("a", "b", "c")
FILES = ("x.yaml", "y.yaml", "z.yaml")
VARIANTS = (1, 2)

Content = tuple[tuple[str, int], ...]  # (job, variant) of one file


def declared(name: str, variant: int) -> Declared:
    wanted = spec(duration=variant)
    meta = ObjectMeta(name=name, labels={LABEL_SOURCE: RULES.name})
    return Declared(Job(metadata=meta, spec=wanted), wanted.run_hash(), 1)


class KilledError(Exception):
    pass


@dataclass
class World:
    """The store, and the folder. budget: writes until the controller is killed."""

    live: dict[str, Job] = field(default_factory=dict)
    inventory: dict[str, Entry] = field(default_factory=dict)
    finished: set[Run] = field(default_factory=set)
    folder: dict[str, Content] = field(default_factory=dict)
    commits: list[dict[str, Content]] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)
    ran: set[Run] = field(default_factory=set)
    uids: int = 0
    budget: int = 0

    def readings(self) -> list[Reading]:
        found = []
        for path, content in sorted(self.folder.items()):
            if path in self.broken:
                names = frozenset(name for name, _ in content)
                problem = Problem("broken", file=path)
                found.append(Reading(path, problems=(problem,), mentions=names))
            else:
                found.append(Reading(path, tuple(declared(*one) for one in content)))
        return found

    def plan(self) -> SyncPlan:
        return plan(self.readings(), self.live, self.inventory, self.finished, RULES)

    def write(self) -> None:
        if self.budget == 0:
            raise KilledError
        self.budget -= 1

    def sync(self, budget: int = -1) -> None:
        """As `applying.py` does it, and `Desired` within it."""
        self.budget = budget
        made = self.plan()
        try:
            self.write()
            for entry in made.notes:
                self.inventory[entry.job] = entry
            for one in made.applies:
                entry = Entry(one.declared.name, one.declared.run_hash, one.expects, one.file)
                self.inventory[entry.job] = entry
            for name in made.forgets:
                self.inventory.pop(name, None)
            for one in made.applies:
                self.write()
                self.apply(one.declared, one.expects)
            self.write()
            for one in made.applies:
                name = one.declared.name
                known = replace(self.inventory[name], uid=self.live[name].metadata.uid)
                self.inventory[name] = known
            for prune in made.prunes:
                self.write()
                self.delete(prune.job, prune.uid)
        except KilledError:
            return

    def apply(self, one: Declared, expects: str) -> None:
        old = self.live.get(one.name)
        assert (old.metadata.uid if old else "") == expects
        assert expects not in self.foreign
        if old is None or old.spec.run_hash() != one.run_hash:
            assert (one.name, one.run_hash) not in self.ran, "it has finished before"
        self.store(one.name, one.job.spec, one.job.metadata.labels, RULES.owner)

    def delete(self, name: str, uid: str) -> None:
        job = self.live[name]
        assert job.metadata.uid == uid
        assert uid not in self.foreign
        del self.live[name]  # what ran is stopped, and its record collected

    def store(self, name: str, wanted: Any, labels: dict[str, str], owner: str) -> None:
        """Create, or change the spec of what there is."""
        old = self.live.get(name)
        if old is None:
            self.uids += 1
            meta = ObjectMeta(name=name, uid=f"{self.uids:032x}", owner=owner, labels=labels)
            self.live[name] = Job(metadata=meta, spec=wanted, status=JobStatus())
            return
        meta = old.metadata.model_copy(update={"labels": labels})
        status = old.status if old.spec.run_hash() == wanted.run_hash() else JobStatus()
        self.live[name] = Job(metadata=meta, spec=wanted, status=status)

    # What happens to it

    def step(self, what: str, name: str, file: str, content: Content, number: int) -> None:
        job = self.live.get(name)
        getattr(self, what)(name=name, job=job, file=file, content=content, number=number)

    def write_file(self, file: str, content: Content, **_: Any) -> None:
        self.folder[file] = content

    def delete_file(self, file: str, **_: Any) -> None:
        self.folder.pop(file, None)

    def rename_file(self, file: str, number: int, **_: Any) -> None:
        if file in self.folder:
            self.folder[FILES[number % len(FILES)]] = self.folder.pop(file)

    def break_file(self, file: str, **_: Any) -> None:
        self.broken ^= {file}

    def commit(self, **_: Any) -> None:
        self.commits.append(dict(self.folder))

    def revert(self, number: int, **_: Any) -> None:
        if self.commits:
            self.folder = dict(self.commits[number % len(self.commits)])

    def whole_sync(self, **_: Any) -> None:
        self.sync()

    def killed_sync(self, number: int, **_: Any) -> None:
        self.sync(number)

    def job_finishes(self, job: Job | None, **_: Any) -> None:
        if job is not None:
            self.finish(job)

    def job_is_collected(self, job: Job | None, name: str, **_: Any) -> None:
        if job is not None and job.status.phase.terminal:
            del self.live[name]

    def user_deletes(self, name: str, **_: Any) -> None:
        self.live.pop(name, None)

    def user_edits(self, job: Job | None, name: str, **_: Any) -> None:
        if job is not None:
            self.store(name, spec(duration=9), {}, job.metadata.owner)

    def user_creates(self, job: Job | None, name: str, number: int, **_: Any) -> None:
        if job is None:
            self.store(name, spec(duration=number + 1), {}, "somebody")
            self.foreign.add(self.live[name].metadata.uid)

    def finish(self, job: Job) -> None:
        """The status, and with it that this run finished: see `inventory.finished_with`."""
        name, run_hash = job.metadata.name, job.spec.run_hash()
        done = JobStatus(phase=Phase.SUCCEEDED, attempt=1, run_hash=run_hash)
        self.live[name] = job.model_copy(update={"status": done})
        if is_ours(job, self.inventory.get(name), RULES):
            self.finished.add((name, run_hash))
        if job.metadata.owner == RULES.owner and LABEL_SOURCE in job.metadata.labels:
            self.ran.add((name, run_hash))


contents = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(VARIANTS)),
    max_size=3,
    unique_by=lambda x: x[0],
).map(tuple)
steps = st.lists(
    st.tuples(
        st.sampled_from(
            ("write_file", "write_file", "delete_file", "rename_file", "break_file", "commit",
             "revert", "whole_sync", "whole_sync", "killed_sync", "job_finishes", "job_finishes",
             "job_is_collected", "user_deletes", "user_edits", "user_creates")
        ),
        st.sampled_from(NAMES),
        st.sampled_from(FILES),
        contents,
        st.integers(0, 6),
    ),
    max_size=40,
)  # fmt: skip


@settings(max_examples=300)
@given(steps)
def test_nothing_that_finished_reruns_and_nothing_foreign_is_touched(found: list[Any]) -> None:
    world = World()
    for one in found:
        before = {n: j for n, j in world.live.items() if j.metadata.uid in world.foreign}
        world.step(*one)
        if one[0] in ("whole_sync", "killed_sync"):
            assert {n: world.live.get(n) for n in before} == before
    world.broken.clear()
    for _ in range(4):
        world.sync()
    assert world.plan().idle, "every plan comes to an end"
    check_converged(world)


def check_converged(world: World) -> None:
    places: dict[str, list[int]] = {}
    files_of: dict[str, list[str]] = {}
    for path, content in world.folder.items():
        for name, variant in content:
            places.setdefault(name, []).append(variant)
            files_of.setdefault(name, []).append(path)
    invalid = {path for name, paths in files_of.items() if len(paths) > 1 for path in paths}
    for name, job in world.live.items():
        if job.metadata.uid in world.foreign or LABEL_SOURCE not in job.metadata.labels:
            continue
        kept = job.status.phase.terminal and name in places
        doubted = any(path in invalid for path in files_of.get(name, ()))
        wanted = {spec(duration=v).run_hash() for v in places.get(name, ())}
        assert doubted or kept or job.spec.run_hash() in wanted or name in held(world, invalid)
    for name, (variant, *others) in places.items():
        if others or files_of[name][0] in invalid:
            continue
        known, run = world.live.get(name), (name, spec(duration=variant).run_hash())
        if run in world.finished or (
            known and not is_ours(known, world.inventory.get(name), RULES)
        ):
            continue  # it ran, or a user has made the job its own
        assert known is not None
        assert known.spec.run_hash() == run[1]


def held(world: World, invalid: set[str]) -> set[str]:
    """Jobs that a file which is not taken may be about, or was."""
    found = {name for path in invalid for name, _ in world.folder[path]}
    return found | {entry.job for entry in world.inventory.values() if entry.file in invalid}
