"""OpenCL's devices and the drivers' facts are put together by place and UUID, never by position."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from cumulus.chronos_bindings import hardware, nvml, opencl
from cumulus.chronos_bindings.gpu_env import HostGpu
from cumulus.chronos_bindings.hardware import merge
from cumulus.chronos_bindings.mps import Daemon
from cumulus.chronos_bindings.nvml import Gpu
from cumulus.chronos_bindings.opencl import Survey
from cumulus.chronos_bindings.opencl_probe import pci_of
from cumulus.chronos_bindings.rocm import AmdGpu
from cumulus.crd_like_specs.worker import Device

A = Gpu("GPU-aa", "H200", "0000:65:00.0", 141 << 30, capability=(9, 0))
B = Gpu("GPU-bb", "A100", "0000:17:00.0", 80 << 30, capability=(8, 0))


def seen(*kinds: str, places: tuple[str, ...] = (), uuids: tuple[str, ...] = ()) -> Survey:
    devices = tuple(
        Device(index=i, name=f"opencl {i}", type=kind, uuid=uuids[i] if uuids else "", memory=1)
        for i, kind in enumerate(kinds)
    )
    return Survey(devices, places or ("",) * len(kinds))


def test_the_driver_counts_otherwise_and_is_matched_by_place() -> None:
    found = merge(seen("nvidia", "nvidia", places=(A.pci, B.pci)), (B, A), (), HostGpu())
    assert [(d.index, d.uuid, d.name, d.memory) for d in found.devices] == [
        (0, "GPU-aa", "H200", 141 << 30),
        (1, "GPU-bb", "A100", 80 << 30),
    ]
    assert found.cards == {0: A, 1: B}
    assert found.notes == ()


def test_by_uuid_where_opencl_does_not_tell_the_place() -> None:
    found = merge(seen("nvidia", uuids=("GPU-bb",)), (A, B), (), HostGpu())
    assert found.cards == {0: B}
    assert found.notes == ("H200 GPU-aa at 0000:65:00.0 is not leased: OpenCL does not see it",)


def test_place_and_uuid_that_contradict_each_other_are_said_and_nothing_is_believed() -> None:
    found = merge(seen("nvidia", places=(A.pci,), uuids=("GPU-bb",)), (A, B), (), HostGpu())
    assert found.cards == {}
    assert found.devices[0].name == "opencl 0"
    assert "at 0000:65:00.0 for OpenCL, where its driver has H200 GPU-aa" in found.notes[0]


def test_a_device_that_its_driver_does_not_know_is_said_and_not_called_capped() -> None:
    host = HostGpu(mps_pipe_dir="/run/mps")
    found = merge(seen("nvidia", "nvidia", places=(A.pci, "0000:99:00.0")), (A,), (), host)
    assert [d.enforcement for d in found.devices] == ["enforced", "advisory"]
    assert "tells nothing of it" in found.devices[1].reason
    assert found.notes == (
        "device 1 (opencl 1) of OpenCL, at 0000:99:00.0, is none that its driver knows",
    )
    assert found.host.unfit == {"": "its driver tells nothing of it"}


def test_amd_and_nvidia_are_not_mixed_up_at_one_place() -> None:
    amd = AmdGpu("GPU-00000000000000ff", "MI300X", A.pci, 192 << 30)
    found = merge(seen("amd", places=(A.pci,)), (), (amd,), HostGpu())
    assert (found.devices[0].uuid, found.devices[0].memory) == (amd.uuid, 192 << 30)


def test_gpus_that_opencl_has_no_driver_for_are_the_drivers_own_and_not_for_chronos() -> None:
    for survey in (seen(), seen("cpu")):
        found = merge(survey, (A, B), (), HostGpu())
        assert [(d.index, d.uuid, d.type) for d in found.devices] == [
            (0, "GPU-aa", "nvidia"),
            (1, "GPU-bb", "nvidia"),
        ]
        assert "no driver for this machine's GPUs" in found.unseen


def test_a_machine_without_gpus_keeps_what_opencl_says() -> None:
    survey = seen("cpu")
    found = merge(survey, (), (), HostGpu())
    assert (found.devices[0].index, found.devices[0].type, found.unseen) == (0, "cpu", "")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A machine with one H200 as its drivers would tell; a test changes what they say."""
    told = SimpleNamespace(
        snapshot=nvml.Snapshot((A,), "570.1"),
        daemon=Daemon("/run/mps"),
        survey=seen("nvidia", places=(A.pci,)),
    )
    monkeypatch.setattr(nvml, "has_driver", lambda: True)
    monkeypatch.setattr(nvml.Nvml, "read", lambda _: told.snapshot)
    monkeypatch.setattr(hardware.mps, "detect", lambda _uid, _env: told.daemon)
    monkeypatch.setattr(hardware.rocm, "gpus", list)
    monkeypatch.setattr(opencl, "survey", lambda _host: told.survey)
    return told


@pytest.mark.usefixtures("machine")
def test_a_volta_or_later_with_a_daemon_is_enforced() -> None:
    found = hardware.find(1000, {})
    assert found.devices[0].enforcement == "enforced"
    assert found.reader is not None
    assert found.notes == ()


@pytest.mark.parametrize(
    ("gpu", "driver", "words"),
    [
        (replace(A, capability=(6, 1)), "570.1", "compute capability is 6.1"),
        (replace(A, capability=(0, 0)), "570.1", "compute capability is unknown"),
        (A, "470.256.02", "its driver is 470.256.02"),
        (A, "", "its driver is unknown"),
        (replace(A, mig=True), "570.1", "split by MIG"),
    ],
)
def test_what_mps_cannot_cap_is_advisory_with_the_reason(
    machine: Any, gpu: Gpu, driver: str, words: str
) -> None:
    machine.snapshot = nvml.Snapshot((gpu,), driver)
    (device,) = hardware.find(1000, {}).devices
    assert device.enforcement == "advisory"
    assert words in device.reason


def test_a_daemon_that_jobs_cannot_use_is_no_cap(machine: Any) -> None:
    machine.daemon = Daemon(why="its daemon runs as user 7")
    (device,) = hardware.find(1000, {}).devices
    assert (device.enforcement, "runs as user 7" in device.reason) == ("advisory", True)


def test_nvml_that_fails_is_a_note(machine: Any) -> None:
    machine.snapshot = nvml.Snapshot(error="NVML: Driver/library version mismatch")
    found = hardware.find(1000, {})
    assert found.notes == ("no facts of NVIDIA's driver: NVML: Driver/library version mismatch",)
    assert found.devices[0].enforcement == "advisory"


class Asked:
    """A device of pyopencl that answers the questions of one vendor."""

    int_ptr = 0

    def __init__(self, **answers: Any) -> None:
        vars(self).update(answers)


class LogicError(Exception):
    pass


def test_nvidias_slot_holds_device_and_function() -> None:
    device = Asked(pci_bus_id_nv=0x65, pci_slot_id_nv=(3 << 3) | 1, pci_domain_id_nv=1)
    cl = SimpleNamespace(LogicError=LogicError)
    assert pci_of(cl, device, ["cl_nv_device_attribute_query"]) == "0001:65:03.1"


def test_an_old_driver_without_domains_is_of_domain_0() -> None:
    class Old(Asked):
        @property
        def pci_domain_id_nv(self) -> int:
            raise LogicError

    device = Old(pci_bus_id_nv=0x65, pci_slot_id_nv=0)
    cl = SimpleNamespace(LogicError=LogicError)
    assert pci_of(cl, device, ["cl_nv_device_attribute_query"]) == "0000:65:00.0"


def test_amds_topology_is_signed_bytes() -> None:
    place = SimpleNamespace(bus=-63, device=0, function=0)  # 0xc1 as a signed byte
    device = Asked(topology_amd=place)
    assert pci_of(None, device, ["cl_amd_device_attribute_query"]) == "0000:c1:00.0"


def test_a_device_of_no_bus_has_no_place() -> None:
    assert pci_of(None, Asked(), ["cl_khr_fp64"]) == ""
