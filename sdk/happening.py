"""What happened, read over breaks of the connection. I/O; a part of `client.py`'s class."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

from ..api.happened import EventQuery, Happened, happened_from_proto, query_to_proto
from .connection import Connection
from .follow import Reopening


class EventCalls:
    """Events of jobs, leases and workers."""

    _connection: Connection

    async def events(self, query: EventQuery | None = None) -> AsyncGenerator[Happened, None]:
        """What is asked for, oldest first; with `watch` endless, over breaks too, each once.

        NotFoundError for a job of which nothing is known, ValidationError for an unknown type.
        """
        asked = (query or EventQuery()).checked()
        left = asked

        def open_call() -> Any:
            return self._connection.open("Events", query_to_proto(left))

        stream = Reopening(self._connection, open_call, endless=asked.watch)
        try:
            while (message := await stream.read()) is not None:
                event = happened_from_proto(message)
                left = replace(left, after=event.sequence, tail=0 if asked.watch else left.tail)
                yield event
        finally:
            stream.close()
