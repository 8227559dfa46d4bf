"""Datasets from the controller, over the agent's bulk channel. I/O. Called by `dataset_cache`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import grpc.aio

from ...api.gen.cumulus.v1 import agent_pb2_grpc
from .transfer import Metadata, Transfer

MISSING: Final = "DatasetMissing"


class GrpcDatasets:
    """channel: to the controller, not the one of the heartbeats. worker: name of this worker, which
    the controller checks. metadata: sent with each call. Implements `dataset_cache.DatasetSource`.
    """

    def __init__(self, channel: grpc.aio.Channel, worker: str, *, metadata: Metadata = ()) -> None:
        self._stub = agent_pb2_grpc.AgentStub(channel)  # type: ignore[no-untyped-call]
        self._worker = worker
        self._metadata = metadata

    async def fetch(
        self, unit: str, digest: str, dest: Path, arrived: Callable[[int], None]
    ) -> None:
        """See `dataset_cache.DatasetSource`."""
        transfer = Transfer(
            self._stub.GetDataset, self._worker, self._metadata, reason=MISSING, unit=unit
        )
        await transfer.fetch(digest, dest, arrived)
