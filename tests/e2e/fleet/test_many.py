"""Sixty jobs on fractions of two workers' devices, and one of the workers loses power halfway."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest
from cluster import Cluster
from ctl import wait_for
from cumulus.api.frames import Log
from cumulus.controller.runtime.logs import REST_MISSING
from cumulus.crd_like_specs.job import Cause, Phase
from manifests import manifest
from witness import Runs, Shares

pytestmark = [pytest.mark.docker, pytest.mark.chronos]

JOBS = 60
SHORTEST = 1.0  # seconds that a job sleeps at least
FRACTIONS = (0.1, 0.2, 0.25, 0.3, 0.4, 0.5)
MARKS = f"""
import os, time
def main(number):
    attempt = int(os.environ['CUMULUS_ATTEMPT'])
    print('begin', number, attempt, flush=True)
    time.sleep({SHORTEST} + number % 3)
    print('end', number, attempt, flush=True)
    return [number, attempt]
"""


def write(folder: Path) -> list[str]:
    """A file for each job: fractions in turn; half of them stop when their worker hears nobody."""
    folder.mkdir()
    names = []
    for number, fraction in zip(range(JOBS), itertools.cycle(FRACTIONS), strict=False):
        name = f"many-{number:02}"
        text = manifest(
            name,
            MARKS,
            args={"number": number},
            gpu={"memory": fraction},
            duration=20,
            retry={"limit": 3, "backoff": "1s"},
            stopAfterDisconnect=5 * (number % 2),
        )
        (folder / f"{name}.yaml").write_text(text)
        names.append(name)
    return names


def test_all_finish_once_though_a_worker_dies(fleet: Cluster, runs: Runs, tmp_path: Path) -> None:
    names = write(tmp_path / "jobs")
    dying = fleet.workers["n2"]

    def phases() -> list[Phase]:
        found = {job.metadata.name: job for job in fleet.client.list("Job")}
        return [found[name].status.phase for name in names]

    def halfway() -> bool:
        """And one has only just begun there, which cannot be over when the power goes"""
        if phases().count(Phase.SUCCEEDED) < JOBS // 3:
            return False
        on_it = [run for run in runs.all() if run.node == dying.name and run.ended is None]
        return any(time.time() - run.started < SHORTEST / 2 for run in on_it)

    with Shares(fleet) as shares:
        applied = fleet.ctl("apply", str(tmp_path / "jobs"))
        assert applied.returncode == 0, applied.stderr
        wait_for(halfway, 120)
        runs.power_off(dying)
        wait_for(lambda: all(phase.terminal for phase in phases()), 180)
        dying.power_on()
        runs.listen(dying)
        fleet.settle()
        fleet.clean(30)
    shares.check()
    runs.check()
    assert phases() == [Phase.SUCCEEDED] * JOBS
    for number, name in enumerate(names):
        check_marks(fleet, runs, number, name)
    again = [name for name in names if len(runs.of(name)) > 1]
    assert again, "the worker died without a job"


def check_marks(fleet: Cluster, runs: Runs, number: int, name: str) -> None:
    """What the job itself wrote, attempt by attempt, agrees with what its worker's engine saw."""
    lives = runs.of(name)
    status = fleet.client.get_job(name).status
    assert (lives[-1].exit_code, lives[-1].attempt) == (0, status.attempt), lives
    ran = {life.attempt for life in lives}
    for attempt in status.attempts[:-1]:
        ends = {(Phase.FAILED, Cause.WORKER_LOST)}
        if attempt.number not in ran:  # its worker was lost before, or while Swarm was starting it
            ends.add((Phase.CANCELLED, None))
        assert (attempt.phase, attempt.cause) in ends, f"{name}: {status.attempts}"
    last = status.attempts[-1]
    assert (last.number, last.phase) == (status.attempt, Phase.SUCCEEDED), f"{name}: {last}"
    for attempt in range(1, status.attempt + 1):
        whole = f"begin {number} {attempt}\nend {number} {attempt}\n"
        said = read(fleet, name, attempt)
        if attempt == status.attempt:
            assert said == whole
        else:  # it was lost with its worker, perhaps with the end of what it had said
            assert whole.startswith(said.removesuffix(REST_MISSING.decode()))
    assert fleet.client.result(name) == [number, status.attempt]


def read(fleet: Cluster, name: str, attempt: int) -> str:
    logs = fleet.client.logs(name, attempt=attempt)
    return b"".join(log.record.data for log in logs if isinstance(log, Log)).decode()
