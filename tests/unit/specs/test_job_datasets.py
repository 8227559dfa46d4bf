"""Datasets in a job's spec: where they may lie, what they stand for."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest
from cumulus.crd_like_specs.codec import dump_yaml, load_text
from cumulus.crd_like_specs.job import Job, JobSpec
from cumulus.crd_like_specs.job_datasets import TAKEN, DatasetMount, as_mounts

DIGEST = f"sha256:{'ab' * 32}"
KNOWN = {"digest": DIGEST, "size": 10, "extracted": 20, "format": "tar.gz"}


def spec(*datasets: dict[str, Any], **other: Any) -> JobSpec:
    given = {"image": "x", "datasets": list(datasets), **other}
    return JobSpec.model_validate(given)


def test_its_path_follows_from_what_it_is_called() -> None:
    by_name, by_digest, elsewhere = spec(
        {"name": "imagenet"}, {"digest": DIGEST}, {"name": "x", "path": "/data/x"}
    ).datasets
    assert by_name.path == "/datasets/imagenet"
    assert by_digest.path == "/datasets/abababababab"
    assert elsewhere.path == "/data/x"


@pytest.mark.parametrize("taken", [*TAKEN, "/job/data", "/usr/share/data", "/etc/ssl"])
def test_no_dataset_hides_what_a_job_needs(taken: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=f"{taken} is given.*which is taken"):
        spec({"name": "a", "path": taken})


@pytest.mark.parametrize(
    "path", ["data", "/", "/a/../b", "/a/./b", "/a//b", "/a/", "/a b", "/a:b", "/a,b", "/ä", "/a\n"]
)
def test_a_path_is_plain_and_absolute(path: str) -> None:
    with pytest.raises(pydantic.ValidationError, match="absolute path"):
        spec({"name": "a", "path": path})


@pytest.mark.parametrize("path", ["/jobs", "/tmpdata", "/data/tmp", "/home/user/x", "/mnt/a-1.b"])
def test_any_other_path_is_fine(path: str) -> None:
    assert spec({"name": "a", "path": path}).datasets[0].path == path


@pytest.mark.parametrize("other", ["/data", "/data/inner", "/data/inner/deep"])
def test_none_lies_inside_another(other: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=r"dataset b would lie at .*of dataset a"):
        spec({"name": "a", "path": "/data"}, {"name": "b", "path": other})
    assert spec({"name": "a", "path": "/data"}, {"name": "b", "path": f"/x{other}"})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "either name or digest"),
        ({"name": "Image Net"}, "lower-case letters"),
        ({"digest": "sha256:12"}, "64 hex digits"),
        ({"name": "a", "where": "/x"}, "where"),
    ],
)
def test_what_is_wrong_is_said(given: dict[str, str], expected: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=expected):
        spec(given)


def test_there_are_not_too_many() -> None:
    many = [{"name": f"d{n}"} for n in range(17)]
    assert len(spec(*many[:16]).datasets) == 16
    with pytest.raises(pydantic.ValidationError, match="17 datasets are given"):
        spec(*many)


def test_a_run_is_defined_by_content_and_place() -> None:
    one = spec({"name": "a", "path": "/data", **KNOWN}).run_hash()
    assert one == spec({"name": "b", "path": "/data", **KNOWN}).run_hash()
    assert one == spec({"path": "/data", **KNOWN}).run_hash()
    assert one != spec({"name": "a", "path": "/other", **KNOWN}).run_hash()
    newer = {**KNOWN, "digest": f"sha256:{'cd' * 32}"}
    assert one != spec({"name": "a", "path": "/data", **newer}).run_hash()
    assert spec().run_hash() == JobSpec.model_validate({"image": "x"}).run_hash()


def test_the_order_in_which_they_are_given_means_nothing() -> None:
    a, b = {"name": "a", **KNOWN}, {"name": "b", **KNOWN}
    assert spec(a, b).run_hash() == spec(b, a).run_hash()


def test_the_name_of_a_file_is_part_of_what_a_job_reads() -> None:
    file = {**KNOWN, "format": "file", "filename": "a.csv"}
    assert spec(file).run_hash() != spec({**file, "filename": "b.csv"}).run_hash()
    assert spec(KNOWN).run_hash() == spec({**KNOWN, "filename": "other.tar.gz"}).run_hash()


def test_a_file_of_specs_says_them_and_is_written_back_the_same() -> None:
    text = """
apiVersion: cumulus.dev/v1
kind: Job
metadata: {name: train}
spec:
  image: x
  datasets:
    - name: imagenet
    - {name: labels, path: /data/labels}
"""
    job = load_text(text)[0]
    assert isinstance(job, Job)
    assert job.spec.datasets == (
        DatasetMount(name="imagenet", path="/datasets/imagenet"),
        DatasetMount(name="labels", path="/data/labels"),
    )
    again = load_text(dump_yaml(job))[0]
    assert isinstance(again, Job)
    assert again.spec == job.spec


def test_datasets_may_be_written_short() -> None:
    short = ["photos", "photos:/data/p", DIGEST, f"{DIGEST}:/d", {"name": "a", "path": "/b"}]
    assert as_mounts(short) == [
        {"name": "photos"},
        {"name": "photos", "path": "/data/p"},
        {"digest": DIGEST},
        {"digest": DIGEST, "path": "/d"},
        {"name": "a", "path": "/b"},
    ]
