"""A job to hold on to: asked about, waited for, cancelled, from any process that knows its id.

    job = client.spawn(train, args=[3])
    job.id                                # keep it anywhere
    JobHandle.from_id(client, job_id).result()

`CumulusJob(client, job_id)` is the same thing under the name it has always had.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, final

from ..crd_like_specs.job import Job, Phase
from .functions.values import decode_result

if TYPE_CHECKING:
    from ..api.frames import Why
    from .stream import Event
    from .sync import CumulusClient

WORDS = {
    Phase.PENDING: "pending",
    Phase.LEASING: "pending",
    Phase.STARTING: "pending",
    Phase.RUNNING: "running",
    Phase.SUCCEEDED: "completed",
    Phase.FAILED: "failed",
    Phase.TIMED_OUT: "timeout",
    Phase.CANCELLED: "cancelled",
}
"""Phase → the word that `status()` says."""


@final
class JobHandle:
    """One job. client: an open CumulusClient; job_id: uid or name; trust_result: unpickle a
    result of any kind, for a job whose code you trust.

    Every method raises NotFoundError where the job does not exist (any more).
    """

    def __init__(self, client: CumulusClient, job_id: str, *, trust_result: bool = False) -> None:
        self.client = client
        self.job_id = job_id
        self._trust = trust_result

    @classmethod
    def from_id(
        cls, client: CumulusClient, job_id: str, *, trust_result: bool = False
    ) -> JobHandle:
        """The handle of a job handed in before, perhaps by another process."""
        return cls(client, job_id, trust_result=trust_result)

    @property
    def id(self) -> str:
        """Uid or name, as it was given."""
        return self.job_id

    def get(self) -> Job:
        """The whole record, as it is now."""
        return self.client.get_job(self.job_id)

    def status(self) -> str:
        """One of pending, running, completed, failed, timeout, cancelled."""
        return WORDS[self.get().status.phase]

    def done(self) -> bool:
        """Whether it has ended."""
        return self.get().status.phase.terminal

    def result(self, timeout: float | None = None) -> Any:
        """What the function returned, once it has. timeout: seconds; WaitTimeoutError (a
        TimeoutError) after it, the job goes on. Raises what `CumulusClient.result` raises.
        """
        return decode_result(self.client.result(self.job_id, timeout), trust=self._trust)

    def stream(self) -> Iterator[Event]:
        """Every state and log record from the start; the last event is `Done`."""
        return self.client.stream(self.job_id)

    def why(self) -> Why:
        """Why it waits, per worker, or what became of it."""
        return self.client.why(self.job_id)

    def cancel(self) -> bool:
        """Ask it to end now. True unless it had ended before."""
        return self.client.cancel_job(self.job_id)

    def __repr__(self) -> str:
        return f"JobHandle({self.job_id!r})"


CumulusJob = JobHandle


def as_dict(job: Job) -> dict[str, Any]:
    """A job as the dictionary-shaped calls give it: `job_id`, `name`, `status` as a word,
    `error` where it ended badly, times in POSIX seconds, and the whole record under `job`.
    """
    seen = job.status
    bad = seen.phase.terminal and seen.phase is not Phase.SUCCEEDED
    return {
        "job_id": job.metadata.uid,
        "name": job.metadata.name,
        "status": WORDS[seen.phase],
        "error": (seen.message or seen.reason) if bad else None,
        "submitted_at": seen.submitted_at,
        "started_at": seen.started_at or None,
        "finished_at": seen.finished_at or None,
        "worker": seen.worker or None,
        "job": job.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
