"""What documentation promises, on a machine with an NVIDIA GPU, its OpenCL driver, Chronos and a
PyTorch with CUDA (in the Python that CUMULUS_GPU_PYTHON names, this one by default). As root for
the tests of MPS. `just gpu` runs them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cumulus.chronos_bindings import mps
from cumulus.chronos_bindings.agent.usage import Cards
from cumulus.chronos_bindings.choose import choose
from cumulus.chronos_bindings.gpu_env import gpu_env
from cumulus.chronos_bindings.hardware import Hardware, find
from cumulus.chronos_bindings.nvml import Nvml
from cumulus.crd_like_specs.identity import JOB_UID, MPS_PIPE_TARGET

pytestmark = pytest.mark.gpu

PYTHON = os.environ.get("CUMULUS_GPU_PYTHON", sys.executable)
RUNNER = Path(__file__).resolve().parents[2] / "image" / "runner.py"
TAKE = """
import torch
def main(part):
    whole = torch.cuda.get_device_properties(0).total_memory
    held = torch.empty(int(whole * part), dtype=torch.uint8, device="cuda")
    return [torch.cuda.device_count(), held.numel()]
"""


@pytest.fixture(scope="module")
def hardware() -> Iterator[Hardware]:
    found = find(JOB_UID)
    yield found
    if found.reader:
        found.reader.close()


def run_job(folder: Path, env: Mapping[str, str], part: float) -> dict[str, Any]:
    """The envelope of a job that takes this part of the device's memory."""
    for name in ("job", "work"):
        (folder / name).mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "job" / "code.zip", "w") as file:
        file.writestr("main.py", TAKE)
    (folder / "job" / "args.json").write_text(json.dumps([part]))
    shutil.rmtree(folder / "work")
    (folder / "work").mkdir()
    folders = {
        "CUMULUS_JOB_DIR": str(folder / "job"),
        "CUMULUS_WORK_DIR": str(folder / "work"),
        "CUMULUS_ENV_DIR": str(folder / "env"),
    }
    done = subprocess.run(
        [PYTHON, str(RUNNER)],
        env={**os.environ, **folders, **env},
        capture_output=True,
        check=False,
    )
    envelope: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return envelope


def test_nvml_tells_of_every_device_and_again_at_once() -> None:
    reader = Nvml()
    try:
        first = reader.read()
        begun = time.monotonic()
        again = reader.read()
        took = time.monotonic() - begun
    finally:
        reader.close()
    assert first.error == again.error == ""
    assert first.gpus
    for gpu in first.gpus:
        assert gpu.uuid.startswith("GPU-")
        assert gpu.pci
        assert gpu.memory > 1 << 30
        assert gpu.capability >= (3, 5)
        assert gpu.processes is not None
    assert took < 0.5


def test_opencls_devices_are_the_drivers_and_each_has_its_uuid(hardware: Hardware) -> None:
    assert hardware.devices
    assert {device.type for device in hardware.devices} == {"nvidia"}
    assert [device.index for device in hardware.devices] == sorted(hardware.cards)
    assert not [note for note in hardware.notes if "its driver" in note]
    assert all(device.uuid.startswith("GPU-") for device in hardware.devices)


def test_chronos_holds_shares_of_every_device(hardware: Hardware) -> None:
    indexes = [device.index for device in hardware.devices]
    choice = choose(indexes, prefer="chronos", env=hardware.env, unseen=hardware.unseen)
    try:
        for index in indexes:
            half = choice.partitioner.create(index, 500, 60)
            assert choice.partitioner.available(index) == 500
            choice.partitioner.release(half.id)
            assert choice.partitioner.available(index) == 1000
    finally:
        choice.partitioner.close()


def test_pytorch_keeps_to_the_share_and_sees_the_leases_device_only(
    hardware: Hardware, tmp_path: Path
) -> None:
    given = gpu_env(hardware.devices[:1], 250, hardware.host).env
    asked = {name: value for name, value in given.items() if "MPS" not in name}
    asked |= {"CUMULUS_GPU_MEMORY_FRACTION": "0.25", "CUDA_MPS_PIPE_DIRECTORY": "/dev/null"}
    fits = run_job(tmp_path, asked, 0.1)
    assert fits["status"] == "success", fits
    assert fits["result"][0] == 1
    refused = run_job(tmp_path, asked, 0.5)
    assert refused["error_type"] == "OutOfMemoryError", refused


def test_what_a_process_holds_is_told_by_its_pid(hardware: Hardware) -> None:
    program = (
        "import torch; held = torch.empty(1 << 28, dtype=torch.uint8, device='cuda:0');"
        "print('up', flush=True); input()"
    )
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": hardware.devices[0].uuid}
    with subprocess.Popen(
        [PYTHON, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"up\n"
        use = Cards(hardware).read()[hardware.devices[0].index]
        process.kill()
    assert use.held is not None
    assert (use.held[process.pid] or 0) >= 1 << 28


@pytest.fixture
def daemon() -> Iterator[str]:
    """An MPS daemon of root with its pipes where jobs find them; gone after the test."""
    Path(MPS_PIPE_TARGET).mkdir(mode=0o755, exist_ok=True)
    env = {**os.environ, "CUDA_MPS_PIPE_DIRECTORY": MPS_PIPE_TARGET}
    subprocess.run(["nvidia-cuda-mps-control", "-d"], env=env, check=True)
    yield MPS_PIPE_TARGET
    subprocess.run(["nvidia-cuda-mps-control"], input=b"quit\n", env=env, check=True)


def test_mps_caps_what_a_process_takes(daemon: str, tmp_path: Path) -> None:
    found = find(os.getuid())
    assert found.host.mps_pipe_dir == daemon
    assert found.devices[0].enforcement == "enforced", found.devices[0].reason
    given = gpu_env(found.devices[:1], 250, found.host).env  # no fraction: the driver alone caps
    assert run_job(tmp_path, given, 0.1)["status"] == "success"
    refused = run_job(tmp_path, given, 0.5)
    assert refused["error_type"] in ("OutOfMemoryError", "AcceleratorError"), refused
    assert mps.detect(JOB_UID).pipe_dir == daemon  # jobs of another user may use root's daemon
    if found.reader:
        found.reader.close()
