"""`/runner` over the controller's own parts: what users of that system send, and what they get."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from cumulus.api.web.runner import face
from cumulus.api.web.runner.models import JobWanted, RunnerOptions, Status, job_of, status_of
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Phase
from make import job

from .ownership_kit import SECRETS, House

JOB = {
    "docker_image": "alpine:latest",
    "command": ["echo", "Hello World!"],
    "cpu_cores": 1,
    "memory_gb": 1,
    "gpu_type": None,
}


class Runner:
    """A client of `/runner` for each of them."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.client = httpx.AsyncClient(base_url=f"{house.web}/runner", trust_env=False)

    async def __call__(
        self, who: str, method: str, path: str, code: int = 200, **options: Any
    ) -> Any:
        headers = {"authorization": f"Bearer {SECRETS[who]}"} if who else {}
        answer = await self.client.request(method, path, headers=headers, **options)
        assert answer.status_code == code, answer.text
        return answer.json()


@pytest.fixture
async def runner(tmp_path: Path) -> AsyncIterator[Runner]:
    async with House(tmp_path) as house:
        await house.fill()
        one = Runner(house)
        async with one.client:
            yield one


@pytest.mark.parametrize(
    "body", [b'{"docker_image": "a", "command": ["\\ud800"]}', b'{"a": {"\xed\xa0\x80": 1}}']
)
async def test_half_a_character_is_told_and_where(runner: Runner, body: bytes) -> None:
    kind = {"authorization": f"Bearer {SECRETS['his']}", "content-type": "application/json"}
    answer = await runner.client.post("/jobs", content=body, headers=kind)
    assert answer.status_code == 400
    said = answer.json()["detail"]
    assert said.startswith("body: holds half a character, behind ")
    assert said.endswith("expected text in UTF-8")


async def test_a_job_as_it_is_documented(runner: Runner) -> None:
    made = await runner("his", "POST", "/jobs", 201, json=JOB)
    assert made == {
        **JOB,
        "job_id": made["job_id"],
        "status": "PENDING",
        "status_date": made["created_at"],
        "executor_ip": None,
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
        "exit_code": None,
        "message": "",
    }
    assert isinstance(made["cpu_cores"], int)
    assert datetime.fromisoformat(made["created_at"]).tzinfo is None
    assert await runner("his", "GET", f"/jobs/{made['job_id']}") == {**made, "logs": []}
    assert await runner("his", "GET", "/jobs") == [made]
    assert await runner("hers", "GET", "/jobs") == []
    assert (await runner("hers", "GET", f"/jobs/{made['job_id']}", 404))["detail"]
    kept = runner.house.kit.records.find_job(made["job_id"].replace("-", ""))
    assert (kept.metadata.owner, kept.spec.duration) == ("his", 3600)


async def test_the_log_of_a_job_that_is_over(runner: Runner) -> None:
    made = await runner("his", "POST", "/jobs", 201, json=JOB)
    kit, uid = runner.house.kit, made["job_id"].replace("-", "")
    kept = kit.records.find_job(uid)
    update = {"phase": Phase.SUCCEEDED, "attempt": 1, "worker": "n1", "exit_code": 0}
    status = kept.status.model_copy(update={**update, "started_at": 5.0, "finished_at": 6.0})
    await kit.put(kept.model_copy(update={"status": status}))
    await kit.log(unit_name(uid, 1), b"Hello World!\nand more\n", end=True)
    found = await runner("his", "GET", f"/jobs/{made['job_id']}")
    assert (found["status"], found["executor_ip"], found["exit_code"]) == ("SUCCEEDED", "n1", 0)
    assert found["logs"] == ["Hello World!", "and more"]
    refused = await runner("his", "DELETE", f"/jobs/{made['job_id']}", 400)
    assert "SUCCEEDED" in refused["detail"]


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/jobs/{}"), ("POST", "/jobs/{}/abort")])
async def test_an_aborted_job_has_failed(runner: Runner, method: str, path: str) -> None:
    made = await runner("his", "POST", "/jobs", 201, json=JOB)
    aborted = await runner("his", method, path.format(made["job_id"]))
    assert aborted["status"] == "FAILED"
    assert [one["status"] for one in await runner("his", "GET", "/jobs")] == ["FAILED"]
    assert await runner("his", "GET", "/jobs?status_filter=PENDING") == []


async def test_executors_and_numbers(runner: Runner) -> None:
    await runner("his", "POST", "/jobs", 201, json=JOB)
    found = await runner("his", "GET", "/executors")
    (one,) = found["executors"]
    assert (one["ip"], one["running_jobs"]) == ("n1", 2)
    assert one["available_cpu_cores"] <= one["total_cpu_cores"]
    assert found["cluster_stats"]["total_executors"] == 1
    stats = await runner("his", "GET", "/stats")
    assert stats["cluster"] == found["cluster_stats"]
    assert stats["queue"]["pending_by_size"] == {"small": 1, "medium": 0, "large": 0}
    assert (await runner("hers", "GET", "/stats"))["queue"]["pending_jobs"] == 0
    assert await runner("his", "POST", "/schedule") == {"scheduled_jobs": 0, "assignments": []}


async def test_all_are_counted_however_few_are_listed(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(face, "MOST", 2)
    made = [await runner("his", "POST", "/jobs", 201, json=JOB) for _ in range(5)]
    assert (await runner("his", "GET", "/stats"))["queue"]["pending_jobs"] == 5
    listed = [one["job_id"] for one in await runner("his", "GET", "/jobs")]
    assert set(listed) < {one["job_id"] for one in made}
    assert len(listed) == 2


async def test_what_runs_too_long_is_cleaned(runner: Runner) -> None:
    made = await runner("his", "POST", "/jobs", 201, json=JOB)
    kit = runner.house.kit
    kept = kit.records.find_job(made["job_id"].replace("-", ""))
    running = {"phase": Phase.RUNNING, "attempt": 1, "started_at": kit.clock.now() - 3601}
    await kit.put(kept.model_copy(update={"status": kept.status.model_copy(update=running)}))
    assert (await runner("his", "POST", "/cleanup?timeout_minutes=90"))["cleaned_jobs"] == 0
    cleaned = await runner("his", "POST", "/cleanup")
    assert cleaned == {"cleaned_jobs": 1, "timeout_minutes": 60}


async def test_health_alone_asks_for_no_token(runner: Runner) -> None:
    assert await runner("", "GET", "/health") == {"status": "healthy", "service": "scheduler"}
    error = await runner("", "GET", "/jobs", 401)
    assert error["detail"] == error["error"]["message"]
    for id_ in ("nonsense", "0" * 32):
        await runner("his", "GET", f"/jobs/{id_}", 404)
    for wrong in (
        {"cpu_cores": 0},
        {"docker_image": ""},
        {"command": 7},
        {"command": ["\0"]},
        {"command": "'"},
        {"cpu_cores": 1e-9},
    ):
        await runner("his", "POST", "/jobs", 400, json={**JOB, **wrong})


@pytest.mark.parametrize(
    ("gpu_type", "kind"), [(None, None), ("", None), ("any", ""), ("Any", ""), ("A100", "A100")]
)
def test_kinds_of_gpus(gpu_type: str | None, kind: str | None) -> None:
    spec = job_of(JobWanted(**{**JOB, "gpu_type": gpu_type}), "x", RunnerOptions()).spec
    assert (spec.gpu.type if spec.gpu else None) == kind


def test_a_command_in_one_line_is_no_shells() -> None:
    wanted = JobWanted(**{**JOB, "command": "echo 'a b' $HOME; rm -rf /"})
    assert job_of(wanted, "x", RunnerOptions(60, "Egress")).spec.command == (
        *("echo", "a b", "$HOME;", "rm", "-rf", "/"),
    )


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_has_a_status(phase: Phase) -> None:
    expected = {"Running": Status.RUNNING, "Succeeded": Status.SUCCEEDED}
    ended = Status.FAILED if phase.terminal else Status.PENDING
    assert status_of(job(phase)) is expected.get(phase.value, ended)
