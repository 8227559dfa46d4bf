from __future__ import annotations

import json
from typing import Any

import pytest
from cumulus.crd_like_specs.errors import NO_WORKERS, NoWorkersError, UnschedulableError
from cumulus.crd_like_specs.job import Code, Job, JobSpec, JobStatus, Phase
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.sdk import outcome
from cumulus.sdk.errors import JobCancelledError, JobFailedError, JobTimedOutError


def ended(phase: Phase, **status: Any) -> Job:
    return Job(
        metadata=ObjectMeta(name="x", uid="a" * 32),
        spec=JobSpec(code=Code(digest="sha256:" + "0" * 64)),
        status=JobStatus(phase=phase, **status),
    )


RAISED = json.dumps(
    {"status": "error", "error": "no luck", "error_type": "ValueError", "traceback": "Traceback …"}
).encode()


@pytest.mark.parametrize(
    ("job", "code"),
    [
        (ended(Phase.SUCCEEDED, exit_code=0), 0),
        (ended(Phase.FAILED, exit_code=3), 3),
        (ended(Phase.FAILED, exit_code=137), 137),
        (ended(Phase.FAILED), 1),
        (ended(Phase.FAILED, exit_code=0), 1),
        (ended(Phase.FAILED, exit_code=-9), 1),
        (ended(Phase.FAILED, reason="NoWorkers", message=NO_WORKERS), 7),
        (ended(Phase.FAILED, reason="Unschedulable", message="0.5 is the largest"), 7),
        (ended(Phase.TIMED_OUT, exit_code=137), 124),
        (ended(Phase.CANCELLED, exit_code=143), 143),
    ],
)
def test_exit_codes(job: Job, code: int) -> None:
    assert outcome.exit_code(job) == code


def test_the_result_is_what_main_returned() -> None:
    data = json.dumps({"status": "success", "result": {"n": [1, None]}}).encode()
    assert outcome.result_of(ended(Phase.SUCCEEDED), data) == {"n": [1, None]}
    assert outcome.result_of(ended(Phase.SUCCEEDED), None) is None


@pytest.mark.parametrize(
    "data", [b"done", b"[1]", b'{"status": "other"}', b"\xff", b"", b"[" * 100_000]
)
def test_what_is_no_envelope_is_no_result(data: bytes) -> None:
    assert outcome.read_envelope(data) is None
    assert outcome.result_of(ended(Phase.SUCCEEDED), data) is None


def test_a_remote_exception_arrives_with_its_parts() -> None:
    with pytest.raises(
        JobFailedError, match=r"^Job failed: ValueError: no luck \(job x\)$"
    ) as caught:
        outcome.result_of(ended(Phase.FAILED, exit_code=1), RAISED)
    assert caught.value.error_type == "ValueError"
    assert caught.value.traceback == "Traceback …"
    assert isinstance(caught.value, RuntimeError)
    assert caught.value.job_id == "a" * 32


def test_what_an_image_says_of_its_failure_can_be_shown() -> None:
    said = b'{"status": "error", "error": "caf\\udce9", "error_type": "\\ud800", "traceback": "\\udfff"}'
    with pytest.raises(JobFailedError) as caught:
        outcome.result_of(ended(Phase.FAILED, exit_code=1), said)
    assert str(caught.value) == "Job failed: \ufffd: caf\ufffd (job x)"
    assert (caught.value.error_type, caught.value.traceback) == ("\ufffd", "\ufffd")


def test_a_failure_without_an_envelope_says_what_the_status_says() -> None:
    with pytest.raises(JobFailedError, match=r"^Job failed: killed by signal 9 \(job x\)$"):
        outcome.result_of(ended(Phase.FAILED, message="killed by signal 9"), None)


def test_other_ends_have_their_own_types() -> None:
    with pytest.raises(JobTimedOutError, match=r"^Job timed out: over") as caught:
        outcome.result_of(ended(Phase.TIMED_OUT, message="over"), None)
    assert isinstance(caught.value, TimeoutError)
    with pytest.raises(JobCancelledError):
        outcome.result_of(ended(Phase.CANCELLED), None)
    with pytest.raises(NoWorkersError, match=rf"^{NO_WORKERS}$"):
        outcome.result_of(ended(Phase.FAILED, reason="NoWorkers", message=NO_WORKERS), None)
    with pytest.raises(UnschedulableError):
        outcome.result_of(ended(Phase.FAILED, reason="Unschedulable", message="too large"), None)
