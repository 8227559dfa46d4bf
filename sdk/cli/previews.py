"""What an apply would do, as text for people and as JSON. PURE but for the question of colour."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, TextIO

from ...api.previews import Change, Expected, Planned, Preview, Starts
from ...crd_like_specs.instants import show_instant
from ...crd_like_specs.job import Job
from ...crd_like_specs.lease import Lease
from . import describing, diffing, output, talk

_COLOURS: Final = {
    Change.CREATED: "green",
    Change.CHANGED: "yellow",
    Change.REPLACED: "yellow",
    Change.PRUNED: "red",
    Change.REFUSED: "red",
}
_MARKS: Final = {
    Change.CREATED: "+",
    Change.CHANGED: "~",
    Change.REPLACED: "±",
    Change.UNCHANGED: " ",
    Change.PRUNED: "-",
    Change.REFUSED: "!",
}
_SAME: Final = (Change.UNCHANGED, Change.REFUSED)


def differs(found: Preview) -> bool:
    """Whether anything would be another than it is."""
    return any(one.change not in _SAME for one in found.changes)


def problems(found: Preview) -> list[str]:
    """What apply would refuse, a line each."""
    return [
        f"{output.label(one.resource)}: {problem}"
        for one in found.changes
        for problem in one.problems
    ]


def hopeless(found: Preview) -> bool:
    """Whether a job would end at once since nothing that exists could take it."""
    return any(
        one.expected is not None
        and one.expected.when is Starts.NEVER
        and isinstance(one.after, Job)
        and one.after.spec.when_unschedulable == "Fail"
        for one in found.changes
    )


def differences(found: Preview, stream: TextIO) -> str:
    """Every object that differs, with its fields."""
    parts = [
        f"{_head(one, stream)}\n" + "".join(f"    {output.plain(line)}\n" for line in _fields(one))
        for one in found.changes
        if one.change is not Change.UNCHANGED
    ]
    return "".join(parts)


def starts(found: Preview, stream: TextIO) -> str:
    """A table of all objects, why those wait or never start, and a line that sums it up."""
    if not found.changes:
        return ""
    rows = [["", "NAME", "ACTION", "STARTS", "WORKER", "DEVICES", "ENDS-BY"]]
    rows += [_row(one, found.now) for one in found.changes]
    lines = output.table(rows).splitlines()
    painted = [
        talk.paint(line, _COLOURS.get(one.change, ""), stream)
        for line, one in zip(lines[1:], found.changes, strict=True)
    ]
    text = "".join(f"{line}\n" for line in [lines[0], *painted])
    for one in found.changes:
        text += output.plain(_details(one))
    return f"{text}\n{_summary(found)}\n"


def as_dict(found: Preview) -> dict[str, Any]:
    """As JSON has it."""
    return {
        "now": show_instant(found.now),
        "changes": [
            {
                "kind": one.resource.kind,
                "name": one.resource.metadata.name,
                "action": one.change.value,
                "fields": [
                    {"path": field.path, "before": field.before, "after": field.after}
                    for field in _differing(one)
                ],
                "problems": list(one.problems),
                **({"forecast": _forecast(one.expected)} if one.expected else {}),
            }
            for one in found.changes
        ],
    }


def _forecast(one: Expected) -> dict[str, Any]:
    return {
        "when": one.when.value,
        "at": show_instant(one.at) if one.at else None,
        "endsBy": show_instant(one.ends) if one.ends else None,
        "worker": one.worker or None,
        "devices": list(one.devices),
        "reason": one.reason,
        "workers": [reason.to_dict() for reason in one.workers],
    }


def _head(one: Planned, stream: TextIO) -> str:
    label = output.label(one.resource)
    words = f"{_MARKS[one.change]} {label} {_action(one)}"
    return talk.paint(words, _COLOURS.get(one.change, ""), stream)


def _action(one: Planned) -> str:
    if one.change is Change.REPLACED and isinstance(one.before, Job):
        over = one.before.status.phase.terminal
        return "replaced: runs anew" if over else "replaced: what runs now is ended, it runs anew"
    return one.change.value


def _differing(one: Planned) -> list[diffing.Field]:
    if one.change in (Change.PRUNED, Change.UNCHANGED, Change.REFUSED):
        return []
    return diffing.fields(one.before, one.after)


def _fields(one: Planned) -> list[str]:
    if one.change is not Change.CREATED:
        return [field.text() for field in _differing(one)]
    spec = one.resource.to_dict().get("spec", {})
    code = {"code": "packed"} if "code" in spec else {}
    return [f"spec.{key}: {diffing.shown(value)}" for key, value in {**spec, **code}.items()]


def _row(one: Planned, now: float) -> list[str]:
    assert not isinstance(one.resource, Lease), "leases are nobody's to apply"
    expected = one.expected
    starts, worker, devices, ends = "-", "-", "-", "-"
    if expected is not None and expected.when is not Starts.NOTHING:
        starts = expected.when.value
        if expected.when is Starts.LATER:
            starts = f"in {output.span(expected.at - now)}"
        worker = expected.worker or "-"
        devices = ",".join(map(str, expected.devices)) or "-"
        ends = f"in {output.span(expected.ends - now)}" if expected.ends else "-"
    label = output.label(one.resource)
    return [_MARKS[one.change], label, one.change.value, starts, worker, devices, ends]


def _details(one: Planned) -> str:
    expected = one.expected
    if expected is None or expected.when is Starts.NOW or not expected.reason:
        return ""
    if expected.when is Starts.NOTHING and one.change is not Change.UNCHANGED:
        return ""
    if expected.when is Starts.NOTHING:
        return f"\n{output.label(one.resource)}: {expected.reason}\n"
    word = expected.when.value if expected.when is Starts.NEVER else "waits"
    text = f"\n{output.label(one.resource)} {word}: {expected.reason}\n"
    return text + describing.reasons(expected.workers)


def _summary(found: Preview) -> str:
    counts = Counter(one.change for one in found.changes)
    parts = [f"{counts[change]} {change.value}" for change in Change if counts[change]]
    return f"{', '.join(parts)}; nothing was written"
