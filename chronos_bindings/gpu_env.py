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

from ..crd_like_specs.identity import ENV_GPU_MIB, ENV_RLIMIT_DATA, MPS_PIPE_TARGET
from ..crd_like_specs.worker import Device

_OVERHEAD: Final = 150 << 20  # what PoCL and Python take beside the buffers: 600 MiB held 448 MB
_NO_MPS: Final = "/dev/null"  # a pipe folder in which CUDA finds no daemon, and so does without

Enforcement = Literal["enforced", "advisory"]


@dataclass(frozen=True, slots=True)
class HostGpu:
    """What is known of GPU sharing on this host.

    mps_pipe_dir: absolute folder of the MPS daemon's pipes, "" where jobs can use none; mps_why:
    the reason where there is one that they cannot use. unfit: why MPS caps no memory of a device,
    by uuid.
    """

    mps_pipe_dir: str = ""
    mps_why: str = ""
    unfit: Mapping[str, str] = field(default_factory=dict)


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
    if device.type == "nvidia":
        return _nvidia_enforcement(device, host)
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
        if host.mps_pipe_dir and not any(device.uuid in host.unfit for device in devices):
            env |= _mps(devices, memory_milli)
            return GpuEnv(env, (BindMount(host.mps_pipe_dir, MPS_PIPE_TARGET),), how, reason)
        if host.mps_pipe_dir or host.mps_why:  # the runtime gives every container its pipes
            env["CUDA_MPS_PIPE_DIRECTORY"] = _NO_MPS
        return GpuEnv(env, (), how, reason)
    if kind == "amd":
        visible = ",".join(device.uuid or str(device.index) for device in devices)
        return GpuEnv({"ROCR_VISIBLE_DEVICES": visible}, (), how, reason)
    if kind == "cpu" and how == "enforced":
        share = sum(device.memory * memory_milli // 1000 for device in devices) + _OVERHEAD
        return GpuEnv({ENV_RLIMIT_DATA: str(share)}, (), how, reason)
    return GpuEnv(enforcement=how, reason=reason)


def _nvidia_enforcement(device: Device, host: HostGpu) -> tuple[Enforcement, str]:
    asked = "frameworks are asked to keep to the share"
    if host.mps_why:
        return "advisory", f"NVIDIA MPS cannot be used: {host.mps_why}; {asked}"
    if not host.mps_pipe_dir:
        return "advisory", f"no NVIDIA MPS daemon: {asked}"
    if device.uuid in host.unfit:
        return "advisory", f"NVIDIA MPS runs, but {host.unfit[device.uuid]}; {asked}"
    if not device.memory:
        return (
            "advisory",
            "NVIDIA MPS runs, but the device's memory is unknown: only compute is capped",
        )
    return (
        "enforced",
        "NVIDIA MPS caps memory and compute of each process that keeps its CUDA_MPS_* variables",
    )


def _nvidia(devices: Sequence[Device], memory_milli: int) -> dict[str, str]:
    env = {
        # Read by the nvidia runtime, which must be the worker's default: services have no --gpus.
        "NVIDIA_VISIBLE_DEVICES": ",".join(d.uuid or str(d.index) for d in devices),
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{memory_milli / 1000:g}",
    }
    if all(device.uuid for device in devices):
        # The order too: what is given by ordinal must not meet another device.
        env["CUDA_VISIBLE_DEVICES"] = ",".join(device.uuid for device in devices)
    if all(device.memory for device in devices):
        env[ENV_GPU_MIB] = ",".join(str(_mib(device, memory_milli)) for device in devices)
    return env


def _mps(devices: Sequence[Device], memory_milli: int) -> dict[str, str]:
    env = {
        "CUDA_MPS_PIPE_DIRECTORY": MPS_PIPE_TARGET,
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": f"{max(memory_milli / 10, 0.1):g}",
    }
    # The ordinals are those inside the container, where only the lease's devices are visible.
    limits = [
        f"{ordinal}={_mib(device, memory_milli)}M"
        for ordinal, device in enumerate(devices)
        if device.memory
    ]
    if limits:
        env["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] = ",".join(limits)
    return env


def _mib(device: Device, memory_milli: int) -> int:
    return max(device.memory * memory_milli // 1000 >> 20, 1)
