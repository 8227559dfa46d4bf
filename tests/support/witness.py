"""What really happened in a cluster, told by those who neither decide nor report it.

`Runs`: each node's own Docker Engine says when a container of a job started and died, and with
which exit code; a node that loses power takes what ran on it along. `Shares`: the controller's
records at every change, and the files that Chronos itself keeps, as often as they can be looked at.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import docker
import docker.errors
import requests
import urllib3.exceptions
from cluster import Cluster, Worker
from cumulus.api.frames import WatchType
from cumulus.crd_like_specs.identity import LABEL_ATTEMPT, LABEL_JOB, LABEL_UID
from cumulus.crd_like_specs.lease import Lease, LeaseState
from cumulus.sdk import AsyncCumulusClient

WHOLE = 1000
NEWS = 3.0
"""Seconds until what happened on a worker is known for sure, with its logs and result."""

HOLDS = (LeaseState.HELD, LeaseState.ENDING)
_BROKEN = (OSError, docker.errors.DockerException, requests.RequestException, ValueError)


@dataclass(frozen=True)
class Run:
    """One life of a container. Times are POSIX seconds of this machine; ended: None while it runs.
    exit_code: None where nobody was left to tell.
    """

    job: str
    attempt: int
    node: str
    container: str
    started: float
    ended: float | None = None
    exit_code: int | None = None


@dataclass
class Outage:
    """Seconds in which nobody heard of a node."""

    node: str
    began: float
    ended: float = math.inf


class Runs:
    """Listens to the engines of all workers from construction on."""

    def __init__(self, cluster: Cluster) -> None:
        self._lock = threading.Lock()
        self._runs: dict[str, Run] = {}
        self._outages: list[Outage] = []
        self._heard = threading.Condition(self._lock)
        for worker in cluster.workers.values():
            self.listen(worker)

    def listen(self, worker: Worker) -> None:
        """Until its engine is gone; again after a power-on. Nothing can start before."""
        self._heard_again(worker)
        client = docker.APIClient(base_url=worker.url, version="auto", timeout=None)
        wanted = {"type": "container", "event": ["start", "die"], "label": LABEL_UID}
        events = client.events(filters=wanted, decode=True)
        threading.Thread(target=self._hear, args=(worker.name, events), daemon=True).start()

    def power_off(self, worker: Worker) -> None:
        """Take its power, and note that nothing that ran there runs on."""
        self._outages.append(Outage(worker.name, time.time()))
        worker.power_off()
        now = time.time()
        with self._lock:
            for run in self._runs.values():
                if run.node == worker.name and run.ended is None:
                    self._runs[run.container] = replace(run, ended=now)

    @contextmanager
    def unheard(self, worker: Worker) -> Iterator[None]:
        """A time in which nobody hears of the worker, though it runs."""
        self._outages.append(Outage(worker.name, time.time()))
        yield
        self._heard_again(worker)

    def _heard_again(self, worker: Worker) -> None:
        for outage in self._outages:
            if outage.node == worker.name:
                outage.ended = min(outage.ended, time.time())

    def of(self, job: str) -> list[Run]:
        """By their start."""
        with self._lock:
            found = [run for run in self._runs.values() if run.job == job]
        return sorted(found, key=lambda run: run.started)

    def all(self) -> list[Run]:
        with self._lock:
            return sorted(self._runs.values(), key=lambda run: run.started)

    def ended(self, job: str, seconds: float = 30) -> Run:
        """The last run of the job, once it has ended."""
        with self._heard:
            found = self._heard.wait_for(lambda: self._over(job), seconds)
        assert found, f"{job} runs on: {self.of(job)}"
        return self.of(job)[-1]

    def _over(self, job: str) -> bool:
        runs = [run for run in self._runs.values() if run.job == job]
        return bool(runs) and all(run.ended is not None for run in runs)

    def _hear(self, node: str, events: Iterator[dict[str, Any]]) -> None:
        try:
            for event in events:
                self._note(node, event)
        except (*_BROKEN, urllib3.exceptions.HTTPError):
            return  # the engine is gone, and what it ran with it

    def _note(self, node: str, event: dict[str, Any]) -> None:
        ident, labels = str(event["id"]), event["Actor"]["Attributes"]
        at = event["timeNano"] / 1e9
        with self._heard:
            if event["Action"] == "start":
                job, attempt = labels[LABEL_JOB], int(labels[LABEL_ATTEMPT])
                self._runs[ident] = Run(job, attempt, node, ident, at)
            elif ident in self._runs:
                code = int(labels["exitCode"])
                self._runs[ident] = replace(self._runs[ident], ended=at, exit_code=code)
            self._heard.notify_all()

    # What must always be so

    def check(self) -> None:
        """No job ran twice at once, and none again after it succeeded, but for where nobody could
        hear of that before the worker was lost, and the result with it.
        """
        runs = defaultdict(list)
        for run in self.all():
            runs[run.job].append(run)
        for job, lives in runs.items():
            for earlier, later in itertools.pairwise(lives):
                assert earlier.ended is not None, f"{job} ran twice at once: {lives}"
                assert earlier.ended <= later.started, f"{job} ran twice at once: {lives}"
            assert sum(map(self._succeeded, lives)) <= 1, f"{job} succeeded twice: {lives}"

    def _succeeded(self, run: Run) -> bool:
        """And it was heard."""
        return run.exit_code == 0 and not any(
            outage.node == run.node and outage.began - NEWS <= (run.ended or 0.0) <= outage.ended
            for outage in self._outages
        )


class Shares:
    """Watches what is taken of each device while it is entered, in thousandths."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._stop: Callable[[], object] | None = None
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=part, daemon=True) for part in (self._records, self._files)
        ]
        self._leases: dict[str, Lease] = {}
        self.too_much: list[str] = []
        self.most: Counter[str] = Counter()
        self.looks: Counter[str] = Counter()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._stop is not None:
            self._stop()
        for thread in self._threads:
            thread.join()

    def check(self) -> None:
        """No device was ever over-committed, and there was something to see."""
        assert not self.too_much, self.too_much[:5]
        for how in ("wanted", "held", "files"):
            assert self.looks[how] > 0, how
        assert any(milli > WHOLE // 2 for milli in self.most.values()), self.most

    def _records(self) -> None:
        try:
            asyncio.run(self._watch())
        except asyncio.CancelledError:
            assert self._over.is_set()

    async def _watch(self) -> None:
        task = asyncio.current_task()
        assert task
        loop = asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(task.cancel)
        async with (
            AsyncCumulusClient(
                self._cluster.server, self._cluster.secret, ca=self._cluster.ca
            ) as client,
            aclosing(client.watch("Lease")) as items,
        ):
            async for item in items:
                if isinstance(item.resource, Lease):
                    self._take(item.type, item.resource)

    def _take(self, kind: WatchType, lease: Lease) -> None:
        if kind is WatchType.DELETED:
            self._leases.pop(lease.metadata.name, None)
        else:
            self._leases[lease.metadata.name] = lease
        wanted: Counter[str] = Counter()
        held: Counter[str] = Counter()
        for one in self._leases.values():
            spec, state = one.spec, one.status.state
            for device in spec.devices:
                wanted[f"{spec.worker}/{device}"] += spec.memory_milli * (not one.vacated)
                held[f"{spec.worker}/{device}"] += spec.memory_milli * (state in HOLDS)
        self._note("wanted", wanted)
        self._note("held", held)

    def _files(self) -> None:
        while not self._over.wait(0.02):
            for worker in self._cluster.workers.values():
                taken: Counter[str] = Counter()
                for path in worker.locks.glob("partition_*.lock"):
                    device, milli = share(path)
                    taken[f"{worker.name}/{device} by Chronos {path.name.split('_')[1]}"] += milli
                if taken:
                    self._note("files", taken)

    def _note(self, how: str, taken: Counter[str]) -> None:
        self.looks[how] += 1
        for device, milli in taken.items():
            self.most[f"{how} {device}"] = max(self.most[f"{how} {device}"], milli)
            if milli > WHOLE:
                self.too_much.append(f"{how} {device}: {milli} at {time.time()}")


def share(path: Path) -> tuple[str, int]:
    """Device, and thousandths of it, that a file of Chronos stands for; nothing where it is gone
    again or not yet written.
    """
    try:
        fields = dict(line.split(": ", 1) for line in path.read_text().splitlines() if line)
        return fields["device"], round(float(fields["fraction"]) * WHOLE)
    except (OSError, ValueError, KeyError):
        return "", 0
