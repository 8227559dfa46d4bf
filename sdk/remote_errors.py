"""The exception of a job as one of its own type, where that type exists here. Reads
lines of source for tracebacks (`remote_trace.py`), and nothing else.

What comes is both: a JobFailedError, with all that is known of the job, and the class that the
job raised, so that `except ValueError` catches it as it would have without the job. Its cause
carries the remote traceback. Nothing is imported or called on a job's word: a class is found
only in modules that are loaded here, and its own `__init__` is not run.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from .errors import JobError, JobFailedError
from .remote_trace import shown

if TYPE_CHECKING:
    from ..crd_like_specs.job import Job


_OF_OS: Final = ("errno", "strerror", "filename", "filename2")
"""Attributes that are no entries of an OSError's dictionary."""


class RemoteError(JobFailedError):
    """A job's exception whose type does not exist here; `error_type` names it."""


class RemoteTraceback(Exception):  # noqa: N818 (what is shown is a traceback)
    """Only the cause of another: its text is the traceback in the job."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def remote_error(
    message: str,
    *,
    job: Job,
    error_type: str,
    place: str,
    traceback: str,
    fields: Mapping[str, Any] | None = None,
) -> JobFailedError:
    """place: `module:qualified.name` of the class, "" where it is not known; fields: what it held:
    its attributes are those of the exception here too, but for those that are ours.
    """
    kind = _class_of(place, error_type)
    known: dict[str, Any] = {
        "job": job,
        "error_type": error_type,
        "traceback": traceback,
        "error_fields": dict(fields or {}),
    }
    try:
        made = (_typed(kind) if kind else RemoteError)(message, **known)
    except TypeError:  # layouts that cannot be joined, a metaclass or a __new__ of its own
        made = RemoteError(message, **known)
    _fill(made, known["error_fields"])
    if traceback:
        made.__cause__ = RemoteTraceback(shown(traceback))
    return made


def _class_of(place: str, error_type: str) -> type[Exception] | None:
    module, _, name = place.partition(":")
    if not place:
        module, name = "builtins", error_type
    # The job's main.py is a user's __main__, or the module that pickled it.
    known: Any = sys.modules.get("__main__" if module == "main" else module)
    for part in name.split("."):
        known = getattr(known, part, None)
    if not (isinstance(known, type) and issubclass(known, Exception)):
        return None
    if module != builtins.__name__ and known.__name__ != error_type:
        return None
    return known


def _fill(made: JobFailedError, fields: Mapping[str, Any]) -> None:
    """Give it attributes past all code that its class may have for setting them."""
    ours = {*vars(made), "args"}
    for name, value in fields.items():
        if name in _OF_OS and isinstance(made, OSError):
            getattr(OSError, name).__set__(made, value)
        elif name.isidentifier() and not name.startswith("_") and name not in ours:
            vars(made)[name] = value


def _typed(kind: type[Exception]) -> type[JobFailedError]:
    """JobFailedError and the given class in one. TypeError where Python cannot join them."""

    def start(self: JobFailedError, message: str, **known: Any) -> None:
        self.args = (message,)
        for name in ("error_type", "traceback", "job", "error_fields"):
            setattr(self, name, known[name])
        self.message, self.job_id = message, known["job"].metadata.uid

    body = {"__init__": start, "__str__": JobError.__str__, "__module__": kind.__module__}
    joined: type[JobFailedError] = type(kind.__name__, (JobFailedError, kind), body)
    return joined
