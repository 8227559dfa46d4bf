"""A server that is far away, or on a busy machine: it takes a while until it says its first word."""

from __future__ import annotations

from cumulus.sdk.client import AsyncCumulusClient
from cutting_proxy import CuttingProxy

from .fake_server import FakeServer

LATE = 0.8
"""Seconds: more than all attempts to connect took together while each had a tenth."""


async def test_a_connection_has_time_to_come_about(server: FakeServer) -> None:
    with CuttingProxy(int(server.address.rpartition(":")[2]), late=LATE) as line:
        async with AsyncCumulusClient(line.address) as client:
            assert (await client.server_info()).platform == "process"
        assert line.connections == 1, "none was given up"
