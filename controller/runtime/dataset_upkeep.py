"""What becomes of datasets that nobody uses, and what there are. Called by `main`.

A dataset that is not pinned goes once no job has used it for `keep` seconds; bytes that no name
and no job needs go with the next look, uploads that nobody goes on with after a day. On the event
loop; what is deleted leaves the disk in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from loguru import logger
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ...api.viewer import EVERYTHING
from ...crd_like_specs.errors import ConflictError
from ...crd_like_specs.job import Job
from .dataset_making import Parts
from .documents import JOBS
from .records import Records

SWEEP_SECONDS: Final = 600.0
UPLOAD_SECONDS: Final = 86400.0
"""An upload that nobody went on with for so long is dropped."""
NOTED: Final = 3600.0
"""A use is written down again after so many seconds: not worth a record each time."""


class DatasetUpkeep:
    """keep: seconds."""

    def __init__(self, records: Records, parts: Parts, keep: int) -> None:
        self._jobs = records
        self._parts = parts
        self._keep = keep
        self._used: dict[str, float] = {}

    def used(self, job: Job) -> None:
        """The job came to its end, or began: it has used its datasets now."""
        now = self._parts.now()
        for mount in job.spec.datasets:
            if mount.digest:
                self._used[mount.digest] = now

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.sweep()
            except OSError as error:  # the next round tries again
                logger.warning("datasets cannot be cleaned up: {}", error)
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> None:
        """One round."""
        parts, now = self._parts, self._parts.now()
        used, self._used = self._used, {}
        for dataset in parts.records.all(EVERYTHING):
            digest, seen = dataset.spec.digest, dataset.status.last_used_at
            reading = self._jobs.store.count(JOBS, "reads", digest) > 0
            last = now if reading else used.get(digest, seen)
            if last > seen + NOTED:
                await parts.records.change(dataset.metadata.name, status={"last_used_at": last})
            elif not dataset.spec.pinned and not reading and max(seen, last) < now - self._keep:
                try:
                    await parts.records.delete(dataset)
                except ConflictError:  # somebody has just changed it: it is looked at next time
                    continue
                logger.info("dropped dataset {}: unused for long", dataset.metadata.name)
            await asyncio.sleep(0)  # there may be many
        left = parts.uploads.drop_before(now - UPLOAD_SECONDS)
        dropped = parts.store.sweep(parts.records.needed)
        if dropped or left:
            logger.info("dropped the bytes of {} datasets and {} uploads", dropped, left)


class DatasetGauges(Collector):
    """How many there are, and how much room they take: their bytes lie there once."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterable[Metric]:
        """See `Collector`."""
        parts = self._parts
        yield GaugeMetricFamily("cumulus_datasets", "Datasets", value=parts.records.count())
        yield GaugeMetricFamily(
            "cumulus_dataset_bytes", "On the controller's disk", value=parts.store.total
        )
        yield GaugeMetricFamily(
            "cumulus_dataset_uploads", "On their way", value=parts.uploads.total
        )
