"""A scripted controller in this process, for the SDK's tests: real gRPC, no orchestration.

Synchronous on purpose: it runs in threads, so that nothing of it shares an event loop with what
is tested. What it holds is in `fake_state.py`, its streams are in `fake_streams.py`.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import grpc
from cumulus.api import convert
from cumulus.api.api_tokens import ApiToken, token_to_proto
from cumulus.api.convert_usage import usage_to_proto
from cumulus.api.frames import Applied, Outcome, Page, ServerInfo, Why
from cumulus.api.gen.cumulus.v1 import cumulus_pb2 as pb
from cumulus.api.gen.cumulus.v1 import cumulus_pb2_grpc, tokens_pb2
from cumulus.api.previews import preview_to_proto
from cumulus.crd_like_specs.errors import NotFoundError
from cumulus.crd_like_specs.job import WorkerReason

from .fake_state import NOW
from .fake_streams import Streams


class FakeServer(Streams):
    """See the module docstring."""

    def __init__(self, address: str = "127.0.0.1:0") -> None:
        super().__init__()
        self._server = grpc.server(ThreadPoolExecutor(8))
        cumulus_pb2_grpc.add_CumulusServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port(address)}"

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self.stopping.set()
        self._server.stop(None).wait()

    # Jobs, and whatever is applied

    def Extend(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Extend", request, context)
        job = self._find("Job", request.name, context)
        meta = job.metadata.model_copy(update={"extension": request.seconds})
        return convert.job_to_proto(self.put(job.model_copy(update={"metadata": meta})))

    def Plan(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Plan", request, context)
        return preview_to_proto(self.preview)

    def Apply(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Apply", request, context)
        wanted = convert.resource_from_proto(request.resource)
        old = self.objects.get((wanted.kind, wanted.metadata.name))
        if old is not None and old.spec == wanted.spec:
            return convert.applied_to_proto(Applied(Outcome.UNCHANGED, old))
        outcome = Outcome.CREATED if old is None else Outcome.CONFIGURED
        if request.dry_run:
            return convert.applied_to_proto(Applied(outcome, wanted, reruns=True))
        return convert.applied_to_proto(Applied(outcome, self._store(wanted), reruns=True))

    def Get(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Get", request, context)
        return convert.resource_to_proto(self._find(request.kind, request.name, context))

    def List(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("List", request, context)
        found = [obj for (kind, _), obj in self.objects.items() if kind == request.kind]
        if "=" in request.label_selector:
            key, value = request.label_selector.split("=")
            found = [obj for obj in found if obj.metadata.labels.get(key) == value]
        if request.phase:
            found = [obj for obj in found if obj.status.phase.value == request.phase]
        start = int(request.continue_token or 0)
        end = start + (request.limit or 2)
        token = str(end) if end < len(found) else ""
        return convert.page_to_proto(Page(tuple(found[start:end]), self.version, token))

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Delete", request, context)
        job = self._find("Job", request.name, context)
        self.drop("Job", job.metadata.name)
        return pb.DeleteResponse(job=convert.job_to_proto(job))

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Cancel", request, context)
        return convert.job_to_proto(self._find("Job", request.name, context))

    def Why(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Why", request, context)
        job = self._find("Job", request.job, context)
        reasons = (
            WorkerReason(
                worker="gpu-1", reason="0.25 of a device is free, 0.5 is asked", ever=True
            ),
        )
        return convert.why_to_proto(Why(job, "waits for room", reasons))

    def HasBlob(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("HasBlob", request, context)
        return pb.HasBlobResponse(exists=request.digest in self.blobs)

    def PutBlob(self, requests: Any, context: Any) -> Any:  # noqa: N802
        frames = list(requests)
        self._enter("PutBlob", frames, context)
        data = b"".join(frame.data for frame in frames[1:])
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        assert frames[0].digest == digest
        self.blobs[digest] = data
        return pb.PutBlobResponse(digest=digest, size=len(data))

    def ServerInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("ServerInfo", request, context)
        notices = ("the process platform does not isolate",)
        info = ServerInfo("0.1.0", "process", "", 1, 2, notices, self.python)
        return convert.info_to_proto(info)

    # Workers

    def Cordon(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Cordon", request, context)
        worker = self._find("Worker", request.worker, context)
        spec = worker.spec.model_copy(update={"cordoned": request.cordoned, "drain": request.drain})
        return convert.worker_to_proto(self.put(worker.model_copy(update={"spec": spec})))

    def Fence(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Fence", request, context)
        worker = self._find("Worker", request.worker, context)
        spec = worker.spec.model_copy(update={"fenced": request.fenced})
        return convert.worker_to_proto(self.put(worker.model_copy(update={"spec": spec})))

    def RemoveWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("RemoveWorker", request, context)
        worker = self._find("Worker", request.worker, context)
        self.drop("Worker", request.worker)
        return convert.worker_to_proto(worker)

    def Usage(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("Usage", request, context)
        return usage_to_proto(use for use in self.uses if request.worker in ("", use.worker))

    # Tokens

    def CreateToken(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("CreateToken", request, context)
        until = NOW + request.ttl if request.ttl else 0.0
        made = ApiToken("t1", request.name, request.role, NOW, until)
        return tokens_pb2.CreatedToken(secret="cmlt1.secret", token=token_to_proto(made))

    def RevokeToken(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("RevokeToken", request, context)
        found = [one for one in self.tokens if one.id == request.id]
        if not found:
            self._fail(NotFoundError(f"token {request.id!r} not found"), context)
        self.tokens = [one for one in self.tokens if one.id != request.id]
        return token_to_proto(found[0])

    def ListTokens(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("ListTokens", request, context)
        found = [token_to_proto(one) for one in self.tokens]
        return tokens_pb2.ListTokensResponse(tokens=found)

    def WhoAmI(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._enter("WhoAmI", request, context)
        return tokens_pb2.WhoAmIResponse(**asdict(self.caller))
