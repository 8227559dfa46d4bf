"""The asyncio client's verbs for pausing: a part of `client.py`'s class. I/O."""

from __future__ import annotations

from typing import Any

from ..api import convert
from ..api.gen.cumulus.v1 import cumulus_pb2 as pb
from ..crd_like_specs.job import Job
from .connection import Connection
from .naming import Held, name_of


class PauseCalls:
    """End an attempt with notice, keep what it saved, and go on from there."""

    _connection: Connection

    async def pause(self, job: Job | Held | str) -> Job:
        """Ask a job to save its state and give its lease back; it waits until it is resumed.

        A job that asks `should_pause()` is given `checkpoint.grace` for it, any other one has
        SIGTERM at once. A job that is paused already stays so; ConflictError for one that has ended.
        """
        request = pb.PauseRequest(name=name_of(job), paused=True)
        return convert.job_from_proto(await self._connection.call("Pause", request))

    async def resume(self, job: Job | Held | str) -> Job:
        """Let a paused job go on from its newest checkpoint, on any worker; others go on anyway."""
        request = pb.PauseRequest(name=name_of(job), paused=False)
        return convert.job_from_proto(await self._connection.call("Pause", request))

    async def checkpoints(self, job: Job | Held | str) -> list[dict[str, Any]]:
        """Those that are kept of a job, the newest first: `digest`, `bytes` and number of `files`,
        the `attempt` that left it, and the `time` (POSIX seconds, the worker's clock).
        """
        request = pb.GetRequest(kind="Job", name=name_of(job))
        found = convert.resource_from_proto(await self._connection.call("Get", request))
        assert isinstance(found, Job)
        return [
            {
                "digest": kept.digest,
                "bytes": kept.size,
                "files": kept.files,
                "attempt": kept.attempt,
                "time": kept.taken_at,
            }
            for kept in reversed(found.status.checkpoints)
        ]
