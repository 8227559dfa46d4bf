"""The devices that this agent leases, and what a container gets with a share of them. I/O: MPS.

Made by `main`. What enforces a share may come and go with MPS's daemon, so that it is looked for
again whenever the machine's facts are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ...crd_like_specs.errors import Permanent
from ...crd_like_specs.lease import LeaseMount
from ...crd_like_specs.worker import Device
from .. import mps
from ..gpu_env import GpuEnv, HostGpu, enforcement, gpu_env
from ..hardware import Hardware


class Devices:
    """uid: of the user that jobs run as; detect: finds MPS's daemon for that user."""

    def __init__(
        self, hardware: Hardware, uid: int, detect: Callable[[int], mps.Daemon] = mps.detect
    ) -> None:
        self._host: HostGpu = hardware.host
        self._nvidia = hardware.reader is not None
        self._uid = uid
        self._detect = detect
        self.all = hardware.devices

    def look(self) -> tuple[Device, ...]:
        """All devices, with what enforces a share of each now. Blocks for milliseconds."""
        if self._nvidia:
            daemon = self._detect(self._uid)
            self._host = replace(self._host, mps_pipe_dir=daemon.pipe_dir, mps_why=daemon.why)
            self.all = tuple(_labelled(device, self._host) for device in self.all)
        return self.all

    def env_of(self, indexes: Sequence[int], memory_milli: int) -> Mapping[str, str]:
        """What a container is told. Permanent("NoDevice" | "MixedDevices")."""
        return self._given(indexes, memory_milli).env

    def mounts_of(self, indexes: Sequence[int]) -> tuple[LeaseMount, ...]:
        """Folders of this machine that it is given. Errors as `env_of`."""
        given = self._given(indexes, 1000)
        return tuple(LeaseMount(source=m.source, target=m.target) for m in given.mounts)

    def _given(self, indexes: Sequence[int], memory_milli: int) -> GpuEnv:
        known = {device.index: device for device in self.all}
        missing = [index for index in indexes if index not in known]
        if missing:
            raise Permanent(f"there is no device {missing[0]} on this worker", reason="NoDevice")
        try:
            return gpu_env([known[index] for index in indexes], memory_milli, self._host)
        except ValueError as e:
            raise Permanent(str(e), reason="MixedDevices") from e


def _labelled(device: Device, host: HostGpu) -> Device:
    how, reason = enforcement(device, host)
    return device.model_copy(update={"enforcement": how, "reason": reason})
