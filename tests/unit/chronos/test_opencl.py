"""How the answers of OpenCL loaders are read, with loaders that answer as they are told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cumulus.chronos_bindings.opencl import survey
from cumulus.chronos_bindings.opencl_probe import uuid_text


def raw(name: str, kind: str = "gpu", vendor: str = "", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "vendor": vendor,
        "memory": 1 << 30,
        "uuid": "",
        "pci": "",
    } | more


CPU = {"name": "Portable", "devices": [raw("cpu", "cpu", "AuthenticAMD")]}
NV = {
    "name": "NVIDIA CUDA",
    "devices": [
        raw("H200", vendor="NVIDIA Corporation", uuid="01020304-0506"),
        raw("A100", vendor="NVIDIA Corporation"),
    ],
}


def loader(*platforms: dict[str, Any], alone: Mapping[str, Any] | None = None) -> Any:
    def probe(env: Mapping[str, str]) -> dict[str, Any]:
        if not env:
            return {"platforms": list(platforms)}
        return dict((alone or {})[Path(env["OCL_ICD_VENDORS"]).name])

    return probe


def drivers(folder: Path) -> Path:
    (folder / "a-nvidia.icd").touch()
    (folder / "b-pocl.icd").touch()
    return folder


def test_a_cpu_is_a_cpu_whoever_made_it() -> None:
    found = survey(probe=loader(CPU))
    assert [(d.index, d.type, d.enforcement) for d in found.devices] == [(0, "cpu", "enforced")]
    assert (found.env, found.notes) == ({}, ())


def test_gpus_first_need_nothing_and_the_rest_is_noted() -> None:
    found = survey(probe=loader(NV, CPU))
    assert [(d.index, d.type, d.name) for d in found.devices] == [
        (0, "nvidia", "H200"),
        (1, "nvidia", "A100"),
    ]
    assert [d.uuid for d in found.devices] == ["GPU-01020304-0506", ""]
    assert found.env == {}
    assert found.notes == ("OpenCL platform 'Portable' is not used",)


def test_gpus_behind_a_cpu_driver_are_brought_first(tmp_path: Path) -> None:
    alone = {"a-nvidia.icd": {"platforms": [NV]}, "b-pocl.icd": {"platforms": [CPU]}}
    found = survey(probe=loader(CPU, NV, alone=alone), vendors=drivers(tmp_path))
    assert [d.type for d in found.devices] == ["nvidia", "nvidia"]
    assert found.env == {"OCL_ICD_VENDORS": str(tmp_path / "a-nvidia.icd")}


def test_gpus_that_cannot_be_brought_first_are_not_promised(tmp_path: Path) -> None:
    alone = {"a-nvidia.icd": {"error": "it crashed"}, "b-pocl.icd": {"platforms": [CPU]}}
    found = survey(probe=loader(CPU, NV, alone=alone), vendors=drivers(tmp_path))
    assert [d.type for d in found.devices] == ["cpu"]
    assert found.env == {}
    assert "first OpenCL platform is used" in found.notes[0]


def test_vendors_are_told_apart() -> None:
    vendors = ("Advanced Micro Devices, Inc.", "Intel(R) Corporation", "ARM", "NVIDIA Corporation")
    platform = {"name": "mixed", "devices": [raw("x", vendor=vendor) for vendor in vendors]}
    found = survey(probe=loader(platform))
    assert [d.type for d in found.devices] == ["amd", "intel", "other", "nvidia"]


def test_no_driver_and_a_broken_driver_are_notes_and_no_errors() -> None:
    none = survey(probe=loader({"name": "empty", "devices": []}))
    assert (none.devices, none.notes) == (
        (),
        ("OpenCL has no device: no driver (ICD) is installed",),
    )
    broken = survey(probe=lambda _: {"error": "a driver ended the process with -6: oh"})
    assert broken.devices == ()
    assert "-6: oh" in broken.notes[0]


def test_a_uuid_reads_as_the_vendors_write_it() -> None:
    assert uuid_text(bytes(range(16))) == "00010203-0405-0607-0809-0a0b0c0d0e0f"
