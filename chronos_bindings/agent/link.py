"""A gRPC channel whose connection can be exchanged while its stubs stay. I/O: network.

gRPC in Python takes a client's certificate when a channel is made, and a renewed certificate needs
a new one. Calls that are open on the old connection end as on any break; both the agent's stream
and its transfers go on from where they were.
"""

from __future__ import annotations

from typing import Any, cast

import grpc.aio


class Link:
    """channel: the first connection. What gives one needs is `as_channel`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    @property
    def as_channel(self) -> grpc.aio.Channel:
        """For generated stubs: it has the four methods by which they make their calls."""
        return cast("grpc.aio.Channel", self)

    async def exchange(self, channel: grpc.aio.Channel) -> None:
        """From now on by this one; the old one is closed, and its calls with it."""
        old, self._channel = self._channel, channel
        await old.close(None)

    async def close(self) -> None:
        """End every call."""
        await self._channel.close(None)

    def unary_unary(self, *given: Any, **options: Any) -> Any:
        """As of grpc.aio.Channel."""
        return self._late("unary_unary", given, options)

    def unary_stream(self, *given: Any, **options: Any) -> Any:
        """As of grpc.aio.Channel."""
        return self._late("unary_stream", given, options)

    def stream_unary(self, *given: Any, **options: Any) -> Any:
        """As of grpc.aio.Channel."""
        return self._late("stream_unary", given, options)

    def stream_stream(self, *given: Any, **options: Any) -> Any:
        """As of grpc.aio.Channel."""
        return self._late("stream_stream", given, options)

    def _late(self, kind: str, given: Any, options: Any) -> Any:
        """What stubs call: it looks for the connection with each call."""

        def call(*arguments: Any, **more: Any) -> Any:
            return getattr(self._channel, kind)(*given, **options)(*arguments, **more)

        return call
