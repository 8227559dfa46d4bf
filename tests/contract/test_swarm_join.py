"""What a real Swarm says to a machine that is to join it."""

from __future__ import annotations

import docker
import pytest
from cumulus.controller.platforms.swarm import SwarmPlatform
from cumulus.crd_like_specs.errors import ConflictError


@pytest.mark.docker
async def test_it_is_the_swarms_own_token_and_the_managers_own_address() -> None:
    platform = SwarmPlatform()
    await platform.start()
    client = docker.from_env()
    try:
        told = await platform.worker_join()
        assert told.token == client.swarm.attrs["JoinTokens"]["Worker"]
        assert told.token not in repr(told)
        managers = client.info()["Swarm"]["RemoteManagers"]
        assert told.manager in {manager["Addr"] for manager in managers}
    finally:
        client.close()
        await platform.close()


@pytest.mark.docker
async def test_a_removed_machine_cannot_join_with_what_it_was_told() -> None:
    platform = SwarmPlatform()
    await platform.start()
    try:
        before = await platform.worker_join()
        await platform.remove_node("0123456789abcdefghijklmno")  # gone already
        after = await platform.worker_join()
        assert after.manager == before.manager
        assert after.token != before.token
        with pytest.raises(ConflictError, match="the controller runs on it"):
            await platform.remove_node(platform.node_id)
    finally:
        await platform.close()
