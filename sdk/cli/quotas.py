"""Limits as options take them, and projects as people read them. PURE."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ...api.audited import Audited
from ...api.tenancy import (
    UNLIMITED,
    Project,
    Quota,
    parse_count,
    parse_hours,
    parse_size,
)
from ...crd_like_specs.errors import ValidationError
from ...crd_like_specs.instants import show_instant
from ...crd_like_specs.units import show_bytes
from . import output

_PARSERS = {
    "running": ("--max-running", parse_count),
    "gpu": ("--gpu-hours", parse_hours),
    "dataset_bytes": ("--dataset-bytes", parse_size),
}


def limits(running: str, gpu: str, dataset_bytes: str) -> tuple[Quota, tuple[str, ...]]:
    """What is given, and which limits are to be lifted; "" leaves one as it is. ValidationError."""
    given = {"running": running, "gpu": gpu, "dataset_bytes": dataset_bytes}
    values: dict[str, int] = {}
    for name, text in given.items():
        option, parse = _PARSERS[name]
        if text and text != UNLIMITED:
            try:
                values[name] = parse(text)
            except ValidationError as e:
                raise ValidationError(f"{option}: {e.message}") from e
    return Quota(**values), tuple(name for name, text in given.items() if text == UNLIMITED)


def table(projects: tuple[Project, ...]) -> str:
    """A line for each, use before limit."""
    rows = [["PROJECT", "RUNNING", "WAITING", "GPU-HOURS", "DATASETS", "TOKENS"]]
    rows += [
        [
            one.name,
            _of(str(one.use.running), _count(one.quota.running)),
            str(one.use.waiting),
            _of(f"{one.use.gpu / 1000:g}", _hours(one.quota.gpu)),
            _of(show_bytes(one.use.dataset_bytes), _bytes(one.quota.dataset_bytes)),
            str(one.tokens),
        ]
        for one in projects
    ]
    return output.table(rows)


def lines(project: Project) -> list[tuple[str, str]]:
    """What one may and has, by name."""
    use, quota = project.use, project.quota
    hours = _sentence(f"{use.gpu / 1000:g}", _hours(quota.gpu), "GPU-hours of today")
    return [
        ("running", _sentence(str(use.running), _count(quota.running), "jobs at once")),
        ("waiting", f"{use.waiting} jobs"),
        ("gpu", f"{hours}, until {show_instant(project.day_ends)}"),
        (
            "data",
            _sentence(show_bytes(use.dataset_bytes), _bytes(quota.dataset_bytes), "of datasets"),
        ),
    ]


def project_as_dict(project: Project) -> dict[str, Any]:
    """As JSON has it: GPU-hours are hours, and the time is text."""
    body = asdict(project)
    for part in ("quota", "use"):
        gpu = body[part].pop("gpu")
        body[part]["gpu_hours"] = None if gpu is None else gpu / 1000
    return {**body, "day_ends": show_instant(project.day_ends)}


def audit_table(found: list[Audited]) -> str:
    """The journal's lines, oldest first."""
    return output.table([AUDIT_HEADER, *map(audit_row, found)])


AUDIT_HEADER = ["TIME", "WHO", "PROJECT", "ADDRESS", "CALL", "RESOURCE", "OUTCOME"]


def audit_row(line: Audited) -> list[str]:
    """One line of the journal."""
    came = line.outcome + (f" ({line.reason})" if line.reason else "")
    if line.repeated:
        came += f" x{line.repeated}"
    return [
        show_instant(line.time),
        line.who or "-",
        line.project or "-",
        line.address or "-",
        f"{line.via} {line.method}",
        line.resource or "-",
        came,
    ]


def audited_as_dict(line: Audited) -> dict[str, Any]:
    """As JSON has it; the time is text."""
    return {**asdict(line), "time": show_instant(line.time)}


def _of(used: str, limit: str) -> str:
    return f"{used}/{limit}" if limit else used


def _sentence(used: str, limit: str, what: str) -> str:
    return f"{used} of {limit} {what}" if limit else f"{used} {what}, no limit"


def _count(limit: int | None) -> str:
    return "" if limit is None else str(limit)


def _hours(limit: int | None) -> str:
    return "" if limit is None else f"{limit / 1000:g}"


def _bytes(limit: int | None) -> str:
    return "" if limit is None else show_bytes(limit)
