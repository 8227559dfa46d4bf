"""What the datasets of a job's spec stand for when it is submitted. Asks the port, changes nothing.

Called by `desired.py` for whoever submits, and by `gitops` before it compares. From then on a job
names content: another upload under the same name is another run, and none by itself.
"""

from __future__ import annotations

from ...api.datasets import DatasetsPort
from ...api.viewer import Viewer
from ...crd_like_specs.dataset import Dataset
from ...crd_like_specs.errors import NotFoundError, Problem, ValidationError
from ...crd_like_specs.job import Job, JobSpec
from ...crd_like_specs.job_datasets import DatasetMount


async def settled(
    job: Job, datasets: DatasetsPort | None, viewer: Viewer, record: Job | None = None
) -> Job:
    """The job with the digest, size and format of each dataset. Its code is named by digest; record:
    of the job's name.

    ValidationError names every one that the viewer has none of. A dataset that went since is fine
    as long as nothing would run anew for want of it.
    """
    spec = job.spec
    if not spec.datasets:
        return job
    known = record.spec if record is not None and viewer.sees(record.metadata) else None
    found: list[DatasetMount] = []
    problems: list[Problem] = []
    for number, mount in enumerate(spec.datasets):
        dataset = await _find(mount, datasets, viewer)
        noted = _noted(mount, known)
        if dataset is not None:
            found.append(_settled(mount, dataset))
            continue
        if noted is not None:
            found.append(noted)
        key = "digest" if mount.digest else "name"
        text = (
            f"there is no dataset {mount.digest or mount.name!r}: "
            "expected one that was uploaded or imported"
        )
        problems.append(Problem(text, path=f"spec.datasets[{number}].{key}"))
    if len(found) == len(spec.datasets):
        whole = spec.model_copy(update={"datasets": tuple(found)})
        if not problems or (known is not None and whole.run_hash() == known.run_hash()):
            return job.model_copy(update={"spec": whole})
    raise ValidationError(problems, job_id=job.metadata.name)


def as_known(job: Job, record: Job) -> Job:
    """The job with its datasets as they were when the record was made, as far as they are the same
    mounts: a call that is made again means what it meant.
    """
    if not job.spec.datasets:
        return job
    mounts = tuple(_noted(mount, record.spec) or mount for mount in job.spec.datasets)
    return job.model_copy(update={"spec": job.spec.model_copy(update={"datasets": mounts})})


async def _find(
    mount: DatasetMount, datasets: DatasetsPort | None, viewer: Viewer
) -> Dataset | None:
    """By its name as long as that stands for the digest that is given, since the same bytes may be
    there under several names.
    """
    for word in (mount.name, mount.digest) if datasets is not None else ():
        try:
            found = await datasets.seen_by(viewer).get(word) if datasets and word else None
        except NotFoundError:
            continue
        if found is not None and mount.digest in ("", found.spec.digest):
            return found
    return None


def _settled(mount: DatasetMount, dataset: Dataset) -> DatasetMount:
    seen = dataset.spec
    return mount.model_copy(
        update={
            "digest": seen.digest,
            "size": seen.size,
            "extracted": dataset.status.extracted_bytes or seen.size,
            "format": seen.format.value,
            "filename": seen.filename,
        }
    )


def _noted(mount: DatasetMount, known: JobSpec | None) -> DatasetMount | None:
    """What the record says that the same mount stood for."""
    for one in known.datasets if known is not None else ():
        same = one.digest == mount.digest if mount.digest else one.name == mount.name
        if same and one.path == mount.path and one.resolved:
            return one
    return None
