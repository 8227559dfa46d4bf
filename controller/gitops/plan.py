"""The decision: what a source applies, prunes and remembers now. Pure: no I/O, no clock.

`plan` compares what the folder declares with the jobs there are, by the inventory of what this
source made. Carrying a plan out twice does no harm, and one that was carried out in part leads to
the same end at the next look. Called by `syncing.py`.

- A (name, run) that finished is never applied again, whatever became of its record.
- Only what the inventory has and what bears our label and owner is ever deleted.
- What a file that can't be taken now may be about is left as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from ...crd_like_specs.job import Job
from ...crd_like_specs.source import FileState
from .comparing import is_labelled, is_ours, is_over, is_same, steered, with_conflicts
from .declared import Declared, DeclaredTemplate, Entry, Reading, Rules, Run

EMPTY: Final = (
    "the folder holds no specs: its jobs are kept in case it is merely not mounted; "
    "set allowEmpty: true to prune them all"
)


@dataclass(frozen=True, slots=True)
class Apply:
    """Create the job, or change its record. expects: uid of the record there is, "" for none."""

    declared: Declared
    file: str
    expects: str = ""


@dataclass(frozen=True, slots=True)
class Prune:
    """Delete the job with this uid."""

    job: str
    uid: str
    file: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said of a job's file. done: its state once its action was carried out."""

    file: str
    job: str
    state: FileState
    message: str = ""
    done: FileState | None = None


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """notes, forgets: entries of the inventory to write, and names to drop from it. message: what
    keeps all of it from being carried through. templates, drops: what `template_plan.py` adds: those
    to write, and names of those to delete.
    """

    readings: tuple[Reading, ...]
    verdicts: tuple[Verdict, ...]
    applies: tuple[Apply, ...] = ()
    prunes: tuple[Prune, ...] = ()
    notes: tuple[Entry, ...] = ()
    forgets: tuple[str, ...] = ()
    message: str = ""
    templates: tuple[DeclaredTemplate, ...] = ()
    drops: tuple[str, ...] = ()

    @property
    def idle(self) -> bool:
        """Whether nothing is to be done."""
        steps = (self.applies, self.prunes, self.notes, self.forgets, self.templates, self.drops)
        return not any(steps)


@dataclass(slots=True)
class _Draft:
    verdicts: list[Verdict] = field(default_factory=list)
    applies: list[Apply] = field(default_factory=list)
    prunes: list[Prune] = field(default_factory=list)
    notes: list[Entry] = field(default_factory=list)
    forgets: list[str] = field(default_factory=list)

    def note(self, wanted: Entry, known: Entry | None) -> None:
        """Have the inventory say so."""
        if wanted != known:
            self.notes.append(wanted)


def plan(
    readings: Sequence[Reading],
    live: Mapping[str, Job],
    inventory: Mapping[str, Entry],
    finished: AbstractSet[Run],
    rules: Rules,
    gone: AbstractSet[str] = frozenset(),
) -> SyncPlan:
    """live: name → record, of every job that is declared or in the inventory; finished: which runs
    that are declared have finished before; gone: paths that were there a moment ago.
    """
    readings = with_conflicts(readings)
    draft = _Draft()
    declared: set[str] = set()
    for reading in readings:
        for one in reading.jobs if reading.taken else ():
            declared.add(one.name)
            known, entry = live.get(one.name), inventory.get(one.name)
            ran = (one.name, one.run_hash) in finished
            _wanted(draft, reading.path, steered(one, known), known, entry, ran, rules)
    doubted = [reading for reading in readings if not reading.taken]
    held = _Held(doubted, gone, empty=not readings and not rules.allow_empty)
    for name, entry in sorted(inventory.items()):
        if name not in declared:
            _unwanted(draft, entry, live.get(name), held.why(entry), rules)
    message = EMPTY if held.empty and inventory and rules.prune else ""
    verdicts = tuple(draft.verdicts)
    if rules.suspend:
        return SyncPlan(tuple(readings), verdicts, message=message)
    return SyncPlan(
        tuple(readings),
        verdicts,
        tuple(draft.applies),
        tuple(draft.prunes),
        tuple(draft.notes),
        tuple(draft.forgets),
        message,
    )


def _wanted(
    draft: _Draft,
    file: str,
    one: Declared,
    known: Job | None,
    entry: Entry | None,
    ran: bool,
    rules: Rules,
) -> None:
    """known: its record; ran: this very run has finished before."""
    uid = known.metadata.uid if known is not None else ""
    noted = Entry(one.name, one.run_hash, uid, file)
    if known is None and not ran:
        lost = entry is not None and entry.uid and entry.run_hash == one.run_hash
        draft.applies.append(Apply(one, file))
        verdict = _differs(file, one, "was deleted" if lost else "is to be created")
    elif known is None:
        draft.note(noted, entry)
        verdict = _synced(file, one, "finished before, its record is no longer kept")
    elif not is_ours(known, entry, rules):
        text = "the name is taken by a job that this source did not make: delete it or rename"
        verdict = Verdict(file, one.name, FileState.OUT_OF_SYNC, text)
    elif known.metadata.deletion_timestamp is not None:
        verdict = Verdict(file, one.name, FileState.OUT_OF_SYNC, "is being deleted")
    elif is_same(known, one):
        draft.note(noted, entry)
        verdict = _synced(file, one)
    elif known.spec.run_hash() == one.run_hash or not ran:
        draft.applies.append(Apply(one, file, uid))
        verdict = _differs(file, one, "its record differs")
    else:
        verdict = _ran_before(draft, file, one, known, noted, entry, rules)
    draft.verdicts.append(verdict)


def _ran_before(
    draft: _Draft,
    file: str,
    one: Declared,
    known: Job,
    noted: Entry,
    entry: Entry | None,
    rules: Rules,
) -> Verdict:
    """The wanted run has finished, and its record is of another run: it can't be put right without
    running again, and what is not wanted any more is stopped.
    """
    if is_over(known):
        draft.note(noted, entry)
        return _synced(file, one, "finished before; its record is of a later run")
    if not (rules.prune and is_labelled(known, rules)):
        text = "finished before; another run of it goes on, which this source may not stop"
        return Verdict(file, one.name, FileState.OUT_OF_SYNC, text)
    draft.prunes.append(Prune(one.name, known.metadata.uid, file))
    draft.note(noted, entry)
    text = "finished before; another run of it is stopped"
    return Verdict(file, one.name, FileState.OUT_OF_SYNC, text)


def _synced(file: str, one: Declared, message: str = "") -> Verdict:
    return Verdict(file, one.name, FileState.SYNCED, message)


def _differs(file: str, one: Declared, message: str) -> Verdict:
    return Verdict(file, one.name, FileState.OUT_OF_SYNC, message, FileState.SYNCED)


@dataclass(frozen=True, slots=True)
class _Held:
    """What keeps jobs that no file declares from being pruned. doubted: files that are not taken."""

    doubted: Sequence[Reading]
    gone: AbstractSet[str]
    empty: bool

    def why(self, entry: Entry) -> str:
        """Of this one, or "". A file that is not taken keeps what it declared, or may declare."""
        if self.empty:
            return "kept: the folder holds no specs"
        if entry.file in self.gone:
            return "kept: its file was there a moment ago"
        for reading in self.doubted:
            if reading.path == entry.file or reading.blind or entry.job in reading.mentions:
                return f"kept: {reading.path} may be about it"
        return ""


def _unwanted(draft: _Draft, entry: Entry, known: Job | None, held: str, rules: Rules) -> None:
    def says(state: FileState, message: str, done: FileState | None = None) -> None:
        draft.verdicts.append(Verdict(entry.file, entry.job, state, message, done))

    if held:
        says(FileState.OUT_OF_SYNC, held)
    elif known is None or not is_ours(known, entry, rules):
        draft.forgets.append(entry.job)
        says(FileState.PRUNED, "is gone")
    elif not is_labelled(known, rules):
        draft.forgets.append(entry.job)
        says(FileState.PRUNED, "kept: it no longer bears this source's label")
    elif known.metadata.deletion_timestamp is not None:
        says(FileState.PRUNED, "is being deleted")
    elif not rules.prune:
        says(FileState.OUT_OF_SYNC, "no file declares it any more, and prune is off")
    else:
        draft.prunes.append(Prune(entry.job, known.metadata.uid, entry.file))
        says(FileState.OUT_OF_SYNC, "no file declares it any more", FileState.PRUNED)
