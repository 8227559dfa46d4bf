"""Names and arguments of the scripts that build and push the workloads' images."""

from __future__ import annotations

import subprocess

import pytest
from workload_kit import FOLDER


def bash(code: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euc", f". ./images.sh; {code}", "build-local.sh", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        cwd=FOLDER,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **env},
    )


@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        ("", "cloudai-io-intensive"),
        ("someone", "someone/cloudai-io-intensive"),
        ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b/cloudai-io-intensive"),
    ],
)
def test_names_and_tags_are_the_documented_ones(prefix: str, name: str) -> None:
    done = bash("repository io; tags io | xargs; tags gpu | xargs", DOCKER_USERNAME=prefix)
    assert done.stdout.splitlines() == [name, "1 2 3 4 5 6 7 latest", "1 2 3 4 5 6 latest"]
    assert bash("EXTRA_TAG=v1.0; tags gpu | tail -n 1").stdout == "v1.0\n"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--prefix", "Some One"], "--prefix 'Some One' is no name of images"),
        (["--prefix", "-x"], "--prefix '-x' is no name of images"),
        (["--prefix", "a;b"], "--prefix 'a;b' is no name of images"),
        (["--tag", "v 1"], "--tag 'v 1' is no tag"),
        (["--wheels", "/no/such/folder"], "'/no/such/folder' is no folder"),
        (["tpu"], "unknown argument 'tpu'"),
    ],
)
def test_wrong_arguments_are_refused(wrong: list[str], said: str) -> None:
    done = bash('parse_arguments "$@"', *wrong)
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]
