"""The synchronous client: the asyncio one on a loop in a background thread. I/O.

Nothing is decided here; each method hands over to the method of the same name in `client.py`,
whose docstring says what it does and raises.
"""

from __future__ import annotations

import asyncio
import builtins
import threading
from collections.abc import (
    AsyncGenerator,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, final

from . import handle
from .handle import JobHandle

if TYPE_CHECKING:
    from ..api.frames import Applied, Log, Resource, ServerInfo, WatchItem, Why, WorkerUse
    from ..api.joining import NewToken
    from ..crd_like_specs.job import Job
    from ..crd_like_specs.worker import Worker
    from .functions.calling import Function
    from .functions.code import FunctionCode
    from .functions.needs import Requirements
    from .functions.options import Options
    from .stream import Event, LogsLost
    from .submitting import Args
    from .waiting import Goal

T = TypeVar("T")

_END: Any = object()


@final
class CumulusClient:
    """One connection, usable from any thread, to be closed (or used as a context manager).

    Arguments as of AsyncCumulusClient. Ctrl-C in a waiting call ends the call, never the job.
    """

    def __init__(
        self,
        server_url: str = "127.0.0.1:50051",
        api_key: str | None = None,
        *,
        insecure: bool = False,
        ca: str | Path | None = None,
        timeout: float = 30.0,
        patience: float = 120.0,
    ) -> None:
        from .client import AsyncCumulusClient  # noqa: PLC0415 (it costs most of a program's start)

        self._client = AsyncCumulusClient(
            server_url, api_key, insecure=insecure, ca=ca, timeout=timeout, patience=patience
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._turn, name="cumulus-client", daemon=True)
        self._thread.start()

    def __enter__(self) -> CumulusClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every open call and the background thread. Jobs go on. Twice is once."""
        if self._loop.is_closed():
            return
        self._do(self._client.close())
        self._do(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def apply(
        self, resource: Resource, *, code: bytes | None = None, dry_run: bool = False
    ) -> Applied:
        """See AsyncCumulusClient.apply."""
        return self._do(self._client.apply(resource, code=code, dry_run=dry_run))

    def submit(
        self, job: Job | str | Path | Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Job:
        """See AsyncCumulusClient.submit."""
        return self._do(self._client.submit(job, idempotency_key=idempotency_key))

    def submit_and_stream(
        self,
        job: Job | str | Path | Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        logs: bool = True,
    ) -> Iterator[Event]:
        """See AsyncCumulusClient.submit_and_stream."""
        return self._each(
            self._client.submit_and_stream(job, idempotency_key=idempotency_key, logs=logs)
        )

    def cancel(self, job: Job | str) -> Job:
        """See AsyncCumulusClient.cancel."""
        return self._do(self._client.cancel(job))

    def delete(self, job: Job | str) -> Job:
        """See AsyncCumulusClient.delete."""
        return self._do(self._client.delete(job))

    def cordon(self, worker: str, *, cordoned: bool = True, drain: bool = False) -> Worker:
        """See AsyncCumulusClient.cordon."""
        return self._do(self._client.cordon(worker, cordoned=cordoned, drain=drain))

    def fence(self, worker: str, *, fenced: bool = True) -> Worker:
        """See AsyncCumulusClient.fence."""
        return self._do(self._client.fence(worker, fenced=fenced))

    def remove_worker(self, worker: str) -> Worker:
        """See AsyncCumulusClient.remove_worker."""
        return self._do(self._client.remove_worker(worker))

    def create_join_token(self, *, ttl: float | str = 3600, worker: str = "") -> NewToken:
        """See AsyncCumulusClient.create_join_token."""
        return self._do(self._client.create_join_token(ttl=ttl, worker=worker))

    def get(self, kind: str, name: str) -> Resource:
        """See AsyncCumulusClient.get."""
        return self._do(self._client.get(kind, name))

    def get_job(self, job: Job | str) -> Job:
        """See AsyncCumulusClient.get_job."""
        return self._do(self._client.get_job(job))

    def list(self, kind: str, *, selector: str = "", phase: str = "") -> list[Resource]:
        """See AsyncCumulusClient.list."""
        return self._do(self._client.list(kind, selector=selector, phase=phase))

    def watch(self, kind: str, *, name: str = "", selector: str = "") -> Iterator[WatchItem]:
        """See AsyncCumulusClient.watch."""
        return self._each(self._client.watch(kind, name=name, selector=selector))

    def stream(
        self, job: Job | str, *, logs: bool = True, attempt: int = 0, offset: int = 0
    ) -> Iterator[Event]:
        """See AsyncCumulusClient.stream."""
        return self._each(self._client.stream(job, logs=logs, attempt=attempt, offset=offset))

    def logs(
        self,
        job: Job | str,
        *,
        attempt: int = 0,
        tail: int = 0,
        since: float = 0.0,
        wait: bool = False,
    ) -> Iterator[Log | LogsLost]:
        """See AsyncCumulusClient.logs."""
        return self._each(
            self._client.logs(job, attempt=attempt, tail=tail, since=since, wait=wait)
        )

    def wait(
        self,
        name: str,
        goal: str | Goal = "finished",
        *,
        kind: str = "Job",
        timeout: float | None = None,
    ) -> Resource | None:
        """See AsyncCumulusClient.wait."""
        return self._do(self._client.wait(name, goal, kind=kind, timeout=timeout))

    def result(self, job: Job | str, timeout: float | None = None) -> Any:
        """See AsyncCumulusClient.result."""
        return self._do(self._client.result(job, timeout))

    def why(self, job: Job | str) -> Why:
        """See AsyncCumulusClient.why."""
        return self._do(self._client.why(job))

    def usage(self, worker: str = "") -> tuple[WorkerUse, ...]:
        """See AsyncCumulusClient.usage."""
        return self._do(self._client.usage(worker))

    def server_info(self) -> ServerInfo:
        """See AsyncCumulusClient.server_info."""
        return self._do(self._client.server_info())

    def run_folder(
        self,
        path: str | Path,
        *,
        gpu_memory: float | None = 0.5,
        duration: float | str = 3600,
        requirements: Sequence[str] | None = None,
        args: Args | None = None,
        name: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """See AsyncCumulusClient.run_folder."""
        return self._do(
            self._client.run_folder(
                path,
                gpu_memory=gpu_memory,
                duration=duration,
                requirements=requirements,
                args=args,
                name=name,
                timeout=timeout,
            )
        )

    # Functions

    def spawn(
        self,
        function: Function | FunctionCode,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        options: Options | None = None,
    ) -> JobHandle:
        """See AsyncCumulusClient.spawn."""
        job = self._do(self._client.spawn(function, args, kwargs, options))
        trust = options is not None and options.trust_result
        return JobHandle(self, job.id, trust_result=trust)

    def call(
        self,
        function: Function | FunctionCode,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        options: Options | None = None,
    ) -> Any:
        """See AsyncCumulusClient.call."""
        return self._do(self._client.call(function, args, kwargs, options))

    def run(
        self,
        func: Function,
        gpu_memory: float | None = 0.5,
        duration: float | str = 3600,
        requirements: Requirements = None,
        timeout: float | None = None,
        args: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """See AsyncCumulusClient.run."""
        return self._do(
            self._client.run(func, gpu_memory, duration, requirements, timeout, args, **kwargs)
        )

    def map(
        self,
        function: Function | FunctionCode,
        inputs: Iterable[Any],
        options: Options | None = None,
        *,
        concurrency: int = 32,
        ordered: bool = True,
        return_exceptions: bool = False,
    ) -> Iterator[Any]:
        """See AsyncCumulusClient.map."""
        return self._each(
            self._client.map(
                function,
                inputs,
                options,
                concurrency=concurrency,
                ordered=ordered,
                return_exceptions=return_exceptions,
            )
        )

    # As they have always been: ids and dictionaries

    def get_job_status(self, job_id: str) -> dict[str, Any]:
        """The job's record as a dictionary, with `status` as a word (see `JobHandle.status`)."""
        return handle.as_dict(self.get_job(job_id))

    def list_jobs(self) -> builtins.list[dict[str, Any]]:
        """Every job, each as `get_job_status` gives it."""
        return [handle.as_dict(job) for job in self.list("Job") if job.kind == "Job"]

    def cancel_job(self, job_id: str) -> bool:
        """Ask a job to end now. True unless it had ended before."""
        return not self.cancel(job_id).status.phase.terminal

    def get_server_info(self) -> dict[str, Any]:
        """What the controller is."""
        return asdict(self.server_info())

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """See AsyncCumulusClient."""
        return import_module, ("_cumulus_call",)

    def _turn(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def _each(self, items: AsyncGenerator[T, None]) -> Iterator[T]:
        async def following() -> T:
            return await anext(items, _END)

        async def close() -> None:
            await items.aclose()

        try:
            while (item := self._do(following())) is not _END:
                yield item
        finally:
            self._do(close())
