"""Makes this node keep networkless jobs without network, and proves it from inside. I/O.

Called by the agent at start, and by `node_facts` whenever images or rules change. The node-local
half of what isolates a job: the configuration of the bridge, and the firewall rules for it. The
Swarm-scoped network itself is the controller's.

The check runs a container on a twin of that bridge (same options, same rules, own interface),
because a worker's engine cannot start a plain container on the Swarm's network; that the twin
tells the truth about the network of real jobs is what `tests/e2e/test_isolation.py` shows.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import docker
import psutil
import tenacity
from docker.models.containers import Container

from ...crd_like_specs.errors import DriverError, NotFoundError, Permanent
from ...crd_like_specs.identity import (
    BRIDGE_EGRESS,
    BRIDGE_ISOLATED,
    BRIDGE_PREPARE,
    LABEL_OWNED,
    NETWORK_EGRESS_CONFIG,
    NETWORK_ISOLATED_CONFIG,
)
from . import firewall
from .engine import Engine
from .pip_command import needs_this_machine

LABEL_CHECK: Final = "dev.cumulus.isolation-check"
PROBE: Final = Path(__file__).with_name("isolation_probe.py")
_BRIDGE: Final = "com.docker.network.bridge"
_PEER_PORT: Final = 40404
_WAIT: Final = 30.0  # seconds for the probe's container
_OUTSIDE: Final = (("1.1.1.1", 443), ("8.8.8.8", 53))  # any hosts of the world would do
_NAME: Final = "example.com"
_LISTENS: Final = tenacity.Retrying(
    retry=tenacity.retry_if_result(lambda output: not output),
    wait=tenacity.wait_fixed(0.05),
    stop=tenacity.stop_after_delay(_WAIT),
    retry_error_callback=lambda _: b"",  # it does not speak: then the probe tells what is wrong
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether networkless jobs may run here. reason: CamelCase, for a Condition."""

    ok: bool
    reason: str
    message: str


class Isolation:
    """image: one with `python3` (the job image), id or tag. bridge: at most 14 characters. env: the
    agent's environment.
    """

    def __init__(
        self,
        engine: Engine,
        image: str,
        *,
        bridge: str = BRIDGE_ISOLATED,
        config: str = NETWORK_ISOLATED_CONFIG,
        ensure_rules: Callable[[tuple[firewall.Rule, ...]], int] = firewall.ensure,
        env: Mapping[str, str] = os.environ,
    ) -> None:
        self._engine = engine
        self._image = image
        self._bridge = bridge
        self._config = config
        self._ensure_rules = ensure_rules
        self._env = env
        self._lock = asyncio.Lock()  # one twin at a time: its interface has one name

    @property
    def rules(self) -> tuple[firewall.Rule, ...]:
        """The firewall rules of this bridge and its twin, and of those with a way out. Whether pip's
        leads to this machine's ports too depends on where pip's index is: see `_keep_rules`.
        """
        ipv6 = firewall.has_ipv6()
        wanted = [*firewall.rules((self._bridge, self._twin), ipv6=ipv6)]
        for bridge in (BRIDGE_EGRESS, BRIDGE_PREPARE):
            wanted += firewall.apart(bridge, ipv6=ipv6)
            wanted += firewall.without_metadata(bridge, ipv6=ipv6)
        wanted += firewall.without_node(BRIDGE_EGRESS, ipv6=ipv6)
        return tuple(wanted)

    def _keep_rules(self) -> int:
        """How many were missing. Blocks."""
        missing = self._ensure_rules(self.rules)
        without_node = firewall.without_node(BRIDGE_PREPARE, ipv6=firewall.has_ipv6())
        if needs_this_machine(self._env, _every_own_address()):
            firewall.remove(without_node)  # pip has no other way to its index
            return missing
        return missing + self._ensure_rules(without_node)

    async def ensure_node_config(self) -> int:
        """Make the bridge's configuration and the rules where they are missing; how many rules
        were missing. Permanent(reason="NotRoot" | "NoFirewall" | "ConfigConflict"), Temporary.
        """
        missing = await asyncio.to_thread(self._keep_rules)
        wanted = {
            self._config: options(self._bridge),
            NETWORK_EGRESS_CONFIG: options(BRIDGE_EGRESS, outwards=True),
        }
        for name, given in wanted.items():
            await self._engine.call(partial(_ensure_config, name=name, given=given))
        return missing

    async def verify(self) -> Verdict:
        """`ensure_node_config`, then the check; what cannot be done is a verdict, not an error."""
        async with self._lock:
            try:
                await self.ensure_node_config()
                return await self._engine.call(self._check)
            except NotFoundError:
                return Verdict(
                    False,
                    "ImageMissing",
                    f"isolation cannot be checked without the image {self._image} on this worker",
                )
            except DriverError as e:
                return Verdict(False, e.reason, e.message)

    @property
    def _twin(self) -> str:
        return f"{self._bridge}c"

    def _check(self, client: docker.DockerClient) -> Verdict:
        client.images.get(self._image)
        with _network(client, self._twin) as network, _peer(client, self._image, network) as peer:
            gateway, address = _addresses(client, network, peer)
            with _listening() as port:
                wanted = targets(gateway, address, port, _own_addresses())
                output = _probe(client, self._image, network, wanted)
        return read_verdict(output)


def options(bridge: str, *, outwards: bool = False) -> dict[str, str]:
    """The driver's options that keep containers on a bridge apart. outwards: with a way out; else
    `internal` and the rules do the rest.
    """
    return {
        f"{_BRIDGE}.name": bridge,
        f"{_BRIDGE}.enable_icc": "false",
        f"{_BRIDGE}.enable_ip_masquerade": "true" if outwards else "false",
    }


def targets(gateway: str, peer: str, port: int, own: dict[str, str]) -> dict[str, Any]:
    """What the probe is to try. port: one that is open here for TCP and closed for UDP, so that
    either would answer; own: address by interface of this machine.
    """
    here = [("gateway", gateway, port), *((f"host's {name}", ip, port) for name, ip in own.items())]
    there = [("another container", peer, _PEER_PORT)]
    outside = [("internet", host, number) for host, number in _OUTSIDE]
    every = [*here, *there, *outside]
    return {"tcp": [*every, ("gateway", gateway, 1)], "udp": every, "names": [_NAME]}


def read_verdict(output: str) -> Verdict:
    """From the probe's output. A probe that said nothing proves nothing."""
    try:
        found = json.loads(output.strip().splitlines()[-1])
        reached, tried = list(found["reached"]), int(found["tried"])
    except (ValueError, LookupError, TypeError):
        return Verdict(False, "CheckFailed", f"the check's container said: {output[-300:]!r}")
    if reached:
        return Verdict(False, "NotIsolated", "a container reached: " + ", ".join(map(str, reached)))
    return Verdict(True, "Verified", f"none of {tried} things was reachable from a container")


def _ensure_config(client: docker.DockerClient, name: str, given: dict[str, str]) -> None:
    """The SDK's `create_network` knows no ConfigOnly, so the request is made here."""
    api = client.api
    body = {
        "Name": name,
        "Driver": "bridge",
        "ConfigOnly": True,
        "CheckDuplicate": True,
        "Options": given,
        "Labels": {LABEL_OWNED: "1"},
    }
    if not any(net["Name"] == name for net in api.networks(names=[name])):
        response = api.post(f"{api.base_url}/v{api.api_version}/networks/create", json=body)
        if response.status_code not in (201, 409):  # 409: the controller was faster
            raise Permanent(
                f"network {name} cannot be made: {response.text.strip()}", reason="EngineRefused"
            )
    found = next(net for net in api.networks(names=[name]) if net["Name"] == name)
    if not found["ConfigOnly"] or found["Options"] != given:
        raise Permanent(
            f"network {name} exists with other options than Cumulus's: "
            f"remove it with `docker network rm {name}`",
            reason="ConfigConflict",
        )


@contextmanager
def _network(client: docker.DockerClient, bridge: str) -> Iterator[str]:
    """The twin, made for this check alone. Gives its id."""
    label = f"{LABEL_CHECK}={bridge}"
    for row in client.api.containers(all=True, filters={"label": label}):  # of one that was killed
        client.api.remove_container(row["Id"], force=True)
    for row in client.api.networks(filters={"label": label}):
        client.api.remove_network(row["Id"])
    made = client.api.create_network(
        f"cumulus-check-{bridge}",
        driver="bridge",
        internal=True,
        options=options(bridge),
        labels={LABEL_OWNED: "1", LABEL_CHECK: bridge},
    )
    try:
        yield str(made["Id"])
    finally:
        client.api.remove_network(made["Id"])


@contextmanager
def _peer(client: docker.DockerClient, image: str, network: str) -> Iterator[str]:
    """A container on the twin that listens. Gives its id."""
    peer = _create(client, image, network, {"listen": _PEER_PORT})
    try:
        peer.start()
        _LISTENS(peer.logs)  # its first line says that it listens
        yield str(peer.id)
    finally:
        peer.remove(force=True)


def _probe(client: docker.DockerClient, image: str, network: str, wanted: dict[str, Any]) -> str:
    container = _create(client, image, network, wanted)
    try:
        container.start()
        container.wait(timeout=_WAIT)
        return bytes(container.logs()).decode(errors="replace")
    finally:
        container.remove(force=True)


def _create(
    client: docker.DockerClient, image: str, network: str, wanted: dict[str, Any]
) -> Container:
    return client.containers.create(
        image,
        entrypoint=["python3"],
        command=["-c", PROBE.read_text(encoding="utf-8"), json.dumps(wanted)],
        name=f"cumulus-check-{uuid.uuid4().hex}",
        labels={
            LABEL_OWNED: "1",
            LABEL_CHECK: client.api.inspect_network(network)["Options"][f"{_BRIDGE}.name"],
        },
        network=network,
        user="1000:1000",
        cap_drop=["ALL"],
        read_only=True,
        init=True,
        mem_limit=256 << 20,
        pids_limit=256,
        dns=["127.0.0.1"],  # as jobs have it
        dns_opt=["timeout:1", "attempts:1"],
    )


def _addresses(client: docker.DockerClient, network: str, peer: str) -> tuple[str, str]:
    """Of the twin's gateway and of the peer."""
    found = client.api.inspect_network(network)
    address = found["Containers"][peer]["IPv4Address"].partition("/")[0]
    return found["IPAM"]["Config"][0]["Gateway"], address


def _own_addresses() -> dict[str, str]:
    """IPv4 address by interface of this machine, loopback left out."""
    return {
        name: address.address
        for name, addresses in psutil.net_if_addrs().items()
        for address in addresses
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    }


def _every_own_address() -> set[str]:
    """Of this machine, of either kind."""
    return {
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family in (socket.AF_INET, socket.AF_INET6)
    }


@contextmanager
def _listening() -> Iterator[int]:
    """A port open on every address of this machine (the kernel accepts; nobody is answered), so
    that a check which reaches the machine sees it.
    """
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104 (that is the point, for a second)
        yield int(server.getsockname()[1])
