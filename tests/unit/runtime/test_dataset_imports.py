"""Imports from S3 (moto's server over HTTP) and from folders: what is configured, as it is, no more."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cumulus.api.datasets import DatasetsPort, ImportProgress, ImportWanted
from cumulus.controller.config import load_config
from cumulus.controller.dataset_settings import BucketConfig, RootConfig
from cumulus.controller.runtime.dataset_bucket import RANGE
from cumulus.crd_like_specs.archives.making import Packed, packed_size, stream
from cumulus.crd_like_specs.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnavailableError,
    ValidationError,
)
from dataset_kit import DatasetKit, content, digest
from hypothesis import given
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

LARGE = os.urandom(1 << 20) * 20 + b"end"
SECRET = "not-for-anybodys-eyes"


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    """An S3 with the buckets `research` and `other`; its endpoint."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    from botocore.session import Session

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_PROFILE", raising=False)
        client: Any = Session().create_client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key=SECRET,
        )
        for bucket in ("research", "other"):
            client.create_bucket(Bucket=bucket)
        for key, body in (
            ("public/large.bin", LARGE),
            ("public/photos/a.jpg", b"a"),
            ("public/photos/deep/b.jpg", b"bb"),
            ("public/photos/", b""),
            ("public/empty", b""),
            ("public-not/x", b"x"),
            ("private/x", b"x"),
        ):
            client.put_object(Bucket="research", Key=key, Body=body)
        client.close()
        yield endpoint
    server.stop()


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    file = tmp_path / "research.s3"
    file.write_text(f"# of the operator\nkey\n{SECRET}\n")
    return file


@pytest.fixture
def kit(tmp_path: Path, storage: str, credentials: Path) -> DatasetKit:
    research = BucketConfig(
        bucket="research", prefix="public", endpoint=storage, credentials_file=credentials
    )
    (tmp_path / "root").mkdir()
    root = RootConfig(name="shared", path=tmp_path / "root")
    return DatasetKit(tmp_path / "datasets", buckets=[research], roots=[root])


async def fetched(datasets: DatasetsPort, url: str, **wanted: Any) -> list[ImportProgress]:
    return [step async for step in datasets.import_(ImportWanted(url, **wanted))]


async def test_an_object_is_fetched_in_ranges(kit: DatasetKit) -> None:
    steps = await fetched(kit.ann, "s3://research/public/large.bin", name="large")
    made = steps[-1].dataset
    assert made is not None
    assert (made.spec.digest, made.spec.filename) == (digest(LARGE), "large.bin")
    assert [step.received for step in steps] == [RANGE, 2 * RANGE, len(LARGE)]
    assert {step.size for step in steps} == {len(LARGE)}
    assert await content(kit.ann, "large") == LARGE
    with pytest.raises(NotFoundError):
        await kit.bob.get("large")
    (empty,) = await fetched(kit.ann, "s3://research/public/empty")
    assert empty.dataset is not None
    assert empty.dataset.spec.size == 0


async def test_a_prefix_is_fetched_as_one_tar(kit: DatasetKit) -> None:
    steps = await fetched(kit.ann, "s3://research/public/photos/", name="photos")
    made = steps[-1].dataset
    assert made is not None
    assert (made.spec.format, made.spec.filename, made.status.files) == ("tar", "photos.tar", 2)
    assert steps[-1].received == steps[-1].size == made.spec.size
    with tarfile.open(fileobj=io.BytesIO(await content(kit.ann, "photos"))) as tar:
        assert {one.name: one.size for one in tar} == {"a.jpg": 1, "deep/b.jpg": 2}


@pytest.mark.parametrize(
    ("url", "kind", "words"),
    [
        ("s3://research/private/x", ForbiddenError, r"datasets\.buckets"),
        ("s3://research/public-not/x", ForbiddenError, r"datasets\.buckets"),
        ("s3://research/public/../private/x", ValidationError, r"no empty, '\.' or '\.\.'"),
        ("s3://research/public//x", ValidationError, "no empty"),
        ("s3://other/public/x", ForbiddenError, r"datasets\.buckets"),
        ("s3://research/public/none", NotFoundError, "is not there"),
        ("s3://research/public/none/", NotFoundError, "nothing below"),
        ("s3://research/public/photos", NotFoundError, "end it with a slash"),
        ("file:///etc/passwd", ValidationError, "expected s3://bucket/key"),
        ("http://169.254.169.254/x", ValidationError, "expected s3://bucket/key"),
        ("s3://", ValidationError, "expected s3://bucket/key"),
        ("mount://shared/../x", ValidationError, "no empty"),
        ("mount://shared/none", NotFoundError, "No such file"),
    ],
)
async def test_what_may_not_be_fetched(
    kit: DatasetKit, url: str, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as error:
        await fetched(kit.ann, url)
    assert str(kit.store.uploads.parent) not in str(error.value)
    assert list(kit.store.uploads.iterdir()) == []


async def test_errors_tell_neither_endpoint_nor_secret(
    tmp_path: Path, credentials: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    gone = BucketConfig(
        bucket="research", endpoint="http://127.0.0.1:1", credentials_file=credentials
    )
    missing = BucketConfig(bucket="nokey", credentials_file=tmp_path / "none")
    kit = DatasetKit(tmp_path / "datasets", buckets=[gone, missing])
    with pytest.raises(UnavailableError, match="cannot be read now") as error:
        await fetched(kit.ann, "s3://research/x")
    with pytest.raises(UnavailableError, match="credentials for bucket nokey cannot be read") as no:
        await fetched(kit.ann, "s3://nokey/x")
    assert str(tmp_path) not in str(no.value)
    said = str(error.value) + "".join(capfd.readouterr())
    assert "127.0.0.1" not in said
    assert SECRET not in said


async def test_a_folder_of_a_mount_is_one_tar_and_no_link_is_followed(
    kit: DatasetKit, tmp_path: Path
) -> None:
    top = tmp_path / "root" / "speech"
    (top / "b" / "empty").mkdir(parents=True)
    (top / "b" / "two.wav").write_bytes(b"22")
    (top / "one.wav").write_bytes(b"1")
    (steps) = await fetched(kit.ann, "mount://shared/speech", name="speech")
    made = steps[-1].dataset
    assert made is not None
    assert (made.spec.filename, made.status.files) == ("speech.tar", 2)
    assert (await fetched(kit.ann, "mount://shared/speech/", digest=made.spec.digest))[-1].dataset
    with tarfile.open(kit.store.path(made.spec.digest)) as tar:
        assert [one.name for one in tar] == ["b/empty", "b/two.wav", "one.wav"]
    (top / "b" / "out").symlink_to("/etc/passwd")
    with pytest.raises(ValidationError, match="mount://shared/speech/b/out: is a link"):
        await fetched(kit.ann, "mount://shared/speech", name="again")
    (tmp_path / "root" / "loop").symlink_to(tmp_path)
    for path in ("loop", "loop/research.s3"):
        with pytest.raises(NotFoundError, match="a link"):
            await fetched(kit.ann, f"mount://shared/{path}")
    os.mkfifo(tmp_path / "root" / "pipe")
    with pytest.raises(ValidationError, match="mount://shared/pipe cannot be imported: expected"):
        await fetched(kit.ann, "mount://shared/pipe")


async def test_what_changes_while_it_is_read_is_not_taken(kit: DatasetKit, tmp_path: Path) -> None:
    file = tmp_path / "root" / "log"
    file.write_bytes(LARGE)
    steps: Any = kit.ann.import_(ImportWanted("mount://shared/log", "log"))
    await anext(steps)
    os.utime(file, (1, 1))
    await anext(steps)
    with pytest.raises(ConflictError, match="changed while it was read"):
        await anext(steps)
    assert list(kit.store.uploads.iterdir()) == []
    assert await kit.ann.list() == ()


async def test_an_import_that_nobody_waits_for_any_more_leaves_nothing(
    kit: DatasetKit, tmp_path: Path
) -> None:
    (tmp_path / "root" / "large").write_bytes(LARGE)
    steps: Any = kit.ann.import_(ImportWanted("mount://shared/large", "large"))
    assert (await anext(steps)).received == 8 << 20
    await steps.aclose()
    assert list(kit.store.uploads.iterdir()) == []
    with pytest.raises(NotFoundError):
        await kit.ann.get("large")


async def test_a_digest_that_it_must_have(kit: DatasetKit) -> None:
    with pytest.raises(ValidationError, match="was announced"):
        await fetched(kit.ann, "s3://research/public/photos/a.jpg", digest=digest(b"b"))


def test_the_configuration_says_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "datasets:\n  keep: 7d\n  buckets:\n  - {bucket: research, prefix: public}\n"
        "  roots: [{name: a, path: /mnt/a}]\n"
    )
    found = load_config(file).datasets
    assert (found.keep, found.buckets[0].prefix) == (7 * 86400, "public/")
    file.write_text(
        "datasets:\n  keep: 1s\n  buckets:\n  - {bucket: A, prefix: ../x, endpoint: x}\n"
        "  roots: [{name: a, path: mnt/a}]\n"
    )
    with pytest.raises(ValidationError) as error:
        load_config(file)
    for path in (
        "keep",
        "buckets[0].bucket",
        "buckets[0].prefix",
        "buckets[0].endpoint",
        "roots[0]",
    ):
        assert f"datasets.{path}" in str(error.value)


@given(
    sizes=st.lists(st.integers(0, 1500), min_size=1, max_size=5),
    offset=st.integers(0, 12_000),
)
def test_a_tar_is_the_same_from_any_offset(sizes: list[int], offset: int) -> None:
    entries = [Packed(f"f{n}" * (1 + 60 * (n % 2)), size) for n, size in enumerate(sizes)]
    opened = lambda one: io.BytesIO(hashlib.sha256(one.path.encode()).digest() * 50 * one.size)  # noqa: E731

    def exactly(one: Packed) -> io.BytesIO:
        return io.BytesIO(opened(one).read(one.size))

    whole = b"".join(stream(entries, exactly))
    assert len(whole) == packed_size(entries)
    assert b"".join(stream(entries, exactly, offset)) == whole[offset:]
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        assert [one.size for one in tar] == sizes
