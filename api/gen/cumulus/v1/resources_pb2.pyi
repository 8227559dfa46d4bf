from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Metadata(_message.Message):
    __slots__ = ("name", "uid", "labels", "annotations", "generation", "resource_version", "creation_timestamp", "deletion_timestamp", "cancellation_timestamp", "extension", "owner")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class AnnotationsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATION_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    DELETION_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    CANCELLATION_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    EXTENSION_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    name: str
    uid: str
    labels: _containers.ScalarMap[str, str]
    annotations: _containers.ScalarMap[str, str]
    generation: int
    resource_version: int
    creation_timestamp: float
    deletion_timestamp: float
    cancellation_timestamp: float
    extension: int
    owner: str
    def __init__(self, name: _Optional[str] = ..., uid: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., annotations: _Optional[_Mapping[str, str]] = ..., generation: _Optional[int] = ..., resource_version: _Optional[int] = ..., creation_timestamp: _Optional[float] = ..., deletion_timestamp: _Optional[float] = ..., cancellation_timestamp: _Optional[float] = ..., extension: _Optional[int] = ..., owner: _Optional[str] = ...) -> None: ...

class Condition(_message.Message):
    __slots__ = ("type", "status", "reason", "message", "since")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    type: str
    status: bool
    reason: str
    message: str
    since: float
    def __init__(self, type: _Optional[str] = ..., status: _Optional[bool] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., since: _Optional[float] = ...) -> None: ...

class Code(_message.Message):
    __slots__ = ("path", "digest", "files")
    class Files(_message.Message):
        __slots__ = ("entries",)
        class EntriesEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: str
            def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
        ENTRIES_FIELD_NUMBER: _ClassVar[int]
        entries: _containers.ScalarMap[str, str]
        def __init__(self, entries: _Optional[_Mapping[str, str]] = ...) -> None: ...
    PATH_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    path: str
    digest: str
    files: Code.Files
    def __init__(self, path: _Optional[str] = ..., digest: _Optional[str] = ..., files: _Optional[_Union[Code.Files, _Mapping[str, object]]] = ...) -> None: ...

class Gpu(_message.Message):
    __slots__ = ("memory", "count", "type")
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    memory: float
    count: int
    type: str
    def __init__(self, memory: _Optional[float] = ..., count: _Optional[int] = ..., type: _Optional[str] = ...) -> None: ...

class Resources(_message.Message):
    __slots__ = ("cpus", "memory", "pids", "shm")
    CPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    PIDS_FIELD_NUMBER: _ClassVar[int]
    SHM_FIELD_NUMBER: _ClassVar[int]
    cpus: str
    memory: str
    pids: int
    shm: str
    def __init__(self, cpus: _Optional[str] = ..., memory: _Optional[str] = ..., pids: _Optional[int] = ..., shm: _Optional[str] = ...) -> None: ...

class Retry(_message.Message):
    __slots__ = ("limit", "backoff", "on", "on_nothing")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_FIELD_NUMBER: _ClassVar[int]
    ON_FIELD_NUMBER: _ClassVar[int]
    ON_NOTHING_FIELD_NUMBER: _ClassVar[int]
    limit: int
    backoff: str
    on: _containers.RepeatedScalarFieldContainer[str]
    on_nothing: bool
    def __init__(self, limit: _Optional[int] = ..., backoff: _Optional[str] = ..., on: _Optional[_Iterable[str]] = ..., on_nothing: _Optional[bool] = ...) -> None: ...

class Checkpoint(_message.Message):
    __slots__ = ("size", "interval", "grace")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    GRACE_FIELD_NUMBER: _ClassVar[int]
    size: str
    interval: str
    grace: str
    def __init__(self, size: _Optional[str] = ..., interval: _Optional[str] = ..., grace: _Optional[str] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("digest", "size", "files", "attempt", "taken_at")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TAKEN_AT_FIELD_NUMBER: _ClassVar[int]
    digest: str
    size: int
    files: int
    attempt: int
    taken_at: float
    def __init__(self, digest: _Optional[str] = ..., size: _Optional[int] = ..., files: _Optional[int] = ..., attempt: _Optional[int] = ..., taken_at: _Optional[float] = ...) -> None: ...

class OutputsSpec(_message.Message):
    __slots__ = ("size", "experiment")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    size: str
    experiment: str
    def __init__(self, size: _Optional[str] = ..., experiment: _Optional[str] = ...) -> None: ...

class KeptOutputs(_message.Message):
    __slots__ = ("digest", "size", "files", "attempt", "taken_at", "experiment", "message")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TAKEN_AT_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    digest: str
    size: int
    files: int
    attempt: int
    taken_at: float
    experiment: str
    message: str
    def __init__(self, digest: _Optional[str] = ..., size: _Optional[int] = ..., files: _Optional[int] = ..., attempt: _Optional[int] = ..., taken_at: _Optional[float] = ..., experiment: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class DatasetMount(_message.Message):
    __slots__ = ("name", "digest", "path", "size", "extracted", "format", "filename")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    EXTRACTED_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    digest: str
    path: str
    size: int
    extracted: int
    format: str
    filename: str
    def __init__(self, name: _Optional[str] = ..., digest: _Optional[str] = ..., path: _Optional[str] = ..., size: _Optional[int] = ..., extracted: _Optional[int] = ..., format: _Optional[str] = ..., filename: _Optional[str] = ...) -> None: ...

class SecretMount(_message.Message):
    __slots__ = ("name", "file", "env")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    name: str
    file: str
    env: str
    def __init__(self, name: _Optional[str] = ..., file: _Optional[str] = ..., env: _Optional[str] = ...) -> None: ...

class JobSpec(_message.Message):
    __slots__ = ("code", "image", "command", "requirements", "args_json", "env", "gpu", "resources", "duration", "retry", "when_unschedulable", "network", "node_selector", "ttl_after_finished", "suspend", "priority", "stop_after_disconnect", "checkpoint", "outputs", "datasets", "runtime", "user", "secrets")
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class NodeSelectorEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CODE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    REQUIREMENTS_FIELD_NUMBER: _ClassVar[int]
    ARGS_JSON_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    GPU_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    WHEN_UNSCHEDULABLE_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    NODE_SELECTOR_FIELD_NUMBER: _ClassVar[int]
    TTL_AFTER_FINISHED_FIELD_NUMBER: _ClassVar[int]
    SUSPEND_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    STOP_AFTER_DISCONNECT_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    code: Code
    image: str
    command: _containers.RepeatedScalarFieldContainer[str]
    requirements: _containers.RepeatedScalarFieldContainer[str]
    args_json: str
    env: _containers.ScalarMap[str, str]
    gpu: Gpu
    resources: Resources
    duration: str
    retry: Retry
    when_unschedulable: str
    network: str
    node_selector: _containers.ScalarMap[str, str]
    ttl_after_finished: str
    suspend: bool
    priority: int
    stop_after_disconnect: str
    checkpoint: Checkpoint
    outputs: OutputsSpec
    datasets: _containers.RepeatedCompositeFieldContainer[DatasetMount]
    runtime: str
    user: str
    secrets: _containers.RepeatedCompositeFieldContainer[SecretMount]
    def __init__(self, code: _Optional[_Union[Code, _Mapping[str, object]]] = ..., image: _Optional[str] = ..., command: _Optional[_Iterable[str]] = ..., requirements: _Optional[_Iterable[str]] = ..., args_json: _Optional[str] = ..., env: _Optional[_Mapping[str, str]] = ..., gpu: _Optional[_Union[Gpu, _Mapping[str, object]]] = ..., resources: _Optional[_Union[Resources, _Mapping[str, object]]] = ..., duration: _Optional[str] = ..., retry: _Optional[_Union[Retry, _Mapping[str, object]]] = ..., when_unschedulable: _Optional[str] = ..., network: _Optional[str] = ..., node_selector: _Optional[_Mapping[str, str]] = ..., ttl_after_finished: _Optional[str] = ..., suspend: _Optional[bool] = ..., priority: _Optional[int] = ..., stop_after_disconnect: _Optional[str] = ..., checkpoint: _Optional[_Union[Checkpoint, _Mapping[str, object]]] = ..., outputs: _Optional[_Union[OutputsSpec, _Mapping[str, object]]] = ..., datasets: _Optional[_Iterable[_Union[DatasetMount, _Mapping[str, object]]]] = ..., runtime: _Optional[str] = ..., user: _Optional[str] = ..., secrets: _Optional[_Iterable[_Union[SecretMount, _Mapping[str, object]]]] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("number", "phase", "cause", "reason", "message", "exit_code", "worker", "started_at", "finished_at", "devices", "expires_at")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    number: int
    phase: str
    cause: str
    reason: str
    message: str
    exit_code: int
    worker: str
    started_at: float
    finished_at: float
    devices: _containers.RepeatedScalarFieldContainer[int]
    expires_at: float
    def __init__(self, number: _Optional[int] = ..., phase: _Optional[str] = ..., cause: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., exit_code: _Optional[int] = ..., worker: _Optional[str] = ..., started_at: _Optional[float] = ..., finished_at: _Optional[float] = ..., devices: _Optional[_Iterable[int]] = ..., expires_at: _Optional[float] = ...) -> None: ...

class WorkerReason(_message.Message):
    __slots__ = ("worker", "reason", "ever", "fix")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EVER_FIELD_NUMBER: _ClassVar[int]
    FIX_FIELD_NUMBER: _ClassVar[int]
    worker: str
    reason: str
    ever: bool
    fix: str
    def __init__(self, worker: _Optional[str] = ..., reason: _Optional[str] = ..., ever: _Optional[bool] = ..., fix: _Optional[str] = ...) -> None: ...

class JobStatus(_message.Message):
    __slots__ = ("phase", "reason", "message", "attempt", "observed_generation", "run_hash", "first_attempt", "worker", "devices", "exit_code", "submitted_at", "started_at", "finished_at", "expires_at", "retry_at", "result_size", "cleaned", "attempts", "waiting_for", "conditions", "stop_by", "stopping", "checkpoints", "outputs")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    RUN_HASH_FIELD_NUMBER: _ClassVar[int]
    FIRST_ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    SUBMITTED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    RETRY_AT_FIELD_NUMBER: _ClassVar[int]
    RESULT_SIZE_FIELD_NUMBER: _ClassVar[int]
    CLEANED_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    WAITING_FOR_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    STOP_BY_FIELD_NUMBER: _ClassVar[int]
    STOPPING_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    phase: str
    reason: str
    message: str
    attempt: int
    observed_generation: int
    run_hash: str
    first_attempt: int
    worker: str
    devices: _containers.RepeatedScalarFieldContainer[int]
    exit_code: int
    submitted_at: float
    started_at: float
    finished_at: float
    expires_at: float
    retry_at: float
    result_size: int
    cleaned: bool
    attempts: _containers.RepeatedCompositeFieldContainer[Attempt]
    waiting_for: _containers.RepeatedCompositeFieldContainer[WorkerReason]
    conditions: _containers.RepeatedCompositeFieldContainer[Condition]
    stop_by: float
    stopping: str
    checkpoints: _containers.RepeatedCompositeFieldContainer[Snapshot]
    outputs: _containers.RepeatedCompositeFieldContainer[KeptOutputs]
    def __init__(self, phase: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., attempt: _Optional[int] = ..., observed_generation: _Optional[int] = ..., run_hash: _Optional[str] = ..., first_attempt: _Optional[int] = ..., worker: _Optional[str] = ..., devices: _Optional[_Iterable[int]] = ..., exit_code: _Optional[int] = ..., submitted_at: _Optional[float] = ..., started_at: _Optional[float] = ..., finished_at: _Optional[float] = ..., expires_at: _Optional[float] = ..., retry_at: _Optional[float] = ..., result_size: _Optional[int] = ..., cleaned: _Optional[bool] = ..., attempts: _Optional[_Iterable[_Union[Attempt, _Mapping[str, object]]]] = ..., waiting_for: _Optional[_Iterable[_Union[WorkerReason, _Mapping[str, object]]]] = ..., conditions: _Optional[_Iterable[_Union[Condition, _Mapping[str, object]]]] = ..., stop_by: _Optional[float] = ..., stopping: _Optional[str] = ..., checkpoints: _Optional[_Iterable[_Union[Snapshot, _Mapping[str, object]]]] = ..., outputs: _Optional[_Iterable[_Union[KeptOutputs, _Mapping[str, object]]]] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("api_version", "kind", "metadata", "spec", "status")
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    api_version: str
    kind: str
    metadata: Metadata
    spec: JobSpec
    status: JobStatus
    def __init__(self, api_version: _Optional[str] = ..., kind: _Optional[str] = ..., metadata: _Optional[_Union[Metadata, _Mapping[str, object]]] = ..., spec: _Optional[_Union[JobSpec, _Mapping[str, object]]] = ..., status: _Optional[_Union[JobStatus, _Mapping[str, object]]] = ...) -> None: ...

class LeaseSpec(_message.Message):
    __slots__ = ("job", "job_name", "attempt", "worker", "devices", "memory_milli", "duration", "not_before", "not_after", "revoked", "grace", "cpus", "memory", "pids", "stop_after_disconnect", "notice", "checkpoint", "checkpoint_size", "checkpoint_interval", "outputs_size")
    JOB_FIELD_NUMBER: _ClassVar[int]
    JOB_NAME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_MILLI_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_FIELD_NUMBER: _ClassVar[int]
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    GRACE_FIELD_NUMBER: _ClassVar[int]
    CPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    PIDS_FIELD_NUMBER: _ClassVar[int]
    STOP_AFTER_DISCONNECT_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_SIZE_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_SIZE_FIELD_NUMBER: _ClassVar[int]
    job: str
    job_name: str
    attempt: int
    worker: str
    devices: _containers.RepeatedScalarFieldContainer[int]
    memory_milli: int
    duration: int
    not_before: float
    not_after: float
    revoked: str
    grace: float
    cpus: int
    memory: int
    pids: int
    stop_after_disconnect: int
    notice: float
    checkpoint: str
    checkpoint_size: int
    checkpoint_interval: int
    outputs_size: int
    def __init__(self, job: _Optional[str] = ..., job_name: _Optional[str] = ..., attempt: _Optional[int] = ..., worker: _Optional[str] = ..., devices: _Optional[_Iterable[int]] = ..., memory_milli: _Optional[int] = ..., duration: _Optional[int] = ..., not_before: _Optional[float] = ..., not_after: _Optional[float] = ..., revoked: _Optional[str] = ..., grace: _Optional[float] = ..., cpus: _Optional[int] = ..., memory: _Optional[int] = ..., pids: _Optional[int] = ..., stop_after_disconnect: _Optional[int] = ..., notice: _Optional[float] = ..., checkpoint: _Optional[str] = ..., checkpoint_size: _Optional[int] = ..., checkpoint_interval: _Optional[int] = ..., outputs_size: _Optional[int] = ...) -> None: ...

class LeaseStatus(_message.Message):
    __slots__ = ("state", "partition_ids", "backend", "held_at", "expires_at", "reason", "message", "env", "mounts", "image", "ended_at", "exit_code", "finished_at", "checkpoint", "outputs")
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    STATE_FIELD_NUMBER: _ClassVar[int]
    PARTITION_IDS_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    HELD_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    MOUNTS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    state: str
    partition_ids: _containers.RepeatedScalarFieldContainer[str]
    backend: str
    held_at: float
    expires_at: float
    reason: str
    message: str
    env: _containers.ScalarMap[str, str]
    mounts: _containers.RepeatedCompositeFieldContainer[LeaseMount]
    image: str
    ended_at: float
    exit_code: int
    finished_at: float
    checkpoint: Snapshot
    outputs: KeptOutputs
    def __init__(self, state: _Optional[str] = ..., partition_ids: _Optional[_Iterable[str]] = ..., backend: _Optional[str] = ..., held_at: _Optional[float] = ..., expires_at: _Optional[float] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., env: _Optional[_Mapping[str, str]] = ..., mounts: _Optional[_Iterable[_Union[LeaseMount, _Mapping[str, object]]]] = ..., image: _Optional[str] = ..., ended_at: _Optional[float] = ..., exit_code: _Optional[int] = ..., finished_at: _Optional[float] = ..., checkpoint: _Optional[_Union[Snapshot, _Mapping[str, object]]] = ..., outputs: _Optional[_Union[KeptOutputs, _Mapping[str, object]]] = ...) -> None: ...

class LeaseMount(_message.Message):
    __slots__ = ("source", "target")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    source: str
    target: str
    def __init__(self, source: _Optional[str] = ..., target: _Optional[str] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("api_version", "kind", "metadata", "spec", "status")
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    api_version: str
    kind: str
    metadata: Metadata
    spec: LeaseSpec
    status: LeaseStatus
    def __init__(self, api_version: _Optional[str] = ..., kind: _Optional[str] = ..., metadata: _Optional[_Union[Metadata, _Mapping[str, object]]] = ..., spec: _Optional[_Union[LeaseSpec, _Mapping[str, object]]] = ..., status: _Optional[_Union[LeaseStatus, _Mapping[str, object]]] = ...) -> None: ...

class Device(_message.Message):
    __slots__ = ("index", "uuid", "name", "type", "memory", "enforcement", "reason")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    index: int
    uuid: str
    name: str
    type: str
    memory: int
    enforcement: str
    reason: str
    def __init__(self, index: _Optional[int] = ..., uuid: _Optional[str] = ..., name: _Optional[str] = ..., type: _Optional[str] = ..., memory: _Optional[int] = ..., enforcement: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class WorkerSpec(_message.Message):
    __slots__ = ("cordoned", "drain", "available_until", "fenced")
    CORDONED_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_UNTIL_FIELD_NUMBER: _ClassVar[int]
    FENCED_FIELD_NUMBER: _ClassVar[int]
    cordoned: bool
    drain: bool
    available_until: float
    fenced: bool
    def __init__(self, cordoned: _Optional[bool] = ..., drain: _Optional[bool] = ..., available_until: _Optional[float] = ..., fenced: _Optional[bool] = ...) -> None: ...

class WorkerStatus(_message.Message):
    __slots__ = ("node_id", "platform", "cpus", "memory", "devices", "partitioner", "staging_root", "images", "network_isolation", "agent_version", "last_heartbeat", "conditions", "pids", "disk", "boot_id", "dataset_cache", "datasets")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    CPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    PARTITIONER_FIELD_NUMBER: _ClassVar[int]
    STAGING_ROOT_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    NETWORK_ISOLATION_FIELD_NUMBER: _ClassVar[int]
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    LAST_HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    PIDS_FIELD_NUMBER: _ClassVar[int]
    DISK_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    DATASET_CACHE_FIELD_NUMBER: _ClassVar[int]
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    platform: str
    cpus: int
    memory: int
    devices: _containers.RepeatedCompositeFieldContainer[Device]
    partitioner: str
    staging_root: str
    images: _containers.RepeatedScalarFieldContainer[str]
    network_isolation: bool
    agent_version: str
    last_heartbeat: float
    conditions: _containers.RepeatedCompositeFieldContainer[Condition]
    pids: int
    disk: int
    boot_id: str
    dataset_cache: int
    datasets: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, node_id: _Optional[str] = ..., platform: _Optional[str] = ..., cpus: _Optional[int] = ..., memory: _Optional[int] = ..., devices: _Optional[_Iterable[_Union[Device, _Mapping[str, object]]]] = ..., partitioner: _Optional[str] = ..., staging_root: _Optional[str] = ..., images: _Optional[_Iterable[str]] = ..., network_isolation: _Optional[bool] = ..., agent_version: _Optional[str] = ..., last_heartbeat: _Optional[float] = ..., conditions: _Optional[_Iterable[_Union[Condition, _Mapping[str, object]]]] = ..., pids: _Optional[int] = ..., disk: _Optional[int] = ..., boot_id: _Optional[str] = ..., dataset_cache: _Optional[int] = ..., datasets: _Optional[_Iterable[str]] = ...) -> None: ...

class Worker(_message.Message):
    __slots__ = ("api_version", "kind", "metadata", "spec", "status")
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    api_version: str
    kind: str
    metadata: Metadata
    spec: WorkerSpec
    status: WorkerStatus
    def __init__(self, api_version: _Optional[str] = ..., kind: _Optional[str] = ..., metadata: _Optional[_Union[Metadata, _Mapping[str, object]]] = ..., spec: _Optional[_Union[WorkerSpec, _Mapping[str, object]]] = ..., status: _Optional[_Union[WorkerStatus, _Mapping[str, object]]] = ...) -> None: ...

class SourceSpec(_message.Message):
    __slots__ = ("path", "type", "ref", "interval", "pull", "prune", "allow_empty", "suspend", "substitute")
    PATH_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    PULL_FIELD_NUMBER: _ClassVar[int]
    PRUNE_FIELD_NUMBER: _ClassVar[int]
    ALLOW_EMPTY_FIELD_NUMBER: _ClassVar[int]
    SUSPEND_FIELD_NUMBER: _ClassVar[int]
    SUBSTITUTE_FIELD_NUMBER: _ClassVar[int]
    path: str
    type: str
    ref: str
    interval: str
    pull: str
    prune: bool
    allow_empty: bool
    suspend: bool
    substitute: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, path: _Optional[str] = ..., type: _Optional[str] = ..., ref: _Optional[str] = ..., interval: _Optional[str] = ..., pull: _Optional[str] = ..., prune: _Optional[bool] = ..., allow_empty: _Optional[bool] = ..., suspend: _Optional[bool] = ..., substitute: _Optional[_Iterable[str]] = ...) -> None: ...

class SourceFile(_message.Message):
    __slots__ = ("path", "state", "jobs", "message", "since")
    PATH_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    path: str
    state: str
    jobs: _containers.RepeatedScalarFieldContainer[str]
    message: str
    since: float
    def __init__(self, path: _Optional[str] = ..., state: _Optional[str] = ..., jobs: _Optional[_Iterable[str]] = ..., message: _Optional[str] = ..., since: _Optional[float] = ...) -> None: ...

class SourceStatus(_message.Message):
    __slots__ = ("commit", "last_sync", "jobs", "synced", "out_of_sync", "invalid", "pruned", "message", "files", "conditions")
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    LAST_SYNC_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    SYNCED_FIELD_NUMBER: _ClassVar[int]
    OUT_OF_SYNC_FIELD_NUMBER: _ClassVar[int]
    INVALID_FIELD_NUMBER: _ClassVar[int]
    PRUNED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    commit: str
    last_sync: float
    jobs: int
    synced: int
    out_of_sync: int
    invalid: int
    pruned: int
    message: str
    files: _containers.RepeatedCompositeFieldContainer[SourceFile]
    conditions: _containers.RepeatedCompositeFieldContainer[Condition]
    def __init__(self, commit: _Optional[str] = ..., last_sync: _Optional[float] = ..., jobs: _Optional[int] = ..., synced: _Optional[int] = ..., out_of_sync: _Optional[int] = ..., invalid: _Optional[int] = ..., pruned: _Optional[int] = ..., message: _Optional[str] = ..., files: _Optional[_Iterable[_Union[SourceFile, _Mapping[str, object]]]] = ..., conditions: _Optional[_Iterable[_Union[Condition, _Mapping[str, object]]]] = ...) -> None: ...

class Source(_message.Message):
    __slots__ = ("api_version", "kind", "metadata", "spec", "status")
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    api_version: str
    kind: str
    metadata: Metadata
    spec: SourceSpec
    status: SourceStatus
    def __init__(self, api_version: _Optional[str] = ..., kind: _Optional[str] = ..., metadata: _Optional[_Union[Metadata, _Mapping[str, object]]] = ..., spec: _Optional[_Union[SourceSpec, _Mapping[str, object]]] = ..., status: _Optional[_Union[SourceStatus, _Mapping[str, object]]] = ...) -> None: ...

class Parameter(_message.Message):
    __slots__ = ("name", "type", "description", "required", "default_json", "minimum", "maximum", "pattern", "choices", "path")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_JSON_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    description: str
    required: bool
    default_json: str
    minimum: float
    maximum: float
    pattern: str
    choices: _containers.RepeatedScalarFieldContainer[str]
    path: str
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., description: _Optional[str] = ..., required: _Optional[bool] = ..., default_json: _Optional[str] = ..., minimum: _Optional[float] = ..., maximum: _Optional[float] = ..., pattern: _Optional[str] = ..., choices: _Optional[_Iterable[str]] = ..., path: _Optional[str] = ...) -> None: ...

class Bounds(_message.Message):
    __slots__ = ("cpus", "memory", "pids", "shm", "gpus", "gpu_memory", "duration", "datasets", "env")
    class Names(_message.Message):
        __slots__ = ("names",)
        NAMES_FIELD_NUMBER: _ClassVar[int]
        names: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...
    CPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    PIDS_FIELD_NUMBER: _ClassVar[int]
    SHM_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    GPU_MEMORY_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    cpus: str
    memory: str
    pids: int
    shm: str
    gpus: int
    gpu_memory: float
    duration: str
    datasets: int
    env: Bounds.Names
    def __init__(self, cpus: _Optional[str] = ..., memory: _Optional[str] = ..., pids: _Optional[int] = ..., shm: _Optional[str] = ..., gpus: _Optional[int] = ..., gpu_memory: _Optional[float] = ..., duration: _Optional[str] = ..., datasets: _Optional[int] = ..., env: _Optional[_Union[Bounds.Names, _Mapping[str, object]]] = ...) -> None: ...

class TemplateSpec(_message.Message):
    __slots__ = ("description", "parameters", "job", "bounds")
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    BOUNDS_FIELD_NUMBER: _ClassVar[int]
    description: str
    parameters: _containers.RepeatedCompositeFieldContainer[Parameter]
    job: JobSpec
    bounds: Bounds
    def __init__(self, description: _Optional[str] = ..., parameters: _Optional[_Iterable[_Union[Parameter, _Mapping[str, object]]]] = ..., job: _Optional[_Union[JobSpec, _Mapping[str, object]]] = ..., bounds: _Optional[_Union[Bounds, _Mapping[str, object]]] = ...) -> None: ...

class Template(_message.Message):
    __slots__ = ("api_version", "kind", "metadata", "spec")
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    api_version: str
    kind: str
    metadata: Metadata
    spec: TemplateSpec
    def __init__(self, api_version: _Optional[str] = ..., kind: _Optional[str] = ..., metadata: _Optional[_Union[Metadata, _Mapping[str, object]]] = ..., spec: _Optional[_Union[TemplateSpec, _Mapping[str, object]]] = ...) -> None: ...

class Overrides(_message.Message):
    __slots__ = ("gpu", "resources", "duration", "env", "datasets", "experiment")
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    GPU_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    gpu: GpuOverride
    resources: ResourcesOverride
    duration: str
    env: _containers.ScalarMap[str, str]
    datasets: _containers.RepeatedCompositeFieldContainer[DatasetMount]
    experiment: str
    def __init__(self, gpu: _Optional[_Union[GpuOverride, _Mapping[str, object]]] = ..., resources: _Optional[_Union[ResourcesOverride, _Mapping[str, object]]] = ..., duration: _Optional[str] = ..., env: _Optional[_Mapping[str, str]] = ..., datasets: _Optional[_Iterable[_Union[DatasetMount, _Mapping[str, object]]]] = ..., experiment: _Optional[str] = ...) -> None: ...

class GpuOverride(_message.Message):
    __slots__ = ("memory", "count", "type")
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    memory: float
    count: int
    type: str
    def __init__(self, memory: _Optional[float] = ..., count: _Optional[int] = ..., type: _Optional[str] = ...) -> None: ...

class ResourcesOverride(_message.Message):
    __slots__ = ("cpus", "memory", "pids", "shm")
    CPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    PIDS_FIELD_NUMBER: _ClassVar[int]
    SHM_FIELD_NUMBER: _ClassVar[int]
    cpus: str
    memory: str
    pids: int
    shm: str
    def __init__(self, cpus: _Optional[str] = ..., memory: _Optional[str] = ..., pids: _Optional[int] = ..., shm: _Optional[str] = ...) -> None: ...

class Resource(_message.Message):
    __slots__ = ("job", "lease", "worker", "source", "dataset", "template")
    JOB_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    job: Job
    lease: Lease
    worker: Worker
    source: Source
    dataset: Dataset
    template: Template
    def __init__(self, job: _Optional[_Union[Job, _Mapping[str, object]]] = ..., lease: _Optional[_Union[Lease, _Mapping[str, object]]] = ..., worker: _Optional[_Union[Worker, _Mapping[str, object]]] = ..., source: _Optional[_Union[Source, _Mapping[str, object]]] = ..., dataset: _Optional[_Union[Dataset, _Mapping[str, object]]] = ..., template: _Optional[_Union[Template, _Mapping[str, object]]] = ...) -> None: ...

class DatasetSpec(_message.Message):
    __slots__ = ("digest", "size", "filename", "format", "pinned")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    digest: str
    size: int
    filename: str
    format: str
    pinned: bool
    def __init__(self, digest: _Optional[str] = ..., size: _Optional[int] = ..., filename: _Optional[str] = ..., format: _Optional[str] = ..., pinned: _Optional[bool] = ...) -> None: ...

class DatasetStatus(_message.Message):
    __slots__ = ("files", "extracted_bytes", "last_used_at", "used_by")
    FILES_FIELD_NUMBER: _ClassVar[int]
    EXTRACTED_BYTES_FIELD_NUMBER: _ClassVar[int]
    LAST_USED_AT_FIELD_NUMBER: _ClassVar[int]
    USED_BY_FIELD_NUMBER: _ClassVar[int]
    files: int
    extracted_bytes: int
    last_used_at: float
    used_by: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, files: _Optional[int] = ..., extracted_bytes: _Optional[int] = ..., last_used_at: _Optional[float] = ..., used_by: _Optional[_Iterable[str]] = ...) -> None: ...

class Dataset(_message.Message):
    __slots__ = ("api_version", "kind", "metadata", "spec", "status")
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    api_version: str
    kind: str
    metadata: Metadata
    spec: DatasetSpec
    status: DatasetStatus
    def __init__(self, api_version: _Optional[str] = ..., kind: _Optional[str] = ..., metadata: _Optional[_Union[Metadata, _Mapping[str, object]]] = ..., spec: _Optional[_Union[DatasetSpec, _Mapping[str, object]]] = ..., status: _Optional[_Union[DatasetStatus, _Mapping[str, object]]] = ...) -> None: ...
