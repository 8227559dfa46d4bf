"""Outputs from the agent's client through the real servers to the disk, and out again, file by file."""

from __future__ import annotations

import asyncio
import hashlib
import io
import tarfile
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from cumulus.api.auth import Holder, Role, Tokens
from cumulus.api.frames import LeaseReport
from cumulus.api.gen.cumulus.v1 import outputs_pb2 as pb
from cumulus.api.gen.cumulus.v1 import outputs_pb2_grpc
from cumulus.api.outputs import ArtifactKind, Output
from cumulus.api.server import GrpcServer
from cumulus.api.viewer import EVERYTHING, Viewer
from cumulus.chronos_bindings.agent.archive_outputs import take_outputs
from cumulus.chronos_bindings.agent.artifact_client import GrpcArtifacts
from cumulus.controller.runtime.artifact_gate import ArtifactGate
from cumulus.controller.runtime.left import Left
from cumulus.controller.runtime.outputs import OutputsService
from cumulus.crd_like_specs.errors import NotFoundError, Permanent, ValidationError
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Job, Phase
from cumulus.crd_like_specs.lease import Lease, LeaseState
from cumulus.crd_like_specs.outputs import KeptOutputs
from make import UID, job, lease
from runtime_kit import Kit

UNIT = unit_name(UID, 1)
HERS, HIS = Viewer("hers", own_only=True), Viewer("his", own_only=True)
SECRETS = {name: f"{name}-token-0123456789" for name in ("hers", "his", "eyes", "node")}
MODEL = bytes(range(256)) * 12_000


class Shop:
    """A controller that keeps outputs, with an agent's client and a user's."""

    def __init__(self, kit: Kit, folder: Path) -> None:
        self.kit, self.folder = kit, folder
        self.left = Left(folder)
        self.service = OutputsService(kit.records, self.left.outputs)
        jobs: Any = None  # nothing here asks for them
        tokens = Tokens(
            {
                SECRETS["hers"]: Holder(Role.SUBMITTER, "hers"),
                SECRETS["his"]: Holder(Role.SUBMITTER, "his"),
                SECRETS["eyes"]: Holder(Role.VIEWER),
                SECRETS["node"]: Holder(Role.AGENT),
            }
        )
        self.server = GrpcServer(
            jobs=jobs,
            blobs=kit.blobs,
            agents=kit.agents,
            artifacts=ArtifactGate(kit.records, self.left),
            outputs=self.service,
            listen="127.0.0.1:0",
            tokens=tokens,
        )

    async def start(self) -> None:
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{await self.server.start()}")
        self.stub: Any = outputs_pb2_grpc.OutputsStub(self.channel)
        self.agent = GrpcArtifacts(self.channel, "n1", metadata=self.by("node"))

    async def stop(self) -> None:
        await self.channel.close()
        await self.server.stop(grace=0.1)

    def by(self, who: str) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {SECRETS[who]}"),)

    def archive(self, *files: tuple[str, bytes], name: str = "a") -> tuple[str, Path]:
        folder = self.folder / f"left-{name}"
        for path, data in files:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        tar = self.folder / f"{name}.tar"
        taken = take_outputs(folder, tar, limit=64 << 20)
        assert taken is not None
        return taken.digest, tar

    async def hold(self, of: Job | None = None, **fields: Any) -> Lease:
        """A job of hers whose attempt is over, and its lease, in Saving."""
        done = {"cleaned": False, "attempt": fields.get("attempt", 1)}
        meta = {"owner": "hers"}
        await self.kit.put(of or job(Phase.SUCCEEDED, meta=meta, status=done))
        saving = lease(LeaseState.SAVING, outputs_size=64 << 20, released=True, **fields)
        await self.kit.records.put_lease(saving)
        return saving

    async def bring(self, *files: tuple[str, bytes], of: Lease, name: str = "a") -> KeptOutputs:
        """As an agent does, until the job's status names it."""
        digest, tar = self.archive(*files, name=name)
        unit = of.metadata.name
        await self.agent.send(unit, digest, tar, kind=ArtifactKind.OUTPUTS)
        seen = of.status.model_copy(update={"outputs": KeptOutputs(digest=digest)})
        found = self.kit.records.find_job(of.spec.job)
        kept = self.left.confirmed(of, seen, found).outputs
        assert kept is not None
        await self.note(found.metadata.name, kept)
        return kept

    async def note(self, name: str, *kept: KeptOutputs) -> None:
        now = self.kit.records.find_job(name)
        known = {k.attempt: k for k in (*now.status.outputs, *kept)}
        told = {"outputs": tuple(known[n] for n in sorted(known)), "cleaned": True}
        await self.kit.put(now.model_copy(update={"status": now.status.model_copy(update=told)}))

    async def read(self, output: Output, viewer: Viewer = HERS, **where: int) -> bytes:
        return b"".join([p async for p in self.service.seen_by(viewer).read(output, **where)])


@pytest.fixture
async def shop(kit: Kit, tmp_path: Path) -> AsyncIterator[Shop]:
    made = Shop(kit, tmp_path)
    await made.start()
    yield made
    await made.stop()


async def until(true: Callable[[], bool]) -> None:
    """What is deleted goes in a thread."""
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 (nobody tells of it)
            await asyncio.sleep(0)


async def code_of(call: Any) -> grpc.StatusCode:
    try:
        if hasattr(call, "__aiter__"):
            [_ async for _ in call]
        else:
            await call
    except grpc.aio.AioRpcError as e:
        return e.code()
    return grpc.StatusCode.OK


async def test_a_file_comes_out_as_it_went_in(shop: Shop) -> None:
    files = (("weights/model.pth", MODEL), ("io_stats.json", b"{}"), ("empty", b""))
    kept = await shop.bring(*files, of=await shop.hold())
    assert (kept.files, kept.size, kept.experiment) == (3, len(MODEL) + 2, "train")
    found = await shop.service.seen_by(HERS).of_job("train")
    assert (found.attempt, found.digest, found.pending) == (1, kept.digest, False)
    assert [(o.id, o.path, o.role.value) for o in found.outputs] == [
        ("empty", "empty", "other"),
        ("io_stats", "io_stats.json", "metrics"),
        ("weights", "weights/model.pth", "weights"),
    ]
    for output, (_, data) in zip(found.outputs, sorted(files), strict=True):
        assert await shop.read(output) == data
    weights = await shop.service.seen_by(HERS).find("train", "weights")
    assert weights == found.outputs[2]
    assert await shop.read(weights, offset=1_000_001) == MODEL[1_000_001:]
    assert await shop.read(weights, offset=7, length=1_500_000) == MODEL[7:1_500_007]
    assert await shop.read(weights, offset=len(MODEL)) == b""
    with pytest.raises(ValidationError):
        await shop.read(weights, offset=len(MODEL) + 1)
    with pytest.raises(NotFoundError):
        await shop.read(replace(weights, digest=f"sha256:{'b' * 64}"))


async def test_over_grpc_by_job_and_by_experiment(shop: Shop) -> None:
    await shop.bring(("weights/model.pth", MODEL), of=await shop.hold())
    listed = await shop.stub.List(pb.ListOutputsRequest(job=UID), metadata=shop.by("hers"))
    assert [o.path for o in listed.outputs] == ["weights/model.pth"]
    for asked in (
        pb.ReadOutputRequest(job="train", path="weights/model.pth", offset=100),
        pb.ReadOutputRequest(job="train", path="weights", attempt=1, offset=100),
        pb.ReadOutputRequest(experiment="train", id="weights", offset=100),
        pb.ReadOutputRequest(experiment="train", id="train/weights", offset=100),
        pb.ReadOutputRequest(experiment="train", id="weights/model.pth", offset=100),
    ):
        chunks = [c async for c in shop.stub.Read(asked, metadata=shop.by("eyes"))]
        assert chunks[0].output.size == len(MODEL)
        assert b"".join(c.data for c in chunks) == MODEL[100:]


@pytest.mark.parametrize(("who", "code"), [("his", "NOT_FOUND"), ("node", "PERMISSION_DENIED")])
async def test_nobody_reads_what_another_left(shop: Shop, who: str, code: str) -> None:
    await shop.bring(("a", b"secret"), of=await shop.hold())
    by, wanted = shop.by(who), grpc.StatusCode[code]
    assert await code_of(shop.stub.List(pb.ListOutputsRequest(job="train"), metadata=by)) is wanted
    for asked in (
        pb.ReadOutputRequest(job="train", path="a"),
        pb.ReadOutputRequest(experiment="train", id="a"),
    ):
        assert await code_of(shop.stub.Read(asked, metadata=by)) is wanted
    assert await shop.service.seen_by(HIS).of_experiment("train") == ()
    (mine,) = (await shop.service.seen_by(HERS).of_job("train")).outputs
    with pytest.raises(NotFoundError):
        await shop.read(mine, HIS)


async def test_an_experiment_holds_the_newest_of_each_job(shop: Shop) -> None:
    first = await shop.hold(job(Phase.SUCCEEDED, outputs={"experiment": "night"}))
    kept = await shop.bring(("m.pt", b"1"), ("only.log", b"l"), of=first)
    second = lease(LeaseState.SAVING, attempt=2, outputs_size=1 << 20, released=True)
    await shop.kit.records.put_lease(second)
    await shop.bring(("m.pt", b"2"), of=second, name="b")
    other = job(Phase.SUCCEEDED, name="other", uid="b" * 32)
    newer = other.metadata.model_copy(update={"creation_timestamp": 2000.0})
    other = other.model_copy(update={"metadata": newer})
    of_other = lease(LeaseState.SAVING, uid="b" * 32, outputs_size=1 << 20, released=True)
    await shop.kit.put(other)
    await shop.kit.records.put_lease(of_other)
    manifest = b'{"experiment_id": "night"}'
    await shop.bring(("m.pt", b"3"), ("manifest.json", manifest), of=of_other, name="c")
    found = await shop.service.of_experiment("night")
    assert [(o.id, o.job_name, o.attempt) for o in found] == [
        ("weights", "other", 1),
        ("manifest", "other", 1),
        ("train/weights", "train", 2),
    ]
    for name, data in (("weights", b"3"), ("other/weights", b"3"), ("train/weights", b"2")):
        assert await shop.read(await shop.service.find("night", name), EVERYTHING) == data
    old = await shop.service.at("train", "m.pt", attempt=1)
    assert await shop.read(old, EVERYTHING) == b"1"
    assert kept.attempt == 1
    with pytest.raises(NotFoundError, match=r"attempt 2 of job train left no output 'only\.log'"):
        await shop.service.at("train", "only.log")
    with pytest.raises(NotFoundError, match="experiment 'day' has no output"):
        await shop.service.find("day", "weights")
    with pytest.raises(NotFoundError, match="had 1 attempts, none of number 9"):
        await shop.service.of_job("train", attempt=9)


@pytest.mark.parametrize("name", ["../out", "/abs", "a\nb"])
async def test_a_hostile_archive_is_refused_before_anything_is_known_of_it(
    shop: Shop, name: str
) -> None:
    of = await shop.hold()
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo(name))
    file = shop.folder / "evil.tar"
    file.write_bytes(raw.getvalue())
    digest = f"sha256:{hashlib.sha256(raw.getvalue()).hexdigest()}"
    with pytest.raises(Permanent, match="entry of this name"):
        await shop.agent.send(of.metadata.name, digest, file, kind=ArtifactKind.OUTPUTS)
    assert [p.name for p in (shop.folder / "outputs" / UID).iterdir()] == []
    said = of.status.model_copy(update={"outputs": KeptOutputs(digest=digest)})
    assert shop.left.confirmed(of, said, None).outputs is None, "and nobody is believed"


async def test_what_cannot_be_kept_is_said_in_the_status(shop: Shop) -> None:
    of = await shop.hold()
    words = "its outputs are not all kept: big does not fit"
    said = of.status.model_copy(update={"outputs": KeptOutputs(message=words, files=7)})
    kept = shop.left.confirmed(of, said, None).outputs
    assert kept == KeptOutputs(message=words)
    await shop.note("train", kept)
    found = await shop.service.of_job("train")
    assert (found.outputs, found.message, found.attempt) == ((), words, 1)


async def test_it_may_bring_no_more_than_its_job_may_keep(shop: Shop) -> None:
    of = await shop.hold(job(Phase.FAILED), attempt=1)
    small = of.model_copy(update={"spec": of.spec.model_copy(update={"outputs_size": 0})})
    await shop.kit.records.put_lease(small)
    digest, tar = shop.archive(("a", b"x"))
    with pytest.raises(Permanent, match=r"expected at most 0 by outputs\.size"):
        await shop.agent.send(of.metadata.name, digest, tar, kind=ArtifactKind.OUTPUTS)


async def test_who_asks_early_is_answered_once_it_is_here(shop: Shop) -> None:
    of = await shop.hold()
    assert (await shop.service.of_job("train")).pending
    waiting = asyncio.ensure_future(shop.service.of_job("train", wait=30))
    await asyncio.sleep(0)
    await shop.bring(("a", b"1"), of=of)
    found = await waiting
    assert [o.path for o in found.outputs] == ["a"]
    assert not found.pending
    assert (await shop.service.of_job("train", wait=0.01)).outputs == found.outputs


async def test_it_goes_with_its_job(shop: Shop) -> None:
    kept = await shop.bring(("a", b"1"), of=await shop.hold())
    was = shop.kit.records.find_job("train")
    none = was.model_copy(update={"status": was.status.model_copy(update={"outputs": ()})})
    folder = shop.folder / "outputs" / UID
    assert {p.suffix for p in folder.iterdir()} == {"", ".json"}
    shop.left.transition(was, none)
    await until(lambda: not any(folder.iterdir()))
    assert shop.left.outputs.size(UID, kept.digest) is None
    assert shop.left.uids() == {UID}
    shop.left.delete(UID)
    await until(lambda: not folder.exists())


async def test_an_upload_that_broke_goes_on_over_a_restart(shop: Shop) -> None:
    of = await shop.hold()
    digest, tar = shop.archive(("model.pt", MODEL))
    whole = tar.read_bytes()
    upload = shop.left.outputs.receive(UID, digest, len(whole), 0)
    await upload.write(whole[:1_000_000])
    await upload.abort()
    again = Left(shop.folder)  # as a restarted controller finds it
    assert again.outputs.received(UID, digest) == 1_000_000
    assert again.outputs.size(UID, digest) is None, "nothing is indexed that is not whole"
    assert not list((shop.folder / "outputs" / UID).glob("*.json"))
    sent: list[int] = []
    await shop.agent.send(of.metadata.name, digest, tar, sent.append, ArtifactKind.OUTPUTS)
    assert sent[0] == 1_000_000
    assert [f.path for f in again.outputs.index(UID, digest).files] == ["model.pt"]


def test_reports_carry_them() -> None:
    said = lease(LeaseState.ENDED, status={"outputs": KeptOutputs(message="x")}).status
    assert LeaseReport(UNIT, said).status.outputs == KeptOutputs(message="x")
