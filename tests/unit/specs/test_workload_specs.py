"""The specs of the workloads: one each, for its own image, within what is documented."""

from __future__ import annotations

from pathlib import Path

import pytest
from cumulus.crd_like_specs.codec import dump_yaml, load_sources, load_text
from cumulus.crd_like_specs.job import Job
from cumulus.image.workloads.harness import settings
from workload_kit import NAMES, script

FOLDER = Path(__file__).resolve().parents[3] / "crd_like_specs" / "examples" / "workloads"
JOBS = [one.resource for one in load_sources([FOLDER]) if isinstance(one.resource, Job)]
MEMORY = {"io": 512 << 20, "cpu": 512 << 20, "gpu": 2 << 30}


def test_each_workload_has_one() -> None:
    assert sorted(job.metadata.name.replace("-", "_") for job in JOBS) == NAMES
    assert len(list(FOLDER.iterdir())) == len(JOBS) == 20


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.metadata.name)
def test_it_runs_its_workload_within_the_documented_limits(job: Job) -> None:
    kind, _, number = job.metadata.name.split("-")
    name = job.metadata.name.replace("-", "_")
    spec = job.spec
    assert load_text(dump_yaml(job)) == [job]
    assert spec.image == f"cloudai-{kind}-intensive:{number}"
    assert spec.command == ("python", script(name).name)
    assert script(name).exists()
    given = settings.parse(name, "", [str(one) for one in spec.args], {})
    assert given.rounds == (10, 30)
    # Without its arguments too it ends by itself, before its lease does.
    assert 30 <= spec.duration - given.seconds <= 60
    assert (spec.gpu.memory if spec.gpu else 0) == (250 if kind == "gpu" else 0)
    assert spec.resources.cpus <= 1000
    assert spec.resources.memory == MEMORY[kind]
    assert spec.network == "None"
    assert job.metadata.labels == {"workload": kind}
