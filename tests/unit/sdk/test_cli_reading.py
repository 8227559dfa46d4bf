"""cumulusctl get, describe, why and logs: what is printed of what there is."""

from __future__ import annotations

import json

import yaml
from cumulus.api.frames import DeviceUsage, JobUse, WorkerUse
from cumulus.crd_like_specs.meta import Condition, ObjectMeta
from cumulus.crd_like_specs.worker import Device, Worker, WorkerStatus

from .ctl import Ctl
from .fake_server import FakeServer


def test_get_prints_tables_names_json_and_yaml(ctl: Ctl) -> None:
    assert ctl("get", "jobs") == 0
    assert (ctl.out, ctl.err) == ("", "no jobs found\n")
    ctl("apply", ctl.file(), "--wait")
    assert ctl("get", "jobs") == 0
    assert ctl.out.splitlines()[0].split() == [
        "NAME",
        "PHASE",
        "ATTEMPT",
        "WORKER",
        "GPU",
        "DURATION",
        "AGE",
    ]
    assert ctl.out.splitlines()[1].split()[:3] == ["hello", "Succeeded", "1"]
    assert ctl("get", "jobs", "-o", "name") == 0
    assert ctl.out == "job/hello\n"
    assert ctl("get", "job", "hello", "-o", "json") == 0
    assert json.loads(ctl.out)["metadata"]["name"] == "hello"
    assert ctl("get", "jobs", "-o", "json") == 0
    assert json.loads(ctl.out)["kind"] == "List"
    assert ctl("get", "job", "hello", "-o", "yaml") == 0
    assert yaml.safe_load(ctl.out)["spec"]["duration"] == "1m30s"
    assert ctl("get", "jobs", "-l", "team=none", "-o", "name") == 0
    assert ctl.out == ""
    assert ctl("get", "jobs", "--phase", "Running", "-o", "name") == 0
    assert ctl.out == ""


def test_jobs_that_finished_long_ago_are_listed_with_all_only(ctl: Ctl, server: FakeServer) -> None:
    server.script.status = {"finished_at": 1_000_000_000.0}
    ctl("apply", ctl.file(), "--wait")
    assert ctl("get", "jobs", "-o", "name") == 0
    assert ctl.out == ""
    assert ctl.err == "1 jobs finished over an hour ago; --all shows them\n"
    for more in ("--all", "--phase=Succeeded"):
        assert ctl("get", "jobs", more, "-o", "name") == 0
        assert ctl.out == "job/hello\n"


def test_get_says_what_is_not_there(ctl: Ctl) -> None:
    assert ctl("get", "job", "nobody") == 4
    assert ctl.err == "error: job 'nobody' not found\n"
    assert ctl("get", "pods") == 2
    assert "expected jobs, leases, workers, sources, datasets or templates" in ctl.err


def test_describe_and_why(ctl: Ctl) -> None:
    ctl("apply", ctl.file())
    assert ctl("describe", "job", "hello") == 0
    assert "Duration:     1m30s\n" in ctl.out
    assert ctl("why", "hello") == 0
    assert ctl.out == (
        "job/hello Pending: waits for room\n"
        "WORKER  COULD-EVER  REASON\n"
        "gpu-1   yes         0.25 of a device is free, 0.5 is asked\n"
    )


def test_workers_are_shown_cordoned_and_drained(ctl: Ctl, server: FakeServer) -> None:
    device = Device(index=0, name="H200", type="nvidia")
    ready = (Condition(type="Ready", status=True),)
    status = WorkerStatus(devices=(device,), cpus=16000, memory=8 << 30, conditions=ready)
    server.put(Worker(metadata=ObjectMeta(name="gpu-1"), status=status))
    assert ctl("get", "workers") == 0
    assert ctl.out.splitlines()[1].split() == ["gpu-1", "Ready", "1", "0:1/1", "16", "8Gi", "-"]
    assert ctl("cordon", "gpu-1") == 0
    assert ctl.out == "worker/gpu-1 Ready,Cordoned\n"
    assert ctl("drain", "gpu-1") == 0
    assert ctl.out == "worker/gpu-1 Ready,Drained\n"
    assert ctl("uncordon", "gpu-1") == 0
    assert ctl.out == "worker/gpu-1 Ready\n"
    assert ctl("describe", "worker", "gpu-1") == 0
    assert "0       H200  nvidia  1/1         -       -     -     advisory  -\n" in ctl.out


def test_a_lost_worker_is_fenced_and_removed(ctl: Ctl, server: FakeServer) -> None:
    server.put(Worker(metadata=ObjectMeta(name="gpu-1")))
    assert ctl("fence", "gpu-1") == 2
    assert "expected --yes where nobody can be asked" in ctl.err
    assert ctl("fence", "gpu-1", "--yes") == 0
    assert ctl.out == "worker/gpu-1 fenced\n"
    assert ctl("get", "workers") == 0
    assert "Unknown,Fenced" in ctl.out
    assert ctl("unfence", "gpu-1") == 0
    assert ctl.out == "worker/gpu-1 no longer fenced\n"
    assert ctl("remove", "job", "gpu-1") == 2
    assert ctl("remove", "worker", "gpu-1") == 0
    assert ctl.out == "worker/gpu-1 removed\n"
    assert ctl("remove", "worker", "gpu-1") == 4


def test_what_is_used_is_shown_by_job_and_by_worker(ctl: Ctl, server: FakeServer) -> None:
    gib = 1 << 30
    assert ctl("top", "jobs") == 0
    assert (ctl.out, "no jobs run now" in ctl.err) == ("", True)
    devices = (
        Device(index=0, name="H200", type="nvidia", memory=141 * gib, reason="no MPS"),
        Device(index=1, name="H200", type="nvidia", enforcement="enforced"),
    )
    for name in ("gpu-1", "silent"):
        status = WorkerStatus(devices=devices, cpus=16000, memory=64 * gib)
        server.put(Worker(metadata=ObjectMeta(name=name), status=status))
    small = JobUse("u1", "small", 1, -1.0, 3.0, gib, 0, 0)
    large = JobUse("u2", "large", 2, 3.5, 3700.0, 8 * gib, 9 * gib, 4 * gib)
    shown = (DeviceUsage(0, 5 * gib, 370), DeviceUsage(1, 0, -1))
    server.uses = [WorkerUse("gpu-1", 1.0, 100 * gib, (small, large), shown)]

    assert ctl("top") == 0
    assert ctl.out == (
        "NAME   ATTEMPT  WORKER  CPU   CPU-TIME  MEMORY  PEAK  GPU-MEMORY\n"
        "large  2        gpu-1   3.50  1h1m      8Gi     9Gi   4Gi\n"
        "small  1        gpu-1   -     3s        1Gi     -     -\n"
    )
    assert ctl("top", "workers") == 0
    assert ctl.out == (
        "NAME    CPU   CPU%  MEMORY  MEMORY%  DISK-FREE  JOBS  DEVICES\n"
        "gpu-1   3.50  22%   9Gi     14%      100Gi      2     0:5Gi,37% 1:0\n"
        "silent  -     -     -       -        -          -     -\n"
    )
    assert ctl("describe", "worker", "gpu-1") == 0
    assert "0       H200  nvidia  1/1         141Gi   5Gi   37%   advisory  no MPS\n" in ctl.out
    assert "large  2        gpu-1" in ctl.out
    assert ctl("top", "leases") == 2


# logs, wait, cancel, delete


def test_logs_are_data(ctl: Ctl, server: FakeServer) -> None:
    ctl("apply", ctl.file(), "--wait")
    assert ctl("logs", "hello") == 0
    assert ctl.out == "line 0\nline 1\nline 2\n"
    assert ctl("logs", "hello", "--tail", "1") == 0
    assert ctl.out == "line 2\n"
    server.cuts = [2, 1, 0]
    assert ctl("logs", "-f", "hello") == 0
    assert ctl.out == "line 0\nline 1\nline 2\n"
    assert ctl("logs", "-f", "hello", "--tail", "2") == 0
    assert ctl.out == "line 1\nline 2\n"
    assert ctl("logs", "nobody") == 4
