"""Requirements and GPU shares: what the runner puts around a job."""

import json
import venv
from pathlib import Path
from typing import Any

import pytest
from run_job import Job

FAKE_TORCH = """
calls = []
class cuda:
    available = True
    @staticmethod
    def is_available(): return cuda.available
    @staticmethod
    def device_count(): return 2
    @staticmethod
    def set_per_process_memory_fraction(fraction, device): calls.append((fraction, device))
"""
LAZY = """
    queued = []
    @staticmethod
    def _lazy_call(action): cuda.queued.append(action)
"""


def test_a_prepared_folder_is_importable_here_and_in_subprocesses(job: Job) -> None:
    (job.env / "prepared.py").write_text("VALUE = 'prepared'")
    (job.env / "bin").mkdir()
    tool = job.env / "bin" / "prepared-tool"
    tool.write_text("#!/bin/sh\necho tool\n")
    tool.chmod(0o755)
    out = job.run("""
        import subprocess, sys, prepared
        def main():
            code = "import prepared; print(prepared.VALUE)"
            return [prepared.VALUE,
                    subprocess.check_output([sys.executable, "-c", code], text=True),
                    subprocess.check_output(["prepared-tool"], text=True)]
    """)
    assert out.result == ["prepared", "prepared\n", "tool\n"]


def test_a_prepared_virtual_environment_is_importable(job: Job) -> None:
    job.env.rmdir()
    venv.create(job.env, with_pip=False)
    packages = next(job.env.glob("lib/python*/site-packages"))
    (packages / "prepared.py").write_text("VALUE = 3")
    (packages / "more.pth").write_text(str(packages / "more"))
    (packages / "more").mkdir()
    (packages / "more" / "further.py").write_text("VALUE = 4")
    out = job.run("import prepared, further\ndef main(): return [prepared.VALUE, further.VALUE]")
    assert out.result == [3, 4]


def test_the_jobs_own_modules_come_before_prepared_ones_and_those_before_the_images(
    job: Job,
) -> None:
    (job.env / "helper.py").write_text("VALUE = 'prepared'")
    (job.env / "yaml.py").write_text("VALUE = 'prepared'")
    out = job.run(
        "import helper, yaml\ndef main(): return [helper.VALUE, yaml.VALUE]",
        helper__py="VALUE = 'own'",
    )
    assert out.result == ["own", "prepared"]


def test_nothing_is_installed_when_it_is_prepared_or_nothing_is_asked(job: Job) -> None:
    job.settings["PIP_NO_INDEX"] = "1"
    job.code("def main(): return 1", requirements__txt="# nothing\n\n")
    assert job.run().result == 1
    job.code("def main(): return 1", requirements__txt="no-such-package")
    (job.env / "something.py").write_text("")
    assert job.run().result == 1


def wheel(folder: Path, name: str) -> None:
    """A wheel by hand, so that nothing is fetched."""
    import zipfile

    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", f"VALUE = {name!r}")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")


def test_what_nobody_prepared_is_installed_from_both_lists(job: Job) -> None:
    for name in ("fromjob", "fromzip"):
        wheel(job.root, name)
    job.settings |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(job.root)}
    (job.job / "requirements.txt").write_text("fromjob\n")
    out = job.run(
        "import fromjob, fromzip\ndef main(): return [fromjob.VALUE, fromzip.VALUE]",
        requirements__txt="fromzip==1.0\n",
    )
    assert out.result == ["fromjob", "fromzip"]
    assert out.printed == b""


def test_requirements_that_cannot_be_met_give_pips_last_lines(job: Job) -> None:
    job.settings["PIP_NO_INDEX"] = "1"
    out = job.run("def main(): return 1", requirements__txt="no-such-package==9")
    kind, message = out.error
    assert kind == "RequirementsFailed"
    assert "No matching distribution found for no-such-package==9" in message
    assert len(message.splitlines()) <= 21
    assert "no-such-package" in out.stderr


def run_with_torch(job: Job, torch: str, main: str, fraction: str = "0.25") -> Any:
    (job.env / "torch.py").write_text(torch)
    job.settings["CUMULUS_GPU_MEMORY_FRACTION"] = fraction
    return job.run(main).result


def test_the_share_is_given_to_frameworks_by_their_variables(job: Job) -> None:
    job.settings["CUMULUS_GPU_MEMORY_FRACTION"] = "0.5"
    main = """
        import os
        def main():
            return [os.environ.get(n) for n in
                    ("XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_PREALLOCATE",
                     "TF_FORCE_GPU_ALLOW_GROWTH")]
    """
    assert job.run(main).result == ["0.5", "false", "true"]
    job.settings["XLA_PYTHON_CLIENT_MEM_FRACTION"] = "0.1"
    job.settings["XLA_PYTHON_CLIENT_PREALLOCATE"] = "true"
    assert job.run(main).result == ["0.1", "true", "true"]


FAKE_TENSORFLOW = """
class config:
    limits = {}
    @staticmethod
    def list_physical_devices(kind): return ["GPU:0", "GPU:1"] if kind == "GPU" else []
    class LogicalDeviceConfiguration:
        def __init__(self, memory_limit): self.memory_limit = memory_limit
    @staticmethod
    def set_logical_device_configuration(device, shares):
        config.limits[device] = [share.memory_limit for share in shares]
"""
TENSORFLOW_MAIN = """
import sys
assert "tensorflow" not in sys.modules  # nothing imports it for the job
import tensorflow
def main(): return tensorflow.config.limits
"""


@pytest.mark.parametrize(
    ("mib", "limits"),
    [
        ("2048,4096", {"GPU:0": [2048], "GPU:1": [4096]}),
        ("2048", {"GPU:0": [2048]}),
        ("", {}),
        ("2048,many", {}),
    ],
)
def test_tensorflow_gets_a_logical_device_of_the_shares_size(
    job: Job, mib: str, limits: Any
) -> None:
    (job.env / "tensorflow.py").write_text(FAKE_TENSORFLOW)
    job.settings |= {"CUMULUS_GPU_MEMORY_FRACTION": "0.25", "CUMULUS_GPU_MEMORY_MIB": mib}
    assert job.run(TENSORFLOW_MAIN).result == limits


def test_a_tensorflow_that_is_another_one_runs_on_and_says_so(job: Job) -> None:
    (job.env / "tensorflow.py").write_text("config = None")
    job.settings |= {"CUMULUS_GPU_MEMORY_FRACTION": "0.25", "CUMULUS_GPU_MEMORY_MIB": "1"}
    out = job.run("import tensorflow\ndef main(): return 1")
    assert out.result == 1
    assert "TensorFlow's memory share is not set" in out.stderr


def test_without_gpu_frameworks_are_left_alone(job: Job) -> None:
    assert (
        job.run("""
        import os, sys
        def main():
            return ["XLA_PYTHON_CLIENT_MEM_FRACTION" in os.environ, len(sys.meta_path)]
    """).result[0]
        is False
    )


def test_pytorch_is_limited_when_it_starts_cuda(job: Job) -> None:
    main = """
        import importlib.util
        assert importlib.util.find_spec("torch") is not None  # asking must not use the hook up
        import torch
        def main():
            before = list(torch.calls)
            for action in torch.cuda.queued:
                action()
            return [before, torch.calls]
    """
    assert run_with_torch(job, FAKE_TORCH + LAZY, main) == [[], [[0.25, 0], [0.25, 1]]]


@pytest.mark.parametrize(("available", "calls"), [("True", 2), ("False", 0)])
def test_a_pytorch_without_queue_is_limited_at_once_where_there_is_cuda(
    job: Job, available: str, calls: int
) -> None:
    torch = FAKE_TORCH.replace("available = True", f"available = {available}")
    assert len(run_with_torch(job, torch, "import torch\ndef main(): return torch.calls")) == calls


def test_the_whole_device_needs_no_limit(job: Job) -> None:
    main = "import torch\ndef main(): return torch.calls"
    assert run_with_torch(job, FAKE_TORCH, main, fraction="1") == []


def test_a_torch_that_is_none_does_not_end_the_job(job: Job) -> None:
    assert run_with_torch(job, "x = 1", "import torch\ndef main(): return torch.x") == 1


@pytest.mark.parametrize("value", ["", "nonsense", "-1", "nan", "7"])
def test_a_share_that_is_no_share_is_none(job: Job, value: str) -> None:
    main = "import torch\ndef main(): return torch.calls"
    assert run_with_torch(job, FAKE_TORCH, main, fraction=value) == []


def test_secrets_become_variables_of_the_job_alone(job: Job) -> None:
    folder = job.root / "secrets"
    folder.mkdir()
    (folder / "key").write_text("s3cret\n")
    job.settings = {
        "CUMULUS_SECRETS_DIR": str(folder),
        "CUMULUS_SECRET_ENV": json.dumps({"API_KEY": "key"}),
    }
    out = job.run("""
        import os
        def main():
            parent = open(f"/proc/{os.getppid()}/environ").read()
            return [os.environ["API_KEY"], "CUMULUS_SECRET_ENV" in os.environ, "s3cret" in parent]
    """)
    assert out.result == ["s3cret", False, False]
    job.settings["CUMULUS_SECRET_ENV"] = json.dumps({"API_KEY": "other"})
    kind, said = job.run("def main(): return 1").error
    assert kind == "FileNotFoundError"
    assert "other" in said
