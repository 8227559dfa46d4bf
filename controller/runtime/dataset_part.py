"""Everything about datasets, put together for `main`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...api.tenancy import DatasetQuotaPort
from ...crd_like_specs.job import Job
from ..dataset_settings import DatasetsConfig, read_credentials
from .clock import Clock
from .dataset_gate import DatasetGate
from .dataset_imports import Origins
from .dataset_making import Parts
from .dataset_records import DatasetRecords
from .dataset_store import DatasetStore
from .dataset_upkeep import DatasetGauges, DatasetUpkeep
from .dataset_uploads import Uploads
from .datasets import Datasets
from .records import Records


class DatasetPart:
    """folder: where the bytes lie; quota: None where nobody has one; dropped: told when some exist no
    more. ValidationError where the credentials of a bucket cannot be read.

    port: what clients are given; files: what workers are; upkeep: to be run; gauges: for a registry.
    """

    def __init__(
        self,
        folder: Path,
        config: DatasetsConfig,
        records: Records,
        clock: Clock,
        quota: DatasetQuotaPort | None = None,
        dropped: Callable[[], None] = lambda: None,
    ) -> None:
        for bucket in config.buckets:
            if bucket.credentials_file is not None:
                read_credentials(bucket.credentials_file)
        self._store = store = DatasetStore(folder, dropped=dropped)
        self.records = DatasetRecords(records.store)
        parts = Parts(self.records, store, Uploads(store.uploads), clock.now, quota)
        self.port = Datasets(parts, Origins(config.buckets, config.roots))
        self.files = DatasetGate(records, store)
        self.upkeep = DatasetUpkeep(records, parts, config.keep)
        self.gauges = DatasetGauges(parts)

    def gone(self, digest: str) -> bool:
        """Whether these bytes are not here any more, and nobody may still want them."""
        return self._store.size(digest) is None and not self.records.needed(digest)

    def transition(self, old: Job, new: Job) -> None:
        """A status was written: what the job read was used just now."""
        if new.spec.datasets and new.status.phase is not old.status.phase:
            self.upkeep.used(new)
