"""Results that are too large for a job's record: parts of them lie in its /results. I/O.

The job leaves such a part in a file and says which one (`functions/shipped.py`); here it is fetched
and put in its place, as bytes. Nothing of it is understood here: who reads it decides whether to
trust it, as with a result that came whole.
"""

from __future__ import annotations

from typing import Any, Final

from ..crd_like_specs.errors import CumulusError
from ..crd_like_specs.job import Job
from .connection import Connection
from .functions.shipped import ARRAYS_MARK, FILE_MARK, RESULT_MARK
from .outputs import listed

_ARRAY: Final = "array"


async def whole(connection: Connection, job: Job, value: Any) -> Any:
    """The result with every part in its place. job: over, whose result it is. CumulusError where a
    part was not kept, such as for `outputs.size`, or is not what the job wrote.
    """
    wanted = sorted(set(_names(value)))
    if not wanted:
        return value
    kept = await listed(connection, job.metadata.uid, attempt=job.status.attempt)
    contents: dict[str, bytes] = {}
    for name, digest in wanted:
        found = next((output for output in kept if output.path == name), None)
        if found is None or found.digest != f"sha256:{digest}":
            why = f": {kept.message}" if kept.message else ""
            raise CumulusError(
                f"job {job.metadata.name} left part of its result in {name}, which was not "
                f"kept{why}; a larger outputs.size may help",
                job_id=job.metadata.uid,
            )
        contents[name] = await kept.read(name)
    return _filled(value, contents)


def _names(value: Any) -> list[tuple[str, str]]:
    """(path, hex digest) of each part that lies in a file."""
    if not isinstance(value, dict) or len(value) != 1:
        return []
    ((mark, held),) = value.items()
    if mark == RESULT_MARK:
        return _file(held)
    return _in_arrays(held) if mark == ARRAYS_MARK else []


def _in_arrays(value: Any) -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        return []
    ((kind, held),) = value.items()
    if kind == _ARRAY:
        return _file(held)
    items = [one for pair in held for one in pair] if kind == "dict" else held
    return [found for item in items for found in _in_arrays(item)]


def _file(held: Any) -> list[tuple[str, str]]:
    if isinstance(held, dict) and held.keys() == {FILE_MARK, "sha256"}:
        return [(str(held[FILE_MARK]), str(held["sha256"]))]
    return []


def _filled(value: Any, contents: dict[str, bytes]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {FILE_MARK, "sha256"} and value[FILE_MARK] in contents:
            return contents[value[FILE_MARK]]
        return {key: _filled(held, contents) for key, held in value.items()}
    return [_filled(one, contents) for one in value] if isinstance(value, list) else value
