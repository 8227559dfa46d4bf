"""`cumulusctl diff`, `plan` and `apply --prune`: what they say, and with which exit code."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cumulus.api.previews import Change, Expected, Planned, Preview, Starts
from cumulus.crd_like_specs.errors import StoreError
from cumulus.crd_like_specs.job import Code, Job, JobSpec, JobStatus, Phase, WorkerReason
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.sdk.cli import diffing

from .ctl import Ctl
from .fake_server import FakeServer
from .fake_state import NOW


def job(name: str = "hello", phase: Phase = Phase.PENDING, **spec: Any) -> Job:
    code = Code(files={"main.py": "def main():\n    return 1\n"})
    meta = ObjectMeta(name=name, labels=spec.pop("labels", {}))
    wanted = JobSpec.model_validate({"code": code, **spec})
    return Job(metadata=meta, spec=wanted, status=JobStatus(phase=phase))


def answer(server: FakeServer, *changes: Planned) -> None:
    server.preview = Preview(changes, NOW)


def test_nothing_differs(ctl: Ctl, server: FakeServer) -> None:
    answer(server, Planned(Change.UNCHANGED, job(), job()))
    assert ctl("diff", ctl.file()) == 0
    assert (ctl.out, ctl.err) == ("", "")
    assert not server.called("Plan")[-1].forecast


def test_differences_field_by_field(ctl: Ctl, server: FakeServer) -> None:
    answer(
        server,
        Planned(Change.CHANGED, job(priority=0), job(priority=5, labels={"team": "x"})),
        Planned(Change.REPLACED, job("run", Phase.RUNNING), job("run", duration="2h")),
        Planned(Change.PRUNED, job("old")),
        Planned(Change.CREATED, None, job("new", duration="5m")),
    )
    assert ctl("diff", ctl.file()) == 1
    lines = ctl.out.splitlines()
    assert lines[:6] == [
        "~ job/hello changed",
        "    metadata.labels.team: none → x",
        "    spec.priority: 0 → 5",
        "± job/run replaced: what runs now is ended, it runs anew",
        "    spec.duration: 1h → 2h",
        "- job/old pruned",
    ]
    assert lines[6] == "+ job/new created"
    assert "    spec.duration: 5m" in lines


def test_what_apply_would_refuse(ctl: Ctl, server: FakeServer) -> None:
    answer(server, Planned(Change.REFUSED, None, job(), ("the name 'hello' is taken",)))
    assert ctl("diff", ctl.file()) == 2
    assert ctl.err == "error: job/hello: the name 'hello' is taken\n"


def test_a_plan_says_when(ctl: Ctl, server: FakeServer) -> None:
    later = Expected(Starts.LATER, NOW + 90, NOW + 390, "gpu-1", (0, 1), "fits by 08:02 UTC")
    answer(
        server,
        Planned(Change.CREATED, None, job("a"), (), Expected(Starts.NOW, NOW, NOW + 60, "gpu-1")),
        Planned(Change.CREATED, None, job("b"), (), later),
        Planned(Change.UNCHANGED, job(), job(), (), Expected(Starts.NOTHING, reason="it runs")),
    )
    assert ctl("plan", ctl.file()) == 1
    lines = ctl.out.splitlines()
    assert lines[0].split() == ["NAME", "ACTION", "STARTS", "WORKER", "DEVICES", "ENDS-BY"]
    assert lines[1].split() == ["+", "job/a", "created", "now", "gpu-1", "-", "in", "1m"]
    assert lines[2].split() == [
        "+",
        "job/b",
        "created",
        "in",
        "1m30s",
        "gpu-1",
        "0,1",
        "in",
        "6m30s",
    ]
    assert "job/b waits: fits by 08:02 UTC" in lines
    assert "job/hello: it runs" in lines
    assert lines[-1] == "2 created, 1 unchanged; nothing was written"
    assert server.called("Plan")[-1].forecast


@pytest.mark.parametrize(("policy", "code"), [("Fail", 7), ("Wait", 1)])
def test_what_nothing_could_take(ctl: Ctl, server: FakeServer, policy: str, code: int) -> None:
    never = Expected(
        Starts.NEVER, reason="asks for 9 GPUs", workers=(WorkerReason(worker="n1", reason="has 1"),)
    )
    created = job("a", when_unschedulable=policy)
    answer(server, Planned(Change.CREATED, None, created, (), never))
    assert ctl("plan", ctl.file()) == code
    assert "job/a never: asks for 9 GPUs" in ctl.out
    assert "n1      no          has 1" in ctl.out


def test_as_data(ctl: Ctl, server: FakeServer) -> None:
    expected = Expected(Starts.NOW, NOW, NOW + 60, "gpu-1", (0,), "there is room now")
    answer(server, Planned(Change.CHANGED, job(), job(priority=5), (), expected))
    assert ctl("plan", ctl.file(), "-o", "json") == 1
    (change,) = json.loads(ctl.out)["changes"]
    assert change["action"] == "changed"
    assert change["fields"] == [{"path": "spec.priority", "before": 0, "after": 5}]
    assert change["forecast"]["at"] == "2027-01-15T08:00:00Z"
    assert ctl("diff", ctl.file(), "-o", "jsonpath={.changes[*].name}") == 1
    assert ctl.out == "hello"
    assert ctl("diff", ctl.file(), "-o", "yaml") == 2


@pytest.mark.parametrize("verb", ["diff", "plan", "apply"])
def test_prune_needs_a_selector(ctl: Ctl, server: FakeServer, verb: str) -> None:
    assert ctl(verb, ctl.file(), "--prune") == 2
    assert ctl.err == "error: --prune needs -l SELECTOR: which jobs it may delete\n"
    assert ctl(verb, ctl.file(), "-l", "a=b") == 2
    assert server.calls == []


def test_prune_is_asked_of_the_server(ctl: Ctl, server: FakeServer) -> None:
    answer(server, Planned(Change.UNCHANGED, job(), job()))
    assert ctl("plan", ctl.file(), "--prune", "-l", "team=x") == 0
    assert server.called("Plan")[-1].prune_selector == "team=x"


def test_apply_deletes_what_the_plan_says(ctl: Ctl, server: FakeServer) -> None:
    old = server.put(job("old", labels={"team": "x"}))
    old = old.model_copy(update={"metadata": old.metadata.model_copy(update={"uid": "old"})})
    answer(server, Planned(Change.PRUNED, old))
    assert ctl("apply", ctl.file(), "--prune", "-l", "team=x", "--dry-run", "server") == 0
    assert ("Job", "old") in server.objects
    assert ctl("apply", ctl.file(), "--prune", "-l", "team=x") == 0
    assert (ctl.out, ctl.err) == ("job/hello created\n", "job/old pruned\n")
    assert ("Job", "old") not in server.objects


def test_a_server_error_is_never_taken_for_a_difference(ctl: Ctl, server: FakeServer) -> None:
    server.errors["Plan"] = StoreError("the disk is full")
    assert ctl("diff", ctl.file()) > 1
    assert ctl("diff") == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        ("", '""'),
        ("a\nb\nc", "a (+2 lines)"),
        (["x", 1], '["x", 1]'),
        ("y" * 100, "y" * 71 + "…"),
    ],
)
def test_values_in_a_line(value: Any, text: str) -> None:
    assert diffing.shown(value) == text
