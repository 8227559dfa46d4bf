"""What is taken in: runtimes that there are, images that are allowed, root by those who may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cumulus.api.viewer import EVERYTHING, Viewer
from cumulus.controller.platforms.allowed_images import AllowedImages
from cumulus.controller.platforms.secret_values import SecretFolder
from cumulus.controller.runtime.admission import Admission
from cumulus.crd_like_specs.errors import ForbiddenError, ValidationError
from cumulus.crd_like_specs.job import Job, JobSpec
from cumulus.crd_like_specs.meta import ObjectMeta
from make import DIGEST
from runtime_kit import Kit

HERS = Viewer("hers", own_only=True)
TRUSTED = Viewer("hers", own_only=True, permissions=frozenset({"root"}))


def a_job(**spec: Any) -> Job:
    return Job(metadata=ObjectMeta(name="a"), spec=JobSpec.model_validate(spec))


def admission(kit: Kit, **given: Any) -> Admission:
    return Admission("swarm", kit.blobs, **given)


async def test_a_runtime_that_there_is_not_is_told_with_those_there_are(kit: Kit) -> None:
    job = a_job(code={"digest": DIGEST}, runtime="torch")
    with pytest.raises(ValidationError, match="no runtime 'torch': this controller has none but"):
        await admission(kit).admit(job, keep=True)
    others = admission(kit, runtimes={"jax": "job:jax", "tf": "job:tf"})
    with pytest.raises(ValidationError, match="no runtime 'torch': this controller has jax, tf"):
        await others.admit(job, keep=True)
    assert await admission(kit, runtimes={"torch": "job:torch"}).admit(job, keep=True) == job
    with pytest.raises(ValidationError, match="in the controller's own Python alone"):
        await Admission("process", kit.blobs, runtimes={"torch": "x"}).admit(job, keep=True)


async def test_an_image_that_is_not_allowed_is_told_with_those_that_are(kit: Kit) -> None:
    some = admission(kit, images=AllowedImages(["alpine", "registry.io/team/*"]))
    assert await some.admit(a_job(image="alpine:3"), keep=True)
    with pytest.raises(ValidationError) as error:
        await some.admit(a_job(image="registry.io/a"), keep=True)
    assert str(error.value) == (
        "spec.image: 'registry.io/a' is not among the images that this controller runs: "
        "expected alpine, registry.io/team/*"
    )


@pytest.mark.parametrize("user", ["0", "root", "0:0", "1000:0", "nobody", "5:staff", "0:5"])
async def test_root_and_what_may_be_root_is_for_those_who_may(kit: Kit, user: str) -> None:
    job = a_job(image="alpine", user=user)
    with pytest.raises(ForbiddenError, match="a token with the permission root"):
        await admission(kit).admit(job, keep=True, viewer=HERS)
    for viewer in (TRUSTED, EVERYTHING, Viewer("boss")):
        assert await admission(kit).admit(job, keep=True, viewer=viewer) == job


@pytest.mark.parametrize("user", ["", "1000", "1:1", "65534:65534"])
async def test_other_users_are_for_everybody(kit: Kit, user: str) -> None:
    job = a_job(image="alpine", user=user)
    assert await admission(kit).admit(job, keep=True, viewer=HERS) == job


@pytest.mark.parametrize("user", ["-1", "01", "1:", ":1", "1:2:3", "a b", "4294967296", "1\n"])
def test_what_is_no_user_is_told(user: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        a_job(image="alpine", user=user)


async def test_root_is_asked_of_who_submits(kit: Kit) -> None:
    for submit in (
        kit.desired.submit(a_job(image="alpine", user="0"), idempotency_key="", viewer=HERS),
        kit.desired.apply(a_job(image="alpine", user="0"), dry_run=True, viewer=HERS),
    ):
        with pytest.raises(ForbiddenError):
            await submit


async def test_secrets_are_the_owners_and_known_before_a_job_waits(
    kit: Kit, tmp_path: Path
) -> None:
    folder = tmp_path / "secrets"
    (folder / "hers").mkdir(parents=True)
    (folder / "hers" / "key").write_text("s3cret")
    (folder / "hers" / "key").chmod(0o600)
    some = admission(kit, secrets=SecretFolder(folder))
    job = a_job(image="alpine", secrets=[{"name": "key"}])
    assert await some.admit(job, keep=True, viewer=HERS) == job
    for refusing, viewer, why in (
        (some, Viewer("his", own_only=True), "there is no secret 'key' for his"),
        (admission(kit), HERS, "this controller has no secrets"),
    ):
        with pytest.raises(ValidationError, match=r"spec.secrets\[0\].name: ") as error:
            await refusing.admit(job, keep=True, viewer=viewer)
        assert why in str(error.value)


@pytest.mark.parametrize(
    ("secrets", "expected"),
    [
        ([{"name": "../x"}], r"secrets.0.name"),
        ([{"name": "x", "file": "a/b"}], r"secrets.0.file"),
        ([{"name": "x"}, {"name": "y", "file": "x"}], "file /run/secrets/x is given twice"),
        ([{"name": "x", "env": "A"}], "variable A is given twice"),
    ],
)
def test_what_secrets_cannot_be(secrets: list[dict[str, str]], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        a_job(code={"digest": DIGEST}, env={"A": "b"}, secrets=secrets)
