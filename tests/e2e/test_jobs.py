"""The whole way of a job, on the real Swarm with the real image, agent and Chronos."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from system import EXAMPLES, System, wait_for

pytestmark = [pytest.mark.docker, pytest.mark.chronos]


def manifest(name: str, main: str, **spec: Any) -> str:
    """A Job with this main.py; small enough that many fit."""
    base = {"resources": {"cpus": "50m", "memory": "128Mi"}, "duration": 60}
    return json.dumps(
        {
            "apiVersion": "cumulus.dev/v1",
            "kind": "Job",
            "metadata": {"name": name},
            "spec": {"code": {"files": {"main.py": main}}, **base, **spec},
        }
    )


SLEEPER = "import time\ndef main(seconds=60):\n    print('up', flush=True)\n    time.sleep(seconds)\n    return seconds\n"


def test_hello(swarm: System) -> None:
    done = swarm.ctl("apply", str(EXAMPLES / "hello.yaml"), "--wait")
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)
    swarm.clean()


def test_real_chronos_holds_the_lease(swarm: System) -> None:
    swarm.apply(manifest("holds", SLEEPER, gpu={"memory": 0.25}))
    swarm.wait_phase("holds", "Running")
    (lease,) = [x for x in swarm.leases() if x["spec"]["jobName"] == "holds"]
    assert lease["status"]["backend"] == "chronos"
    assert lease["status"]["state"] == "Held"
    assert len(lease["status"]["partitionIds"]) == len(swarm.partitions()) == 1
    swarm.ctl("cancel", "holds")
    swarm.wait_phase("holds", "Cancelled")
    swarm.clean()


def test_exception_reaches_the_user_with_its_logs(swarm: System) -> None:
    text = manifest("raises", "def main():\n    print('before')\n    raise ValueError('no good')\n")
    done = swarm.apply(text, "--wait")
    assert done.returncode == 1
    assert "ValueError" in done.stderr
    assert "no good" in done.stderr
    assert "before" in swarm.logs("raises")
    swarm.clean()


def test_exit_code_is_the_jobs_own(swarm: System) -> None:
    done = swarm.apply(manifest("exits", "import sys\ndef main():\n    sys.exit(7)\n"), "--wait")
    assert done.returncode == 7, done.stderr
    swarm.clean()


def test_duration_is_a_hard_limit(swarm: System) -> None:
    stubborn = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "def main():\n    print('up', flush=True)\n    time.sleep(60)\n"
    )
    done = swarm.apply(manifest("overruns", stubborn, duration=4, gpu={"memory": 0.1}), "--wait")
    assert done.returncode == 124, done.stderr
    status = swarm.job("overruns")["status"]
    assert status["phase"] == "TimedOut"
    assert status["expiresAt"] <= status["finishedAt"] <= status["expiresAt"] + 2
    swarm.clean()


def test_cancel_and_delete(swarm: System) -> None:
    for name in ("cancelled", "deleted"):
        swarm.apply(manifest(name, SLEEPER))
    for name in ("cancelled", "deleted"):
        swarm.wait_phase(name, "Running")
    wait_for(lambda: "up" in swarm.logs("cancelled"))
    begun = time.monotonic()
    assert swarm.ctl("cancel", "cancelled").returncode == 0
    status = swarm.wait_phase("cancelled", "Cancelled")["status"]
    assert time.monotonic() - begun < 15
    assert status["reason"] == "Cancelled"
    assert swarm.ctl("delete", "deleted").returncode == 0
    wait_for(lambda: swarm.ctl("get", "jobs", "deleted").returncode == 4)
    assert "up" in swarm.logs("cancelled")
    swarm.clean()


def test_more_than_exists(swarm: System) -> None:
    done = swarm.apply(manifest("huge", SLEEPER, gpu={"memory": 1, "count": 64}), "--wait")
    assert done.returncode == 7
    assert "64 x 1 GPU" in done.stderr
    assert "the largest that exists" in done.stderr
    swarm.clean()


def test_two_halves_run_and_a_third_waits_with_a_reason(swarm: System) -> None:
    for name in ("half-a", "half-b", "half-c"):
        swarm.apply(manifest(name, SLEEPER, gpu={"memory": 0.5}))
    swarm.wait_phase("half-a", "Running")
    swarm.wait_phase("half-b", "Running")
    third = swarm.wait_phase("half-c", "Pending")
    assert "too little GPU free" in wait_for(lambda: swarm.job("half-c")["status"]["message"])
    assert "GPU free" in swarm.ctl("why", "half-c").stdout
    assert third["status"]["attempt"] == 1
    swarm.ctl("cancel", "half-a")
    swarm.wait_phase("half-c", "Running")
    for name in ("half-b", "half-c"):
        swarm.ctl("cancel", name)
        swarm.wait_phase(name, "Cancelled")
    swarm.clean()


def test_ten_tenths_fit(swarm: System) -> None:
    names = [f"tenth-{n}" for n in range(10)]
    text = "\n---\n".join(manifest(n, SLEEPER, gpu={"memory": 0.1}, duration=120) for n in names)
    assert swarm.apply(text).returncode == 0
    for name in names:
        swarm.wait_phase(name, "Running", seconds=90)
    assert swarm.apply(manifest("eleventh", SLEEPER, gpu={"memory": 0.1})).returncode == 0
    assert "too little GPU free" in wait_for(lambda: swarm.job("eleventh")["status"]["message"])
    for name in [*names, "eleventh"]:
        swarm.ctl("cancel", name)
    for name in [*names, "eleventh"]:
        swarm.wait_phase(name, "Cancelled")
    swarm.clean()


def test_retry_until_it_works(swarm: System) -> None:
    main = (
        "import os\ndef main():\n    n = int(os.environ['CUMULUS_ATTEMPT'])\n"
        "    print('attempt', n)\n    assert n == 3, n\n    return n\n"
    )
    done = swarm.apply(manifest("retries", main, retry={"limit": 2, "backoff": "1s"}), "--wait")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == 3
    attempts = swarm.job("retries")["status"]["attempts"]
    assert [a["phase"] for a in attempts] == ["Failed", "Failed", "Succeeded"]
    assert "attempt 1" in swarm.logs("retries", "--attempt", "1")
    swarm.clean()


def test_applied_again_nothing_runs_again(swarm: System) -> None:
    text = manifest("once", "def main():\n    return 1\n")
    assert swarm.apply(text, "--wait").returncode == 0
    again = swarm.apply(text, "--wait")
    assert again.returncode == 0
    assert json.loads(again.stdout) == 1
    assert swarm.job("once")["status"]["attempt"] == 1
    changed = swarm.apply(manifest("once", "def main():\n    return 2\n"), "--wait")
    assert json.loads(changed.stdout) == 2
    assert swarm.job("once")["metadata"]["generation"] == 2
    swarm.clean()


def test_out_of_memory_is_named(swarm: System) -> None:
    main = "def main():\n    return len(bytearray(512 << 20))\n"
    done = swarm.apply(manifest("greedy", main), "--wait")
    assert done.returncode != 0
    status = swarm.job("greedy")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "OutOfMemory")
    swarm.clean()


def test_image_job_runs_its_command(swarm: System) -> None:
    text = json.dumps(
        {
            "apiVersion": "cumulus.dev/v1",
            "kind": "Job",
            "metadata": {"name": "image-job"},
            "spec": {
                "image": "cumulus-job:latest",
                "command": ["/bin/sh", "-c", "echo $0; id -u; exit 3"],
                "args": ["an arg"],
                "duration": 60,
            },
        }
    )
    done = swarm.apply(text, "--wait")
    assert done.returncode == 3, done.stderr
    logs = swarm.logs("image-job")
    assert "an arg" in logs
    assert "1000" in logs


def test_missing_image_says_what_to_do(swarm: System) -> None:
    text = json.dumps(
        {
            "apiVersion": "cumulus.dev/v1",
            "kind": "Job",
            "metadata": {"name": "no-image"},
            "spec": {"image": "nobody/nothing:1", "command": ["x"], "duration": 60},
        }
    )
    done = swarm.apply(text, "--wait")
    assert done.returncode != 0
    assert "nobody/nothing:1" in done.stderr
    assert swarm.job("no-image")["status"]["reason"] == "ImageMissing"
    swarm.clean()


def test_no_network_by_default_and_requirements_still_work(swarm: System) -> None:
    main = (
        "import socket, tomli_w\ndef main():\n    try:\n"
        "        socket.create_connection(('1.1.1.1', 53), timeout=3)\n    except OSError as e:\n"
        "        return tomli_w.dumps({'reached': 'nothing'})\n    return 'reached'\n"
    )
    text = manifest("offline", main, requirements=["tomli-w==1.2.0"])
    done = swarm.apply(text, "--wait", timeout=240)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == 'reached = "nothing"\n'
    swarm.clean()


def test_requirements_that_cannot_be_had(swarm: System) -> None:
    text = manifest("no-such", "def main():\n    return 1\n", requirements=["no-such-thing-x==9"])
    done = swarm.apply(text, "--wait", timeout=240)
    assert done.returncode == 1
    assert swarm.job("no-such")["status"]["reason"] == "RequirementsFailed"
    assert "no-such-thing-x" in done.stderr
    swarm.clean()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("kind: Job\n", "apiVersion"),
        ("a: [", "<stdin>:1:5: is no YAML"),
        (manifest("bad", SLEEPER, gpu={"memory": 1.5}), "spec.gpu.memory"),
        (manifest("bad", SLEEPER, durration=5), "durration"),
    ],
)
def test_bad_input_is_named_and_runs_nothing(swarm: System, text: str, named: str) -> None:
    done = swarm.apply(text)
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_http_beside_it(swarm: System) -> None:
    assert swarm.get("/healthz")
    metrics = swarm.get("/metrics") or ""
    assert "cumulus_jobs_finished_total" in metrics
    assert "cumulus_lease_overrun_seconds_bucket" in metrics
    swarm.apply(manifest("listed", SLEEPER))
    swarm.wait_phase("listed", "Running")
    items = json.loads(swarm.get("/v1/jobs") or "{}")["items"]
    (shown,) = [item for item in items if item["name"] == "listed"]
    assert shown["phase"] == "Running"
    assert shown["worker"]
    swarm.ctl("cancel", "listed")
    swarm.wait_phase("listed", "Cancelled")
