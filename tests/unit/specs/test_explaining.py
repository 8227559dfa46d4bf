"""What `cumulusctl explain` says: every field of every kind, and what comes nearest to a wrong one."""

from __future__ import annotations

import pytest
import yaml
from cumulus.crd_like_specs.codec import KINDS
from cumulus.crd_like_specs.errors import NotFoundError
from cumulus.crd_like_specs.explaining import explain, leaves


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_a_type_and_a_description(kind: str) -> None:
    bare = [
        found.path
        for found in leaves(kind)
        if not found.description or found.type in ("", "anything")
    ]
    assert bare == []


def test_a_field_is_told_whole() -> None:
    memory = explain("job.spec.gpu.memory")
    assert (memory.kind, memory.path, memory.type) == ("Job", "job.spec.gpu.memory", "quantity")
    assert (memory.default, memory.bounds) == ("1.0", "more than 0, at most 1")
    assert "fraction of each device's memory" in memory.description
    assert yaml.safe_load(memory.example)["spec"]["gpu"]["memory"]


def test_a_mapping_shows_what_it_holds() -> None:
    gpu = explain("jobspec.spec.gpu")
    assert gpu.type == "Gpu"
    assert [child.name for child in gpu.children] == ["memory", "count", "type"]
    assert gpu.children[1].default == "1"
    assert gpu.description.startswith("the share of GPU")


@pytest.mark.parametrize("path", ["job.spec.gpu", "jobs.spec.gpu", "Job.spec.gpu", "jobspec.gpu"])
def test_kinds_are_named_in_several_ways(path: str) -> None:
    assert explain(path).path == "job.spec.gpu"


def test_lists_are_gone_through_to_their_items() -> None:
    assert explain("job.status.attempts.cause").choices[0] == "Error"
    assert explain("job.spec.retry.on").type == "list of text"
    assert "WorkerLost" in explain("job.spec.retry.on").choices


def test_choices_and_defaults_of_words() -> None:
    found = explain("job.spec.network")
    assert (found.choices, found.default) == (("None", "Egress"), "None")


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("job.spec.gpus", "did you mean job.spec.gpu?"),
        ("job.spec.nodeselector", "did you mean job.spec.nodeSelector?"),
        ("job.spec.shm", "there is job.spec.resources.shm"),
        ("job.spec.gpu.memory.more", "nothing is below it"),
        ("jbo.spec", "did you mean job?"),
        ("pod", "expected job, lease, worker"),
        ("", "there is no kind ''"),
    ],
)
def test_a_wrong_path_is_answered_with_what_comes_nearest(path: str, hint: str) -> None:
    with pytest.raises(NotFoundError) as error:
        explain(path)
    assert hint in error.value.message
