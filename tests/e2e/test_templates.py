"""Templates and image jobs on the real Swarm: what is shipped runs, with PyTorch, and what is refused."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from system import ROOT, System

pytestmark = [pytest.mark.docker, pytest.mark.chronos]

SECRET = "s3cret-of-the-boss"
ADMIN, HERS = "admin-token-0123456789", "hers-token-0123456789"

INFER = """
import json, os, sys
import torch

weights = torch.load("weights.pth", weights_only=True)
answer = {"sum": float(weights.sum()), "arguments": sys.argv[1:]}
with open(os.environ["CUMULUS_OUTPUTS"] + "/answer.json", "w") as file:
    json.dump(answer, file)
print("the answer is", answer["sum"])
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def torch() -> str:
    """The job image with PyTorch, built where it is not there yet."""
    done = subprocess.run(
        [ROOT / "image" / "build-torch.sh"],
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return "cumulus-job:torch"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, torch: str) -> Iterator[System]:
    """A controller with tokens, which runs few images; `cumulusctl` as its admin."""
    folder = tmp_path_factory.mktemp("templates")
    system = System(folder, "swarm")
    (folder / "tokens").write_text(f"admin:boss:{ADMIN}\nsubmitter:hers:{HERS}\n")
    (folder / "tokens").chmod(0o600)
    (folder / "admin").write_text(ADMIN)
    (folder / "hers").write_text(HERS)
    config = json.loads(system.config.read_text())
    config |= {
        "runtimes": {"torch": torch},
        "images": ["cumulus-job:latest"],
        "tokensFile": str(folder / "tokens"),
        "secrets": {"folder": str(folder / "secrets")},
    }
    (folder / "secrets" / "boss").mkdir(parents=True)
    (folder / "secrets" / "boss" / "key").write_text(SECRET)
    (folder / "secrets" / "boss" / "key").chmod(0o600)
    system.config.write_text(json.dumps(config))
    system.options += ("--token-file", str(folder / "admin"))
    system.start()
    yield system
    system.stop()


def run(system: System, template: str, *words: str) -> dict[str, Any]:
    done = system.ctl("run", "--template", template, "--name", words[0], *words[1:])
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def left(system: System, job: str, path: str) -> bytes:
    """A file that the job left in its outputs."""
    done = system.ctl("outputs", "get", job, path, "-o", str(system.folder / f"{job}-left"))
    assert done.returncode == 0, done.stderr
    return (system.folder / done.stdout.strip()).read_bytes()


def test_echo_params_tells_what_it_was_given(house: System) -> None:
    folder = house.folder / "photos"
    folder.mkdir()
    (folder / "cat.txt").write_text("meow")
    done = house.ctl("datasets", "put", "photos", "--name", "photos")
    assert done.returncode == 0, done.stderr
    given = ("-p", "dataset=photos", "-p", "message=a b; $(id)", "-p", "number=2.5")
    found = run(house, "echo_params", "echoed", *given, "-p", "arguments=x", "-p", "arguments=y z")
    assert found["dataset"] == "/datasets/photos"
    assert found["files"] == ["/datasets/photos/cat.txt"]
    assert (found["message"], found["arguments"]) == ("a b; $(id)", ["x", "y z"])
    assert 'message="a b; $(id)"' in house.logs("echoed")
    assert json.loads(left(house, "echoed", "params.json")) == found
    made = house.job("echoed")["metadata"]
    assert made["annotations"]["cumulus.dev/template"] == "echo_params"


def test_pytorch_example_trains_and_leaves_its_weights(house: System) -> None:
    found = run(house, "pytorch_example", "trained", "-p", "epochs=20", "--memory", "1Gi")
    log = house.logs("trained")
    assert found["device"] == "cuda" or "no GPU is here: on the CPU" in log
    assert found["losses"][-1] < found["losses"][0]
    assert json.loads(left(house, "trained", "metrics.json")) == found
    assert left(house, "trained", "weights/model.pth").startswith(b"PK")


def test_pytorch_infer_runs_the_script_that_the_dataset_brings(house: System) -> None:
    folder = house.folder / "model"
    folder.mkdir(exist_ok=True)
    (folder / "infer.py").write_text(INFER)
    make = 'import torch; torch.save(torch.ones(5), "/out/weights.pth")'
    made = subprocess.run(
        ["docker", "run", "--rm", "--user", "0", "--network", "none", "--entrypoint", "python3",
         "-v", f"{folder}:/out", "cumulus-job:torch", "-c", make],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    done = house.ctl("datasets", "put", "model", "--name", "model")
    assert done.returncode == 0, done.stderr
    given = ("-p", "dataset=model", "-p")
    assert run(house, "pytorch_infer", "inferred", *given, 'arguments=["0", "--top"]') == {
        "script": "infer.py",
        "exit_code": 0,
    }
    answer = json.loads(left(house, "inferred", "answer.json"))
    assert answer == {"sum": 5.0, "arguments": ["0", "--top"]}
    failed = house.ctl("run", "-t", "pytorch_infer", "--name", "f", *given, 'arguments=["3"]')
    assert failed.returncode == 3
    assert "the answer is 5.0" in house.logs("f")
    house.clean()


def image_job(name: str, *command: str, **spec: Any) -> str:
    body = {"image": "cumulus-job:latest", "command": list(command), "duration": 60, **spec}
    small = {"resources": {"cpus": "50m", "memory": "64Mi"}}
    head = {"apiVersion": "cumulus.dev/v1", "kind": "Job", "metadata": {"name": name}}
    return json.dumps({**head, "spec": {**small, **body}})


def test_an_image_job_is_whom_it_says_and_ends_with_its_own_code(house: System) -> None:
    tell = 'echo "$(id -u):$(id -g) $WHO" >&2; touch /results/mine; exit 3'
    for name, user, seen in (("plain", "", "1000:1000"), ("other", "1234", "1234:1234")):
        text = image_job(name, "sh", "-c", tell, user=user, env={"WHO": name})
        done = house.apply(text, "--wait")
        assert done.returncode == 3, done.stderr
        assert f"{seen} {name}" in house.logs(name)
        assert left(house, name, "mine") == b""
    done = house.apply(image_job("root", "sh", "-c", "id -u", user="0"), "--wait")
    assert done.returncode == 0, done.stderr
    assert house.logs("root") == "0\n"
    house.clean()


def test_a_secret_reaches_its_owners_job_and_nobody_else(house: System) -> None:
    main = "import os\ndef main():\n    return [os.environ['KEY'][::-1], open('/run/secrets/key').read()[::-1]]"
    spec = {"code": {"files": {"main.py": main}}, "secrets": [{"name": "key", "env": "KEY"}]}
    head = {"apiVersion": "cumulus.dev/v1", "kind": "Job", "metadata": {"name": "secret"}}
    text = json.dumps({**head, "spec": spec})
    done = house.apply(text, "--wait")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [SECRET[::-1]] * 2
    refused = house.ctl("--token-file", str(house.folder / "hers"), "apply", "-", stdin=text)
    assert (refused.returncode, "taken" in refused.stderr or "no secret" in refused.stderr) == (
        2,
        True,
    )
    house.clean()
    left = subprocess.run(
        ["docker", "secret", "ls", "-q"], capture_output=True, text=True, check=True
    )
    assert left.stdout == ""
    data = house.folder / "data"
    kept = [
        path for path in data.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()
    ]
    assert (kept, SECRET in house.log.read_text()) == ([], False)


def test_root_and_other_images_are_refused(house: System) -> None:
    hers = ("--token-file", str(house.folder / "hers"))
    for text, code, expected in (
        (image_job("no", "id", user="0"), 6, "a token with the permission root"),
        (image_job("no", "id", user="root"), 6, "a token with the permission root"),
        (image_job("no", "id", image="alpine"), 2, "'alpine' is not among the images"),
    ):
        done = house.ctl(*hers, "apply", "-", stdin=text)
        assert done.returncode == code, done.stderr
        assert expected in done.stderr
    missing = json.loads(image_job("no"))
    missing["spec"] = {"code": {"files": {"main.py": "def main(): pass"}}, "runtime": "jax"}
    done = house.apply(json.dumps(missing))
    assert done.returncode == 2
    assert "there is no runtime 'jax': this controller has torch" in done.stderr
