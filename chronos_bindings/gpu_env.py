"""What a container must be given to use its share of a GPU, and what caps it there. Pure.

Called by the agent: `gpu_env` for the lease's status (the controller passes `env` on to the
service), `enforcement` for what `get workers` shows. Chronos enforces nothing on other processes;
each row below says who does, or says honestly that nobody does.

    worker              given                                   cap
    NVIDIA with MPS     UUID, pipe folder, MPS limits           enforced by the driver, per process
    NVIDIA              UUID; the runner limits frameworks      advisory
    AMD                 device index; the runner limits them    advisory
    CPU (PoCL)          a limit on the process's data           enforced by the kernel, per process
    anything else       nothing                                 advisory
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from ..crd_like_specs.identity import ENV_RLIMIT_DATA
from ..crd_like_specs.worker import Device

_OVERHEAD: Final = 150 << 20  # what PoCL and Python take beside the buffers: 600 MiB held 448 MB
_MPS_PIPE: Final = "/tmp/nvidia-mps"  # noqa: S108 (where the pipe folder is mounted in the container)

Enforcement = Literal["enforced", "advisory"]


@dataclass(frozen=True, slots=True)
class HostGpu:
    """What is known of GPU sharing on this host.

    mps_pipe_dir: absolute folder of the MPS daemon's pipes, "" where no daemon runs.
    """

    mps_pipe_dir: str = ""


@dataclass(frozen=True, slots=True)
class BindMount:
    """source, target: absolute paths on the host and in the container; read-only is enough."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class GpuEnv:
    """What to give. reason: who enforces, or why nobody does."""

    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[BindMount, ...] = ()
    enforcement: Enforcement = "advisory"
    reason: str = ""


def enforcement(device: Device, host: HostGpu) -> tuple[Enforcement, str]:
    """Whether a share of this device is a cap, and the reason."""
    if device.type == "nvidia" and host.mps_pipe_dir:
        if device.memory:
            return "enforced", "NVIDIA MPS caps memory and compute of each client process"
        return (
            "advisory",
            "NVIDIA MPS runs, but the device's memory is unknown: only compute is capped",
        )
    if device.type == "nvidia":
        return "advisory", "no NVIDIA MPS daemon: frameworks are asked to keep to the share"
    if device.type == "amd":
        return "advisory", "ROCm has no memory cap: frameworks are asked to keep to the share"
    if device.type == "cpu" and device.memory:
        return "enforced", "the kernel caps the data of each process (RLIMIT_DATA)"
    if device.type == "cpu":
        return "advisory", "the driver does not tell its memory, so there is nothing to cap by"
    return "advisory", "nothing is known that caps this kind of device"


def gpu_env(devices: Sequence[Device], memory_milli: int, host: HostGpu) -> GpuEnv:
    """For a lease of `memory_milli` thousandths of each of `devices`, all of one type.

    No devices: nothing to give. Mixed types cannot be had by one lease; they raise ValueError.
    """
    if not devices:
        return GpuEnv()
    kinds = {device.type for device in devices}
    if len(kinds) > 1:
        raise ValueError(f"devices of several types in one lease: {', '.join(sorted(kinds))}")
    kind = kinds.pop()
    # The weakest of the devices decides what may be promised.
    how, reason = min((enforcement(device, host) for device in devices), key=lambda found: found[0])
    if kind == "nvidia":
        env = _nvidia(devices, memory_milli)
        mounts: tuple[BindMount, ...] = ()
        if host.mps_pipe_dir:
            env |= _mps(devices, memory_milli)
            mounts = (BindMount(host.mps_pipe_dir, _MPS_PIPE),)
        return GpuEnv(env, mounts, how, reason)
    if kind == "amd":
        visible = ",".join(device.uuid or str(device.index) for device in devices)
        return GpuEnv({"ROCR_VISIBLE_DEVICES": visible}, (), how, reason)
    if kind == "cpu" and how == "enforced":
        share = sum(device.memory * memory_milli // 1000 for device in devices) + _OVERHEAD
        return GpuEnv({ENV_RLIMIT_DATA: str(share)}, (), how, reason)
    return GpuEnv(enforcement=how, reason=reason)


def _nvidia(devices: Sequence[Device], memory_milli: int) -> dict[str, str]:
    return {
        # Read by the nvidia runtime, which must be the worker's default: services have no --gpus.
        "NVIDIA_VISIBLE_DEVICES": ",".join(d.uuid or str(d.index) for d in devices),
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{memory_milli / 1000:g}",
    }


def _mps(devices: Sequence[Device], memory_milli: int) -> dict[str, str]:
    env = {
        "CUDA_MPS_PIPE_DIRECTORY": _MPS_PIPE,
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": f"{max(memory_milli / 10, 0.1):g}",
    }
    # The ordinals are those inside the container, where only the lease's devices are visible.
    limits = [
        f"{ordinal}={max(device.memory * memory_milli // 1000 >> 20, 1)}M"
        for ordinal, device in enumerate(devices)
        if device.memory
    ]
    if limits:
        env["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] = ",".join(limits)
    return env
