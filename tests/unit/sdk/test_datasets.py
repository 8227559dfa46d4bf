"""Datasets by the SDK and by cumulusctl: over breaks and restarts, as they were, and nobody else's."""

from __future__ import annotations

import asyncio
import io
import os
import random
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cumulus.api.auth import Holder, Role, Tokens
from cumulus.api.server import GrpcServer
from cumulus.controller.dataset_settings import RootConfig
from cumulus.controller.runtime.service import JobsService
from cumulus.crd_like_specs.dataset import Dataset
from cumulus.crd_like_specs.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnauthenticatedError,
    ValidationError,
)
from cumulus.sdk import AsyncCumulusClient, CumulusClient
from cumulus.sdk.cli import main
from cumulus.sdk.dataset_sources import name_for
from cumulus.sdk.datasets import Transfer
from cutting_proxy import CuttingProxy
from dataset_kit import DatasetKit, digest
from runtime_kit import Kit, until

SECRETS = {"ann": "ann-token-0123456789", "bob": "bob-token-0123456789", "eye": "e" * 20}
TOKENS = {
    SECRETS["ann"]: Holder(Role.SUBMITTER, "ann"),
    SECRETS["bob"]: Holder(Role.SUBMITTER, "bob"),
    SECRETS["eye"]: Holder(Role.VIEWER),
}
LARGE = random.Random(1).randbytes(24 << 20)


class House:
    """A controller's server that can be started anew, and its users."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kit = Kit(folder)
        (folder / "root").mkdir()
        self.port = 0
        self._clients: list[AsyncCumulusClient] = []

    async def start(self) -> None:
        kit = self.kit
        root = RootConfig(name="shared", path=self.folder / "root")
        self.datasets = DatasetKit(self.folder / "sets", records=kit.records, roots=[root])
        self.server = GrpcServer(
            jobs=JobsService(kit.desired, kit.views, kit.streams, kit.workers, kit.operations),
            blobs=kit.blobs,
            agents=kit.agents,
            datasets=self.datasets.all,
            listen=f"127.0.0.1:{self.port}",
            tokens=Tokens(TOKENS),
        )
        self.port = await self.server.start()

    def of(self, user: str | None, address: str = "") -> AsyncCumulusClient:
        client = AsyncCumulusClient(
            address or f"127.0.0.1:{self.port}", SECRETS[user] if user else None
        )
        self._clients.append(client)
        return client

    async def stop(self) -> None:
        for client in self._clients:
            await client.close()
        await self.server.stop(grace=0.2)
        self.kit.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    await made.start()
    yield made
    await made.stop()


async def test_a_folder_goes_there_and_comes_back(house: House, tmp_path: Path) -> None:
    photos = tmp_path / "My Photos"
    (photos / "deep").mkdir(parents=True)
    (photos / "deep" / "a.jpg").write_bytes(b"jpg")
    (photos / "b.sh").write_text("#!/bin/sh\n")
    (photos / "b.sh").chmod(0o700)
    (photos / "link").symlink_to("deep/a.jpg")
    (photos / "left.out").write_text("x")
    (photos / "deep" / "empty").mkdir()
    (photos / ".cumulusignore").write_text("*.out\n")
    sets, steps = house.of("ann").datasets, list[Transfer]()
    made = await sets.upload(photos, progress=steps.append)
    assert (made.metadata.name, made.metadata.owner) == ("my-photos", "ann")
    assert (made.spec.format, made.status.files) == ("tar", 3)
    assert {step.what for step in steps} == {"left out", "reading", "sending"}
    assert steps[0] == Transfer("left out", 2, None)
    os.utime(photos / "b.sh", (1, 1))  # what is not content makes no difference
    assert await sets.upload(photos) == made
    file = await sets.download("my-photos", tmp_path)
    assert file.name == "My Photos.tar"
    with tarfile.open(file) as tar:
        assert {one.name: one.mode for one in tar} == {
            "deep/a.jpg": 0o644,
            "deep/empty": 0o755,
            "b.sh": 0o755,
            "link": 0o777,
        }
    (photos / "out").symlink_to("../x")
    with pytest.raises(ValidationError, match="out: is a link that leads out"):
        await sets.upload(photos, replace=True)


async def test_a_folder_of_empty_folders_has_nothing_to_upload(
    house: House, tmp_path: Path
) -> None:
    (tmp_path / "none" / "a" / "b").mkdir(parents=True)
    with pytest.raises(ValidationError, match="none: has no files to upload"):
        await house.of("ann").datasets.upload(tmp_path / "none")


async def test_an_upload_goes_on_after_each_cut(house: House, tmp_path: Path) -> None:
    file = tmp_path / "large.bin"
    file.write_bytes(LARGE)
    sent: list[int] = []
    cuts = [20 << 20, 12 << 20, 4 << 20]

    def tell(step: Transfer) -> None:
        if step.what == "sending":
            sent.append(step.done)
            if cuts and step.done > cuts[-1]:
                cuts.pop()
                proxy.cut_now()

    with CuttingProxy(house.port) as proxy:
        made = await house.of("ann", proxy.address).datasets.upload(file, progress=tell)
        assert proxy.cuts == 3
    assert made.spec.digest == digest(LARGE)
    assert len(sent) < 2 * len(LARGE) >> 20, "it began anew each time"
    back = tmp_path / "back.bin"
    with CuttingProxy(house.port) as proxy:
        for _ in range(3):
            proxy.cut_after(6 << 20)
        await house.of("ann", proxy.address).datasets.download("large", back)
        assert proxy.cuts == 3
    assert back.read_bytes() == LARGE


async def test_an_upload_goes_on_in_another_process_and_at_another_server(
    house: House, tmp_path: Path
) -> None:
    file = tmp_path / "large.bin"
    file.write_bytes(LARGE)
    begun = asyncio.Event()

    def tell(step: Transfer) -> None:
        if step.what == "sending" and step.done > 8 << 20:
            begun.set()

    first = asyncio.create_task(house.of("ann").datasets.upload(file, progress=tell))
    await begun.wait()
    first.cancel()
    await asyncio.wait([first])
    await house.server.stop(grace=0.0)
    # A process that is killed takes its threads along: here, the last piece is waited for.
    (described,) = (house.folder / "sets" / "uploads").glob("*.json")
    upload = house.datasets.parts.uploads.find(described.stem, "ann")
    await until(lambda: not upload.busy)
    await house.start()
    sent: list[int] = []
    steps = lambda step: sent.append(step.done) if step.what == "sending" else None  # noqa: E731
    made = await house.of("ann").datasets.upload(file, progress=steps)
    assert made.spec.digest == digest(LARGE)
    assert sent[0] > 1 << 20


async def test_an_upload_that_another_client_finishes_is_finished(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bytes under the same name are one upload, of which the second client finds nothing
    any more.
    """
    file = tmp_path / "a.csv"
    file.write_bytes(b"1,2\n")
    client = house.of("ann")
    send = client._connection.send
    faster: list[Dataset] = []

    async def late(method: str, frames: AsyncIterator[Any]) -> Any:
        if not faster:
            faster.append(await house.of("ann").datasets.upload(file))
        return await send(method, frames)

    monkeypatch.setattr(client._connection, "send", late)
    made = await client.datasets.upload(file)
    assert faster == [made]


async def test_who_may_what(house: House, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"1,2\n")
    ann, bob, eye = (house.of(user).datasets for user in ("ann", "bob", "eye"))
    made = await ann.upload(file, pinned=True)
    assert [one.metadata.name for one in await ann.list()] == ["a"]
    assert await bob.list() == []
    for call in (bob.get("a"), bob.delete("a"), bob.pin(made.spec.digest), bob.download("a")):
        with pytest.raises(NotFoundError):
            await call
    with pytest.raises(ConflictError, match="the name 'a' is taken"):
        await bob.upload(file)
    assert [one.metadata.name for one in await eye.list()] == ["a"]
    assert (await eye.download("a", tmp_path / "seen")).read_bytes() == b"1,2\n"
    for refused in (
        eye.delete("a"),
        eye.pin("a"),
        eye.upload(file),
        eye.import_("mount://shared/x"),
    ):
        with pytest.raises(ForbiddenError):
            await refused
    with pytest.raises(UnauthenticatedError):
        await house.of(None).datasets.upload(file)
    assert not (await ann.unpin("a")).spec.pinned
    assert (await ann.delete("a")).metadata.name == "a"
    assert await ann.list() == []


async def test_imports_tell_how_far_they_are(house: House) -> None:
    (house.folder / "root" / "large.bin").write_bytes(LARGE)
    (house.folder / "root" / "loop").symlink_to("/etc")
    sets, steps = house.of("ann").datasets, list[Transfer]()
    made = await sets.import_("mount://shared/large.bin", name="large", progress=steps.append)
    assert (made.spec.digest, made.spec.filename) == (digest(LARGE), "large.bin")
    assert [step.done for step in steps] == [8 << 20, 16 << 20, 24 << 20, 24 << 20]
    with pytest.raises(ConflictError):
        await sets.import_("mount://shared/large.bin", name="large")
    with pytest.raises(NotFoundError, match="a part of it is a link"):
        await sets.import_("mount://shared/loop/passwd")
    with pytest.raises(ForbiddenError, match=r"datasets\.roots"):
        await sets.import_("mount://other/large.bin")
    assert [path.name for path in (house.folder / "sets" / "uploads").iterdir()] == []


async def test_the_synchronous_client_says_the_same(house: House, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"1,2\n")

    def use() -> None:
        with CumulusClient(f"127.0.0.1:{house.port}", SECRETS["ann"]) as client:
            sets = client.datasets
            made = sets.upload(file, name="b")
            assert sets.get("b") == made
            assert sets.list() == [made]
            assert b"".join(sets.stream("b", offset=2)) == b"2\n"
            assert sets.download("b", tmp_path / "c").read_bytes() == b"1,2\n"
            assert sets.pin("b").spec.pinned
            assert not sets.unpin("b").spec.pinned
            sets.delete("b")
            with pytest.raises(ForbiddenError):
                sets.import_("s3://other/key")

    await asyncio.to_thread(use)


async def test_the_command_line(
    house: House,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CUMULUS_SERVER", f"127.0.0.1:{house.port}")
    monkeypatch.setenv("CUMULUS_TOKEN", SECRETS["ann"])
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.tar").write_bytes(_tar({"../x": b""}))
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_bytes(b"12")

    async def ctl(*words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main.run, list(words))
        return (code, *capfd.readouterr())

    (tmp_path / "d" / ".gitignore").write_text("*.csv\n")
    (tmp_path / "d" / "x.csv").write_text("1")
    code, out, err = await ctl("datasets", "put", "d", "--pin")
    assert "left out as .cumulusignore or .gitignore say: 2 files and folders" in err
    assert (code, out) == (0, "dataset/d\n")
    assert "tar of 1 files, sha256:" in err
    code, _, err = await ctl("datasets", "put", "t.tar")
    assert code == 2
    assert "dataset t: '../x': leads out of its folder" in err
    code, out, _ = await ctl("datasets", "ls")
    assert out.splitlines()[0].split() == [
        "NAME",
        "SIZE",
        "FORMAT",
        "FILES",
        "PINNED",
        "USED",
        "AGE",
    ]
    assert out.splitlines()[1].split()[:5] == ["d", "1.5", "KiB", "tar", "1"][:5] or "d" in out
    code, out, _ = await ctl("get", "datasets", "-o", "name")
    assert (code, out) == (0, "dataset/d\n")
    code, out, _ = await ctl("datasets", "get", "d")
    assert "Pinned:       yes" in out
    assert await ctl("datasets", "unpin", "d") == (0, "dataset/d unpinned\n", "")
    assert await ctl("datasets", "pin", "d") == (0, "dataset/d pinned\n", "")
    assert await ctl("datasets", "download", "d", "-o", "d.tar") == (0, "d.tar\n", "")
    assert (tmp_path / "d.tar").stat().st_size == 512 * 2 + 1024
    code, _, err = await ctl("datasets", "import", "s3://none/x")
    assert (code, "datasets.buckets" in err) == (6, True)
    code, out, err = await ctl("datasets", "rm", "none", "d")
    assert (code, out) == (4, "dataset/d deleted\n")
    assert "dataset 'none' not found" in err
    assert (await ctl("datasets", "put", "nothing"))[0] == 2


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/x/My Photos.tar.gz", "my-photos"),
        ("table.csv", "table"),
        ("model.v2.bin", "model-v2"),
        ("a.zip", "a"),
        ("-_-1Ä.zst", "1"),
    ],
)
def test_names_are_made_of_paths(path: str, name: str) -> None:
    assert name_for(Path(path)) == name


def test_a_path_of_which_no_name_can_be_made() -> None:
    with pytest.raises(ValidationError, match="give one"):
        name_for(Path("___"))
