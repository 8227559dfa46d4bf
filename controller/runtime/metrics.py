"""What `/metrics` shows. Counters are fed by transitions, gauges read the records when scraped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ...crd_like_specs.job import Job, Phase
from .clock import Clock
from .queue import KeyQueue
from .records import Records
from .world import World

_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200, 43200)


class Metrics:
    """registry: of its own, so that several controllers can live in one process (tests)."""

    def __init__(self, records: Records, world: World, queue: KeyQueue, clock: Clock) -> None:
        self.registry = CollectorRegistry()
        self._finished = Counter(
            "cumulus_jobs_finished",
            "Jobs that ended, by phase",
            ["phase"],
            registry=self.registry,
        )
        self._attempts = Counter(
            "cumulus_attempts_retried", "Attempts that were tried again", registry=self.registry
        )
        self._duration = Histogram(
            "cumulus_job_duration_seconds",
            "From the service seen running to its end",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._waiting = Histogram(
            "cumulus_job_start_seconds",
            "From submission to the service seen running",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._overrun = Histogram(
            "cumulus_lease_overrun_seconds",
            "From a lease's end to its device verified free",
            buckets=(0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 30),
            registry=self.registry,
        )
        for phase in Phase:
            if not phase.terminal:
                gauge = Gauge(
                    f"cumulus_jobs_{phase.value.lower()}",
                    f"Jobs in phase {phase.value}",
                    registry=self.registry,
                )
                gauge.set_function(lambda p=phase: records.count_in(p))  # type: ignore[misc]
        active = Gauge("cumulus_jobs_active", "Jobs that are not over", registry=self.registry)
        active.set_function(
            lambda: sum(records.count_in(phase) for phase in Phase if not phase.terminal)
        )
        rate = Gauge(
            "cumulus_job_success_ratio",
            "Of the kept jobs that ended by themselves, the share that succeeded (1 if none)",
            registry=self.registry,
        )
        rate.set_function(lambda: _success(records))
        depth = Gauge("cumulus_queue_depth", "Keys due or being looked at", registry=self.registry)
        depth.set_function(lambda: len(queue))
        ready = Gauge("cumulus_workers_ready", "Workers that take jobs", registry=self.registry)
        ready.set_function(lambda: sum(w.ready for w in world.workers(clock.now())))
        leases = Gauge("cumulus_leases", "Leases wanted or held", registry=self.registry)
        leases.set_function(lambda: len(records.leases))
        self.registry.register(InUse(world, clock))

    def transition(self, old: Job, new: Job, rule: str) -> None:
        """A status was written."""
        del rule
        before, after = old.status, new.status
        if after.phase is Phase.RUNNING and before.phase is not Phase.RUNNING:
            self._waiting.observe(max(0.0, after.started_at - after.submitted_at))
        if after.attempt > before.attempt and after.reason == "Retrying":
            self._attempts.inc()
        if after.phase.terminal and not before.phase.terminal:
            self._finished.labels(after.phase.value).inc()
            if after.started_at:
                self._duration.observe(max(0.0, after.finished_at - after.started_at))

    def overrun(self, seconds: float) -> None:
        """A lease ended `seconds` after its time."""
        self._overrun.observe(seconds)


class InUse(Collector):
    """What workers and devices use, as they last said: labels by worker and device only, so that
    their number is the fleet's. A worker that is silent is left out.
    """

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock

    def collect(self) -> Iterable[Metric]:
        """See `Collector`."""
        by_worker, by_device = ["worker"], ["worker", "device"]
        disk = GaugeMetricFamily(
            "cumulus_worker_disk_free_bytes", "Free where the agent stages", labels=by_worker
        )
        memory = GaugeMetricFamily(
            "cumulus_worker_jobs_memory_bytes", "Memory of all jobs there", labels=by_worker
        )
        cpus = GaugeMetricFamily(
            "cumulus_worker_jobs_cpus", "Cores that all jobs there use", labels=by_worker
        )
        used = GaugeMetricFamily(
            "cumulus_device_memory_used_bytes", "Of all processes", labels=by_device
        )
        busy = GaugeMetricFamily(
            "cumulus_device_busy_ratio", "Of the driver's last sample", labels=by_device
        )
        free = GaugeMetricFamily("cumulus_device_share_free_ratio", "Not leased", labels=by_device)
        now = self._clock.now()
        for worker, look in self._world.usage.looks(now).items():
            usage = look.usage
            disk.add_metric([worker], usage.disk_free)
            memory.add_metric([worker], sum(unit.memory for unit in usage.units))
            rates = (look.cpus(unit.unit, unit.cpu_seconds) for unit in usage.units)
            cpus.add_metric([worker], sum(max(0.0, rate) for rate in rates))
            for device in usage.devices:
                labels = [worker, str(device.index)]
                used.add_metric(labels, device.memory_used)
                if device.utilization_milli >= 0:
                    busy.add_metric(labels, device.utilization_milli / 1000)
        for seen in self._world.workers(now):
            for index, milli in seen.free.milli.items():
                free.add_metric([seen.worker.metadata.name, str(index)], milli / 1000)
        return disk, memory, cpus, used, busy, free


def _success(records: Records) -> float:
    good = records.count_in(Phase.SUCCEEDED)
    bad = records.count_in(Phase.FAILED) + records.count_in(Phase.TIMED_OUT)
    return good / (good + bad) if good + bad else 1.0
