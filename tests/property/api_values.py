"""Whatever the models allow, drawn: resources of every kind, and the parts that frames are made of."""

from __future__ import annotations

import string
from typing import Any

from cumulus.crd_like_specs import (
    checkpoint,
    dataset,
    job,
    job_datasets,
    job_secrets,
    lease,
    outputs,
    source,
    worker,
)
from cumulus.crd_like_specs.archives.entries import Format
from cumulus.crd_like_specs.instants import Instant
from cumulus.crd_like_specs.meta import Condition, ObjectMeta
from hypothesis import strategies as st

I32, I63 = (1 << 31) - 1, (1 << 63) - 1
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
maps = st.dictionaries(texts, texts, max_size=3)
times = st.floats(0, 1e12) | st.just(0.0)
counts = st.integers(0, I32)
names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
digests = st.text(string.hexdigits.lower()[:16], min_size=64, max_size=64).map("sha256:{}".format)
json_values: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)

conditions = st.builds(
    Condition, type=texts, status=st.booleans(), reason=texts, message=texts, since=times
)
metas = st.builds(
    ObjectMeta,
    name=names,
    uid=texts,
    owner=texts,
    labels=maps,
    annotations=maps,
    generation=st.integers(1, I63),
    resource_version=st.integers(0, I63),
    creation_timestamp=times,
    deletion_timestamp=st.none() | times,
    cancellation_timestamp=st.none() | times,
)
codes = (
    st.builds(job.Code, path=texts)
    | st.builds(job.Code, digest=digests)
    | st.builds(job.Code, files=maps.map(lambda files: {**files, "main.py": ""}))
)
mounts = st.lists(
    st.builds(
        job_datasets.DatasetMount,
        name=names,
        digest=st.just("") | digests,
        path=st.just("") | st.from_regex(r"/data-[a-z]{1,4}", fullmatch=True),
        size=st.integers(0, I63),
        extracted=st.integers(0, I63),
        format=st.sampled_from(["", "file", "tar.gz"]),
        filename=texts,
    ),
    max_size=3,
    unique_by=lambda mount: mount.path,
).map(tuple)
SECONDS = st.integers(1, 30 * 86400)
common = {
    "env": st.dictionaries(
        st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True), texts, max_size=3
    ),
    "gpu": st.none()
    | st.builds(
        job.Gpu,
        memory=st.integers(1, 1000).map(lambda milli: f"{milli}m"),
        count=st.integers(1, 64),
        type=texts,
    ),
    "resources": st.builds(
        job.Resources,
        cpus=st.integers(1, 10**6).map(lambda milli: f"{milli}m"),
        memory=st.integers(16 << 20, 1 << 44),
        pids=st.integers(8, 65536),
        shm=st.integers(0, 1 << 44),
    ),
    "duration": SECONDS,
    "retry": st.builds(
        job.Retry,
        limit=st.integers(0, 100),
        backoff=st.integers(0, 86400),
        on=st.lists(st.sampled_from(job.Cause), max_size=4).map(tuple),
    ),
    "when_unschedulable": st.sampled_from(["Fail", "Wait"]),
    "network": st.sampled_from(["None", "Egress"]),
    "node_selector": st.dictionaries(
        texts, st.sampled_from(["a100", "a100,h100", "!eu", "*", "!*", ""]), max_size=3
    ),
    "ttl_after_finished": st.integers(86400, 10**9),
    "suspend": st.booleans(),
    "priority": st.integers(-1000, 1000),
    "checkpoint": st.builds(
        checkpoint.Checkpoint,
        size=st.integers(0, 1 << 40),
        interval=st.integers(1, 86400),
        grace=st.integers(0, 3600),
    ),
    "outputs": st.builds(
        outputs.OutputsSpec,
        size=st.integers(0, 1 << 40),
        experiment=st.sampled_from(["", "night-3", "A.b_c"]),
    ),
    "datasets": mounts,
    "stop_after_disconnect": st.just(0) | st.integers(job.LEAST_DISCONNECT, 86400),
}
secret_names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,3}[A-Za-z0-9]", fullmatch=True)


def secrets(env: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    mount = st.builds(
        job_secrets.SecretMount, name=secret_names, file=st.just("") | secret_names, env=env
    )
    return st.lists(mount, max_size=2, unique_by=lambda one: one.target).map(tuple)


specs = st.builds(
    job.JobSpec,
    code=codes,
    runtime=st.sampled_from(["", "torch"]),
    secrets=secrets(st.just("")),
    requirements=st.lists(texts, max_size=3).map(tuple),
    args=st.lists(json_values, max_size=3) | st.dictionaries(texts, json_values, max_size=3),
    **common,
) | st.builds(
    job.JobSpec,
    image=st.text(string.ascii_lowercase, min_size=1, max_size=9),
    user=st.sampled_from(["", "0", "1000:100", "nobody"]),
    secrets=secrets(st.just("")),
    command=st.lists(texts, max_size=3).map(tuple),
    args=st.lists(texts, max_size=3),
    **common,
)
phases = st.sampled_from(job.Phase)
attempts = st.builds(
    job.Attempt,
    number=counts,
    phase=phases,
    cause=st.none() | st.sampled_from(job.Cause),
    reason=texts,
    message=texts,
    exit_code=st.none() | st.integers(-1, 255),
    worker=texts,
    started_at=times,
    finished_at=times,
)
reasons = st.builds(job.WorkerReason, worker=texts, reason=texts, ever=st.booleans(), fix=texts)
snapshots = st.builds(
    checkpoint.Snapshot,
    digest=digests,
    size=st.integers(0, I63),
    files=counts,
    attempt=st.integers(1, I32),
    taken_at=times,
)
kept_outputs = st.builds(
    outputs.KeptOutputs,
    digest=digests,
    size=st.integers(0, I63),
    files=counts,
    attempt=st.integers(1, I32),
    taken_at=times,
    experiment=texts,
    message=texts,
)
lease_mounts = st.builds(lease.LeaseMount, source=texts, target=texts)
# The statuses' many plain fields are drawn by their types, so that a new one is covered at once.
_BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    int: counts,
    float: times,
    bool: st.booleans(),
    int | None: st.none() | counts,
    float | None: st.none() | times,
    Instant | None: st.none() | st.floats(0, 1e11),
    dict[str, str]: maps,
    tuple[str, ...]: st.lists(texts, max_size=3).map(tuple),
    tuple[int, ...]: st.lists(counts, max_size=3).map(tuple),
    job.Phase: phases,
    lease.LeaseState: st.sampled_from(lease.LeaseState),
    tuple[lease.LeaseMount, ...]: st.lists(lease_mounts, max_size=2).map(tuple),
    tuple[Condition, ...]: st.lists(conditions, max_size=2).map(tuple),
    checkpoint.Snapshot | None: st.none() | snapshots,
    tuple[checkpoint.Snapshot, ...]: st.lists(snapshots, max_size=2).map(tuple),
    outputs.KeptOutputs | None: st.none() | kept_outputs,
    tuple[outputs.KeptOutputs, ...]: st.lists(kept_outputs, max_size=2).map(tuple),
    tuple[job.Attempt, ...]: st.lists(attempts, max_size=2).map(tuple),
    tuple[job.WorkerReason, ...]: st.lists(reasons, max_size=2).map(tuple),
}


def drawn(model: Any, **given_fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = {
        name: given_fields[name] if name in given_fields else _BY_TYPE[field.annotation]
        for name, field in model.model_fields.items()
        if name not in ("api_version", "kind")
    }
    return st.fixed_dictionaries(fields).map(lambda values: model(**values))


devices = drawn(worker.Device, enforcement=st.sampled_from(["enforced", "advisory"]))
lease_specs = drawn(
    lease.LeaseSpec,
    attempt=st.integers(1, I32),
    memory_milli=st.integers(0, 1000),
    duration=st.integers(1, I63),
    memory=st.integers(0, I63),
    checkpoint_interval=st.integers(1, I63),
)
lease_statuses = drawn(lease.LeaseStatus)
worker_statuses = drawn(worker.WorkerStatus, devices=st.lists(devices, max_size=2).map(tuple))
jobs = st.builds(job.Job, metadata=metas, spec=specs, status=drawn(job.JobStatus))
leases = st.builds(lease.Lease, metadata=metas, spec=lease_specs, status=lease_statuses)
workers = st.builds(
    worker.Worker, metadata=metas, spec=drawn(worker.WorkerSpec), status=worker_statuses
)

sources = st.builds(
    source.Source,
    metadata=metas,
    spec=drawn(
        source.SourceSpec,
        type=st.sampled_from(("folder", "git")),
        interval=SECONDS,
        pull=st.integers(0, 86400),
    ),
    status=drawn(
        source.SourceStatus,
        files=st.lists(
            drawn(source.SourceFile, state=st.sampled_from(source.FileState)), max_size=2
        ).map(tuple),
        conditions=st.lists(conditions, max_size=2).map(tuple),
    ),
)

datasets = st.builds(
    dataset.Dataset,
    metadata=metas,
    spec=drawn(
        dataset.DatasetSpec,
        digest=digests,
        size=st.integers(0, I63),
        format=st.sampled_from(Format),
        filename=st.sampled_from(("data", "photos.tar.gz")),
    ),
    status=drawn(
        dataset.DatasetStatus, files=st.integers(0, I63), extracted_bytes=st.integers(0, I63)
    ),
)
