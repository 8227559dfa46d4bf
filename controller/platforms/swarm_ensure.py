"""Makes the networks of jobs where they are missing. I/O; called by `swarm.py`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from loguru import logger
from tenacity import AsyncRetrying, retry_if_result, stop_after_delay, wait_fixed

from ...crd_like_specs.errors import ConflictError, Permanent
from .swarm_engine import Engine, get_json, post
from .swarm_networks import EVERY

_ALLOCATION_SECONDS: Final = 10.0

NAMES: Final = tuple(network.name for network in EVERY)


async def ensure_networks(engine: Engine) -> None:
    """Permanent("NetworkUnfit") where one exists that would not keep jobs apart."""
    for wanted in EVERY:
        for body in (wanted.configuration(), wanted.network()):
            await _ensure(engine, body)
        found = await _allocated(engine, wanted.name)
        wrong = "it does not exist" if found is None else wanted.unfit(found)
        if wrong:
            raise Permanent(
                f"network {wanted.name} would not isolate jobs: {wrong}; "
                "remove it (docker network rm), and it is made anew at the next start",
                reason="NetworkUnfit",
            )


async def _ensure(engine: Engine, body: Mapping[str, Any]) -> None:
    name = body["Name"]
    if await _network(engine, name) is not None:
        return
    try:
        await engine.call(
            f"create network {name}", partial(post, path="/networks/create", body=body)
        )
    except ConflictError:  # someone was faster
        logger.debug("network {} exists already", name)


async def _network(engine: Engine, name: str) -> Mapping[str, Any] | None:
    found = await engine.call("list networks", lambda c: get_json(c, "/networks", name=[name]))
    return next((network for network in found if network["Name"] == name), None)


async def _allocated(engine: Engine, name: str) -> Mapping[str, Any] | None:
    """A manager that was just told of a network shows it without a driver for a moment."""
    patiently = AsyncRetrying(
        retry=retry_if_result(lambda network: network is not None and not network["Driver"]),
        wait=wait_fixed(0.05),
        stop=stop_after_delay(_ALLOCATION_SECONDS),
        retry_error_callback=lambda tries: tries.outcome.result() if tries.outcome else None,
    )
    return await patiently(_network, engine, name)
