"""From a finished job to its result, its exception or an exit code. PURE; called by `client.py`
and the command line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..api import status as table
from ..crd_like_specs.errors import CumulusError
from ..crd_like_specs.job import Job, Phase
from ..crd_like_specs.wording import whole
from .errors import JobCancelledError, JobFailedError, JobTimedOutError
from .remote_errors import remote_error

EXIT_TIMED_OUT = 124  # as `timeout` has it
EXIT_CANCELLED = 143  # 128 + SIGTERM: what a process ends with when it is told to stop


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the runner says at the end: `result` where `ok`, else the exception's parts."""

    ok: bool
    result: Any = None
    error: str = ""
    error_type: str = ""
    place: str = ""  # `module:name` of the exception's class
    traceback: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)  # what the exception held


def read_envelope(data: bytes) -> Envelope | None:
    """The runner's last line; None where it is no envelope (an image job's last words)."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):  # the first of what is no UTF-8, or no JSON
        return None
    if not isinstance(body, dict) or body.get("status") not in ("success", "error"):
        return None
    return Envelope(
        ok=body["status"] == "success",
        result=body.get("result"),
        error=whole(str(body.get("error") or "")),
        error_type=whole(str(body.get("error_type") or "")),
        place=whole(str(body.get("error_class") or "")),
        traceback=whole(str(body.get("traceback") or "")),
        fields=held if isinstance(held := body.get("error_fields"), dict) else {},
    )


def result_of(job: Job, data: bytes | None) -> Any:
    """What main() returned, or None for a job without a result (an image job).

    job: in a terminal phase; data: its envelope. For every phase but Succeeded raises
    JobFailedError, JobTimedOutError or JobCancelledError, and NoWorkersError or
    UnschedulableError where no worker could ever take the job.
    """
    envelope = read_envelope(data) if data else None
    if job.status.phase is Phase.SUCCEEDED:
        return envelope.result if envelope else None
    raise failure_of(job, envelope)


def failure_of(job: Job, envelope: Envelope | None) -> CumulusError:
    """The exception for a job that ended without success, with the remote one's parts."""
    status = job.status
    no_room = table.job_error(job)
    if no_room is not None:
        return no_room
    text = status.message or status.reason or "no reason was recorded"
    name = job.metadata.name
    if status.phase is Phase.TIMED_OUT:
        return JobTimedOutError(f"Job timed out: {text} (job {name})", job=job)
    if status.phase is Phase.CANCELLED:
        return JobCancelledError(f"Job was cancelled: {text} (job {name})", job=job)
    if envelope is None or envelope.ok:
        return JobFailedError(f"Job failed: {text} (job {name})", job=job)
    said = ": ".join(part for part in (envelope.error_type, envelope.error) if part)
    return remote_error(
        f"Job failed: {said or text} (job {name})",
        job=job,
        error_type=envelope.error_type,
        place=envelope.place,
        traceback=envelope.traceback,
        fields=envelope.fields,
    )


def exit_code(job: Job) -> int:
    """What a command that waited for the job exits with.

    0 succeeded; the job's own code where it has one (1 where it raised); 7 no room for it
    anywhere; 124 its duration was over; 143 cancelled.
    """
    status = job.status
    if status.phase is Phase.SUCCEEDED:
        return 0
    if status.phase is Phase.TIMED_OUT:
        return EXIT_TIMED_OUT
    if status.phase is Phase.CANCELLED:
        return EXIT_CANCELLED
    no_room = table.job_error(job)
    if no_room is not None:
        return table.exit_code(no_room)
    return status.exit_code if status.exit_code is not None and 0 < status.exit_code < 256 else 1
