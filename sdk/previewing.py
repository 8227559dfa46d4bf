"""What an apply would do, asked of the controller. I/O; a part of `client.py`'s class."""

from __future__ import annotations

from collections.abc import Iterable

from ..api.convert import resource_to_proto
from ..api.frames import Resource
from ..api.gen.cumulus.v1 import plans_pb2 as pb
from ..api.previews import Preview, preview_from_proto
from .connection import Connection


class PreviewCalls:
    """Dry runs."""

    _connection: Connection

    async def plan(
        self, resources: Iterable[Resource], *, prune: str = "", forecast: bool = True
    ) -> Preview:
        """What applying all of these together would do, and when jobs would start; nothing is
        written, and code need not be uploaded.

        prune: selector of jobs that would go where they are not among them, "" for none.
        """
        request = pb.PlanRequest(
            resources=[resource_to_proto(one) for one in resources],
            prune_selector=prune,
            forecast=forecast,
        )
        return preview_from_proto(await self._connection.call("Plan", request))
