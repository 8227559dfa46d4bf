"""The one error tree. Pure; raised everywhere, translated to codes in `api/status.py` only.

CumulusError
├── ValidationError      what was given is wrong (names what, where, what was expected)
├── NotFoundError        no such object
├── ConflictError        someone else wrote first, or the object is in the way
├── ExpiredError         a watch or offset too old to resume: list again
├── UnauthenticatedError, ForbiddenError
├── QuotaExceededError   the project may have no more of it
├── TooManyRequestsError wait `retry_after` seconds and ask again
├── NoWorkersError       the pool is empty: "No GPU workers available"
├── UnschedulableError   larger than any worker that exists
├── StoreError           the store refuses to go on (disk, corruption, read-only)
├── UnavailableError     an endpoint cannot be reached
└── DriverError          a platform or partitioner call failed
├── Temporary        worth repeating, with back-off
└── Permanent        repeating cannot help; `reason` is a CamelCase word for status
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NO_WORKERS = "No GPU workers available"


class CumulusError(Exception):
    """Base of every error Cumulus raises on purpose.

    `job_id` is the uid of the job concerned, or "" where there is none.
    """

    def __init__(self, message: str, *, job_id: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.job_id = job_id


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an input: where it stands and what was expected there.

    `file` is a path or "<stdin>", `line` and `column` count from 1 (0: unknown),
    `path` is a dotted field path such as `spec.gpu.memory`.
    """

    message: str
    path: str = ""
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = self.file
        if self.line:
            place += f":{self.line}:{self.column}" if self.column else f":{self.line}"
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ValidationError(CumulusError):
    """Input that cannot be accepted; carries every problem found, not only the first."""

    def __init__(self, problems: Sequence[Problem] | str, *, job_id: str = "") -> None:
        found = (Problem(problems),) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in found), job_id=job_id)
        self.problems = found


class NotFoundError(CumulusError):
    """The named object does not exist."""


class ConflictError(CumulusError):
    """The object was changed by someone else since it was read, or exists already."""


class ExpiredError(CumulusError):
    """The position asked for is no longer kept: list again and watch from there."""


class UnauthenticatedError(CumulusError):
    """No valid credentials were given."""


class ForbiddenError(CumulusError):
    """The credentials do not allow this."""


class QuotaExceededError(CumulusError):
    """The project has all that it may have; waiting alone doesn't help."""


class TooManyRequestsError(CumulusError):
    """The caller asks too often; nothing was done. retry_after: seconds to wait."""

    def __init__(self, message: str, *, retry_after: float = 1.0, job_id: str = "") -> None:
        super().__init__(message, job_id=job_id)
        self.retry_after = retry_after


class NoWorkersError(CumulusError):
    """The pool has no worker at all."""

    def __init__(self, message: str = NO_WORKERS, *, job_id: str = "") -> None:
        super().__init__(message, job_id=job_id)


class UnschedulableError(CumulusError):
    """The job asks for more than any existing worker has; the message says what exists."""


class StoreError(CumulusError):
    """The store cannot take or give data (corruption, failed write, locked by another process)."""


class UnavailableError(CumulusError):
    """An endpoint could not be reached."""


class DriverError(CumulusError):
    """A platform or partitioner call failed; drivers raise the two subclasses."""

    def __init__(self, message: str, *, reason: str = "DriverError", job_id: str = "") -> None:
        super().__init__(message, job_id=job_id)
        self.reason = reason


class Temporary(DriverError):  # noqa: N818 (named as the outcome it is: retried with back-off)
    """The call may succeed if repeated."""


class Permanent(DriverError):  # noqa: N818 (named as the outcome it is: the job fails with `reason`)
    """The call cannot succeed as it is."""
