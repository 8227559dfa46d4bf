"""What is in an attempt's outputs: which files, where in the archive, what each is, and what it is
called. Pure; built once by `output_archives`, kept as JSON beside the archive.

A job's `manifest.json` says what its files are (its format: `crd_like_specs/outputs.py`); of files
that it does not name, and where it is wrong, their names tell. Ids are the same for the same files:
weights are `weights`, `weights-2`, … in the order of their paths, others are called like their
file without its ending, with a number where that is taken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from ...api.outputs import OutputRole
from ...crd_like_specs.meta import Model
from ...crd_like_specs.outputs import MANIFEST, is_name
from .output_tar import Member

MANIFEST_BYTES: Final = 4 << 20
"""Of a manifest at most; a larger one counts as wrong."""

_WEIGHTS: Final = (".pt", ".pth", ".bin", ".ckpt", ".safetensors", ".onnx")
_PLOTS: Final = (".png", ".svg", ".jpg", ".jpeg", ".pdf")
_LOGS: Final = (".log", ".out", ".err")
_METRICS: Final = re.compile(r"metrics.*\.(json|csv)|.*_stats\.json|.*\.jsonl")
_SYNONYMS: Final = {
    **{role.value: role for role in OutputRole},
    "model": OutputRole.WEIGHTS,
    "checkpoint": OutputRole.WEIGHTS,
    "metric": OutputRole.METRICS,
    "logs": OutputRole.LOG,
    "figure": OutputRole.PLOT,
    "image": OutputRole.PLOT,
}
_ID_CHARS: Final = 100


class Indexed(Model):
    """One file. offset: of its content in the archive; size: bytes; the rest as in `Output`."""

    path: str
    offset: int
    size: int
    digest: str
    modified_at: float
    role: OutputRole
    id: str


class Index(Model):
    """files: in the order of paths; experiment: as the manifest says, "" where it does not;
    message: what is wrong with the manifest.
    """

    files: tuple[Indexed, ...] = ()
    experiment: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class _Said:
    """What a manifest says of one file; "" and None where it does not."""

    id: str = ""
    role: OutputRole | None = None


def build(members: Iterable[Member], manifest: bytes | None) -> Index:
    """manifest: content of the job's, None where it wrote none."""
    files = sorted(members, key=lambda member: member.path)
    said, experiment, message = _read(manifest, {member.path for member in files})
    taken = {one.id for one in said.values() if one.id}
    indexed = []
    for member in files:
        own = said.get(member.path, _Said())
        role = own.role or role_of(member.path)
        name = own.id or _free(_stem(member.path, role), taken)
        taken.add(name)
        indexed.append(
            Indexed(
                path=member.path,
                offset=member.offset,
                size=member.size,
                digest=member.digest,
                modified_at=member.modified_at,
                role=role,
                id=name,
            )
        )
    return Index(files=tuple(indexed), experiment=experiment, message=message)


def role_of(path: str) -> OutputRole:
    """What a file is, as its name tells."""
    name = PurePosixPath(path).name.lower()
    if name.endswith(_WEIGHTS):
        return OutputRole.WEIGHTS
    if _METRICS.fullmatch(name):
        return OutputRole.METRICS
    if name.endswith(_LOGS):
        return OutputRole.LOG
    return OutputRole.PLOT if name.endswith(_PLOTS) else OutputRole.OTHER


def _stem(path: str, role: OutputRole) -> str:
    if role is OutputRole.WEIGHTS:
        return OutputRole.WEIGHTS.value
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", PurePosixPath(path).stem)
    return plain.strip("-._")[:_ID_CHARS] or role.value


def _free(wish: str, taken: set[str]) -> str:
    if wish not in taken:
        return wish
    number = 2
    while f"{wish}-{number}" in taken:
        number += 1
    return f"{wish}-{number}"


def _read(manifest: bytes | None, paths: set[str]) -> tuple[dict[str, _Said], str, str]:
    """(what it says of which file, its experiment, what is wrong with it)."""
    if manifest is None:
        return {}, "", ""
    try:
        return *_checked(json.loads(manifest), paths), ""
    except (ValueError, RecursionError) as e:
        return {}, "", f"{MANIFEST} is not understood, files are told by their names: {e}"[:500]


def _checked(data: Any, paths: set[str]) -> tuple[dict[str, _Said], str]:
    if not isinstance(data, dict):
        raise ValueError("expected an object")  # noqa: TRY004 (of the job's file, not of our types)
    experiment = data.get("experiment_id", "")
    if experiment != "" and not (isinstance(experiment, str) and is_name(experiment)):
        raise ValueError(f"experiment_id {experiment!r:.80} is no name of an experiment")
    listed = data.get("outputs", [])
    if not isinstance(listed, list):
        raise ValueError("outputs: expected a list")  # noqa: TRY004 (same)
    found: dict[str, _Said] = {}
    for number, one in enumerate(listed):
        where = f"outputs[{number}]"
        path = one.get("path", one.get("rel_path")) if isinstance(one, dict) else None
        if not isinstance(path, str) or path.removeprefix("./") not in paths:
            raise ValueError(f"{where}.path: {path!r:.120} is no file that is kept")
        path = path.removeprefix("./")
        name, role = one.get("id", one.get("output_id", "")), one.get("type", "")
        if name != "" and not (isinstance(name, str) and is_name(name)):
            raise ValueError(f"{where}.id: {name!r:.80} is no name of an output")
        if path in found or (name and any(name == other.id for other in found.values())):
            raise ValueError(f"{where}: {name or path!r:.120} comes twice")
        known = _SYNONYMS.get(role.lower()) if isinstance(role, str) else None
        found[path] = _Said(name, (known or OutputRole.OTHER) if role else None)
    return found, experiment
