"""A dashboard over made-up fleets: the real application and server, and ports that show what they
are given. In tests without a browser `app_over` is enough; `Served` is a port for a browser.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Self, TypeVar

from cumulus.api.auth import Tokens
from cumulus.api.frames import LogRecord, LogStream, Page, ServerInfo, Why
from cumulus.api.happened import EventQuery, Happened
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
from cumulus.crd_like_specs.source import Source
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
        self.happened: list[Happened] = []
        self.sources: list[Source] = []

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
        if waits:
            return Why(job, self.summary, self.reasons)
        return Why(job, ": ".join(filter(None, (job.status.phase.value, job.status.message))))

    async def events(self, query: EventQuery) -> AsyncIterator[Happened]:
        for event in self.happened:
            if query.takes(event):
                yield event

    async def list(
        self, kind: str, *, label_selector: str, phase: str, limit: int, continue_token: str
    ) -> Page:
        assert kind == "Source"
        del label_selector, phase, limit, continue_token
        return Page(tuple(one for one in self.sources if self.viewer.sees(one.metadata)), 1)

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
            time = self.overview.now() - 60 + number
            record = LogRecord(number, stream, time, line.encode(), 1)
            self.records.append(record)
        for news in self.news:
            news.set()


def app_over(jobs: FakeJobs, tokens: Tokens | None = None, *, local: bool = False) -> FastAPI:
    """The whole application."""
    return build_app(
        jobs=jobs,  # type: ignore[arg-type]  # the verbs that read are all that pages use
        blobs=jobs,  # type: ignore[arg-type]  # no page asks for code
        datasets=jobs,  # type: ignore[arg-type]  # nor for these
        numbers=jobs,  # type: ignore[arg-type]  # nor for these
        outputs=jobs,  # type: ignore[arg-type]  # nor for these
        templates=jobs,  # type: ignore[arg-type]  # nor for these
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
_WHY = {
    Phase.FAILED: ("Error", "ValueError: loss is NaN"),
    Phase.TIMED_OUT: ("DurationExceeded", "the lease ended before the job did"),
}
_ENDS = (Phase.SUCCEEDED, Phase.SUCCEEDED, Phase.SUCCEEDED, Phase.FAILED, Phase.TIMED_OUT)


def a_fleet(*, jobs: int = 200, devices: int = 100, per_worker: int = 4, now: float = NOW) -> Board:
    """A fleet as busy as that: half of the jobs run, a quarter waits, the first of them with room
    kept, the others have ended, each where it was before those that run there now.
    """
    names = [f"gpu-{n:02d}" for n in range(-(-devices // per_worker))]
    places = [(name, index) for index in range(per_worker) for name in names][:devices]
    free = {name: dict.fromkeys(range(per_worker), 1000) for name in names}
    began = dict.fromkeys(places, now)  # of what runs there
    ends = dict.fromkeys(places, now)
    made: list[Job] = []
    leases: list[Lease] = []
    for n in range(jobs // 2):
        place = worker, index = places[n % len(places)]
        milli = min(_SHARES[n % len(_SHARES)], free[worker][index])
        if milli < 100:
            continue
        free[worker][index] -= milli
        start, length = now - 90 - (n * 397) % 2100, (1200, 2400, 3600)[n % 3]
        end = start + length if start + length > now else now + 60 + n % 7 * 60
        began[place], ends[place] = min(began[place], start), max(ends[place], end)
        job = a_job(
            f"{_NAMES[n % len(_NAMES)]}-{n}",
            Phase.RUNNING,
            milli,
            worker=worker,
            devices=(index,),
            started_at=start,
            submitted_at=start - 4,
            expires_at=end,
        )
        made.append(job)
        leases.append(a_lease(job, end, milli))
    waiting = [_waiting(n, now) for n in range(jobs // 4)]
    planned = []
    for job, place in zip(
        waiting[:12], sorted(places, key=lambda place: ends[place]), strict=False
    ):
        start = ends[place] + 5
        name, after = (
            job.metadata.name,
            next(
                (x.spec.job_name for x in leases if (x.spec.worker, *x.spec.devices) == place), ""
            ),
        )
        planned.append(PlannedLease(name, place[0], place[1:], 500, start, start + 1800, after))
    past = []
    for n in range(jobs - jobs // 2 - len(waiting)):
        place = places[(n * 7) % len(places)]
        end = began[place] - 10 - n % 5 * 20
        start = end - 240 - (n * 131) % 1100
        began[place] = start
        job = _ended(n, place, start, end)
        made.append(job)
        past.append(
            PastLease(
                f"p{n}",
                job.metadata.name,
                "",
                1,
                *(place[0], place[1:], _SHARES[n % 3], start, end, end),
                job.status.phase.value,
            )
        )
    return Board(
        now=now,
        jobs=(*made[: len(leases)], *waiting, *made[len(leases) :]),
        running=len(leases),
        waiting=len(waiting),
        workers=tuple(
            WorkerNow(a_worker(name, per_worker, ready=n != 24), free[name])
            for n, name in enumerate(names)
        ),
        leases=tuple(leases),
        past=tuple(past),
        planned=tuple(planned),
    )


def _waiting(n: int, now: float) -> Job:
    why = "gpu-00 has too little GPU free (device 0: 0.25), 1 x 0.5 asked for; and 24 more"
    name = f"{_NAMES[(n + 5) % len(_NAMES)]}-w{n}"
    return a_job(name, submitted_at=now - 900 + n, reason="Waiting", message=why)


def _ended(n: int, place: tuple[str, int], start: float, end: float) -> Job:
    phase = _ENDS[n % len(_ENDS)]
    reason, message = _WHY.get(phase, ("", ""))
    return a_job(
        f"{_NAMES[(n + 2) % len(_NAMES)]}-e{n}",
        phase,
        _SHARES[n % 3],
        worker=place[0],
        devices=place[1:],
        started_at=start,
        finished_at=end,
        reason=reason,
        message=message,
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
