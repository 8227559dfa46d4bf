"""Chronos as a `Partitioner`: a supervised child process that is started again when it dies. I/O.

Called by the agent through `choose.py`. Chronos lives in a process of its own because its driver
may abort the process (PoCL does when memory is short), and because what it holds dies with it
either way: after a death `epoch` is higher, `list` is empty, and the agent creates again.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import tenacity

from ..crd_like_specs.errors import DriverError, Permanent, Temporary
from .base import Partition
from .native_process import Child, ChildGoneError, explain, sweep_locks
from .rules import (
    MARGIN,
    check_request,
    native_fraction,
    native_seconds,
    no_capacity,
    no_device,
)

_START_TIMEOUT: Final = 30.0  # a driver's first start compiles or loads a lot
_CALL_TIMEOUT: Final = 5.0  # seconds; measured: 2 ms on a busy disk
_WAIT_FOR_CHILD: Final = 3.0  # how long a call waits for one that is being started
_STEADY: Final = 10.0  # a child that lived this long is started again at once
_STOP_TIMEOUT: Final = 3.0


@dataclass(frozen=True, slots=True)
class _Share:
    """What Chronos does not tell: its list says device 0 for every partition."""

    device: int
    memory_milli: int
    ends: float  # monotonic seconds


class NativePartitioner:
    """A `Partitioner` over chronos-gpu; device indexes are those of its first OpenCL platform.

    env: added to the environment of the child, e.g. `opencl.Survey.env`, which makes the wanted
    platform the first. margin: see `rules.MARGIN`. call_timeout: seconds after which a child that
    does not answer counts as hung and is killed. Construction blocks until Chronos is up and
    raises `Permanent(reason="NoBackend")` where it can't be.
    """

    backend = "chronos"

    def __init__(
        self,
        *,
        env: Mapping[str, str] | None = None,
        margin: float = MARGIN,
        call_timeout: float = _CALL_TIMEOUT,
    ) -> None:
        # Settings and secrets of ours are none of a driver's business.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("CUMULUS_")}
        self._env = inherited | dict(env or {})
        self._margin = margin
        self._call_timeout = call_timeout
        self._held: dict[str, _Share] = {}
        self._calls = threading.RLock()  # one call at a time; guards _held too
        self._changed = threading.Condition()  # guards the four below
        self._child: Child | None = None  # set while it is up
        self._starting: Child | None = None
        self._epoch = 0
        self._why = ""  # it is not up
        self._stop = threading.Event()
        sweep_locks()
        self._supervisor = threading.Thread(target=self._supervise, name="chronos", daemon=True)
        self._supervisor.start()
        with self._changed:
            self._changed.wait_for(lambda: self._child or self._why, _START_TIMEOUT + 5)
            up, why = self._child is not None, self._why
        if not up:
            self.close()
            raise Permanent(f"Chronos cannot be used: {why}", reason="NoBackend")

    @property
    def epoch(self) -> int:
        """See `base.Partitioner`."""
        with self._changed:
            return self._epoch

    @property
    def pid(self) -> int:
        """Process id of the child, 0 while there is none."""
        with self._changed:
            return self._child.pid if self._child else 0

    def create(self, device: int, memory_milli: int, seconds: int) -> Partition:
        """See `base.Partitioner`."""
        check_request(device, memory_milli, seconds)
        with self._turn():
            ends = time.monotonic() + seconds
            reply = self._call(
                op="create",
                device=device,
                memory=native_fraction(memory_milli),
                seconds=native_seconds(seconds, self._margin),
            )
            if "error" in reply:
                raise self._refusal(reply, device, memory_milli)
            name = str(reply["ok"])
            self._held[name] = _Share(device, memory_milli, ends)
        return Partition(name, device, memory_milli, float(seconds))

    def release(self, partition_id: str) -> None:
        """See `base.Partitioner`."""
        with self._turn():
            if partition_id not in self._held:
                return
            reply = self._call(op="release", id=partition_id)
            if "error" in reply:
                raise Temporary(
                    f"{partition_id} is not released: {explain(reply)}", reason="ReleaseFailed"
                )
            del self._held[partition_id]

    def list(self) -> list[Partition]:
        """See `base.Partitioner`."""
        with self._turn():
            reply = self._call(op="list")
            names = _success(reply)
            self._held = {name: self._held[name] for name in names if name in self._held}
            now = time.monotonic()
            return [
                Partition(name, share.device, share.memory_milli, max(0.0, share.ends - now))
                for name, share in self._held.items()
            ]

    def available(self, device: int) -> int:
        """See `base.Partitioner`."""
        check_request(device, 1, 1)
        with self._turn():
            reply = self._call(op="available", device=device)
        if "Invalid device index" in str(reply.get("detail", "")):
            raise self._no_device(device)
        return round(float(_success(reply)) * 10)  # percent

    def close(self) -> None:
        """See `base.Partitioner`."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        with self._calls:
            with self._changed:
                child, starting = self._child, self._starting
            if child:
                with contextlib.suppress(ChildGoneError):
                    child.call({"op": "stop"}, _STOP_TIMEOUT)
            if starting:
                starting.kill()
            self._held.clear()
        self._supervisor.join(_STOP_TIMEOUT)

    def _refusal(self, reply: Mapping[str, Any], device: int, asked: int) -> DriverError:
        detail = str(reply.get("detail", ""))
        if "Invalid device index" in detail:
            return self._no_device(device)
        if "Not enough available memory" in detail:
            return no_capacity(device, asked, self.available(device))
        return Temporary(f"Chronos refused: {explain(reply)}", reason="CreateFailed")

    def _no_device(self, device: int) -> Permanent:
        with self._changed:
            notes = self._child.notes if self._child else ""
        return no_device(device, notes or "the OpenCL platform in use ends before it")

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """One caller at a time; while there is no child all wait together, not one by one."""
        with self._changed:
            self._changed.wait_for(lambda: self._child or self._stop.is_set(), _WAIT_FOR_CHILD)
        with self._calls:
            yield

    def _call(self, **request: object) -> dict[str, Any]:
        """Only within `_turn`."""
        with self._changed:
            child, why = self._child, self._why
        if self._stop.is_set():
            raise Temporary("the partitioner is closed", reason="PartitionerLost")
        if child is None:
            raise Temporary(f"Chronos is being restarted: {why}", reason="PartitionerLost")
        try:
            return child.call(request, self._call_timeout)
        except ChildGoneError as e:
            raise Temporary(
                f"{e}; it is being restarted and every partition is gone",
                reason="PartitionerLost",
            ) from e

    def _supervise(self) -> None:
        """Thread: keep a child alive until closed, with back-off while children die young."""
        while not self._stop.is_set():
            lives = tenacity.Retrying(
                retry=tenacity.retry_if_exception_type(ChildGoneError),
                wait=tenacity.wait_exponential(multiplier=0.05, max=30),
                stop=tenacity.stop_when_event_set(self._stop),
                sleep=tenacity.sleep_using_event(self._stop),
            )
            with contextlib.suppress(tenacity.RetryError):  # only when closed
                lives(self._one_life)

    def _one_life(self) -> None:
        """From start to death. Raises ChildGoneError when that was too short a life."""
        child = self._start()
        born = time.monotonic()
        with self._changed:
            self._child, self._starting, self._why = child, None, ""
            self._changed.notify_all()
        why = child.watch()
        with self._changed:
            self._child, self._why = None, why
            self._epoch += not self._stop.is_set()
        child.bury()
        sweep_locks()
        if time.monotonic() - born < _STEADY:
            raise ChildGoneError(why)

    def _start(self) -> Child:
        child = None
        try:
            child = Child(self._env)
            with self._changed:
                self._starting = child
            if self._stop.is_set():  # `close` may have looked before there was one
                child.kill()
            child.greet(_START_TIMEOUT)
        except ChildGoneError as e:
            with self._changed:
                self._starting, self._why = None, str(e)
                self._changed.notify_all()
            if child:
                child.bury()
                sweep_locks()
            raise
        return child


def _success(reply: Mapping[str, Any]) -> Any:
    if "error" in reply:
        raise Temporary(f"Chronos failed: {explain(reply)}", reason="PartitionerFailed")
    return reply["ok"]
