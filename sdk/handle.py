"""A job to hold on to: asked about, waited for, cancelled, from any process that knows its id.

    job = client.spawn(train, args=[3])
    job.id                                # keep it anywhere
    JobHandle.from_id(client, job_id).result()

`CumulusJob(client, job_id)` is the same thing under the name it has always had. With an
AsyncCumulusClient it is an `AsyncJobHandle`, whose methods are awaited.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from ..api.frames import Why
    from ..crd_like_specs.job import Job
    from .client import AsyncCumulusClient
    from .outputs import AsyncJobOutputs, JobOutputs
    from .stream import Event
    from .sync import CumulusClient

WORDS: Final = {
    "Pending": "pending",
    "Leasing": "pending",
    "Starting": "pending",
    "Running": "running",
    "Succeeded": "completed",
    "Failed": "failed",
    "TimedOut": "timeout",
    "Cancelled": "cancelled",
}
"""Phase → the word that `status()` says."""


class _Held:
    """One job, by its id."""

    def __init__(self, client: Any, job_id: str, *, trust_result: bool) -> None:
        self.client = client
        self.job_id = job_id
        self._trust = trust_result

    @property
    def id(self) -> str:
        """Uid or name, as it was given."""
        return self.job_id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.job_id!r})"


@final
class JobHandle(_Held):
    """One job. client: open; job_id: uid or name; trust_result: unpickle a result of any kind,
    for a job whose code you trust.

    Every method raises NotFoundError where the job does not exist (any more).
    """

    client: CumulusClient

    def __init__(self, client: CumulusClient, job_id: str, *, trust_result: bool = False) -> None:
        super().__init__(client, job_id, trust_result=trust_result)

    @classmethod
    def from_id(
        cls, client: CumulusClient, job_id: str, *, trust_result: bool = False
    ) -> JobHandle:
        """The handle of a job handed in before, perhaps by another process."""
        return cls(client, job_id, trust_result=trust_result)

    def get(self) -> Job:
        """The whole record, as it is now."""
        return self.client.get_job(self.job_id)

    def status(self) -> str:
        """One of pending, running, paused, completed, failed, timeout, cancelled."""
        return word(self.get())

    def done(self) -> bool:
        """Whether it has ended."""
        return self.get().status.phase.terminal

    def result(self, timeout: float | None = None) -> Any:
        """What the function returned, once it has. timeout: seconds; WaitTimeoutError (a
        TimeoutError) after it, the job goes on. Raises what `CumulusClient.result` raises.
        """
        return decoded(self.client.result(self.job_id, timeout), trust=self._trust)

    def stream(self) -> Iterator[Event]:
        """Every state and log record from the start; the last event is `Done`."""
        return self.client.stream(self.job_id)

    def why(self) -> Why:
        """Why it waits, per worker, or what became of it."""
        return self.client.why(self.job_id)

    def cancel(self) -> bool:
        """Ask it to end now. True unless it had ended before."""
        return self.client.cancel_job(self.job_id)

    def pause(self) -> dict[str, Any]:
        """Ask it to save its state and give its lease back, until it is resumed."""
        return self.client.pause_job(self.job_id)

    def resume(self) -> dict[str, Any]:
        """Let it go on from its newest checkpoint, on any worker."""
        return self.client.resume_job(self.job_id)

    def outputs(self, *, attempt: int = 0) -> JobOutputs:
        """What it left in /results, once it is over; see `CumulusClient.outputs`."""
        return self.client.outputs(self.job_id, attempt=attempt)

    def get_checkpoints(self) -> list[dict[str, Any]]:
        """Those that are kept, the newest first; see `CumulusClient.get_checkpoints`."""
        return self.client.get_checkpoints(self.job_id)


@final
class AsyncJobHandle(_Held):
    """`JobHandle` for asyncio."""

    client: AsyncCumulusClient

    def __init__(
        self, client: AsyncCumulusClient, job_id: str, *, trust_result: bool = False
    ) -> None:
        super().__init__(client, job_id, trust_result=trust_result)

    @classmethod
    def from_id(
        cls, client: AsyncCumulusClient, job_id: str, *, trust_result: bool = False
    ) -> AsyncJobHandle:
        """See JobHandle.from_id."""
        return cls(client, job_id, trust_result=trust_result)

    async def get(self) -> Job:
        """See JobHandle.get."""
        return await self.client.get_job(self.job_id)

    async def status(self) -> str:
        """See JobHandle.status."""
        return word(await self.get())

    async def done(self) -> bool:
        """See JobHandle.done."""
        return (await self.get()).status.phase.terminal

    async def result(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109 (a public argument)
        """See JobHandle.result."""
        return decoded(await self.client.result(self.job_id, timeout), trust=self._trust)

    def stream(self) -> AsyncGenerator[Event, None]:
        """See JobHandle.stream."""
        return self.client.stream(self.job_id)

    async def why(self) -> Why:
        """See JobHandle.why."""
        return await self.client.why(self.job_id)

    async def cancel(self) -> bool:
        """See JobHandle.cancel."""
        return not (await self.client.cancel(self.job_id)).status.phase.terminal

    async def pause(self) -> dict[str, Any]:
        """See JobHandle.pause."""
        return as_dict(await self.client.pause(self.job_id))

    async def resume(self) -> dict[str, Any]:
        """See JobHandle.resume."""
        return as_dict(await self.client.resume(self.job_id))

    async def outputs(self, *, attempt: int = 0) -> AsyncJobOutputs:
        """See JobHandle.outputs."""
        return await self.client.outputs(self.job_id, attempt=attempt)

    async def get_checkpoints(self) -> list[dict[str, Any]]:
        """See JobHandle.get_checkpoints."""
        return await self.client.checkpoints(self.job_id)


CumulusJob = JobHandle


def word(job: Job) -> str:
    """What `status()` says of it."""
    if job.spec.suspend and job.status.phase.rank == 0:
        return "paused"
    return WORDS[job.status.phase.value]


def decoded(value: Any, *, trust: bool) -> Any:
    """A result as the function returned it."""
    from .functions.values import decode_result  # noqa: PLC0415 (importing the SDK costs little)

    return decode_result(value, trust=trust)


def as_dict(job: Job) -> dict[str, Any]:
    """A job as the dictionary-shaped calls give it: `job_id`, `name`, `status` as a word,
    `error` where it ended badly, times in POSIX seconds, and the whole record under `job`.
    """
    seen = job.status
    bad = seen.phase.terminal and word(job) != "completed"
    return {
        "job_id": job.metadata.uid,
        "name": job.metadata.name,
        "status": word(job),
        "error": (seen.message or seen.reason) if bad else None,
        "submitted_at": seen.submitted_at,
        "started_at": seen.started_at or None,
        "finished_at": seen.finished_at or None,
        "worker": seen.worker or None,
        "job": job.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
