"""What `/metrics` shows of sources, read from their records when scraped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ...crd_like_specs.source import FileState, Source


class SourceGauges(Collector):
    """known: the sources as they are now."""

    def __init__(self, known: Callable[[], Mapping[str, Source]]) -> None:
        self._known = known

    def collect(self) -> Iterable[Metric]:
        """Files by state, whether looks are carried through, and when the last one was."""
        files = GaugeMetricFamily(
            "cumulus_source_files", "Files of a source, by state", labels=["source", "state"]
        )
        ready = GaugeMetricFamily(
            "cumulus_source_ready", "1 where the last look was carried through", labels=["source"]
        )
        last = GaugeMetricFamily(
            "cumulus_source_last_sync_seconds",
            "When a look was carried through last, POSIX seconds, 0 for never",
            labels=["source"],
        )
        for name, source in self._known().items():
            status = source.status
            for state, number in (
                (FileState.SYNCED, status.synced),
                (FileState.OUT_OF_SYNC, status.out_of_sync),
                (FileState.INVALID, status.invalid),
                (FileState.PRUNED, status.pruned),
            ):
                files.add_metric([name, state.value], number)
            condition = status.condition("Ready")
            ready.add_metric([name], float(condition is not None and condition.status))
            last.add_metric([name], status.last_sync)
        return (files, ready, last)
