"""What becomes of the templates that a source declares. Pure; called by `syncing.py` after `plan.py`.

Templates run nothing, so that there is no inventory of them: what bears the source's label is its.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from ...crd_like_specs.source import LABEL_SOURCE, FileState
from ...crd_like_specs.template import Template
from .declared import DeclaredTemplate, Reading, Rules
from .plan import SyncPlan, Verdict

PREFIX: Final = "template/"
"""Begins the name under which a template's verdict stands."""


def with_templates(
    made: SyncPlan, live: Mapping[str, Template], rules: Rules, gone: AbstractSet[str]
) -> SyncPlan:
    """The plan with what is to be done about templates. live: every one there is, by name; gone:
    paths that were there a moment ago.
    """
    wanted: list[DeclaredTemplate] = []
    drops: list[str] = []
    verdicts: list[Verdict] = []
    declared: dict[str, str] = {}
    for reading in made.readings:
        for one in reading.templates if reading.taken else ():
            if one.name in declared:
                text = f"is defined by {declared[one.name]} too: expected one definition"
                verdicts.append(_differs(reading.path, one.name, text, done=False))
                continue
            declared[one.name] = reading.path
            verdicts.append(_wanted(wanted, reading.path, one, live.get(one.name), rules))
    kept = _kept(made.readings, rules, gone)
    for name, template in sorted(live.items()):
        if name in declared or not _is_ours(template, rules):
            continue
        if rules.prune and not kept:
            drops.append(name)
            verdict = Verdict("", PREFIX + name, FileState.OUT_OF_SYNC, "", FileState.PRUNED)
        else:
            text = kept or "no file declares it any more, and prune is off"
            verdict = Verdict("", PREFIX + name, FileState.OUT_OF_SYNC, text)
        verdicts.append(verdict)
    # What no file declares belongs to no row: it is told in the log, and by its being there.
    shown = tuple(verdict for verdict in verdicts if verdict.file)
    made = replace(made, verdicts=(*made.verdicts, *shown))
    return made if rules.suspend else replace(made, templates=tuple(wanted), drops=tuple(drops))


def _wanted(
    wanted: list[DeclaredTemplate],
    file: str,
    one: DeclaredTemplate,
    known: Template | None,
    rules: Rules,
) -> Verdict:
    if known is None:
        wanted.append(one)
        return _differs(file, one.name, "is to be created")
    if not _is_ours(known, rules):
        text = "the name is taken by a template that this source did not make: delete it or rename"
        return _differs(file, one.name, text, done=False)
    ours = one.template
    same = (
        known.spec == ours.spec
        and known.metadata.labels == ours.metadata.labels
        and known.metadata.annotations == ours.metadata.annotations
    )
    if same:
        return Verdict(file, PREFIX + one.name, FileState.SYNCED)
    wanted.append(one)
    return _differs(file, one.name, "its record differs")


def _is_ours(template: Template, rules: Rules) -> bool:
    return template.metadata.labels.get(LABEL_SOURCE) == rules.name


def _kept(readings: Sequence[Reading], rules: Rules, gone: AbstractSet[str]) -> str:
    """What keeps every template that no file declares, "" for nothing."""
    if not readings and not rules.allow_empty:
        return "kept: the folder holds no specs"
    if gone or not all(reading.taken for reading in readings):
        return "kept: a file of the folder is not taken now"
    return ""


def _differs(file: str, name: str, text: str, *, done: bool = True) -> Verdict:
    after = FileState.SYNCED if done else None
    return Verdict(file, PREFIX + name, FileState.OUT_OF_SYNC, text, after)
