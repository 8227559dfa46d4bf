"""The GPU workloads on the GPU, beside the same on the CPU: what is exact has to be equal."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from workload_kit import NAMES, Workload

pytestmark = pytest.mark.gpu

PYTHON = os.environ.get("CUMULUS_GPU_PYTHON", sys.executable)
SMALL = ("--seed", "7", "--scale", "0.1", "--rounds", "3")


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("gpu")])
def test_it_computes_on_the_gpu_what_the_cpu_computes(name: str, tmp_path: Path) -> None:
    workload = Workload(tmp_path, name, python=PYTHON)
    here = workload.run(*SMALL, CUMULUS_GPU_MEMORY_FRACTION="0.25")
    assert here.code == 0, here.stderr
    assert here.stats["device"].startswith("cuda: ")
    assert here.stats["note"] == ""
    assert here.stats["values"]["peak_device_bytes"] > 0
    beside = workload.run(*SMALL, CUDA_VISIBLE_DEVICES="")
    assert beside.stats["device"] == "cpu"
    assert "computed on the CPU" in beside.stats["note"]
    assert beside.stats["checksum"] == here.stats["checksum"]
