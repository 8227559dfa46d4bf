"""The table of what a container is given, row by row."""

from __future__ import annotations

from typing import Any

import pytest
from cumulus.chronos_bindings.gpu_env import BindMount, GpuEnv, HostGpu, enforcement, gpu_env
from cumulus.crd_like_specs.worker import Device

GIB = 1 << 30
MPS = HostGpu(mps_pipe_dir="/run/mps")


def device(kind: str, index: int = 0, memory: int = 8 * GIB, uuid: str = "") -> Device:
    return Device(index=index, name="a device", type=kind, memory=memory, uuid=uuid)


def test_no_device_no_environment() -> None:
    assert gpu_env((), 0, HostGpu()) == GpuEnv()


def test_nvidia_with_mps_is_capped_by_the_driver() -> None:
    given = gpu_env([device("nvidia", 3, uuid="GPU-aa")], 500, MPS)
    assert given.env == {
        "NVIDIA_VISIBLE_DEVICES": "GPU-aa",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.5",
        "CUDA_VISIBLE_DEVICES": "GPU-aa",
        "CUMULUS_GPU_MEMORY_MIB": "4096",
        "CUDA_MPS_PIPE_DIRECTORY": "/run/nvidia-mps",
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "50",
        "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": "0=4096M",
    }
    assert given.mounts == (BindMount("/run/mps", "/run/nvidia-mps"),)
    assert given.enforcement == "enforced"


def test_two_devices_are_numbered_as_the_container_sees_them() -> None:
    pair = [device("nvidia", 5, uuid="GPU-aa"), device("nvidia", 2, 16 * GIB, "GPU-bb")]
    given = gpu_env(pair, 250, MPS)
    assert given.env["NVIDIA_VISIBLE_DEVICES"] == "GPU-aa,GPU-bb"
    assert given.env["CUDA_VISIBLE_DEVICES"] == "GPU-aa,GPU-bb"  # which sets the order
    assert given.env["CUMULUS_GPU_MEMORY_MIB"] == "2048,4096"
    assert given.env["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] == "0=2048M,1=4096M"


def test_the_smallest_share_is_never_rounded_to_none() -> None:
    given = gpu_env([device("nvidia", memory=GIB)], 1, MPS)
    assert given.env["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "0.1"
    assert given.env["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] == "0=1M"


def test_one_device_of_unknown_memory_makes_the_promise_advisory() -> None:
    given = gpu_env([device("nvidia"), device("nvidia", 1, memory=0)], 500, MPS)
    assert given.enforcement == "advisory"
    assert given.env["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] == "0=4096M"


def test_nvidia_without_mps_is_advisory_and_named_by_index_if_need_be() -> None:
    given = gpu_env([device("nvidia", 1)], 250, HostGpu())
    assert given.env["NVIDIA_VISIBLE_DEVICES"] == "1"
    assert given.env["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.25"
    assert not [name for name in given.env if "MPS" in name]
    assert (given.mounts, given.enforcement) == ((), "advisory")


def test_a_device_that_mps_cannot_cap_keeps_the_whole_lease_from_mps() -> None:
    host = HostGpu(mps_pipe_dir="/run/mps", unfit={"GPU-bb": "its driver is too old"})
    pair = [device("nvidia", uuid="GPU-aa"), device("nvidia", 1, uuid="GPU-bb")]
    given = gpu_env(pair, 500, host)
    assert given.env["CUDA_MPS_PIPE_DIRECTORY"] == "/dev/null"
    assert "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT" not in given.env
    assert (given.mounts, given.enforcement) == ((), "advisory")
    assert "its driver is too old" in given.reason
    assert gpu_env(pair[:1], 500, host).enforcement == "enforced"


def test_jobs_are_kept_away_from_a_daemon_that_would_refuse_them() -> None:
    given = gpu_env([device("nvidia", uuid="GPU-aa")], 500, HostGpu(mps_why="it is user 7's"))
    assert given.env["CUDA_MPS_PIPE_DIRECTORY"] == "/dev/null"
    assert "NVIDIA MPS cannot be used: it is user 7's" in given.reason


def test_amd_sees_its_device_only() -> None:
    given = gpu_env([device("amd", 1)], 500, HostGpu())
    assert given.env == {"ROCR_VISIBLE_DEVICES": "1"}
    assert given.enforcement == "advisory"


def test_a_cpu_device_is_capped_by_the_kernel() -> None:
    given = gpu_env([device("cpu", memory=2 * GIB)], 250, HostGpu())
    limit = GIB // 2 + 150 * 1024 * 1024
    assert given.env == {"CUMULUS_RLIMIT_DATA": str(limit)}
    assert given.enforcement == "enforced"


def test_intel_is_given_nothing_and_promised_nothing() -> None:
    given = gpu_env([device("intel")], 500, HostGpu())
    assert (given.env, given.mounts, given.enforcement) == ({}, (), "advisory")
    assert given.reason


def test_devices_of_two_types_are_no_lease() -> None:
    with pytest.raises(ValueError, match="amd, nvidia"):
        gpu_env([device("nvidia"), device("amd", 1)], 500, HostGpu())


@pytest.mark.parametrize(
    ("kind", "fields", "host", "expected"),
    [
        ("nvidia", {}, MPS, "enforced"),
        ("nvidia", {"memory": 0}, MPS, "advisory"),
        ("nvidia", {}, HostGpu(), "advisory"),
        ("amd", {}, MPS, "advisory"),
        ("cpu", {}, HostGpu(), "enforced"),
        ("cpu", {"memory": 0}, HostGpu(), "advisory"),
        ("other", {}, HostGpu(), "advisory"),
    ],
)
def test_what_is_enforced(kind: str, fields: dict[str, Any], host: HostGpu, expected: str) -> None:
    how, reason = enforcement(device(kind, **fields), host)
    assert how == expected
    assert reason
