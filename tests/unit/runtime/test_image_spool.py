"""Archives of images on the controller's disk: taken apart, shared, bounded, checked."""

from __future__ import annotations

import io
import os
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from cumulus.chronos_bindings.agent.image_parts import compose
from cumulus.controller.runtime.image_spool import ImageSpool
from cumulus.crd_like_specs.errors import NotFoundError, Permanent, Temporary
from image_kit import Saved, noise, parts_of, saved, sha

BASE = noise(1, 300_000)


def spool_in(folder: Path, limit: int = 1 << 40, spare: int = 0) -> ImageSpool:
    return ImageSpool(folder, limit, spare)


def take(spool: ImageSpool, image: Saved) -> None:
    spool.take(image.id, io.BytesIO(image.archive))


@pytest.mark.parametrize(
    "image",
    [
        saved(BASE, noise(2, 1000)),
        saved(BASE, b"", noise(3, 512)),
        saved(BASE, noise(2, 1000), BASE),
        saved(BASE, noise(2, 1000), oci=True),
        saved(),
    ],
    ids=["two layers", "an empty one", "one twice", "oci", "none"],
)
def test_what_is_taken_apart_can_be_put_together_again(tmp_path: Path, image: Saved) -> None:
    spool = spool_in(tmp_path)
    take(spool, image)
    archive = spool.archive(image.id)
    assert archive is not None
    whole = b"".join(compose(archive, spool.sound))
    assert dict(parts_of(whole)) == dict(parts_of(image.archive))
    assert all(spool.sound(part.digest).stat().st_size == part.size for part in archive.parts)


def test_a_part_of_several_images_lies_there_once_and_goes_with_the_last(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    one, other = saved(BASE, b"one"), saved(BASE, b"other")
    take(spool, one)
    size = spool.size()
    take(spool, other)
    assert spool.size() < size + 3000
    assert spool.prune({other.id}) == 1
    assert spool.archive(one.id) is None
    assert spool.sound(sha(BASE)).read_bytes() == BASE
    assert spool.prune(()) == 1
    assert spool.size() == 0


def test_a_restart_finds_what_is_whole_and_removes_what_is_not(tmp_path: Path) -> None:
    image = saved(BASE)
    take(spool_in(tmp_path), image)
    (tmp_path / "x.partial").write_bytes(b"half")
    (tmp_path / f"{'a' * 64}.json").write_text('[["half')
    again = spool_in(tmp_path)
    assert again.archive(image.id) is not None
    assert again.archive(f"sha256:{'a' * 64}") is None
    assert not (tmp_path / "x.partial").exists()


@pytest.mark.parametrize("restart", [True, False])
def test_a_damaged_part_is_never_given(tmp_path: Path, *, restart: bool) -> None:
    image = saved(BASE)
    spool = spool_in(tmp_path)
    take(spool, image)
    path = spool.sound(sha(BASE))
    os.utime(path, (1, 1))
    path.write_bytes(BASE[:-1] + b"x")
    if restart:
        spool = spool_in(tmp_path)
    with pytest.raises(NotFoundError, match="ask for its image again"):
        spool.sound(sha(BASE))
    assert spool.archive(image.id) is None
    take(spool, image)
    assert spool.sound(sha(BASE)).read_bytes() == BASE


@pytest.mark.parametrize("cut", [1, 511, 512, 1024, 5000, 200_000, -3072])
def test_an_export_that_breaks_off_leaves_nothing(tmp_path: Path, cut: int) -> None:
    spool = spool_in(tmp_path)
    image = saved(BASE, noise(2, 1000))
    with pytest.raises(Permanent, match="archive"):
        spool.take(image.id, io.BytesIO(image.archive.rstrip(b"\0")[:cut]))
    assert spool.archive(image.id) is None
    assert spool.size() == 0
    assert not list(tmp_path.glob("*.partial"))


def test_what_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    images = [saved(noise(seed, 100_000)) for seed in range(3)]
    spool = spool_in(tmp_path, limit=250_000)
    for age, image in enumerate(images[:2]):
        take(spool, image)
        os.utime(tmp_path / f"{image.id[7:]}.json", (age, age))
    assert spool.archive(images[0].id) is not None  # a use
    spool.make_room(images[2].id, 110_000, ())
    assert spool.archive(images[0].id) is not None
    assert spool.archive(images[1].id) is None


def test_an_image_larger_than_the_spool_or_the_disk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match=r"at most 1000.*imageSpool") as caught:
        spool_in(tmp_path, limit=1000).make_room("sha256:x", 1001, ())
    assert caught.value.reason == "SpoolTooSmall"
    with pytest.raises(Temporary, match="free and keeps") as full:
        spool_in(tmp_path, spare=1 << 60).make_room("sha256:x", 1, ())
    assert full.value.reason == "DiskFull"


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x"])
@pytest.mark.parametrize("link", [True, False])
def test_an_archive_reaches_nothing_outside_of_itself(
    tmp_path: Path, path: str, *, link: bool
) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("layer.tar" if link else path)
        if link:
            info.type, info.linkname = tarfile.SYMTYPE, path.replace("/etc", "../etc")
        tar.addfile(info)
    with pytest.raises(Permanent, match="outside of itself"):
        spool_in(tmp_path / "in").take(saved().id, io.BytesIO(out.getvalue()))
    assert not (tmp_path / "x").exists()


def test_an_archive_of_another_image_is_refused(tmp_path: Path) -> None:
    image, other = saved(BASE, b"a"), saved(BASE, b"b")
    spool = spool_in(tmp_path)
    mixed = image.archive.replace(b"a".ljust(512, b"\0"), b"b".ljust(512, b"\0"))
    assert mixed != image.archive
    with pytest.raises(Permanent, match="other layers"):
        spool.take(image.id, io.BytesIO(mixed))
    take(spool, other)
    assert spool.archive(image.id) is None


def test_a_large_layer_takes_no_memory(tmp_path: Path) -> None:
    image = saved(bytes(48 << 20))
    spool = spool_in(tmp_path)
    stream = io.BytesIO(image.archive)
    tracemalloc.start()
    try:
        spool.take(image.id, stream)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20
