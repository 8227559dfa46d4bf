"""Resources as the store holds them: their tables, what these are looked up by, and both ways
between a resource and its document. Pure; called by `records.py`, and by whoever names a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from ...crd_like_specs.dataset import Dataset
from ...crd_like_specs.job import Job, Phase
from ...crd_like_specs.lease import Lease
from ...crd_like_specs.meta import Model, ObjectMeta
from ...crd_like_specs.source import Source
from ...crd_like_specs.template import Template
from ...crd_like_specs.worker import Worker
from ..store import Record

JOBS: Final = "jobs"
LEASES: Final = "leases"
WORKERS: Final = "workers"
SOURCES: Final = "sources"
TEMPLATES: Final = "templates"
DATASETS: Final = "datasets"
INVENTORY: Final = "inventory"
"""What each source made, see `gitops/inventory.py`."""
FINISHED: Final = "finished"
"""Which runs of its jobs have finished."""
IDEMPOTENCY: Final = "cumulus.dev/idempotency-key"

AnyResource = TypeVar("AnyResource", Job, Lease, Worker, Source, Dataset, Template)
Tables = Mapping[str, Mapping[str, Callable[[dict[str, Any]], Iterable[str]]]]


def owner_of(doc: dict[str, Any]) -> str:
    """Of a job or lease as it is stored; "" for nobody's, as before there were owners."""
    return str(doc["metadata"].get("owner", ""))


def _open(doc: dict[str, Any]) -> Iterable[str]:
    """Something is left to be done: of a job that is over too, where it was to be deleted or to run
    anew just as the controller was killed.
    """
    status, meta = doc["status"], doc["metadata"]
    if not (Phase(status["phase"]).terminal and status["cleaned"]):
        return ("1",)
    if meta.get("deletionTimestamp") is not None:
        return ("1",)
    changed = status.get("observedGeneration") != meta.get("generation")
    return ("1",) if changed and meta.get("cancellationTimestamp") is None else ()


def _reads(doc: dict[str, Any]) -> Iterable[str]:
    """Digests of the datasets that a job needs which has not ended, or is to run anew. What is
    left to be done of others needs none of them.
    """
    mounts, status, meta = doc["spec"].get("datasets", ()), doc["status"], doc["metadata"]
    if not mounts:
        return ()
    anew = status.get("observedGeneration") != meta.get("generation")
    if Phase(status["phase"]).terminal and not (anew and _stands(meta)):
        return ()
    return {one["digest"] for one in mounts if one["digest"]}


def _stands(meta: dict[str, Any]) -> bool:
    """Nobody asked for it to end."""
    return meta.get("cancellationTimestamp") is None and meta.get("deletionTimestamp") is None


def _expires(doc: dict[str, Any]) -> Iterable[str]:
    """The hour in which a finished job may be collected, so that a sweep reads only those."""
    if _open(doc):
        return ()  # asked with every write: only finished jobs are worth decoding
    job = Job.model_validate(doc)
    return (str(expiry_hour(job.status.finished_at + job.spec.ttl_after_finished)),)


def _code(spec: dict[str, Any]) -> Iterable[str]:
    """Digest of the code that a job runs."""
    return filter(None, ((spec.get("code") or {}).get("digest"),))


def expiry_hour(when: float) -> int:
    """Hours since the epoch; index `expires` is by it."""
    return int(when // 3600)


INDEXES: Final[Tables] = {
    JOBS: {
        "uid": lambda doc: (doc["metadata"]["uid"],),
        "owner": lambda doc: filter(None, (owner_of(doc),)),
        "phase": lambda doc: (doc["status"]["phase"],),
        "open": _open,
        "expires": _expires,
        "code": lambda doc: _code(doc["spec"]),
        "reads": _reads,
        "experiment": lambda doc: {
            kept["experiment"] for kept in doc["status"].get("outputs", ()) if kept["digest"]
        },
        "key": lambda doc: filter(None, (doc["metadata"]["annotations"].get(IDEMPOTENCY),)),
    },
    DATASETS: {
        "owner": lambda doc: filter(None, (owner_of(doc),)),
        "digest": lambda doc: (doc["spec"]["digest"],),
    },
    TEMPLATES: {"code": lambda doc: _code(doc["spec"]["job"])},
    INVENTORY: {"source": lambda doc: (doc["source"],), "job": lambda doc: (doc["job"],)},
    FINISHED: {"source": lambda doc: (doc["source"],)},
}


def document(resource: Model) -> dict[str, Any]:
    """What is stored: everything but the version, which is the store's own."""
    doc = resource.to_dict()
    doc["metadata"].pop("resourceVersion", None)
    return doc


def typed(table: str, record: Record) -> Job | Lease | Worker | Source | Dataset | Template:
    """The record as the resource its table holds."""
    if table == JOBS:
        return decoded(Job, record)
    if table == SOURCES:
        return decoded(Source, record)
    if table == TEMPLATES:
        return decoded(Template, record)
    if table == DATASETS:
        return decoded(Dataset, record)
    return decoded(Lease, record) if table == LEASES else decoded(Worker, record)


def decoded(kind: type[AnyResource], record: Record) -> AnyResource:
    """The record as a resource of this kind, with its version."""
    return at_version(kind.model_validate(record.doc), record.rv)


def at_version(resource: AnyResource, version: int) -> AnyResource:
    """The resource as the store has it at this version."""
    meta: ObjectMeta = resource.metadata.model_copy(update={"resource_version": version})
    return resource.model_copy(update={"metadata": meta})
