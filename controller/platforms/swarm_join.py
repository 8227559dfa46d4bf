"""What Swarm tells a machine that is to become one of its workers. I/O: one engine.

Apart from the `Platform` protocol, since only a Swarm has something to join. Used by
`controller.wiring` through `SwarmPlatform.worker_join`.
"""

from __future__ import annotations

from typing import Any

from docker import APIClient

from ...crd_like_specs.errors import Permanent
from .base import WorkerJoin
from .swarm_engine import Engine, get_json


async def worker_join(engine: Engine) -> WorkerJoin:
    """Address of this manager as the Swarm knows it, and Swarm's join token for workers.

    Permanent where this engine is no manager (any more), Temporary where it does not answer.
    """
    info, swarm = await engine.call("ask for the Swarm's join token", _ask)
    here = info.get("Swarm") or {}
    managers = {m["NodeID"]: m["Addr"] for m in here.get("RemoteManagers") or ()}
    address = managers.get(here.get("NodeID"))
    token = (swarm.get("JoinTokens") or {}).get("Worker")
    if not address or not token:
        raise Permanent("this Docker Engine is no Swarm manager any more", reason="NoSwarm")
    return WorkerJoin(str(address), str(token))


async def rotate(engine: Engine) -> None:
    """Make Swarm's join token for workers a new one: whoever has the one before cannot join."""
    await engine.call("rotate the Swarm's join token", _rotate)


def _rotate(client: APIClient) -> None:
    swarm = get_json(client, "/swarm")
    client.update_swarm(swarm["Version"]["Index"], swarm["Spec"], rotate_worker_token=True)


def _ask(client: APIClient) -> tuple[dict[str, Any], dict[str, Any]]:
    return dict(client.info()), dict(get_json(client, "/swarm"))
