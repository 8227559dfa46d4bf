"""From a job and its held lease to the service that runs the attempt. Pure."""

from __future__ import annotations

import json

from ...crd_like_specs.checkpoint import (
    CHECKPOINT_DIR,
    ENV_CHECKPOINT_DIR,
    ENV_CHECKPOINT_SIZE,
)
from ...crd_like_specs.identity import (
    ENV_RLIMIT_DATA,
    MPS_PIPE_DIRS,
    MPS_PIPE_TARGET,
    unit_name,
)
from ...crd_like_specs.job import GRACE_SECONDS, Job
from ...crd_like_specs.job_datasets import ENV_DATASETS, FOLDERS
from ...crd_like_specs.job_secrets import ENV_SECRETS, ENV_SECRETS_DIR, SECRETS_DIR
from ...crd_like_specs.lease import Lease
from ...crd_like_specs.outputs import ENV_OUTPUTS, OUTPUTS_DIR
from ...crd_like_specs.worker import Worker
from .actions import Mount, SecretFile, ServiceSpec


def service_spec(job: Job, lease: Lease, worker: Worker, default_image: str) -> ServiceSpec:
    """All of the attempt's container. The lease must be held: its partition ids, environment
    and end go into the container's environment, and the image is the one that it made sure of.
    """
    spec, uid, attempt = job.spec, job.metadata.uid, lease.spec.attempt
    name = unit_name(uid, attempt)
    unit_dir = f"{worker.status.staging_root}/{name}"
    code = spec.code is not None
    return ServiceSpec(
        name=name,
        uid=uid,
        attempt=attempt,
        job=job.metadata.name,
        node_id=worker.status.node_id,
        worker=worker.metadata.name,
        image=lease.status.image or spec.image or default_image,
        unit_dir=unit_dir,
        command=spec.command,
        args=() if code else tuple(str(a) for a in spec.args),
        env={**spec.env, **_env(job, lease), **lease.status.env},
        mounts=(
            *(_staged(unit_dir) if code else ()),
            *_given(lease),
            *_writable(lease, unit_dir),
            *_datasets(job, unit_dir),
        ),
        secrets=tuple(
            SecretFile(one.name, one.file or one.name, job.metadata.owner) for one in spec.secrets
        ),
        cpus=spec.resources.cpus,
        memory=spec.resources.memory,
        pids=spec.resources.pids,
        shm=spec.resources.shm,
        data=0 if code else _data_limit(lease),
        user=spec.user,
        isolated=spec.network == "None",
        stop_grace=GRACE_SECONDS,
    )


def _staged(unit_dir: str) -> tuple[Mount, ...]:
    return Mount(f"{unit_dir}/job", "/job"), Mount(f"{unit_dir}/env", "/env")


def _given(lease: Lease) -> tuple[Mount, ...]:
    """Folders of the worker that come with the share. Only those that agents may give at all: what
    a lease reports beyond them is not mounted.
    """
    return tuple(
        Mount(mount.source, mount.target)
        for mount in lease.status.mounts
        if mount.target == MPS_PIPE_TARGET and mount.source in MPS_PIPE_DIRS
    )


def _writable(lease: Lease, unit_dir: str) -> tuple[Mount, ...]:
    """The folders that a job may write to and that outlive it, where its agent has made them."""
    own = ((f"{unit_dir}/checkpoint", CHECKPOINT_DIR), (f"{unit_dir}/outputs", OUTPUTS_DIR))
    made = {(mount.source, mount.target) for mount in lease.status.mounts}
    return tuple(Mount(*folder, writable=True) for folder in own if folder in made)


def _datasets(job: Job, unit_dir: str) -> tuple[Mount, ...]:
    """A lease is held only once all of them are there."""
    return tuple(
        Mount(f"{unit_dir}/{FOLDERS}/{mount.link}", mount.path) for mount in job.spec.datasets
    )


def _data_limit(lease: Lease) -> int:
    """An image brings no runner that would take the limit from its environment. Where there is
    one, it alone sets it, so that a job at its limit can still tell what happened.
    """
    given = lease.status.env.get(ENV_RLIMIT_DATA, "")
    return int(given) if given.isdecimal() else 0


def _env(job: Job, lease: Lease) -> dict[str, str]:
    env = {
        "JOB_ID": job.metadata.uid,
        "CUMULUS_JOB_NAME": job.metadata.name,
        "CUMULUS_ATTEMPT": str(lease.spec.attempt),
        "CHRONOS_PARTITION_ID": ",".join(lease.status.partition_ids),
        "GPU_DEVICE": ",".join(str(device) for device in lease.spec.devices),
        "CUMULUS_DEADLINE": f"{lease.status.expires_at:.3f}",
        # Images of CUDA ask for all devices; the lease alone says which a job sees.
        "NVIDIA_VISIBLE_DEVICES": "void",
    }
    if any(mount.target == OUTPUTS_DIR for mount in lease.status.mounts):
        env[ENV_OUTPUTS] = OUTPUTS_DIR
    if any(mount.target == CHECKPOINT_DIR for mount in lease.status.mounts):
        env[ENV_CHECKPOINT_DIR] = CHECKPOINT_DIR
        env[ENV_CHECKPOINT_SIZE] = str(lease.spec.checkpoint_size)
    if job.spec.datasets:
        env[ENV_DATASETS] = json.dumps({mount.label: mount.path for mount in job.spec.datasets})
    if job.spec.secrets:
        env[ENV_SECRETS_DIR] = SECRETS_DIR
    told = {one.env: one.file or one.name for one in job.spec.secrets if one.env}
    if told:
        env[ENV_SECRETS] = json.dumps(told)
    if lease.spec.devices:
        env["CUMULUS_GPU_MEMORY_FRACTION"] = f"{lease.spec.memory_milli / 1000:g}"
    return env
