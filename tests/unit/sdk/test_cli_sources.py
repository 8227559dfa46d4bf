"""cumulusctl get and describe, of sources."""

from __future__ import annotations

import json

from cumulus.crd_like_specs.meta import Condition, ObjectMeta
from cumulus.crd_like_specs.source import FileState, Source, SourceFile, SourceSpec, SourceStatus

from .ctl import Ctl
from .fake_server import FakeServer

COMMIT = "0123456789abcdef" * 2 + "01234567"
FILES = (
    SourceFile(path="a.yaml", state=FileState.SYNCED, jobs=("one", "two")),
    SourceFile(path="b\x1b[31m.yaml", state=FileState.INVALID, message="3:7: spec.gpu: \x1b[2J"),
    SourceFile(path="c.yaml", state=FileState.PRUNED, jobs=("three",), message="deleted"),
)


def put(server: FakeServer, *, ready: bool = True, reason: str = "", suspend: bool = False) -> None:
    spec = SourceSpec(path="/srv/jobs", type="git", suspend=suspend, prune=True, pull=300)
    status = SourceStatus(
        commit=COMMIT,
        jobs=2,
        synced=1,
        invalid=1,
        pruned=1,
        files=FILES,
        last_sync=1_000_000_000.0,
        message="" if ready else "/srv/jobs is no folder",
        conditions=(Condition(type="Ready", status=ready, reason=reason),),
    )
    meta = ObjectMeta(name="nightly", owner="source-nightly")
    server.put(Source(metadata=meta, spec=spec, status=status))


def test_sources_are_listed_with_the_files_that_are_not_in_step(
    ctl: Ctl, server: FakeServer
) -> None:
    put(server)
    assert ctl("get", "sources") == 0
    head, row, empty, *files = ctl.out.splitlines()
    assert head.split() == [
        "NAME", "STATUS", "FILES", "SYNCED", "OUT-OF-SYNC", "INVALID", "COMMIT", "SYNCED-AGO",
    ]  # fmt: skip
    assert row.split()[:7] == ["nightly", "Invalid", "2", "1", "0", "1", COMMIT[:12]]
    assert not empty
    assert [line.split()[2] for line in files] == ["STATE", "Invalid"]
    assert "\x1b" not in ctl.out
    for more in (("get", "sources", "-o", "wide"), ("get", "source", "nightly")):
        assert ctl(*more) == 0
        assert [line.split()[2] for line in ctl.out.splitlines()[4:]] == [
            "Synced",
            "Invalid",
            "Pruned",
        ]


def test_one_word_says_how_a_source_is(ctl: Ctl, server: FakeServer) -> None:
    for given, word in (
        ({"ready": False}, "Failed"),
        ({"ready": False, "reason": "Waiting"}, "Waiting"),
        ({"suspend": True}, "Suspended"),
    ):
        put(server, **given)
        assert ctl("get", "sources") == 0
        assert ctl.out.splitlines()[1].split()[1] == word


def test_describe_tells_every_file(ctl: Ctl, server: FakeServer) -> None:
    put(server)
    assert ctl("describe", "source", "nightly") == 0
    for text in (
        f"Commit:       {COMMIT}\n",
        "Pulls:        every 5m\n",
        "Options:      prune\n",
        "1 synced, 0 out of sync, 1 invalid, 1 pruned",
        "one,two",
        "3:7: spec.gpu:",
        "CONDITION",
    ):
        assert text in ctl.out
    assert "\x1b" not in ctl.out


def test_sources_as_data(ctl: Ctl, server: FakeServer) -> None:
    put(server)
    assert ctl("get", "source", "nightly", "-o", "json") == 0
    assert json.loads(ctl.out)["status"]["files"][0]["state"] == "Synced"
    assert ctl("get", "sources", "-o", "yaml") == 0
    assert "kind: Source" in ctl.out
    assert ctl("get", "source", "nobody") == 4
