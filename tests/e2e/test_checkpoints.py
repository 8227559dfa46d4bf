"""What a job keeps in /checkpoint is there for its next attempt: after a pause, and after a failure."""

from __future__ import annotations

import json
from typing import Any

from system import System, wait_for

COUNTER = """
import os, pathlib, time

def main(end=1000, crash_at=0):
    folder = pathlib.Path(os.environ["CUMULUS_CHECKPOINT_DIR"])
    state = folder / "count"
    start = count = int(state.read_text()) if state.exists() else 0
    print("starts at", start, flush=True)
    while count < end:
        count += 1
        (folder / ".count").write_text(str(count))
        (folder / ".count").replace(state)
        if count == crash_at and start == 0:
            os._exit(3)
        time.sleep(0.05)
    return [start, count]
"""


def counter(name: str, args: dict[str, int], **spec: Any) -> str:
    base = {"resources": {"cpus": "50m", "memory": "128Mi"}, "duration": 120, "args": args}
    return json.dumps(
        {
            "apiVersion": "cumulus.dev/v1",
            "kind": "Job",
            "metadata": {"name": name},
            "spec": {"code": {"files": {"main.py": COUNTER}}, **base, **spec},
        }
    )


def test_a_suspended_job_goes_on_where_it_was(process: System) -> None:
    process.apply(counter("counts", {"end": 120}))
    process.wait_phase("counts", "Running")
    wait_for(lambda: "starts at 0" in process.logs("counts"))
    process.apply(counter("counts", {"end": 120}, suspend=True))
    wait_for(lambda: process.job("counts")["status"]["reason"] == "Suspended")
    wait_for(lambda: process.job("counts")["status"]["checkpoints"])
    wait_for(lambda: not process.leases())
    done = process.apply(counter("counts", {"end": 120}), "--wait")
    assert done.returncode == 0, done.stderr
    start, end = json.loads(done.stdout)
    assert 0 < start < end == 120
    process.clean()


def test_a_retry_goes_on_where_it_was(process: System) -> None:
    text = counter("crashes", {"end": 12, "crash_at": 7}, retry={"limit": 1, "backoff": "0s"})
    done = process.apply(text, "--wait")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [7, 12]
    attempts = process.job("crashes")["status"]["attempts"]
    assert [attempt["exitCode"] for attempt in attempts] == [3, 0]
    process.clean()


def test_what_a_job_left_goes_with_it(process: System) -> None:
    process.apply(counter("short", {"end": 2}), "--wait")
    wait_for(lambda: process.job("short")["status"]["checkpoints"])
    uid = process.job("short")["metadata"]["uid"]
    folder = process.folder / "data" / "artifacts" / uid
    assert len(list(folder.iterdir())) == 1
    process.ctl("delete", "short")
    wait_for(lambda: not folder.exists())
