from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cumulus.chronos_bindings.agent import firewall, node_facts
from cumulus.chronos_bindings.agent.cgroups import processes
from cumulus.chronos_bindings.agent.firewall import Ran, Rule
from cumulus.chronos_bindings.agent.isolation import (
    PROBE,
    Isolation,
    Verdict,
    read_verdict,
    targets,
)
from cumulus.chronos_bindings.agent.isolation_probe import (
    probe,
    resolves,
    tcp_reaches,
    udp_reaches,
)
from cumulus.chronos_bindings.agent.node_facts import Conditions, image_names
from cumulus.crd_like_specs.errors import Permanent, Temporary


class Tables:
    """iptables that keeps what it is told."""

    def __init__(self, broken: str = "") -> None:
        self.rules: list[tuple[str, ...]] = []
        self.broken = broken

    def __call__(self, words: Sequence[str]) -> Ran:
        tool, _, _, verb, *rule = words
        if self.broken in rule:
            return Ran(1, f"No chain {self.broken}")
        if verb == "-C":
            return Ran(0 if (tool, *rule) in self.rules else 1, "")
        if verb == "-D":
            if (tool, *rule) in self.rules:
                self.rules.remove((tool, *rule))
            return Ran(0, "")
        chain, place, *match = rule
        assert (verb, place) == ("-I", "1")
        self.rules.insert(0, (tool, chain, *match))
        return Ran(0, "")


@pytest.fixture(autouse=True)
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)


def test_each_bridge_is_cut_off_in_and_out_and_to_the_node() -> None:
    assert firewall.rules(["br0"], ipv6=True) == (
        Rule("iptables", "INPUT", ("-i", "br0")),
        Rule("iptables", "DOCKER-USER", ("-i", "br0")),
        Rule("iptables", "DOCKER-USER", ("-o", "br0")),
        Rule("ip6tables", "INPUT", ("-i", "br0")),
        Rule("ip6tables", "FORWARD", ("-i", "br0")),
        Rule("ip6tables", "FORWARD", ("-o", "br0")),
    )
    assert len(firewall.rules(["br0", "br1"], ipv6=False)) == 6


def test_neighbours_with_a_way_out_are_kept_apart() -> None:
    match = ("-i", "br0", "-o", "br0")
    assert firewall.apart("br0", ipv6=True) == (
        Rule("iptables", "DOCKER-USER", match),
        Rule("ip6tables", "FORWARD", match),
    )
    assert len(firewall.apart("br0", ipv6=False)) == 1


def test_who_has_a_way_out_does_not_act_as_the_machine() -> None:
    rules = firewall.without_metadata("br0", ipv6=True)
    asks = ("-p", "tcp", "!", "--dport", "53")
    assert rules[0] == Rule("iptables", "DOCKER-USER", ("-i", "br0", "-d", "169.254.0.0/16", *asks))
    assert {rule.tool for rule in rules} == {"iptables", "ip6tables"}
    assert {rule.tool for rule in firewall.without_metadata("br0", ipv6=False)} == {"iptables"}


def test_who_has_a_way_out_reaches_no_port_of_the_machine_but_its_name_server() -> None:
    rules = firewall.without_node("br0", ipv6=True)
    assert {(rule.tool, rule.chain, rule.match[3]) for rule in rules} == {
        (tool, "INPUT", protocol)
        for tool in ("iptables", "ip6tables")
        for protocol in ("tcp", "udp")
    }
    assert all(rule.match[:2] == ("-i", "br0") for rule in rules), "an operator is not locked out"
    assert all(rule.match[4:7] == ("!", "--dport", "53") for rule in rules)
    assert {rule.tool for rule in firewall.without_node("br0", ipv6=False)} == {"iptables"}


class Networks:
    """An engine that is asked for nothing here."""

    async def call(self, work: Any) -> None:
        pass


@pytest.mark.parametrize(("index", "open_to"), [("http://127.0.0.1:3141/", 1), ("", 2)])
async def test_pip_keeps_a_way_to_an_index_on_the_machine_itself(
    index: str, open_to: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, env = Tables(), {"PIP_INDEX_URL": index}
    monkeypatch.setattr(firewall, "command", tables)
    for given, bridges in ((env, open_to), ({}, 2), (env, open_to)):
        isolation = Isolation(cast("Any", Networks()), "image", env=given)
        await isolation.ensure_node_config()
        assert await isolation.ensure_node_config() == 0
        cut = {rule[3] for rule in tables.rules if rule[:2] == ("iptables", "INPUT")}
        assert len(cut & {"cml-egr0", "cml-prp0"}) == bridges


def test_rules_are_set_once_and_again_when_flushed() -> None:
    tables, wanted = Tables(), firewall.rules(["br0"], ipv6=True)
    assert firewall.ensure(wanted, tables) == 6
    assert firewall.ensure(wanted, tables) == 0
    del tables.rules[2]
    assert firewall.ensure(wanted, tables) == 1
    firewall.remove(wanted, tables)
    assert tables.rules == []


def test_a_chain_that_is_missing_is_told() -> None:
    with pytest.raises(Permanent, match="No chain DOCKER-USER") as caught:
        firewall.ensure(firewall.rules(["br0"], ipv6=False), Tables("DOCKER-USER"))
    assert caught.value.reason == "NoFirewall"


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(Permanent) as caught:
        firewall.ensure(firewall.rules(["br0"], ipv6=False), Tables())
    assert caught.value.reason == "NotRoot"


def test_a_missing_program_is_an_exit_code() -> None:
    assert firewall.command(["/nowhere/iptables"]).code == 127


def test_verdicts_are_read_and_silence_proves_nothing() -> None:
    assert read_verdict('{"reached": [], "tried": 9}\n').ok
    bad = read_verdict(json.dumps({"reached": ["gateway"], "tried": 9}))
    assert (bad.ok, bad.reason) == (False, "NotIsolated")
    assert "gateway" in bad.message
    for output in ("", "Traceback", "[]", '{"tried": 1}'):
        assert read_verdict(output).reason == "CheckFailed"


def test_gateway_host_peer_and_world_are_tried() -> None:
    wanted = targets("10.0.0.1", "10.0.0.2", 5000, {"eth0": "192.168.0.9"})
    for kind in ("tcp", "udp"):
        hosts = {host for _, host, _ in wanted[kind]}
        assert {"10.0.0.1", "10.0.0.2", "192.168.0.9"} < hosts
        assert len(hosts) >= 5
    assert wanted["names"]


def test_the_probe_finds_what_is_open_and_what_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert tcp_reaches("127.0.0.1", port)
        found = probe({"tcp": [["me", "127.0.0.1", port]], "udp": [], "names": []})
    assert f"me (TCP 127.0.0.1:{port})" in found["reached"]
    assert tcp_reaches("127.0.0.1", port), "a refusal comes from there too"
    assert udp_reaches("127.0.0.1", port), "same"
    assert resolves("localhost")
    assert not resolves("name.invalid")
    assert not tcp_reaches("name.invalid", 1)
    assert len(PROBE.read_text()) < 100_000, "it is one argument of a command"


def test_processes_are_found_in_every_layout(tmp_path: Path) -> None:
    assert processes("abc", tmp_path) == []
    for folder, pids in (
        ("pids/docker/abc", "3\n4\n"),
        ("docker/abc", "5\n"),
        ("system.slice/docker-abc.scope", "5\n6\n"),
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "cgroup.procs").write_text(pids)
    assert processes("abc", tmp_path) == [3, 4, 5, 6]
    assert processes("ab", tmp_path) == []


def test_a_condition_keeps_since_when_it_is_so(tmp_path: Path) -> None:
    times = iter([1.0, 2.0])
    conditions = Conditions(lambda: next(times))
    assert conditions.of("A", True, "r", "m").since == 1.0
    assert conditions.of("A", True, "other", "m").since == 1.0
    assert conditions.of("A", False, "r", "m").since == 2.0
    assert Conditions(lambda: 0.0).disk(tmp_path).type == "DiskPressure"


async def test_a_disk_that_fills_is_told_once_and_so_is_room_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = iter([9, 9, 1, 1, 9, 9])
    monkeypatch.setattr(
        node_facts.shutil, "disk_usage", lambda _: SimpleNamespace(free=next(free) << 30)
    )
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    turns = node_facts.disk_turns(tmp_path, pause)
    await anext(turns)
    assert len(pauses) == 2
    await anext(turns)
    assert len(pauses) == 4


class Restarting:
    """An engine that does not answer `down` times, and an isolation that counts its checks."""

    def __init__(self, down: int) -> None:
        self.down, self.checks = down, 0

    async def call(self, work: Any) -> Any:
        if self.down:
            self.down -= 1
            raise Temporary("the engine restarts", reason="EngineUnreachable")
        info = {"Swarm": {"NodeID": "n"}, "NCPU": 1, "MemTotal": 1}
        return (info, []) if work is node_facts._ask else None

    async def ensure_node_config(self) -> int:
        return 0

    async def verify(self) -> Verdict:
        self.checks += 1
        return Verdict(ok=True, reason="Verified", message="")


async def test_isolation_is_checked_anew_once_a_restarted_engine_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine may have lost its networks meanwhile."""
    engine, streams = Restarting(0), iter([True])
    forever = asyncio.Event()

    async def events(_source: object, _name: str) -> AsyncIterator[None]:
        if next(streams, False):
            engine.down = 3
            return  # it stops
        await forever.wait()
        yield

    async def pause(seconds: float) -> None:
        await (asyncio.sleep(0) if seconds < 1 else forever.wait())

    monkeypatch.setattr(node_facts, "pieces", events)
    monkeypatch.setattr(node_facts, "EventStream", lambda *_: None)
    facts = node_facts.DockerFacts(cast("Any", engine), engine, tmp_path, pause=pause)
    await facts.read()
    assert engine.checks == 1
    changes = facts.changes()
    await anext(changes)
    assert engine.down == 0
    await facts.read()
    await facts.read()
    assert engine.checks == 2
    await cast("Any", changes).aclose()


def test_images_are_ids_and_tags() -> None:
    listed = [
        {"Id": "sha256:b", "RepoTags": ["x:1", "y:2"]},
        {"Id": "sha256:a", "RepoTags": None},
        {"Id": "sha256:c", "RepoTags": ["<none>:<none>"]},
    ]
    assert image_names(listed) == ("sha256:a", "sha256:b", "sha256:c", "x:1", "y:2")
