"""What an agent leases, and that what enforces a share is looked at again."""

from __future__ import annotations

import pytest
from cumulus.chronos_bindings.agent.devices import Devices
from cumulus.chronos_bindings.gpu_env import HostGpu
from cumulus.chronos_bindings.hardware import Hardware
from cumulus.chronos_bindings.mps import Daemon
from cumulus.chronos_bindings.nvml import Nvml
from cumulus.crd_like_specs.errors import Permanent
from cumulus.crd_like_specs.lease import LeaseMount
from cumulus.crd_like_specs.worker import Device

A = Device(index=0, name="a", type="nvidia", uuid="GPU-a", memory=8 << 30)
B = Device(index=1, name="b", type="amd")


def test_a_share_of_devices_that_cannot_be_had_is_refused() -> None:
    devices = Devices(Hardware((A, B)), 1000)
    assert devices.env_of((0,), 500)["NVIDIA_VISIBLE_DEVICES"] == "GPU-a"
    with pytest.raises(Permanent, match="no device 7"):
        devices.env_of((7,), 500)
    with pytest.raises(Permanent) as caught:
        devices.env_of((0, 1), 500)
    assert caught.value.reason == "MixedDevices"


def test_a_daemon_that_comes_and_goes_shows_and_its_folder_is_given_only_while_it_runs() -> None:
    daemon = Daemon()
    devices = Devices(Hardware((A,), host=HostGpu(), reader=Nvml()), 1000, lambda _uid: daemon)
    assert devices.look()[0].enforcement == "advisory"
    assert devices.mounts_of((0,)) == ()

    daemon = Daemon("/run/mps")
    assert devices.look()[0].enforcement == "enforced"
    assert devices.mounts_of((0,)) == (LeaseMount(source="/run/mps", target="/run/nvidia-mps"),)
    assert devices.env_of((0,), 250)["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] == "0=2048M"

    daemon = Daemon(why="it runs as user 7")
    assert "it runs as user 7" in devices.look()[0].reason
    assert devices.mounts_of((0,)) == ()


def test_without_nvidia_nothing_is_looked_for() -> None:
    def never(_uid: int) -> Daemon:
        raise AssertionError("MPS was looked for")

    assert Devices(Hardware((B,)), 1000, never).look() == (B,)
    assert Devices(Hardware((B,)), 1000).mounts_of(()) == ()
