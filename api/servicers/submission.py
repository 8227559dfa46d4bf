"""The first half of Submit: the client's frames become a checked job whose code is here.

I/O through BlobsPort. Everything wrong with the spec is said before any code is read.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncIterator

from ...crd_like_specs.errors import NotFoundError, Problem, ValidationError
from ...crd_like_specs.job import Job
from ..convert import job_from_proto
from ..gen.cumulus.v1 import cumulus_pb2 as pb
from ..gen.cumulus.v1 import resources_pb2 as res
from ..interceptor import current
from ..ports import BlobsPort
from .uploads import receive


async def begin(
    requests: AsyncIterator[pb.SubmitRequest], blobs: BlobsPort, *, max_code: int
) -> tuple[Job, pb.SubmitStart]:
    """(job, what was asked with it). ValidationError, NotFoundError (code neither sent nor here)."""
    frames = aiter(requests)
    first = await anext(frames, None)
    if first is None or first.WhichOneof("frame") != "start":
        raise ValidationError("the first frame of Submit is `start` with the job's spec")
    start = first.start
    job = _job(start)
    code = job.spec.code
    if start.code_follows and (code is None or code.digest is None):
        raise ValidationError([Problem("code follows, so its digest is expected", "spec.code")])
    if code is not None and code.digest is not None:
        if start.code_follows:
            await receive(blobs, code.digest, _chunks(frames), limit=max_code)
        elif await blobs.has(code.digest) is None:
            raise NotFoundError(
                f"the code {code.digest} is not here: send it", job_id=job.metadata.name
            )
    return job, start


def _job(start: pb.SubmitStart) -> Job:
    message = res.Job()
    message.CopyFrom(start.job)
    if not message.metadata.name:
        message.metadata.name = unique_name(start.idempotency_key, current().viewer.owner)
    current().job_id = message.metadata.name
    job = job_from_proto(message)
    if job.spec.code is not None and job.spec.code.path is not None:
        expected = "a path means something on the client only: send the code and its digest"
        raise ValidationError([Problem(expected, "spec.code.path")])
    return job


def unique_name(key: str, owner: str) -> str:
    """A name for a job that was given none; equal keys of one owner give equal names."""
    of_owner = f"{owner}\0{key}" if owner else key
    unique = hashlib.sha256(of_owner.encode()).hexdigest() if key else uuid.uuid4().hex
    return f"job-{unique[:12]}"


async def _chunks(frames: AsyncIterator[pb.SubmitRequest]) -> AsyncIterator[bytes]:
    """Up to the client's half-close or an empty chunk; frames of unknown kinds are passed over."""
    async for frame in frames:
        if frame.WhichOneof("frame") == "start":
            raise ValidationError("a second `start` frame: one Submit is one job")
        if frame.WhichOneof("frame") == "code":
            if not frame.code:
                return
            yield frame.code
