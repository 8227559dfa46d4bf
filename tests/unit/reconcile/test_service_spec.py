"""From a job and its held lease to what a platform is asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cumulus.controller.reconcile.actions import Mount, SecretFile, ServiceSpec
from cumulus.controller.reconcile.service_spec import service_spec
from make import UID, job, lease, worker

NAME = f"cumulus-{UID}-1"
CAP = {"env": {"CUMULUS_RLIMIT_DATA": "600"}}


def made(status: dict[str, Any] | None = None, **fields: Any) -> ServiceSpec:
    return service_spec(job(**fields), lease(status=status or {}), worker(), "sha256:default")


def test_code_runs_in_the_default_image_with_its_folders() -> None:
    service = made()
    assert (service.name, service.uid, service.image) == (NAME, UID, "sha256:default")
    assert (service.command, service.args) == ((), ())
    staged = f"/var/lib/cumulus/staged/{NAME}"
    assert service.mounts == (Mount(f"{staged}/job", "/job"), Mount(f"{staged}/env", "/env"))


def test_an_image_brings_all_but_its_command_and_arguments() -> None:
    service = made(image="alpine", command=("echo",), args=["hi"], network="Egress")
    assert (service.image, service.command, service.args) == ("alpine", ("echo",), ("hi",))
    assert (service.mounts, service.isolated) == ((), False)


def test_the_lease_says_what_the_environment_holds_whatever_the_job_says() -> None:
    env = made(
        {"partition_ids": ("p1", "p2"), "env": {"NVIDIA_VISIBLE_DEVICES": "GPU-1"}},
        env={"A": "b", "JOB_ID": "mine", "NVIDIA_VISIBLE_DEVICES": "all"},
    ).env
    assert env["JOB_ID"] == UID
    assert env["CHRONOS_PARTITION_ID"] == "p1,p2"
    assert env["GPU_DEVICE"] == "0"
    assert env["CUMULUS_GPU_MEMORY_FRACTION"] == "0.5"
    assert env["CUMULUS_DEADLINE"] == "1060.000"
    assert env["NVIDIA_VISIBLE_DEVICES"] == "GPU-1"
    assert env["A"] == "b"


@pytest.mark.parametrize(
    ("fields", "status", "data"),
    [
        ({"image": "alpine"}, CAP, 600),
        ({"image": "alpine"}, {}, 0),
        ({"image": "alpine"}, {"env": {"CUMULUS_RLIMIT_DATA": "-1"}}, 0),
        ({}, CAP, 0),  # the runner sets it, and can tell when it is reached
    ],
)
def test_a_cap_on_data_is_the_platforms_where_no_runner_sets_it(
    fields: dict[str, Any], status: dict[str, Any], data: int
) -> None:
    assert made(status, **fields).data == data


PIPES = {"source": "/run/mps", "target": "/run/nvidia-mps"}


def given(*mounts: dict[str, str], **fields: Any) -> tuple[Mount, ...]:
    return made({"mounts": mounts}, **fields).mounts


def test_the_pipes_of_mps_are_mounted_where_the_lease_gives_them() -> None:
    assert given(PIPES, image="alpine") == (Mount("/run/mps", "/run/nvidia-mps"),)
    assert given(PIPES)[2:] == (Mount("/run/mps", "/run/nvidia-mps"),)


@pytest.mark.parametrize(
    "mount",
    [
        {"source": "/", "target": "/run/nvidia-mps"},
        {"source": "/var/run/docker.sock", "target": "/run/nvidia-mps"},
        {"source": "/run/mps/../docker.sock", "target": "/run/nvidia-mps"},
        {"source": "/run/mps", "target": "/job"},
    ],
)
def test_a_lease_that_reports_other_folders_mounts_nothing(mount: dict[str, str]) -> None:
    assert given(mount, image="alpine") == ()


def test_who_leases_no_nvidia_device_sees_none() -> None:
    env = {"NVIDIA_VISIBLE_DEVICES": "all"}
    assert made(image="cuda", env=env).env["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_a_lease_without_devices_names_no_share() -> None:
    what = job(gpu=None)
    env = service_spec(what, lease(devices=(), memory_milli=0), worker(), "sha256:default").env
    assert env["GPU_DEVICE"] == ""
    assert "CUMULUS_GPU_MEMORY_FRACTION" not in env


def test_datasets_are_read_only_and_named_in_the_environment() -> None:
    given = [{"name": "photos"}, {"digest": f"sha256:{'a' * 64}", "path": "/data/x"}]
    service = made(datasets=given)
    photos, other = service.mounts[2:]
    assert (photos.target, other.target) == ("/datasets/photos", "/data/x")
    assert not photos.writable
    assert not other.writable
    assert photos.source.startswith(f"/var/lib/cumulus/staged/{NAME}/datasets/")
    told = json.loads(service.env["CUMULUS_DATASETS"])
    assert told == {"photos": "/datasets/photos", "aaaaaaaaaaaa": "/data/x"}
    assert set(made(datasets=given[::-1]).mounts) == set(service.mounts), "order means nothing"
    assert "CUMULUS_DATASETS" not in made().env


def test_secrets_are_named_and_never_told() -> None:
    mounts = [{"name": "key"}, {"name": "db", "file": "password", "env": "DB"}]
    service = made(secrets=mounts, meta={"owner": "hers"})
    assert service.secrets == (
        SecretFile("key", "key", "hers"),
        SecretFile("db", "password", "hers"),
    )
    assert service.env["CUMULUS_SECRETS_DIR"] == "/run/secrets"
    assert json.loads(service.env["CUMULUS_SECRET_ENV"]) == {"DB": "password"}
    assert "CUMULUS_SECRETS_DIR" not in made().env
