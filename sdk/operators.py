"""The asyncio client's verbs for those who run a fleet. I/O; a part of `client.py`'s class."""

from __future__ import annotations

from ..api import convert
from ..api.convert_usage import usage_from_proto
from ..api.frames import WorkerUse
from ..api.gen.cumulus.v1 import cumulus_pb2 as pb
from ..api.joining import NewToken
from ..crd_like_specs.job import Job
from ..crd_like_specs.worker import Worker
from . import trust
from .connection import Connection
from .happening import EventCalls
from .naming import name_of
from .previewing import PreviewCalls
from .token_calls import TokenCalls


class OperatorCalls(EventCalls, PreviewCalls, TokenCalls):
    """Workers, how machines become ones, what happened, and what would."""

    _connection: Connection

    async def cordon(self, worker: str, *, cordoned: bool = True, drain: bool = False) -> Worker:
        """cordoned: it takes no new jobs; drain: its running ones are moved away too."""
        request = pb.CordonRequest(worker=worker, cordoned=cordoned, drain=drain)
        return convert.worker_from_proto(await self._connection.call("Cordon", request))

    async def fence(self, worker: str, *, fenced: bool = True) -> Worker:
        """Vouch that nothing runs on a worker that is out of reach, or take that back. Admins only.

        ConflictError while its agent is in contact. If a job runs there after all, it runs twice.
        """
        request = pb.FenceRequest(worker=worker, fenced=fenced)
        return convert.worker_from_proto(await self._connection.call("Fence", request))

    async def remove_worker(self, worker: str) -> Worker:
        """Forget a worker that is drained or fenced, and refuse its certificate. Admins only.

        ConflictError where something is left there. Gives the worker as it was.
        """
        request = pb.RemoveWorkerRequest(worker=worker)
        return convert.worker_from_proto(await self._connection.call("RemoveWorker", request))

    async def create_join_token(self, *, ttl: float | str = 3600, worker: str = "") -> NewToken:
        """What lets one machine become a worker, once. Admins only.

        ttl: seconds, or text such as `90m`, at most 24 h; worker: the name that it must take, ""
        its own. Its text is shown here only.
        """
        request = pb.CreateJoinTokenRequest(ttl=trust.lifetime(ttl), worker=worker)
        made = await self._connection.call("CreateJoinToken", request)
        return NewToken(made.token, made.expires_at, made.controller)

    async def extend(self, job: Job | str, by: float | str) -> Job:
        """Let a job last longer, while it waits or runs; it is no new run. by: seconds, or text
        such as `30m`. ConflictError with the reason where it cannot be promised.
        """
        request = pb.ExtendRequest(name=name_of(job), seconds=trust.lifetime(by))
        return convert.job_from_proto(await self._connection.call("Extend", request))

    async def usage(self, worker: str = "") -> tuple[WorkerUse, ...]:
        """What workers, their devices and the jobs on them use now; worker "": all."""
        return usage_from_proto(
            await self._connection.call("Usage", pb.UsageRequest(worker=worker))
        )
