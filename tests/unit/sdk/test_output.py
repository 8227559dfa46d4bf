"""Tables and descriptions, word for word: time is an argument."""

from __future__ import annotations

import pytest
from cumulus.crd_like_specs.job import (
    Attempt,
    Cause,
    Code,
    Gpu,
    Job,
    JobSpec,
    JobStatus,
    Phase,
    Retry,
    WorkerReason,
)
from cumulus.crd_like_specs.lease import Lease, LeaseSpec, LeaseState, LeaseStatus
from cumulus.crd_like_specs.meta import Condition, ObjectMeta
from cumulus.crd_like_specs.outputs import KeptOutputs
from cumulus.crd_like_specs.worker import Device, Worker, WorkerSpec, WorkerStatus
from cumulus.sdk.cli import describing, output

NOW = 1_800_000_000.0
SPEC = JobSpec(
    code=Code(digest="sha256:" + "0" * 64),
    gpu=Gpu(memory="0.5", count=2),
    retry=Retry(limit=2, on=(Cause.WORKER_LOST,)),
    duration="90m",
)
RUNNING = Job(
    metadata=ObjectMeta(
        name="train", uid="a" * 32, labels={"team": "vision"}, creation_timestamp=NOW - 7500
    ),
    spec=SPEC,
    status=JobStatus(
        phase=Phase.RUNNING,
        attempt=2,
        worker="gpu-1",
        devices=(0, 1),
        submitted_at=NOW - 7500,
        started_at=NOW - 65,
        expires_at=NOW + 3600,
        attempts=(
            Attempt(
                number=1,
                phase=Phase.FAILED,
                cause=Cause.WORKER_LOST,
                reason="WorkerLost",
                message="gpu-0 is down",
                worker="gpu-0",
                started_at=NOW - 7400,
                finished_at=NOW - 7000,
            ),
        ),
    ),
)
WAITING = Job(
    metadata=ObjectMeta(name="wait", uid="b" * 32, creation_timestamp=NOW - 3),
    spec=JobSpec(image="sha256:1", command=("run",)),
    status=JobStatus(
        reason="WaitingForRoom",
        message="gpu-1 is full",
        waiting_for=(WorkerReason(worker="gpu-1", reason="is full", ever=True),),
        conditions=(Condition(type="Scheduled", status=False, since=NOW - 3),),
    ),
)
LEASE = Lease(
    metadata=ObjectMeta(name="cumulus-" + "a" * 32 + "-2"),
    spec=LeaseSpec(
        job="a" * 32,
        job_name="train",
        attempt=2,
        worker="gpu-1",
        devices=(0, 1),
        memory_milli=500,
        duration=5400,
    ),
    status=LeaseStatus(
        state=LeaseState.HELD, backend="chronos", held_at=NOW - 60, expires_at=NOW + 5340
    ),
)
WORKER = Worker(
    metadata=ObjectMeta(name="gpu-1"),
    spec=WorkerSpec(cordoned=True),
    status=WorkerStatus(
        platform="swarm",
        node_id="n1",
        cpus=16000,
        memory=64 << 30,
        devices=(
            Device(index=0, name="H200", type="nvidia", enforcement="enforced"),
            Device(index=1, name="H200", type="nvidia", reason="no MPS"),
        ),
        partitioner="chronos",
        agent_version="0.1.0",
        network_isolation=True,
        last_heartbeat=NOW - 1,
        conditions=(Condition(type="Ready", status=True, since=NOW - 60),),
    ),
)


def test_the_table_of_jobs() -> None:
    rows = [output.header("Job"), output.row(RUNNING, NOW), output.row(WAITING, NOW)]
    assert output.table(rows) == (
        "NAME   PHASE    ATTEMPT  WORKER  GPU    DURATION  AGE\n"
        "train  Running  2        gpu-1   2x0.5  1m5s      2h5m\n"
        "wait   Pending  0        -       -      -         3s\n"
    )


def test_the_wide_table_says_why() -> None:
    rows = [output.header("Job", wide=True), output.row(WAITING, NOW, wide=True)]
    assert output.table(rows).splitlines()[1] == (
        "wait  Pending  0        -       -    -         3s   "
        "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb  -      -     WaitingForRoom  gpu-1 is full"
    )


def test_whose_a_job_is() -> None:
    meta = WAITING.metadata.model_copy(update={"owner": "vision"})
    owned = WAITING.model_copy(update={"metadata": meta})
    cells = dict(
        zip(output.header("Job", wide=True), output.row(owned, NOW, wide=True), strict=True)
    )
    assert cells["OWNER"] == "vision"
    assert "Owner:        vision\n" in describing.text(owned, NOW)
    assert "Owner" not in describing.text(WAITING, NOW)


def test_the_table_of_leases() -> None:
    rows = [output.header("Lease"), output.row(LEASE, NOW)]
    assert output.table(rows).splitlines()[1] == (
        "cumulus-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-2  train  2        gpu-1   0,1      0.5    "
        "Held   1h29m"
    )


def test_the_table_of_workers_has_the_free_shares() -> None:
    ended = LEASE.model_copy(update={"status": LeaseStatus(state=LeaseState.ENDED)})
    rows = [output.header("Worker"), output.row(WORKER, NOW, leases=(LEASE, ended))]
    assert output.table(rows) == (
        "NAME   STATUS          DEVICES  FREE             CPUS  MEMORY  SEEN\n"
        "gpu-1  Ready,Cordoned  2        0:0.5/1 1:0.5/1  16    64Gi    1s\n"
    )
    wide = output.row(WORKER, NOW, wide=True)
    assert wide[-1] == "0:H200 (enforced); 1:H200 (advisory: no MPS)"


def test_marks_of_a_job_that_is_to_end() -> None:
    def marked(**changes: float) -> str:
        meta = RUNNING.metadata.model_copy(update=changes)
        return output.row(RUNNING.model_copy(update={"metadata": meta}), NOW)[1]

    assert marked(cancellation_timestamp=NOW) == "Cancelling"
    assert marked(deletion_timestamp=NOW) == "Deleting"


def test_a_job_is_described() -> None:
    assert describing.text(RUNNING, NOW) == (
        "Name:         train\n"
        "Uid:          aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
        "Phase:        Running\n"
        "Attempt:      2\n"
        "Worker:       gpu-1\n"
        "Devices:      0,1\n"
        f"Runs:         sha256:{'0' * 64}\n"
        "GPU:          0.5 of 2 devices\n"
        "Resources:    1 cpus, 1Gi memory, 256 pids, 64Mi shm\n"
        "Duration:     1h30m\n"
        "Network:      None\n"
        "Retries:      2 on WorkerLost\n"
        "Submitted:    2h5m ago\n"
        "Started:      1m5s ago\n"
        "Lease ends:   in 1h\n"
        "Generation:   1\n"
        "Labels:       team=vision\n"
        "\n"
        "ATTEMPT  PHASE   CAUSE       EXIT  WORKER  RAN    ENDED      MESSAGE\n"
        "1        Failed  WorkerLost  -     gpu-0   6m40s  1h56m ago  gpu-0 is down\n"
    )


def test_a_waiting_job_is_described_with_each_workers_reason() -> None:
    text = describing.text(WAITING, NOW)
    assert "Reason:       WaitingForRoom: gpu-1 is full\n" in text
    assert "Runs:         sha256:1 run\n" in text
    assert "\nWORKER  COULD-EVER  REASON\ngpu-1   yes         is full\n" in text
    assert "\nCONDITION  TRUE  SINCE  REASON  MESSAGE\nScheduled  no    3s     -       -\n" in text


def test_leases_and_workers_are_described() -> None:
    assert "Share:        0.5 of device 0,1\n" in describing.text(LEASE, NOW)
    text = describing.text(WORKER, NOW, leases=(LEASE,))
    assert (
        "DEVICE  NAME  TYPE    FREE/TOTAL  MEMORY  USED  BUSY  SHARE     WHY\n"
        "0       H200  nvidia  0.5/1       -       -     -     enforced  -\n"
        "1       H200  nvidia  0.5/1       -       -     -     advisory  no MPS\n"
    ) in text


def test_what_others_wrote_does_not_act_on_the_terminal() -> None:
    device = Device(index=0, name="\x1b[31mred\nReady", type="nvidia")
    worker = Worker(metadata=ObjectMeta(name="w"), status=WorkerStatus(devices=(device,)))
    failed = JobStatus(phase=Phase.FAILED, message="first\x1b[2J\nsecond\u202e")
    job = Job(metadata=ObjectMeta(name="j"), spec=SPEC, status=failed)
    shown = [
        output.table([output.row(worker, NOW, wide=True)]),
        describing.text(worker, NOW),
        describing.text(job, NOW),
    ]
    assert not [c for text in shown for c in text if not c.isprintable() and c != "\n"]
    assert "red\ufffdReady" in shown[0]
    assert "first\ufffd[2J\nsecond\ufffd" in shown[2]


def test_names_and_lists() -> None:
    assert output.names([RUNNING, WORKER]) == "job/train\nworker/gpu-1\n"
    assert output.listing([WORKER])["items"][0]["kind"] == "Worker"
    assert output.as_json([WORKER], single=True).startswith('{\n  "apiVersion": "cumulus.dev/v1"')


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (0.9, "0s"), (59, "59s"), (125, "2m5s"), (3661, "1h1m"), (90061, "1d1h")],
)
def test_spans(seconds: float, text: str) -> None:
    assert output.span(seconds) == text


def test_checkpoints_are_listed_the_newest_first() -> None:
    from cumulus.crd_like_specs.checkpoint import Snapshot
    from cumulus.sdk.cli import kept

    found = [
        Snapshot(digest=f"sha256:{digit * 64}", size=3 << 20, files=2, attempt=n, taken_at=NOW - 60)
        for n, digit in enumerate("ab", 1)
    ]
    lines = kept.table(found, NOW).splitlines()
    assert lines[0].split() == ["CHECKPOINT", "ATTEMPT", "SIZE", "FILES", "TAKEN"]
    assert lines[1].split() == [f"sha256:{'b' * 64}", "2", "3Mi", "2", "1m", "ago"]
    assert kept.table((), NOW) == ""


def test_outputs_of_a_job_are_told_of() -> None:
    left = [KeptOutputs(digest=f"sha256:{'a' * 64}", size=2048, files=n, attempt=n) for n in (1, 2)]
    told = {"outputs": (*left, KeptOutputs(attempt=3, message="all of it is too large"))}
    job = RUNNING.model_copy(update={"status": RUNNING.status.model_copy(update=told)})
    line = "Outputs:      2 files, 2Ki, of attempt 2; 1 before it left some too\n"
    assert line in describing.text(job, NOW)
