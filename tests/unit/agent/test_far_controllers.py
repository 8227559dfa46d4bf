"""A controller that is far away, or on a busy machine: it takes a while until it says its first word."""

from __future__ import annotations

import asyncio

import grpc.aio
from cumulus.chronos_bindings.agent.stream import channel_options
from cutting_proxy import CuttingProxy

LATE = 0.8
"""Seconds: more than all attempts to connect took together while the first ones had a tenth."""


async def test_a_connection_has_time_to_come_about() -> None:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        with CuttingProxy(port, late=LATE) as line:
            options = channel_options(line.address)
            async with (
                grpc.aio.insecure_channel(line.address, options=options) as channel,
                asyncio.timeout(20),
            ):
                await channel.channel_ready()
            assert line.connections == 1, "none was given up"
    finally:
        await server.stop(0)
