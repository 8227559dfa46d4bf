from __future__ import annotations

from typing import Any

import pytest
from cumulus.crd_like_specs.errors import ValidationError
from cumulus.crd_like_specs.job import Code, Job, JobSpec, JobStatus, Phase
from cumulus.crd_like_specs.meta import Condition, ObjectMeta
from cumulus.crd_like_specs.worker import Worker, WorkerStatus
from cumulus.sdk.waiting import Answer, Goal

MET, NOT_YET, NEVER = Answer.MET, Answer.NOT_YET, Answer.NEVER


def job(phase: Phase, **status: Any) -> Job:
    return Job(
        metadata=ObjectMeta(name="x"),
        spec=JobSpec(code=Code(digest="sha256:" + "0" * 64)),
        status=JobStatus(phase=phase, **status),
    )


READY = Worker(
    metadata=ObjectMeta(name="w"),
    status=WorkerStatus(conditions=(Condition(type="Ready", status=True),)),
)


@pytest.mark.parametrize(
    ("goal", "seen", "answer"),
    [
        ("finished", job(Phase.RUNNING), NOT_YET),
        ("finished", job(Phase.FAILED), MET),
        ("finished", None, NEVER),
        ("phase=Succeeded", job(Phase.RUNNING), NOT_YET),
        ("phase=succeeded", job(Phase.SUCCEEDED), MET),
        ("phase=Succeeded", job(Phase.FAILED), NEVER),
        ("phase=Running", job(Phase.PENDING), NOT_YET),
        ("phase=Running", job(Phase.RUNNING), MET),
        ("phase=Running", job(Phase.SUCCEEDED, started_at=1.0), MET),
        ("phase=Running", job(Phase.FAILED), NEVER),
        ("phase=Leasing", job(Phase.RUNNING), MET),
        ("delete", job(Phase.RUNNING), NOT_YET),
        ("delete", None, MET),
        ("condition=Ready", READY, MET),
        ("condition=Ready=false", READY, NOT_YET),
        ("condition=Ready", job(Phase.SUCCEEDED), NEVER),
    ],
)
def test_goals(goal: str, seen: Any, answer: Answer) -> None:
    assert Goal.parse(goal).check(seen) is answer


@pytest.mark.parametrize("text", ["", "phase=Odd", "phase", "condition=", "delete=1", "x=y"])
def test_what_is_no_goal_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="expected"):
        Goal.parse(text)
