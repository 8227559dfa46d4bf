"""A dashboard over made-up fleets: the real application and server, and ports that show what they
are given. In tests without a browser `app_over` is enough; `Served` is a port for a browser.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Self, TypeVar

from cumulus.api.auth import Tokens
from cumulus.api.frames import LogRecord, LogStream, ServerInfo, Why
from cumulus.api.overview import Board, PastLease, PlannedLease, Sample, WorkerNow
from cumulus.api.viewer import EVERYTHING, Viewer
from cumulus.api.web.app import build_app
from cumulus.api.web.probes import Probes
from cumulus.api.web.server import HttpServer
from cumulus.crd_like_specs.errors import NotFoundError
from cumulus.crd_like_specs.job import Attempt, Cause, Gpu, Job, JobSpec, JobStatus, Phase
from cumulus.crd_like_specs.job import WorkerReason as Reason
from cumulus.crd_like_specs.lease import Lease, LeaseSpec, LeaseState, LeaseStatus
from cumulus.crd_like_specs.meta import Condition, ObjectMeta
from cumulus.crd_like_specs.worker import Device, Worker, WorkerSpec, WorkerStatus
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

T = TypeVar("T")
GIB = 1 << 30
NOW = 1_800_000_000.0


class FakeOverview:
    """Shows what it is given: `change` what that is. `viewers`: who asked."""

    def __init__(self, shown: Board | None = None) -> None:
        self.shown = shown or Board(now=NOW)
        self.kept: list[Sample] = []
        self.viewers: list[Viewer] = []
        self.wakes: list[Callable[[], None]] = []

    def seen_by(self, viewer: Viewer) -> FakeOverview:
        self.viewers.append(viewer)
        return self

    def now(self) -> float:
        return self.shown.now

    def board(self) -> Board:
        return self.shown

    def samples(self, since: float) -> list[Sample]:
        return [sample for sample in self.kept if sample.time > since]

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        self.wakes.append(wake)
        return lambda: self.wakes.remove(wake)

    def change(self, shown: Board) -> None:
        self.shown = shown
        self.wake()

    def wake(self) -> None:
        for wake in self.wakes:
            wake()


class FakeJobs:
    """The jobs of an overview, why they wait (`reasons`), and what they say (`say`)."""

    def __init__(self, overview: FakeOverview, viewer: Viewer = EVERYTHING) -> None:
        self.overview = overview
        self.viewer = viewer
        self.records: list[LogRecord] = []
        self.news: list[asyncio.Event] = []
        self.reasons: tuple[Reason, ...] = ()
        self.summary = "asks for 0.5 of a device; it is the first in the queue"
        self.notices: tuple[str, ...] = ()

    def seen_by(self, viewer: Viewer) -> FakeJobs:
        seen = FakeJobs(self.overview, viewer)
        seen.__dict__.update({**self.__dict__, "viewer": viewer})
        return seen

    async def get(self, kind: str, name: str) -> Job:
        assert kind == "Job"
        for job in self.overview.shown.jobs:
            if job.metadata.name == name and self.viewer.sees(job.metadata):
                return job
        raise NotFoundError(f"job {name!r} not found", job_id=name)

    async def why(self, name: str) -> Why:
        job = await self.get("Job", name)
        waits = job.status.phase is Phase.PENDING
        return Why(job, self.summary, self.reasons if waits else ())

    async def logs(
        self, name: str, *, attempt: int, offset: int, tail: int, follow: bool
    ) -> AsyncIterator[LogRecord]:
        del name, attempt, offset, tail
        at, news = 0, asyncio.Event()
        self.news.append(news)
        try:
            while True:
                news.clear()
                while at < len(self.records):
                    at += 1
                    yield self.records[at - 1]
                if not follow:
                    return
                await news.wait()
        finally:
            self.news.remove(news)

    async def server_info(self) -> ServerInfo:
        return ServerInfo("0.1.0", "swarm", "img", 1, 2, self.notices, "3.11")

    def say(self, *lines: str, stream: LogStream = LogStream.STDOUT) -> None:
        for line in lines:
            number = len(self.records)
            record = LogRecord(number, stream, NOW + number, line.encode(), 1)
            self.records.append(record)
        for news in self.news:
            news.set()


def app_over(jobs: FakeJobs, tokens: Tokens | None = None, *, local: bool = False) -> FastAPI:
    """The whole application."""
    return build_app(
        jobs=jobs,  # type: ignore[arg-type]  # the verbs that read are all that pages use
        overview=jobs.overview,
        probes=Probes(list, list),
        registry=CollectorRegistry(),
        tokens=tokens,
        local=local,
    )


class Served:
    """The application on a free port of a loop of its own; `do` runs something there."""

    def __init__(self, shown: Board | None = None, tokens: Tokens | None = None) -> None:
        self.overview = FakeOverview(shown)
        self.jobs = FakeJobs(self.overview)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tokens = tokens

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = f"http://127.0.0.1:{self.do(self._start())}"
        return self

    def __exit__(self, *_: object) -> None:
        self.do(self._server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> int:
        self._server = HttpServer(app_over(self.jobs, self._tokens), listen="127.0.0.1:0")
        return await self._server.start()

    def do(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(30)

    def call(self, what: Callable[[], object]) -> None:
        async def call() -> None:
            what()

        self.do(call())


# Made-up fleets


def a_worker(name: str, devices: int = 4, *, ready: bool = True, **spec: Any) -> Worker:
    """A worker with so many devices."""
    words = "" if ready else "its agent is silent"
    reason = "InContact" if ready else "OutOfContact"
    condition = Condition(type="Ready", status=ready, reason=reason, message=words, since=NOW)
    return Worker(
        metadata=ObjectMeta(name=name, uid=name),
        spec=WorkerSpec(**spec),
        status=WorkerStatus(
            platform="swarm",
            cpus=64_000,
            memory=512 * GIB,
            partitioner="chronos",
            devices=tuple(
                Device(
                    index=index,
                    name="NVIDIA H100 80GB HBM3",
                    type="nvidia",
                    memory=80 * GIB,
                    enforcement="enforced",
                )
                for index in range(devices)
            ),
            conditions=(condition,),
        ),
    )


def a_job(name: str, phase: Phase = Phase.PENDING, milli: int = 500, **status: Any) -> Job:
    """A job that asks for a share of one device."""
    gpu = Gpu(memory=milli / 1000) if milli else None
    spec = JobSpec(image="train:2", command=("python", "train.py"), gpu=gpu)
    meta = ObjectMeta(name=name, uid=f"uid-{name}", owner=status.pop("owner", ""))
    seen = {"submitted_at": NOW - 600, "attempt": 1, **status}
    return Job(metadata=meta, spec=spec, status=JobStatus(phase=phase, **seen))


def a_lease(job: Job, end: float, milli: int = 500) -> Lease:
    """The lease of a job that runs."""
    status = job.status
    return Lease(
        metadata=ObjectMeta(name=f"cumulus-{job.metadata.name}-1", owner=job.metadata.owner),
        spec=LeaseSpec(
            job=job.metadata.uid,
            job_name=job.metadata.name,
            attempt=1,
            worker=status.worker,
            devices=status.devices,
            memory_milli=milli,
            duration=int(end - status.started_at),
            not_before=status.started_at,
        ),
        status=LeaseStatus(
            state=LeaseState.HELD, held_at=status.started_at, expires_at=end, backend="chronos"
        ),
    )


_NAMES = (
    *("llama-sft", "vit-pretrain", "whisper-eval", "diffusion-lora", "bert-distill", "clip-index"),
    *("rl-rollouts", "t5-sweep", "asr-train", "embed-batch", "moe-ablation", "sam-finetune"),
)
_SHARES = (500, 250, 1000, 500, 750, 250, 500, 300)
_ENDS = (Phase.SUCCEEDED, Phase.SUCCEEDED, Phase.SUCCEEDED, Phase.FAILED, Phase.TIMED_OUT)


def a_fleet(*, jobs: int = 200, devices: int = 100, per_worker: int = 4, now: float = NOW) -> Board:
    """A fleet as busy as that: on each device leases one after the other, half of them past; a
    quarter of the jobs wait, the first of them with room kept.
    """
    names = [f"gpu-{n:02d}" for n in range(-(-devices // per_worker))]
    workers = {name: a_worker(name, per_worker, ready=n != 3) for n, name in enumerate(names)}
    free = {name: dict.fromkeys(range(per_worker), 1000) for name in names}
    made: list[Job] = []
    leases: list[Lease] = []
    past: list[PastLease] = []
    planned: list[PlannedLease] = []
    waiting = jobs // 4
    running = jobs // 2
    for n in range(running):
        worker, index = names[n % len(names)], (n // len(names)) % per_worker
        milli = min(_SHARES[n % len(_SHARES)], free[worker][index])
        if milli < 100 or not workers[worker].status.conditions[0].status:
            continue
        free[worker][index] -= milli
        start = now - 60 - (n * 397) % 2400
        job = a_job(
            f"{_NAMES[n % len(_NAMES)]}-{n}",
            Phase.RUNNING,
            milli,
            worker=worker,
            devices=(index,),
            started_at=start,
            submitted_at=start - 4,
            expires_at=start + 3600,
        )
        made.append(job)
        leases.append(a_lease(job, start + 3600, milli))
    for n in range(waiting):
        name = f"{_NAMES[(n + 5) % len(_NAMES)]}-w{n}"
        message = "gpu-00 has too little GPU free (device 0: 0.25), 1 x 0.5 asked for; and 24 more"
        job = a_job(name, submitted_at=now - 900 + n, reason="Waiting", message=message)
        made.append(job)
        if n < 12:
            start = now + 300 + 90 * n
            worker = names[(n * 2 + 1) % len(names)]
            planned.append(
                PlannedLease(
                    name, worker, (n % per_worker,), 500, start, start + 3000, made[n].metadata.name
                )
            )
    for n in range(jobs - running - waiting):
        phase = _ENDS[n % len(_ENDS)]
        worker, index = names[(n * 7) % len(names)], (n // 3) % per_worker
        end = now - 120 - n * 41
        name = f"{_NAMES[(n + 2) % len(_NAMES)]}-e{n}"
        start = end - 300 - (n * 131) % 1500
        message = {
            Phase.FAILED: "ValueError: loss is NaN",
            Phase.TIMED_OUT: "the lease ended after 25m",
        }
        made.append(
            a_job(
                name,
                phase,
                _SHARES[n % 3],
                worker=worker,
                devices=(index,),
                started_at=start,
                finished_at=end,
                message=message.get(phase, ""),
                reason="" if phase is Phase.SUCCEEDED else "Error",
            )
        )
        milli = _SHARES[n % 3]
        past.append(
            PastLease(f"p{n}", name, "", 1, worker, (index,), milli, start, end, end, phase.value)
        )
    return Board(
        now=now,
        jobs=tuple(made),
        running=len(leases),
        waiting=waiting,
        workers=tuple(WorkerNow(workers[name], free[name]) for name in names),
        leases=tuple(leases),
        past=tuple(past),
        planned=tuple(planned),
    )


def samples(now: float, count: int = 720) -> list[Sample]:
    """An hour that went up and down."""
    found = []
    for n in range(count):
        wave = abs((n % 240) - 120) / 120
        late = 0.2 + (n % 7) / 10 if n % 60 == 7 else -1.0
        used = int(82_000 + 15_000 * wave) if n > 90 else n * 900
        at = now - (count - n) * 5
        found.append(Sample(at, int(50 * (1 - wave)), int(70 + 30 * wave), used, 100_000, late))
    return found


def tried_again(job: Job) -> Job:
    """The same at its second attempt."""
    first = Attempt(
        number=1,
        phase=Phase.FAILED,
        cause=Cause.OUT_OF_MEMORY,
        reason="OutOfMemory",
        message="the job used more memory than it asked for",
        exit_code=137,
        worker="gpu-01",
        started_at=NOW - 500,
        finished_at=NOW - 400,
    )
    status = job.status.model_copy(update={"attempt": 2, "attempts": (first,)})
    return job.model_copy(update={"status": status})
