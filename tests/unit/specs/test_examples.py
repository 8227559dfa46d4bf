"""The examples: every one loads, has its code packed, and shows what its name says."""

from pathlib import Path

import pytest
from cumulus.crd_like_specs.codec import dump_yaml, load_sources, load_text
from cumulus.crd_like_specs.job import Cause, Job
from cumulus.crd_like_specs.packing import digest, resolve_code

FOLDER = Path(__file__).resolve().parents[3] / "crd_like_specs" / "examples"
FILES = sorted(FOLDER.glob("*.yaml"))


def jobs(name: str) -> list[Job]:
    found = [one.resource for one in load_sources([FOLDER / name])]
    assert all(isinstance(one, Job) for one in found)
    return [one for one in found if isinstance(one, Job)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_example_loads_reads_back_and_packs(path: Path) -> None:
    assert path.read_text().startswith("# "), "an example says first what it shows"
    for job in jobs(path.name):
        assert load_text(dump_yaml(job)) == [job]
        packed, data = resolve_code(job, FOLDER)
        if job.spec.code is None:
            assert data is None
        else:
            assert data is not None
            assert packed.spec.code is not None
            assert packed.spec.code.digest == digest(data)


def test_they_load_as_a_folder_and_no_name_is_used_twice() -> None:
    names = [one.resource.metadata.name for one in load_sources([FOLDER])]
    assert len(names) == len(set(names)) >= len(FILES) == 10


def test_each_shows_what_it_is_named_after() -> None:
    (hello,), (overrun,), (large,) = (
        jobs("hello.yaml"),
        jobs("overrun.yaml"),
        jobs("too-large.yaml"),
    )
    assert hello.spec.gpu is not None
    assert overrun.spec.duration == 5
    assert large.spec.gpu is not None
    assert (large.spec.gpu.memory, large.spec.gpu.count) == (1000, 64)
    halves = jobs("halves.yaml")
    assert [job.spec.gpu and job.spec.gpu.memory for job in halves] == [500, 500, 500]
    (retry,) = jobs("retry.yaml")
    assert retry.spec.retry.limit == 2
    assert Cause.ERROR in retry.spec.retry.on
    assert jobs("image-job.yaml")[0].spec.image
    assert jobs("requirements.yaml")[0].spec.requirements
    (choosy,) = jobs("constraints.yaml")
    assert choosy.spec.node_selector == {"cumulus.dev/worker": "*", "spot": "!true"}
