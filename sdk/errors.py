"""How a job can end badly, as exceptions of the SDK. Pure; raised by `outcome.py` and `client.py`.

    CumulusError (crd_like_specs/errors.py)
    ├── JobError              also a RuntimeError; carries the finished job
    │   ├── JobFailedError    the job raised, exited non-zero, crashed or could not be run
    │   ├── JobTimedOutError  also a TimeoutError: the lease ran out
    │   └── JobCancelledError it was cancelled or deleted
    └── WaitTimeoutError      also a TimeoutError: we stopped waiting, the job goes on

They never travel: the wire carries only the errors of `crd_like_specs/errors.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..crd_like_specs.errors import CumulusError

if TYPE_CHECKING:
    from ..crd_like_specs.job import Job


class JobError(CumulusError, RuntimeError):
    """A job ended without success.

    job: as it ended. error_type, traceback: of the exception in the job, "" where there is none;
    error_fields: its attributes, and its `args`, as far as JSON holds them.
    """

    def __init__(
        self,
        message: str,
        *,
        job: Job,
        error_type: str = "",
        traceback: str = "",
        error_fields: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, job_id=job.metadata.uid)
        self.job = job
        self.error_type = error_type
        self.traceback = traceback
        self.error_fields = dict(error_fields or {})


class JobFailedError(JobError):
    """The job failed; the message begins with `Job failed: ` and ends with its name."""


class JobTimedOutError(JobError, TimeoutError):
    """The job was stopped because its duration was over."""


class JobCancelledError(JobError):
    """The job was cancelled before it could finish."""


class WaitTimeoutError(CumulusError, TimeoutError):
    """What was waited for did not come in time. Nothing was changed by waiting no longer."""
