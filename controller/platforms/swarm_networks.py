"""The two networks that jobs get, as Docker Swarm is told of them. Pure.

Called by `swarm.py` and `swarm_map.py`. Each is a bridge of its own on every node, made after that
node's configuration of it: without traffic between its containers, and for `network: None` without
a way out. Docker's default bridge would do neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ...crd_like_specs.identity import (
    BRIDGE_EGRESS,
    BRIDGE_ISOLATED,
    LABEL_OWNED,
    NETWORK_EGRESS,
    NETWORK_EGRESS_CONFIG,
    NETWORK_ISOLATED,
    NETWORK_ISOLATED_CONFIG,
)

Json = Mapping[str, Any]

_BRIDGE: Final = "com.docker.network.bridge"


@dataclass(frozen=True, slots=True)
class JobNetwork:
    """config: the name of each node's configuration; outwards: it has a way out."""

    name: str
    config: str
    bridge: str
    outwards: bool

    def configuration(self) -> dict[str, Any]:
        """Body of `POST /networks/create` for this node; every other node's agent makes its own."""
        return {
            "Name": self.config,
            "Driver": "bridge",
            "ConfigOnly": True,
            "CheckDuplicate": True,
            "Labels": {LABEL_OWNED: "1"},
            "Options": {
                f"{_BRIDGE}.name": self.bridge,
                f"{_BRIDGE}.enable_icc": "false",
                f"{_BRIDGE}.enable_ip_masquerade": "true" if self.outwards else "false",
            },
        }

    def network(self) -> dict[str, Any]:
        """Body of `POST /networks/create` for the Swarm, after the configuration."""
        return {
            "Name": self.name,
            "Driver": "bridge",
            "Scope": "swarm",
            "Internal": not self.outwards,
            "ConfigFrom": {"Network": self.config},
            "CheckDuplicate": True,  # and no labels: the engine refuses them beside ConfigFrom
        }

    def unfit(self, seen: Json) -> str:
        """What is wrong with an existing network of this name; "" where it is as it should be."""
        wanted = self.network()
        del wanted["Name"], wanted["CheckDuplicate"]
        wrong = [
            f"{k} is {seen.get(k)!r}, not {v!r}" for k, v in wanted.items() if seen.get(k) != v
        ]
        return "; ".join(wrong)


ISOLATED: Final = JobNetwork(
    NETWORK_ISOLATED, NETWORK_ISOLATED_CONFIG, BRIDGE_ISOLATED, outwards=False
)
EGRESS: Final = JobNetwork(NETWORK_EGRESS, NETWORK_EGRESS_CONFIG, BRIDGE_EGRESS, outwards=True)
EVERY: Final = (ISOLATED, EGRESS)


def network_of(*, isolated: bool) -> JobNetwork:
    """Of a job."""
    return ISOLATED if isolated else EGRESS
