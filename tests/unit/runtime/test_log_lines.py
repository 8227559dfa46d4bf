"""What the controller's log tells of a job: every step once, by the same fields, and no secret."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from cumulus.api.program_log import configure_logging
from cumulus.controller.runtime.loop import Loop
from cumulus.crd_like_specs.errors import Temporary
from cumulus.crd_like_specs.lease import LeaseState
from loguru import logger
from runtime_kit import Kit

SECRET = "s3cret-of-the-job"


@pytest.fixture(autouse=True)
def _json(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    assert capsys
    configure_logging("json", "DEBUG")
    yield
    logger.remove()
    logger.add(sys.stderr)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    text = capsys.readouterr().err
    assert SECRET not in text
    return [json.loads(line) for line in text.splitlines()]


async def test_each_step_of_a_job_is_a_line_with_its_id_attempt_and_worker(
    kit: Kit, capsys: pytest.CaptureFixture[str]
) -> None:
    env, fail = {"TOKEN": SECRET}, Temporary("the engine is busy")
    kit.platform.fail_next("create", fail)
    job = await kit.submit(key=f"key-{SECRET}", env=env, when_unschedulable="Wait")
    await kit.submit(key=f"key-{SECRET}", env=env, when_unschedulable="Wait")
    await kit.settle()
    await kit.report()
    await kit.settle()
    unit = next(iter(kit.records.leases))
    await kit.report(leases={unit: kit.held(env={"GIVEN": SECRET})})
    await kit.settle()
    await kit.report(leases={unit: kit.held(state=LeaseState.HELD, message="still")})
    await kit.settle()
    kit.clock.advance(1)
    await kit.settle()
    told = lines(capsys)
    assert {line["job_id"] for line in told} == {job.metadata.uid}
    assert {line["job"] for line in told} == {"train"}
    assert all(line["time"] and line["level"] for line in told)
    words = [line["message"] for line in told]
    assert words == [
        "submitted, generation 1",
        "submitted again, its idempotency key is known",
        "stays Pending: NoWorkers",
        "PutLease",
        "Pending -> Leasing",
        "lease Pending -> Held",
        "CreateService",
        "Temporary: the engine is busy; again in 0.1 s",
        "CreateService",
        "Leasing -> Starting",
    ]
    assert {(line["attempt"], line["worker"]) for line in told[4:]} == {(1, "n1")}


async def test_what_a_jobs_own_exception_says_is_not_logged(
    kit: Kit, capsys: pytest.CaptureFixture[str]
) -> None:
    await kit.submit()
    await kit.report()
    await kit.settle()
    unit = next(iter(kit.records.leases))
    await kit.report(leases={unit: kit.held()})
    await kit.settle()
    raised = {"status": "error", "error": f"no {SECRET}", "error_type": "ValueError"}
    await kit.log(unit, end=True, result=json.dumps(raised).encode())
    kit.platform.finish(unit, 1)
    await kit.list_services()
    await kit.settle()
    job = kit.records.find_job("train")
    assert (job.status.phase.value, job.status.message) == ("Failed", f"no {SECRET}")
    told = next(line for line in lines(capsys) if line["message"].endswith("-> Failed"))
    assert told["reason"] == "ValueError"
    assert "detail" not in told


async def test_a_bug_is_a_line_about_the_job_with_its_traceback(
    kit: Kit, capsys: pytest.CaptureFixture[str]
) -> None:
    job = await kit.submit(env={"TOKEN": SECRET})

    async def broken(key: str) -> float | None:
        raise KeyError(key)

    key = kit.queue.take(kit.clock.now())
    assert key
    await Loop(kit.queue, broken, kit.clock, kit.reconciler.who).once(key)
    last = lines(capsys)[-1]
    assert (last["level"], last["job_id"]) == ("ERROR", job.metadata.uid)
    assert "KeyError" in last["exception"]


async def test_what_belongs_to_no_job_is_told_by_its_id(kit: Kit) -> None:
    assert kit.reconciler.who("uid:abc") == {"job_id": "abc"}
    assert kit.reconciler.who("gone") == {"job": "gone"}
