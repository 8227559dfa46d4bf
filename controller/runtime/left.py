"""All that attempts left: their checkpoints and their outputs, on the controller's disk. File I/O.

Made by `main`; used by `agents` (what is really here), `executor` and `upkeep` (it goes with its
job), and `artifact_gate` and `outputs` for either kind.
"""

from __future__ import annotations

from pathlib import Path

from ...crd_like_specs.errors import NotFoundError
from ...crd_like_specs.job import Job
from ...crd_like_specs.lease import Lease, LeaseStatus
from ...crd_like_specs.outputs import KeptOutputs
from .artifacts import Artifacts
from .output_archives import OutputArchives


class Left:
    """data: the controller's own folder."""

    def __init__(self, data: Path) -> None:
        self.checkpoints = Artifacts(data / "artifacts")
        self.outputs = OutputArchives(data / "outputs")

    def delete(self, uid: str) -> None:
        """All that the job has, soon."""
        self.checkpoints.delete(uid)
        self.outputs.delete(uid)

    def uids(self) -> set[str]:
        """Jobs that have anything here."""
        return {*self.checkpoints.uids(), *self.outputs.uids()}

    def transition(self, old: Job, new: Job) -> None:
        """What the job's status names no more is of no use to anybody."""
        uid, before, after = new.metadata.uid, old.status, new.status
        if before.checkpoints != after.checkpoints:
            kept = {snapshot.digest for snapshot in after.checkpoints}
            self.checkpoints.drop(uid, {s.digest for s in before.checkpoints} - kept)
        if before.outputs != after.outputs:
            kept = {outputs.digest for outputs in after.outputs}
            self.outputs.drop(uid, {o.digest for o in before.outputs} - kept - {""})

    def confirmed(self, lease: Lease, seen: LeaseStatus, job: Job | None) -> LeaseStatus:
        """An agent is believed that it brought something where that is here, of its job."""
        if seen.checkpoint is not None:
            mine = seen.checkpoint.model_copy(update={"attempt": lease.spec.attempt})
            here = self.checkpoints.size(lease.spec.job, mine.digest) is not None
            seen = seen.model_copy(update={"checkpoint": mine if here else None})
        if seen.outputs is not None:
            update = {"outputs": self._outputs(lease, seen.outputs, job)}
            seen = seen.model_copy(update=update)
        return seen

    def _outputs(self, lease: Lease, said: KeptOutputs, job: Job | None) -> KeptOutputs | None:
        """What counts is what was found in them; and their experiment, which the agent cannot know."""
        told = {"attempt": lease.spec.attempt, "message": said.message[:1000]}
        if not said.digest:
            return KeptOutputs(taken_at=said.taken_at, **told)
        try:
            index = self.outputs.index(lease.spec.job, said.digest)
        except NotFoundError:
            return None
        wish = job.spec.outputs.experiment if job is not None else ""
        found = {
            "size": sum(file.size for file in index.files),
            "files": len(index.files),
            "experiment": wish or index.experiment or lease.spec.job_name,
            "message": "; ".join(filter(None, (said.message[:1000], index.message))),
        }
        return said.model_copy(update={**told, **found})
