"""A real Swarm service on the real isolated network tries to get out, and to get at its peers.

It fails if anything is reached. That the tries themselves work is shown beside it: the same probe
on the default bridge reaches what it must not here.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import docker
import pytest
from cumulus.chronos_bindings.agent import firewall
from cumulus.chronos_bindings.agent.engine import Engine
from cumulus.chronos_bindings.agent.isolation import (
    PROBE,
    Isolation,
    _listening,
    _own_addresses,
    targets,
)
from cumulus.controller.platforms.swarm_networks import ISOLATED
from cumulus.crd_like_specs.identity import NETWORK_ISOLATED
from docker.types import DNSConfig, RestartPolicy, ServiceMode

pytestmark = pytest.mark.docker

IMAGE = os.environ.get("CUMULUS_TEST_IMAGE", "cumulus-job:latest")
LABEL = "dev.cumulus.test"
PEER_PORT = 40404


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    made = docker.from_env()
    mark = uuid.uuid4().hex
    made.mark = mark
    yield made
    for service in made.services.list(filters={"label": f"{LABEL}={mark}"}):
        service.remove()
    for container in made.containers.list(all=True, filters={"label": f"{LABEL}={mark}"}):
        container.remove(force=True)
    made.close()


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    made = Engine()
    yield made
    await made.close()


def ensure_network(client: docker.DockerClient) -> None:
    """As the controller's driver makes it."""
    api = client.api
    for body in (ISOLATED.configuration(), ISOLATED.network()):
        if not any(net["Name"] == body["Name"] for net in api.networks(names=[body["Name"]])):
            answer = api.post(f"{api.base_url}/v{api.api_version}/networks/create", json=body)
            assert answer.status_code == 201, answer.text


def service(client: docker.DockerClient, name: str, wanted: dict[str, Any]) -> Any:
    """One replica on the isolated network, limited as a job is."""
    return client.services.create(
        client.images.get(IMAGE).id,
        command=["python3", "-c", PROBE.read_text()],
        args=[json.dumps(wanted)],
        name=f"cumulus-test-{name}-{client.mark}",
        labels={LABEL: client.mark},
        container_labels={LABEL: client.mark},
        mode=ServiceMode("replicated", 1),
        restart_policy=RestartPolicy("none"),
        networks=[NETWORK_ISOLATED],
        dns_config=DNSConfig(nameservers=["127.0.0.1"], options=["timeout:1", "attempts:1"]),
        endpoint_spec={"Mode": "dnsrr"},
        user="1000:1000",
        cap_drop=["ALL"],
        init=True,
    )


def task(made: Any, *states: str, seconds: float = 60) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while True:
        tasks = made.tasks()
        if tasks and tasks[0]["Status"]["State"] in states:
            found: dict[str, Any] = tasks[0]
            return found
        assert time.monotonic() < deadline, f"{states} was not reached: {tasks}"
        time.sleep(0.1)


def output(client: docker.DockerClient, made: Any) -> dict[str, Any]:
    ended = task(made, "complete", "failed", "rejected")
    container = ended["Status"].get("ContainerStatus", {}).get("ContainerID")
    assert container, ended["Status"]
    text = client.api.logs(container).decode()
    assert ended["Status"]["State"] == "complete", text
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    return found


def address(client: docker.DockerClient, made: Any, network: str) -> tuple[str, str]:
    """Of the running task on this network, and of its gateway there."""
    container = task(made, "running")["Status"]["ContainerStatus"]["ContainerID"]
    found = client.api.inspect_container(container)["NetworkSettings"]["Networks"][network]
    return found["IPAddress"], found["Gateway"] or first_host(found["IPAddress"])


def first_host(ip: str) -> str:
    """The bridge's own address is its subnet's first; internal networks name no gateway."""
    return ip.rsplit(".", 1)[0] + ".1"


def run_all(client: docker.DockerClient) -> dict[str, Any]:
    ensure_network(client)
    peer = service(client, "peer", {"listen": PEER_PORT})
    ip, gateway = address(client, peer, NETWORK_ISOLATED)
    bare = client.containers.run(  # another container, on the default bridge
        IMAGE,
        entrypoint=["python3"],
        command=["-c", PROBE.read_text(), json.dumps({"listen": PEER_PORT})],
        labels={LABEL: client.mark},
        detach=True,
    )
    bare.reload()
    default = bare.attrs["NetworkSettings"]["IPAddress"]
    with _listening() as port:
        wanted = targets(gateway, ip, port, _own_addresses())
        wanted["tcp"].append(["a container on docker0", default, PEER_PORT])
        probe = service(client, "probe", wanted)
        isolated = output(client, probe)
        outside = client.containers.run(
            IMAGE,
            entrypoint=["python3"],
            command=["-c", PROBE.read_text(), json.dumps(wanted)],
            labels={LABEL: client.mark},
            remove=True,
        )
    return {"isolated": isolated, "default": json.loads(outside.decode().splitlines()[-1])}


async def test_a_service_on_the_isolated_network_reaches_nothing(
    client: docker.DockerClient, engine: Engine
) -> None:
    await Isolation(engine, IMAGE).ensure_node_config()
    found = await asyncio.to_thread(run_all, client)
    assert found["isolated"]["reached"] == []
    assert found["isolated"]["tried"] >= 12
    reached = " ".join(found["default"]["reached"])
    assert "a container on docker0" in reached, "the probe must be able to find what is open"
    assert "host's docker0" in reached


async def test_the_agents_own_check_says_that_this_node_isolates(engine: Engine) -> None:
    verdict = await Isolation(engine, IMAGE).verify()
    assert (verdict.ok, verdict.reason) == (True, "Verified"), verdict.message


async def test_the_check_notices_missing_rules_and_setting_them_repairs_it(engine: Engine) -> None:
    names = {"bridge": "cml-test0", "config": "cumulus-test-isolation-config"}

    def take_away(rules: tuple[firewall.Rule, ...]) -> int:
        firewall.remove(rules)
        return 0

    isolation = Isolation(engine, IMAGE, **names)
    try:
        verdict = await Isolation(engine, IMAGE, **names, ensure_rules=take_away).verify()
        assert (verdict.ok, verdict.reason) == (False, "NotIsolated")
        assert "gateway" in verdict.message
        assert (await isolation.verify()).ok
        assert await isolation.ensure_node_config() == 0, "all rules are there, none twice"
    finally:
        firewall.remove(isolation.rules)
        await engine.call(lambda c: c.api.remove_network(names["config"]))
    assert await engine.call(lambda c: c.api.networks(names=["cumulus-check-cml-test0c"])) == []
