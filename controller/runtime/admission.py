"""What this controller takes in at all: every problem of a job that no waiting could mend. I/O: the
blob store, into which code goes that came with the spec. Called by `desired.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ...api.datasets import DatasetsPort
from ...api.viewer import EVERYTHING, Viewer
from ...crd_like_specs import exec_limits, requirement_lines
from ...crd_like_specs.container_user import may_be_root
from ...crd_like_specs.errors import ForbiddenError, Problem, ValidationError
from ...crd_like_specs.job import Job, JobSpec
from ...crd_like_specs.packing import digest, pack, with_digest
from ..platforms.allowed_images import AllowedImages
from ..platforms.secret_values import SecretFolder
from .blobs import Blobs


@dataclass(frozen=True, slots=True)
class Admission:
    """platform: `swarm`, `process` or `fake`; datasets: those that jobs may name, None where there
    are none; runtimes: name → job image; images: that jobs may bring; secrets: that they may name;
    everybody: nobody is told apart, so that a source's jobs may name what was uploaded by whomever.
    """

    platform: str
    blobs: Blobs
    datasets: DatasetsPort | None = None
    runtimes: Mapping[str, str] = field(default_factory=dict)
    images: AllowedImages = field(default_factory=AllowedImages)
    secrets: SecretFolder = field(default_factory=lambda: SecretFolder(None))
    everybody: bool = False

    async def admit(self, job: Job, *, keep: bool, viewer: Viewer = EVERYTHING) -> Job:
        """The job as it may be stored: its code packed and named by digest.

        keep: put code that came with the spec into the blob store; else code that is yet to be
        uploaded is no problem. ValidationError with every problem that no waiting could mend;
        ForbiddenError for what the viewer may not ask for.
        """
        problems = [*self._problems(job.spec, uploaded=keep)]
        problems += await asyncio.to_thread(self._of_secrets, job.spec, viewer.owner)
        if problems:
            raise ValidationError(problems, job_id=job.metadata.uid or job.metadata.name)
        if may_be_root(job.spec.user) and not viewer.may("root"):
            raise ForbiddenError(
                f"spec.user: {job.spec.user!r} is root, or only its image knows that it is not: "
                "expected UID[:GID] above 0, or a token with the permission root",
                job_id=job.metadata.name,
            )
        code = job.spec.code
        if code is None or code.files is None:
            return job
        packed = _pack(job, code.files)
        name = digest(packed)
        if keep and await self.blobs.has(name) is None:
            upload = await self.blobs.receive(name)
            await upload.write(packed)
            await upload.commit()
        return with_digest(job, name)

    def _problems(self, spec: JobSpec, *, uploaded: bool) -> Iterator[Problem]:
        yield from self._of_image(spec)
        yield from self._of_code(spec, uploaded=uploaded)
        yield from requirement_lines.problems(spec.requirements, "spec.requirements")
        yield from exec_limits.problems(spec)
        for key in sorted(spec.env):
            if key.startswith(("CUMULUS_", "CHRONOS_")):
                yield Problem("names beginning so are set by Cumulus", path=f"spec.env.{key}")

    def _of_image(self, spec: JobSpec) -> Iterator[Problem]:
        if spec.image is not None and self.platform == "process":
            yield Problem(
                "the process platform runs code jobs only: "
                "expected spec.code, or a controller with platform swarm",
                path="spec.image",
            )
        elif spec.image is not None and not self.images.takes(spec.image):
            text = f"{spec.image!r:.200} is not among the images that this controller runs"
            yield Problem(f"{text}: expected {self.images}", path="spec.image")
        if spec.runtime and self.platform == "process":
            text = "the process platform runs code in the controller's own Python alone"
            yield Problem(f"{text}: expected a controller with platform swarm", path="spec.runtime")
        elif spec.runtime and spec.runtime not in self.runtimes:
            there = ", ".join(sorted(self.runtimes)) or "none but its own (without spec.runtime)"
            text = f"there is no runtime {spec.runtime!r}: this controller has {there}"
            text += "; its operator adds others under `runtimes` in the configuration"
            yield Problem(text, path="spec.runtime")

    def _of_secrets(self, spec: JobSpec, owner: str) -> list[Problem]:
        """Told before a job waits for its turn: no value is kept."""
        return [
            Problem(why, path=f"spec.secrets[{number}].name")
            for number, one in enumerate(spec.secrets)
            if (why := self.secrets.why_not(one.name, owner))
        ]

    def _of_code(self, spec: JobSpec, *, uploaded: bool) -> Iterator[Problem]:
        code = spec.code
        if code is not None and code.path is not None:
            yield Problem(
                "a path means something on the client only: "
                "expected spec.code.digest of uploaded code, or spec.code.files",
                path="spec.code.path",
            )
        elif uploaded and code is not None and code.digest and self._lacks(code.digest):
            yield Problem(f"{code.digest} was not uploaded: send it first", path="spec.code.digest")

    def _lacks(self, digest: str) -> bool:
        return self.blobs.size(digest) is None


def _pack(job: Job, files: Mapping[str, str]) -> bytes:
    try:
        return pack({name: text.encode() for name, text in files.items()})
    except ValidationError as error:
        problems = [
            replace(problem, path=" ".join(filter(None, ("spec.code.files", problem.path))))
            for problem in error.problems
        ]
        raise ValidationError(problems, job_id=job.metadata.name) from error
