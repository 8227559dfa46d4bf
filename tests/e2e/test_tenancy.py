"""Projects with limits, tokens of them, and the journal of calls: as operators and users meet them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ctl import wait_for
from system import System

BOSS = "boss-token-of-this-test-0123456789"
SLEEPER = "import time\ndef main(seconds):\n    time.sleep(seconds)\n    return seconds\n"


def manifest(name: str, seconds: float, **spec: Any) -> str:
    return json.dumps(
        {
            "apiVersion": "cumulus.dev/v1",
            "kind": "Job",
            "metadata": {"name": name},
            "spec": {
                "code": {"files": {"main.py": SLEEPER}},
                "args": [seconds],
                "resources": {"cpus": "50m", "memory": "64Mi"},
                "duration": 600,
                "whenUnschedulable": "Wait",
                **spec,
            },
        }
    )


class Tenants(System):
    """A controller whose callers have tokens; `as_` says whose is used from now on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "process")
        (folder / "tokens").write_text(f"admin:boss:{BOSS}\n")
        config = json.loads(self.config.read_text())
        config |= {
            "tokensFile": str(folder / "tokens"),
            "projects": [{"name": "fixed", "maxRunning": 3}],
            "rates": {"wrongTokens": 3},
        }
        self.config.write_text(json.dumps(config))
        self.secrets = {"boss": BOSS}
        self.as_("boss")

    def as_(self, who: str) -> Tenants:
        file = self.folder / f"{who}.token"
        if not file.exists():
            file.write_text(self.secrets[who])
            file.chmod(0o600)
        self.options = ("--server", f"127.0.0.1:{self.grpc}", "--token-file", str(file))
        return self

    def create(self, who: str, *arguments: str) -> None:
        made = self.as_("boss").ctl("auth", "token", "create", who, *arguments)
        assert made.returncode == 0, made.stderr
        self.secrets[who] = made.stdout.strip()

    def names(self) -> set[str]:
        shown = self.ctl("get", "jobs", "-o", "json")
        assert shown.returncode == 0, shown.stderr
        return {one["metadata"]["name"] for one in json.loads(shown.stdout)["items"]}

    def project(self, name: str) -> dict[str, Any]:
        shown = self.ctl("auth", "quota", name, "-o", "json")
        assert shown.returncode == 0, shown.stderr
        found: dict[str, Any] = json.loads(shown.stdout)
        return found

    def http_call(self, method: str, path: str, secret: str = "") -> tuple[int, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http}{path}",
            method=method,
            data=b"" if method == "POST" else None,
        )
        if secret:
            request.add_header("authorization", f"Bearer {secret}")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.headers

    def audit(self, *arguments: str) -> list[tuple[str, ...]]:
        shown = self.as_("boss").ctl("audit", "-o", "json", *arguments)
        assert shown.returncode == 0, shown.stderr
        items = json.loads(shown.stdout)["items"]
        return [
            (x["who"], x["project"], f"{x['via']} {x['method']}", x["resource"], x["outcome"])
            for x in items
        ]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Tenants]:
    found = Tenants(tmp_path)
    found.start()
    yield found
    found.stop()


def test_a_project_shares_its_jobs_and_its_limits(house: Tenants) -> None:
    vision = ("--project", "vision", "--max-running", "1", "--gpu-hours", "2.5/day")
    house.create("ann", *vision)
    house.create("bob", "--project", "vision", "--ttl", "30d")
    house.create("eve")
    house.create("eye", "--role", "viewer")
    other = house.ctl("auth", "token", "create", "cat", "--project", "vision", "--max-running", "9")
    assert other.returncode == 5, other.stderr
    assert "running is 1, 9 is given" in other.stderr

    # The second waits for the first, and nobody else does.
    gpu = {"gpu": {"memory": 0.25}}
    house.as_("ann").apply(manifest("first", 300, **gpu))
    house.wait_phase("first", "Running")
    house.as_("bob").apply(manifest("second", 0.1, **gpu))
    assert house.names() == {"first", "second"}
    waits = wait_for(lambda: (j := house.job("second"))["status"].get("reason") and j)
    assert waits["status"]["reason"] == "OverQuota"
    why = house.ctl("why", "second").stdout
    assert "project vision runs 1 of 1 jobs" in why
    assert "within its limits again by" in why
    ran = house.as_("eve").apply(manifest("hers", 0.1), "--wait")
    assert (ran.returncode, ran.stdout.strip()) == (0, "0.1"), ran.stderr
    assert house.names() == {"hers"}
    assert house.ctl("auth", "quota", "vision").returncode == 6
    whoami = house.as_("bob").ctl("auth", "whoami").stdout
    assert "1 of 1 jobs at once" in whoami

    # Who may only look changes nothing, over HTTP neither; bob may, over HTTP too.
    assert house.http_call("DELETE", "/v1/jobs/first", house.secrets["eye"])[0] == 403
    assert house.http_call("DELETE", "/v1/jobs/first", house.secrets["eve"])[0] == 404
    code, headers = house.http_call("DELETE", "/v1/jobs/first")
    assert (code, headers["www-authenticate"]) == (401, 'Bearer realm="cumulus"')
    code, _ = house.http_call("POST", "/v1/jobs/first/cancel", house.secrets["bob"])
    assert code == 200
    house.as_("ann").wait_phase("second", "Succeeded")

    # What was used is on the books, whatever becomes of the jobs and of the controller.
    house.ctl("delete", "job", "first", "second", "--wait")
    used = house.project("vision")
    assert used["use"]["running"] == 0
    assert used["use"]["gpu_hours"] > 0
    assert used["quota"] == {"running": 1, "gpu_hours": 2.5, "dataset_bytes": None}
    house.kill9()
    house.start()
    assert house.project("vision")["use"] == used["use"]
    fixed = house.as_("boss").ctl("auth", "quota", "fixed", "--max-running", "9")
    assert fixed.returncode == 5, fixed.stderr

    _journal(house)

    # Guesses are slowed down; whose token was good from here is let in all the same.
    wrong = [house.http_call("GET", "/v1/jobs", f"wrong-token-{n:020}")[0] for n in range(6)]
    assert wrong == [401, 401, 401, 429, 429, 429]
    assert house.http_call("GET", "/v1/jobs", BOSS)[0] == 200


def _journal(house: Tenants) -> None:
    """Who did what is in it, which outlives the controller too; secrets are not."""
    lines = house.audit()
    assert ("ann", "vision", "grpc Cumulus/Apply", "job first", "allowed") in lines
    assert ("bob", "vision", "http POST", "/v1/jobs/first/cancel", "allowed") in lines
    assert ("eye", "eye", "http DELETE", "/v1/jobs/first", "refused") in lines
    assert ("", "", "http DELETE", "/v1/jobs/first", "refused") in lines
    assert house.as_("eve").ctl("audit").returncode == 6
    kept = b"".join(p.read_bytes() for p in (house.folder / "data" / "audit").iterdir())
    assert not any(secret.encode() in kept for secret in house.secrets.values())
