"""Two submitters and an admin before real servers over the controller's own parts, and a call of each RPC."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import grpc.aio
from cumulus.api import convert
from cumulus.api.auth import Holder, Role, Tokens
from cumulus.api.frames import DeviceUsage, NodeUsage, UnitUsage
from cumulus.api.gen.cumulus.v1 import cumulus_pb2 as pb
from cumulus.api.gen.cumulus.v1 import cumulus_pb2_grpc
from cumulus.api.gen.cumulus.v1 import resources_pb2 as res
from cumulus.api.server import GrpcServer
from cumulus.api.web.app import build_app
from cumulus.api.web.jobrunner.models import JobRunnerOptions
from cumulus.api.web.probes import Probes
from cumulus.api.web.server import HttpServer
from cumulus.chronos_bindings.agent.archive_outputs import take_outputs
from cumulus.controller.dataset_settings import BucketConfig, DatasetsConfig, RootConfig
from cumulus.controller.runtime.dataset_part import DatasetPart
from cumulus.controller.runtime.left import Left
from cumulus.controller.runtime.numbers import Numbers
from cumulus.controller.runtime.outputs import OutputsService
from cumulus.controller.runtime.service import JobsService
from cumulus.crd_like_specs.errors import CumulusError
from cumulus.crd_like_specs.identity import unit_name
from cumulus.crd_like_specs.job import Job, JobSpec, Phase
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.crd_like_specs.outputs import KeptOutputs
from make import UID, job, lease
from prometheus_client import CollectorRegistry
from runtime_kit import ENVELOPE, Kit

from .conftest import error_of, read_all, soon

SECRETS = {name: f"{name}-token-0123456789" for name in ("hers", "his", "boss")}
TOKENS = Tokens(
    {
        SECRETS["hers"]: Holder(Role.SUBMITTER, "hers"),
        SECRETS["his"]: Holder(Role.SUBMITTER, "his"),
        SECRETS["boss"]: Holder(Role.ADMIN),
    }
)
UNIT = unit_name(UID, 1)
HIS_UID = "b" * 32
LEASES = {"hers": UNIT, "his": unit_name(HIS_UID, 1)}


class House:
    """The servers, and one stub for everybody. tokens: None where none are configured; imports:
    from where users of the Slurm job runner may import, "" from nowhere; bucket: one more such place.
    """

    def __init__(
        self,
        folder: Path,
        tokens: Tokens | None = TOKENS,
        *,
        imports: str = "",
        bucket: BucketConfig | None = None,
    ) -> None:
        self.kit = Kit(folder)
        self.left = Left(folder)
        roots = (RootConfig(name="b2", path=folder / "b2"),)
        settings = DatasetsConfig(roots=roots, buckets=(bucket,) if bucket else ())
        self.datasets = DatasetPart(folder / "datasets", settings, self.kit.records, self.kit.clock)
        admission = replace(self.kit.desired._admission, datasets=self.datasets.port)
        self.kit.desired._admission = admission
        parts = (
            self.kit.desired,
            self.kit.views,
            self.kit.streams,
            self.kit.workers,
            self.kit.operations,
        )
        jobs = JobsService(*parts)
        self.server = GrpcServer(
            jobs=jobs,
            blobs=self.kit.blobs,
            agents=self.kit.agents,
            listen="127.0.0.1:0",
            tokens=tokens,
        )
        probes = Probes(lambda: (), lambda: ())
        app = build_app(
            jobs=jobs,
            blobs=self.kit.blobs,
            datasets=self.datasets.port,
            numbers=Numbers(self.kit.store, "jobrunner"),
            outputs=OutputsService(self.kit.records, self.left.outputs),
            templates=self.kit.templates,
            overview=self.kit.overview,
            probes=probes,
            registry=CollectorRegistry(),
            tokens=tokens,
            jobrunner=JobRunnerOptions(import_from=imports),
        )
        self.http = HttpServer(app, listen="127.0.0.1:0")

    async def __aenter__(self) -> Self:
        port = await self.server.start()
        self.web = f"http://127.0.0.1:{await self.http.start()}"
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        self.stub: Any = cumulus_pb2_grpc.CumulusStub(self.channel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()
        await self.server.stop(grace=0.2)
        await self.http.stop()
        self.kit.close()

    def call(self, who: str, method: str, request: Any) -> Any:
        metadata = (("authorization", f"Bearer {SECRETS[who]}"),)
        return getattr(self.stub, method)(request, metadata=metadata)

    async def answers(self, who: str, method: str, request: Any) -> list[Any]:
        """Every message of the answer."""
        call = self.call(who, method, request)
        if isinstance(call, grpc.aio.UnaryUnaryCall | grpc.aio.StreamUnaryCall):
            return [await soon(call)]
        return await read_all(call)

    async def refusal(self, who: str, method: str, request: Any) -> CumulusError:
        return await error_of(self.answers(who, method, request))

    async def fill(self) -> None:
        """A finished job of hers with output, result and lease, one of his, and one of nobody."""
        done = {"worker": "n1", "result_size": len(ENVELOPE), "cleaned": True}
        owned = {"owner": "hers"}
        await self.kit.put(job(Phase.SUCCEEDED, name="train", meta=owned, status=done))
        await self.kit.put(job(name="other", uid=HIS_UID, meta={"owner": "his"}))
        await self.kit.put(job(name="old", uid="c" * 32))
        for given, uid, owner in ((lease(), UID, "hers"), (lease(uid=HIS_UID), HIS_UID, "his")):
            meta = given.metadata.model_copy(update={"owner": owner})
            spec = given.spec.model_copy(update={"job": uid})
            await self.kit.records.put_lease(
                given.model_copy(update={"metadata": meta, "spec": spec})
            )
        await self.kit.report("n1")
        units = (UnitUsage(UNIT, 1.0, 2, 3, 4), UnitUsage(unit_name(HIS_UID, 1), 1.0, 2, 3, 4))
        self.kit.agents.used("n1", NodeUsage(1.0, 2, units, (DeviceUsage(0, 3, 4),)))
        await self.kit.log(UNIT, b"hello\n", end=True, result=ENVELOPE)


def a_job(name: str, command: str = "true", **meta: Any) -> res.Job:
    spec = JobSpec(image="alpine", command=(command,))
    return convert.job_to_proto(Job(metadata=ObjectMeta(name=name, **meta), spec=spec))


def submission(name: str, key: str = "", command: str = "true") -> AsyncIterator[pb.SubmitRequest]:
    async def frames() -> AsyncIterator[pb.SubmitRequest]:
        wanted = a_job(name or "x", command)
        if not name:
            wanted.metadata.name = ""
        yield pb.SubmitRequest(start=pb.SubmitStart(job=wanted, idempotency_key=key))

    return frames()


Make = Callable[[str], Any]

READS: dict[str, Make] = {
    "Get": lambda name: pb.GetRequest(kind="Job", name=name),
    "Follow": lambda name: pb.FollowRequest(job=name),
    "Logs": lambda name: pb.LogsRequest(job=name),
    "Result": lambda name: pb.ResultRequest(job=name),
    "Why": lambda name: pb.WhyRequest(job=name),
    "Pause": lambda name: pb.PauseRequest(name=name),
    "Cancel": lambda name: pb.CancelRequest(name=name),
    "Delete": lambda name: pb.DeleteRequest(name=name),
}
"""Of a job that exists; what changes it comes last."""

WRITES: dict[str, Make] = {
    "Apply": lambda name: pb.ApplyRequest(resource=res.Resource(job=a_job(name))),
    "Submit": submission,
}


async def listed(house: House, who: str, kind: str, **wanted: Any) -> list[str]:
    (page,) = await house.answers(who, "List", pb.ListRequest(kind=kind, **wanted))
    return sorted(convert.resource_from_proto(item).metadata.name for item in page.items)


async def leave(house: House, name: str, folder: Path, **files: bytes) -> None:
    """A job's attempt left these in /results; keys have `__` for a slash and `_d_` for a dot."""
    left = folder / f"left-{name}"
    for key, data in files.items():
        path = left / key.replace("__", "/").replace("_d_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    tar = folder / f"{name}.tar"
    taken = take_outputs(left, tar, limit=64 << 20)
    assert taken is not None
    job = house.kit.records.find_job(name)
    content = tar.read_bytes()
    upload = house.left.outputs.receive(job.metadata.uid, taken.digest, len(content), 0)
    await upload.write(content)
    await upload.commit()
    kept = KeptOutputs(
        digest=taken.digest,
        files=len(files),
        size=sum(map(len, files.values())),
        attempt=job.status.attempt,
        experiment=job.spec.outputs.experiment or name,
    )
    status = job.status.model_copy(update={"outputs": (kept,)})
    await house.kit.put(job.model_copy(update={"status": status}))
