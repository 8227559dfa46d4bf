"""Events as clients read them: over breaks, as a table, as JSON, in `describe`."""

from __future__ import annotations

import asyncio
import json

import pytest
from cumulus.api.happened import EventQuery
from cumulus.crd_like_specs.job import Code, Job, JobSpec
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.sdk.client import AsyncCumulusClient

from .ctl import Ctl
from .fake_server import FakeServer


@pytest.fixture
def busy(server: FakeServer) -> FakeServer:
    server.happen("Submitted", "Job", "train", by="hers")
    server.happen("Placed", "Job", "train", worker="gpu-1", attempt=1, message="on gpu-1")
    server.happen("Failed", "Job", "train", worker="gpu-1", attempt=1, message="oh", warning=True)
    server.happen("WorkerLost", "Worker", "gpu-1", worker="gpu-1", warning=True)
    return server


@pytest.mark.usefixtures("busy")
def test_a_table(ctl: Ctl) -> None:
    assert ctl("events") == 0
    lines = ctl.out.splitlines()
    assert lines[0].split() == ["TIME", "TYPE", "OBJECT", "WORKER", "BY", "MESSAGE"]
    assert lines[2].split() == [
        *("2027-01-15T08:00:02Z", "Placed", "job/train#1", "gpu-1", "-", "on", "gpu-1")
    ]
    assert lines[4].split()[2] == "worker/gpu-1"


def test_options_are_asked_of_the_server(ctl: Ctl, busy: FakeServer) -> None:
    args = ("train", "--type", "Failed,Placed", "--since", "2027-01-15T08:00:00Z", "--tail", "1")
    assert ctl("events", *args, "--warnings") == 0
    assert [line.split()[1] for line in ctl.out.splitlines()[1:]] == ["Failed"]
    asked = busy.called("Events")[-1]
    assert (asked.job, list(asked.types), asked.tail) == ("train", ["Failed", "Placed"], 1)
    assert asked.since == 1_800_000_000.0


def test_nothing_and_nobody(ctl: Ctl) -> None:
    assert ctl("events") == 0
    assert (ctl.out, ctl.err) == ("", "no events found\n")
    assert ctl("events", "nobody") == 4
    assert ctl("events", "--type", "Runing") == 2
    assert "there is no event type 'Runing': expected " in ctl.err
    assert ctl("events", "-o", "yaml") == 2
    assert ctl.err == "error: -o yaml: events are printed as wide, json, jsonpath\n"


@pytest.mark.usefixtures("busy")
def test_as_data(ctl: Ctl) -> None:
    assert ctl("events", "-o", "json") == 0
    first = json.loads(ctl.out)["items"][0]
    assert (first["type"], first["by"], first["time"]) == (
        "Submitted",
        "hers",
        "2027-01-15T08:00:01Z",
    )
    assert ctl("events", "-o", "jsonpath={.items[*].type}") == 0
    assert ctl.out == "Submitted Placed Failed WorkerLost"


def test_describe_ends_with_the_last_events(ctl: Ctl, busy: FakeServer) -> None:
    code = Code(files={"main.py": "def main():\n    return 1\n"})
    busy.put(Job(metadata=ObjectMeta(name="train"), spec=JobSpec(code=code)))
    for event in busy.happened:
        object.__setattr__(event, "uid", busy.objects["Job", "train"].metadata.uid)
    assert ctl("describe", "job", "train") == 0
    assert "TIME" in ctl.out
    assert ctl.out.rstrip().splitlines()[-1].split()[1] in ("Failed", "WorkerLost")


async def test_a_watch_goes_on_over_breaks(server: FakeServer) -> None:
    for name in ("a", "b", "c"):
        server.happen("Running", "Job", name)
    server.cuts = [1, 1]
    seen = []
    async with AsyncCumulusClient(server.address, sleep=lambda _: asyncio.sleep(0)) as client:
        stream = client.events(EventQuery(watch=True))
        async for event in stream:
            seen.append(event.name)
            if len(seen) == 3:
                server.happen("Running", "Job", "d")
            if len(seen) == 4:
                break
        await stream.aclose()
    assert seen == ["a", "b", "c", "d"]
