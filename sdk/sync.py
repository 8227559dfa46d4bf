"""The synchronous client: the asyncio one on a loop in a background thread. I/O.

Nothing is decided here; each method hands over to the method of the same name in `client.py`,
whose docstring says what it does and raises.
"""

from __future__ import annotations

import builtins
from collections.abc import (
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, final

from . import handle
from .background import Background
from .functions.sync import SyncFunctionCalls

if TYPE_CHECKING:
    from ..api.frames import Applied, Log, Resource, ServerInfo, WatchItem, Why, WorkerUse
    from ..api.joining import NewToken
    from ..api.outputs import Output
    from ..crd_like_specs.job import Job
    from ..crd_like_specs.template import Template
    from ..crd_like_specs.worker import Worker
    from .datasets_sync import Datasets
    from .functions.needs import Requirements
    from .naming import Held
    from .outputs import JobOutputs
    from .stream import Event, LogsLost
    from .submitting import Args
    from .templating import Given
    from .waiting import Goal


@final
class CumulusClient(SyncFunctionCalls):
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
        self._background = Background()

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
        if not self._background.closed:
            self._background.do(self._client.close())
            self._background.close()

    def apply(
        self, resource: Resource, *, code: bytes | None = None, dry_run: bool = False
    ) -> Applied:
        """See AsyncCumulusClient.apply."""
        return self._background.do(self._client.apply(resource, code=code, dry_run=dry_run))

    def submit(
        self, job: Job | str | Path | Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Job:
        """See AsyncCumulusClient.submit."""
        return self._background.do(self._client.submit(job, idempotency_key=idempotency_key))

    def submit_and_stream(
        self,
        job: Job | str | Path | Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        logs: bool = True,
    ) -> Iterator[Event]:
        """See AsyncCumulusClient.submit_and_stream."""
        return self._background.flow(
            self._client.submit_and_stream(job, idempotency_key=idempotency_key, logs=logs)
        )

    def cancel(self, job: Job | Held | str) -> Job:
        """See AsyncCumulusClient.cancel."""
        return self._background.do(self._client.cancel(job))

    def pause(self, job: Job | Held | str) -> Job:
        """See AsyncCumulusClient.pause."""
        return self._background.do(self._client.pause(job))

    def resume(self, job: Job | Held | str) -> Job:
        """See AsyncCumulusClient.resume."""
        return self._background.do(self._client.resume(job))

    def delete(self, job: Job | Held | str) -> Job:
        """See AsyncCumulusClient.delete."""
        return self._background.do(self._client.delete(job))

    def cordon(self, worker: str, *, cordoned: bool = True, drain: bool = False) -> Worker:
        """See AsyncCumulusClient.cordon."""
        return self._background.do(self._client.cordon(worker, cordoned=cordoned, drain=drain))

    def fence(self, worker: str, *, fenced: bool = True) -> Worker:
        """See AsyncCumulusClient.fence."""
        return self._background.do(self._client.fence(worker, fenced=fenced))

    def remove_worker(self, worker: str) -> Worker:
        """See AsyncCumulusClient.remove_worker."""
        return self._background.do(self._client.remove_worker(worker))

    def create_join_token(self, *, ttl: float | str = 3600, worker: str = "") -> NewToken:
        """See AsyncCumulusClient.create_join_token."""
        return self._background.do(self._client.create_join_token(ttl=ttl, worker=worker))

    def get(self, kind: str, name: str) -> Resource:
        """See AsyncCumulusClient.get."""
        return self._background.do(self._client.get(kind, name))

    def get_job(self, job: Job | Held | str) -> Job:
        """See AsyncCumulusClient.get_job."""
        return self._background.do(self._client.get_job(job))

    def list(self, kind: str, *, selector: str = "", phase: str = "") -> list[Resource]:
        """See AsyncCumulusClient.list."""
        return self._background.do(self._client.list(kind, selector=selector, phase=phase))

    def watch(self, kind: str, *, name: str = "", selector: str = "") -> Iterator[WatchItem]:
        """See AsyncCumulusClient.watch."""
        return self._background.each(self._client.watch(kind, name=name, selector=selector))

    def stream(
        self, job: Job | Held | str, *, logs: bool = True, attempt: int = 0, offset: int = 0
    ) -> Iterator[Event]:
        """See AsyncCumulusClient.stream."""
        return self._background.flow(
            self._client.stream(job, logs=logs, attempt=attempt, offset=offset)
        )

    def logs(
        self,
        job: Job | Held | str,
        *,
        attempt: int = 0,
        tail: int = 0,
        since: float = 0.0,
        wait: bool = False,
    ) -> Iterator[Log | LogsLost]:
        """See AsyncCumulusClient.logs."""
        return self._background.flow(
            self._client.logs(job, attempt=attempt, tail=tail, since=since, wait=wait)
        )

    def wait(
        self,
        name: Job | Held | str,
        goal: str | Goal = "finished",
        *,
        kind: str = "Job",
        timeout: float | None = None,
    ) -> Resource | None:
        """See AsyncCumulusClient.wait."""
        return self._background.do(self._client.wait(name, goal, kind=kind, timeout=timeout))

    def result(self, job: Job | Held | str, timeout: float | None = None) -> Any:
        """See AsyncCumulusClient.result."""
        return self._background.do(self._client.result(job, timeout))

    def why(self, job: Job | Held | str) -> Why:
        """See AsyncCumulusClient.why."""
        return self._background.do(self._client.why(job))

    def usage(self, worker: str = "") -> tuple[WorkerUse, ...]:
        """See AsyncCumulusClient.usage."""
        return self._background.do(self._client.usage(worker))

    def server_info(self) -> ServerInfo:
        """See AsyncCumulusClient.server_info."""
        return self._background.do(self._client.server_info())

    def run_folder(
        self,
        path: str | Path,
        *,
        gpu_memory: float | None = 0.5,
        duration: float | str = 3600,
        requirements: Requirements = None,
        args: Args | None = None,
        datasets: Sequence[str | Mapping[str, str]] = (),
        name: str | None = None,
        timeout: float | None = None,
        progress: bool | None = None,
    ) -> Any:
        """See AsyncCumulusClient.run_folder."""
        return self._background.do(
            self._client.run_folder(
                path,
                gpu_memory=gpu_memory,
                duration=duration,
                requirements=requirements,
                args=args,
                datasets=datasets,
                name=name,
                timeout=timeout,
                progress=progress,
            )
        )

    def submit_template(
        self,
        template: str,
        params: Mapping[str, Any] | None = None,
        *,
        overrides: Given = None,
        name: str = "",
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """See AsyncCumulusClient.submit_template."""
        return self._background.do(
            self._client.submit_template(
                template,
                params,
                overrides=overrides,
                name=name,
                labels=labels,
                idempotency_key=idempotency_key,
            )
        )

    def run_template(
        self,
        template: str,
        params: Mapping[str, Any] | None = None,
        *,
        overrides: Given = None,
        name: str = "",
        timeout: float | None = None,
        progress: bool | None = None,
    ) -> Any:
        """See AsyncCumulusClient.run_template."""
        return self._background.do(
            self._client.run_template(
                template,
                params,
                overrides=overrides,
                name=name,
                timeout=timeout,
                progress=progress,
            )
        )

    def delete_template(self, name: str) -> Template:
        """See AsyncCumulusClient.delete_template."""
        return self._background.do(self._client.delete_template(name))

    def outputs(self, job: Job | Held | str, *, attempt: int = 0, wait: bool = True) -> JobOutputs:
        """See AsyncCumulusClient.outputs."""
        from .outputs import JobOutputs  # noqa: PLC0415 (importing the SDK costs little)

        found = self._background.do(self._client.outputs(job, attempt=attempt, wait=wait))
        return JobOutputs(found, self._background.do)

    def experiment_outputs(self, experiment: str) -> builtins.list[Output]:
        """See AsyncCumulusClient.experiment_outputs."""
        return self._background.do(self._client.experiment_outputs(experiment))

    def download_output(self, output: Output, to: str | Path = ".") -> Path:
        """See AsyncCumulusClient.download_output."""
        return self._background.do(self._client.download_output(output, to))

    @property
    def datasets(self) -> Datasets:
        """Datasets: bytes that jobs read. See AsyncDatasets."""
        from .datasets_sync import Datasets  # noqa: PLC0415 (importing the SDK costs little)

        return Datasets(self._client.datasets, self._background)

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

    def pause_job(self, job_id: str) -> dict[str, Any]:
        """Ask a job to pause (see AsyncCumulusClient.pause); it as `get_job_status` gives it."""
        return handle.as_dict(self.pause(job_id))

    def resume_job(self, job_id: str) -> dict[str, Any]:
        """Let a paused job go on; it as `get_job_status` gives it."""
        return handle.as_dict(self.resume(job_id))

    def get_checkpoints(self, job_id: str) -> builtins.list[dict[str, Any]]:
        """See AsyncCumulusClient.checkpoints."""
        return self._background.do(self._client.checkpoints(job_id))

    def get_server_info(self) -> dict[str, Any]:
        """What the controller is."""
        return asdict(self.server_info())

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """See AsyncCumulusClient."""
        return import_module, ("_cumulus_call",)
