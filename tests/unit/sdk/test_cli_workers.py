"""cumulusctl's verbs for workers: drain says what moves, set says until when they are rented."""

from __future__ import annotations

import time

import pytest
from cumulus.crd_like_specs.lease import Lease, LeaseSpec, LeaseState, LeaseStatus
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.crd_like_specs.worker import Worker, WorkerSpec
from cumulus.sdk.cli import cmd_workers

from .ctl import Ctl
from .fake_server import FakeServer


def put(server: FakeServer, state: LeaseState = LeaseState.HELD, ends: float = 0.0) -> Lease:
    server.put(Worker(metadata=ObjectMeta(name="gpu-1")))
    spec = LeaseSpec(
        job="u", job_name="train", attempt=1, worker="gpu-1", memory_milli=500, duration=60
    )
    status = LeaseStatus(state=state, expires_at=ends)
    lease = Lease(metadata=ObjectMeta(name="lease-1"), spec=spec, status=status)
    server.put(lease)
    return lease


def wanted(server: FakeServer) -> WorkerSpec:
    found = server.objects["Worker", "gpu-1"]
    assert isinstance(found, Worker)
    return found.spec


def test_drain_names_the_jobs_that_move(ctl: Ctl, server: FakeServer) -> None:
    put(server)
    assert ctl("drain", "gpu-1") == 0
    assert ctl.out == "worker/gpu-1 Unknown,Draining\n"
    assert ctl.err == "1 job(s) are stopped and start anew elsewhere: train\n"
    assert ctl("get", "workers") == 0
    assert "Unknown,Draining" in ctl.out
    put(server, LeaseState.ENDED)
    server.put(Worker(metadata=ObjectMeta(name="gpu-1"), spec=WorkerSpec(drain=True, fenced=True)))
    assert ctl("get", "workers") == 0
    assert "Unknown,Fenced,Drained" in ctl.out


def test_drain_waits_until_nothing_is_left(
    ctl: Ctl, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(server)

    async def ended(_: float) -> None:
        put(server, LeaseState.ENDED)

    monkeypatch.setattr(cmd_workers.asyncio, "sleep", ended)
    assert ctl("drain", "gpu-1", "--wait") == 0
    assert ctl.out.splitlines()[0] == "worker/gpu-1 Unknown,Draining"
    assert ctl.out.splitlines()[1] == "worker/gpu-1 Unknown,Drained"


def test_drain_gives_up_in_time(ctl: Ctl, server: FakeServer) -> None:
    put(server)
    assert ctl("drain", "gpu-1", "--wait", "--timeout", "1s") == 124
    assert "worker gpu-1 is not empty after 1 s" in ctl.err


@pytest.mark.parametrize(
    ("text", "seconds"), [("18h", 18 * 3600), ("2100-12-01T10:00:00Z", None), ("none", None)]
)
def test_set_says_until_when_it_is_rented(
    ctl: Ctl, server: FakeServer, text: str, seconds: int | None
) -> None:
    put(server)
    assert ctl("set", "worker", "gpu-1", "--available-until", text) == 0
    until = wanted(server).available_until
    if text == "none":
        assert until is None
        assert ctl.out == "worker/gpu-1 is available for as long as it is there\n"
    elif seconds is None:
        assert until == 4131338400.0
        assert ctl.out == "worker/gpu-1 is available until 2100-12-01T10:00:00Z\n"
    else:
        assert until is not None
        assert abs(until - time.time() - seconds) < 60
    assert ctl.err == ""


def test_set_names_the_leases_that_end_later(ctl: Ctl, server: FakeServer) -> None:
    put(server, ends=4131338460.0)
    assert ctl("set", "worker", "gpu-1", "--available-until", "2100-12-01T10:00:00Z") == 0
    assert ctl.err == "the lease of job/train ends only at 2100-12-01T10:01:00Z\n"
    assert ctl("describe", "worker", "gpu-1") == 0
    assert "Available:    until 2100-12-01T10:00:00Z (in " in ctl.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("job", "a", "--available-until", "1h"), "there is nothing to set on a job: expected worker"),
        (("worker", "gpu-1", "--available-until", "soon"), "--available-until: 'soon' is not understood: expected a duration such as 18h, a time such as 2026-12-01T10:00:00Z, or none"),
        (("worker", "gpu-1", "--available-until", "2026-12-01T10:00:00"), "'2026-12-01T10:00:00' is not understood"),
        (("worker", "gpu-1", "--available-until", "2020-12-01T10:00:00Z"), "--available-until: '2020-12-01T10:00:00Z' is over already: expected a time to come, or none; to place nothing more there, cumulusctl cordon gpu-1"),
        (("worker", "gpu-1", "--available-until", "0s"), "'0s' is over already"),
    ],
)  # fmt: skip
def test_set_refuses_what_it_does_not_understand(
    ctl: Ctl, server: FakeServer, arguments: tuple[str, ...], said: str
) -> None:
    put(server)
    before = wanted(server)
    assert ctl("set", *arguments) == 2
    assert said in ctl.err
    assert wanted(server) == before
