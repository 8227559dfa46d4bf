from . import agent_pb2 as _agent_pb2
from . import events_pb2 as _events_pb2
from . import plans_pb2 as _plans_pb2
from . import resources_pb2 as _resources_pb2
from . import tokens_pb2 as _tokens_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubmitRequest(_message.Message):
    __slots__ = ("start", "code")
    START_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    start: SubmitStart
    code: bytes
    def __init__(self, start: _Optional[_Union[SubmitStart, _Mapping[str, object]]] = ..., code: _Optional[bytes] = ...) -> None: ...

class SubmitStart(_message.Message):
    __slots__ = ("job", "idempotency_key", "code_follows", "no_logs")
    JOB_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    CODE_FOLLOWS_FIELD_NUMBER: _ClassVar[int]
    NO_LOGS_FIELD_NUMBER: _ClassVar[int]
    job: _resources_pb2.Job
    idempotency_key: str
    code_follows: bool
    no_logs: bool
    def __init__(self, job: _Optional[_Union[_resources_pb2.Job, _Mapping[str, object]]] = ..., idempotency_key: _Optional[str] = ..., code_follows: _Optional[bool] = ..., no_logs: _Optional[bool] = ...) -> None: ...

class JobEvent(_message.Message):
    __slots__ = ("state", "log", "result", "finished")
    STATE_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    state: _resources_pb2.Job
    log: LogRecord
    result: Chunk
    finished: Finished
    def __init__(self, state: _Optional[_Union[_resources_pb2.Job, _Mapping[str, object]]] = ..., log: _Optional[_Union[LogRecord, _Mapping[str, object]]] = ..., result: _Optional[_Union[Chunk, _Mapping[str, object]]] = ..., finished: _Optional[_Union[Finished, _Mapping[str, object]]] = ...) -> None: ...

class Finished(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: _resources_pb2.Job
    def __init__(self, job: _Optional[_Union[_resources_pb2.Job, _Mapping[str, object]]] = ...) -> None: ...

class FollowRequest(_message.Message):
    __slots__ = ("job", "log_offset", "attempt", "no_logs")
    JOB_FIELD_NUMBER: _ClassVar[int]
    LOG_OFFSET_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    NO_LOGS_FIELD_NUMBER: _ClassVar[int]
    job: str
    log_offset: int
    attempt: int
    no_logs: bool
    def __init__(self, job: _Optional[str] = ..., log_offset: _Optional[int] = ..., attempt: _Optional[int] = ..., no_logs: _Optional[bool] = ...) -> None: ...

class ApplyRequest(_message.Message):
    __slots__ = ("resource", "dry_run")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    resource: _resources_pb2.Resource
    dry_run: bool
    def __init__(self, resource: _Optional[_Union[_resources_pb2.Resource, _Mapping[str, object]]] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class ApplyResponse(_message.Message):
    __slots__ = ("outcome", "resource", "reruns")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[ApplyResponse.Outcome]
        CREATED: _ClassVar[ApplyResponse.Outcome]
        CONFIGURED: _ClassVar[ApplyResponse.Outcome]
        UNCHANGED: _ClassVar[ApplyResponse.Outcome]
    OUTCOME_UNSPECIFIED: ApplyResponse.Outcome
    CREATED: ApplyResponse.Outcome
    CONFIGURED: ApplyResponse.Outcome
    UNCHANGED: ApplyResponse.Outcome
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    RERUNS_FIELD_NUMBER: _ClassVar[int]
    outcome: ApplyResponse.Outcome
    resource: _resources_pb2.Resource
    reruns: bool
    def __init__(self, outcome: _Optional[_Union[ApplyResponse.Outcome, str]] = ..., resource: _Optional[_Union[_resources_pb2.Resource, _Mapping[str, object]]] = ..., reruns: _Optional[bool] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("kind", "name")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    kind: str
    name: str
    def __init__(self, kind: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("kind", "label_selector", "phase", "limit", "continue_token")
    KIND_FIELD_NUMBER: _ClassVar[int]
    LABEL_SELECTOR_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CONTINUE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    kind: str
    label_selector: str
    phase: str
    limit: int
    continue_token: str
    def __init__(self, kind: _Optional[str] = ..., label_selector: _Optional[str] = ..., phase: _Optional[str] = ..., limit: _Optional[int] = ..., continue_token: _Optional[str] = ...) -> None: ...

class ListResponse(_message.Message):
    __slots__ = ("items", "resource_version", "continue_token")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    CONTINUE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[_resources_pb2.Resource]
    resource_version: int
    continue_token: str
    def __init__(self, items: _Optional[_Iterable[_Union[_resources_pb2.Resource, _Mapping[str, object]]]] = ..., resource_version: _Optional[int] = ..., continue_token: _Optional[str] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("kind", "name", "label_selector", "resource_version")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABEL_SELECTOR_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    kind: str
    name: str
    label_selector: str
    resource_version: int
    def __init__(self, kind: _Optional[str] = ..., name: _Optional[str] = ..., label_selector: _Optional[str] = ..., resource_version: _Optional[int] = ...) -> None: ...

class WatchEvent(_message.Message):
    __slots__ = ("type", "resource", "resource_version")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TYPE_UNSPECIFIED: _ClassVar[WatchEvent.Type]
        ADDED: _ClassVar[WatchEvent.Type]
        MODIFIED: _ClassVar[WatchEvent.Type]
        DELETED: _ClassVar[WatchEvent.Type]
        BOOKMARK: _ClassVar[WatchEvent.Type]
    TYPE_UNSPECIFIED: WatchEvent.Type
    ADDED: WatchEvent.Type
    MODIFIED: WatchEvent.Type
    DELETED: WatchEvent.Type
    BOOKMARK: WatchEvent.Type
    TYPE_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    type: WatchEvent.Type
    resource: _resources_pb2.Resource
    resource_version: int
    def __init__(self, type: _Optional[_Union[WatchEvent.Type, str]] = ..., resource: _Optional[_Union[_resources_pb2.Resource, _Mapping[str, object]]] = ..., resource_version: _Optional[int] = ...) -> None: ...

class DeleteRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: _resources_pb2.Job
    def __init__(self, job: _Optional[_Union[_resources_pb2.Job, _Mapping[str, object]]] = ...) -> None: ...

class ExtendRequest(_message.Message):
    __slots__ = ("name", "seconds")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    seconds: int
    def __init__(self, name: _Optional[str] = ..., seconds: _Optional[int] = ...) -> None: ...

class CancelRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class PauseRequest(_message.Message):
    __slots__ = ("name", "paused")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    name: str
    paused: bool
    def __init__(self, name: _Optional[str] = ..., paused: _Optional[bool] = ...) -> None: ...

class LogRecord(_message.Message):
    __slots__ = ("sequence", "stream", "time", "data", "attempt")
    class Stream(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STREAM_UNSPECIFIED: _ClassVar[LogRecord.Stream]
        STDOUT: _ClassVar[LogRecord.Stream]
        STDERR: _ClassVar[LogRecord.Stream]
        SYSTEM: _ClassVar[LogRecord.Stream]
    STREAM_UNSPECIFIED: LogRecord.Stream
    STDOUT: LogRecord.Stream
    STDERR: LogRecord.Stream
    SYSTEM: LogRecord.Stream
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    stream: LogRecord.Stream
    time: float
    data: bytes
    attempt: int
    def __init__(self, sequence: _Optional[int] = ..., stream: _Optional[_Union[LogRecord.Stream, str]] = ..., time: _Optional[float] = ..., data: _Optional[bytes] = ..., attempt: _Optional[int] = ...) -> None: ...

class LogsRequest(_message.Message):
    __slots__ = ("job", "attempt", "offset", "tail", "follow", "since")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    TAIL_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    job: str
    attempt: int
    offset: int
    tail: int
    follow: bool
    since: float
    def __init__(self, job: _Optional[str] = ..., attempt: _Optional[int] = ..., offset: _Optional[int] = ..., tail: _Optional[int] = ..., follow: _Optional[bool] = ..., since: _Optional[float] = ...) -> None: ...

class ResultRequest(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: str
    def __init__(self, job: _Optional[str] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class WhyRequest(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: str
    def __init__(self, job: _Optional[str] = ...) -> None: ...

class WhyResponse(_message.Message):
    __slots__ = ("job", "summary", "workers")
    JOB_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    job: _resources_pb2.Job
    summary: str
    workers: _containers.RepeatedCompositeFieldContainer[_resources_pb2.WorkerReason]
    def __init__(self, job: _Optional[_Union[_resources_pb2.Job, _Mapping[str, object]]] = ..., summary: _Optional[str] = ..., workers: _Optional[_Iterable[_Union[_resources_pb2.WorkerReason, _Mapping[str, object]]]] = ...) -> None: ...

class CordonRequest(_message.Message):
    __slots__ = ("worker", "cordoned", "drain")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    CORDONED_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    worker: str
    cordoned: bool
    drain: bool
    def __init__(self, worker: _Optional[str] = ..., cordoned: _Optional[bool] = ..., drain: _Optional[bool] = ...) -> None: ...

class FenceRequest(_message.Message):
    __slots__ = ("worker", "fenced")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    FENCED_FIELD_NUMBER: _ClassVar[int]
    worker: str
    fenced: bool
    def __init__(self, worker: _Optional[str] = ..., fenced: _Optional[bool] = ...) -> None: ...

class RemoveWorkerRequest(_message.Message):
    __slots__ = ("worker",)
    WORKER_FIELD_NUMBER: _ClassVar[int]
    worker: str
    def __init__(self, worker: _Optional[str] = ...) -> None: ...

class CreateJoinTokenRequest(_message.Message):
    __slots__ = ("ttl", "worker")
    TTL_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    ttl: int
    worker: str
    def __init__(self, ttl: _Optional[int] = ..., worker: _Optional[str] = ...) -> None: ...

class JoinToken(_message.Message):
    __slots__ = ("token", "expires_at", "controller")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_FIELD_NUMBER: _ClassVar[int]
    token: str
    expires_at: float
    controller: str
    def __init__(self, token: _Optional[str] = ..., expires_at: _Optional[float] = ..., controller: _Optional[str] = ...) -> None: ...

class PutBlobRequest(_message.Message):
    __slots__ = ("digest", "data")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    digest: str
    data: bytes
    def __init__(self, digest: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class PutBlobResponse(_message.Message):
    __slots__ = ("digest", "size", "existed")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    digest: str
    size: int
    existed: bool
    def __init__(self, digest: _Optional[str] = ..., size: _Optional[int] = ..., existed: _Optional[bool] = ...) -> None: ...

class HasBlobRequest(_message.Message):
    __slots__ = ("digest",)
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    digest: str
    def __init__(self, digest: _Optional[str] = ...) -> None: ...

class HasBlobResponse(_message.Message):
    __slots__ = ("exists", "size")
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    exists: bool
    size: int
    def __init__(self, exists: _Optional[bool] = ..., size: _Optional[int] = ...) -> None: ...

class UsageRequest(_message.Message):
    __slots__ = ("worker",)
    WORKER_FIELD_NUMBER: _ClassVar[int]
    worker: str
    def __init__(self, worker: _Optional[str] = ...) -> None: ...

class UsageResponse(_message.Message):
    __slots__ = ("workers",)
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedCompositeFieldContainer[WorkerUse]
    def __init__(self, workers: _Optional[_Iterable[_Union[WorkerUse, _Mapping[str, object]]]] = ...) -> None: ...

class WorkerUse(_message.Message):
    __slots__ = ("worker", "seen_at", "disk_free", "jobs", "devices")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    SEEN_AT_FIELD_NUMBER: _ClassVar[int]
    DISK_FREE_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    worker: str
    seen_at: float
    disk_free: int
    jobs: _containers.RepeatedCompositeFieldContainer[JobUse]
    devices: _containers.RepeatedCompositeFieldContainer[_agent_pb2.DeviceUsage]
    def __init__(self, worker: _Optional[str] = ..., seen_at: _Optional[float] = ..., disk_free: _Optional[int] = ..., jobs: _Optional[_Iterable[_Union[JobUse, _Mapping[str, object]]]] = ..., devices: _Optional[_Iterable[_Union[_agent_pb2.DeviceUsage, _Mapping[str, object]]]] = ...) -> None: ...

class JobUse(_message.Message):
    __slots__ = ("unit", "job", "attempt", "cpus", "cpu_seconds", "memory", "memory_peak", "gpu_memory")
    UNIT_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    CPUS_FIELD_NUMBER: _ClassVar[int]
    CPU_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    MEMORY_PEAK_FIELD_NUMBER: _ClassVar[int]
    GPU_MEMORY_FIELD_NUMBER: _ClassVar[int]
    unit: str
    job: str
    attempt: int
    cpus: float
    cpu_seconds: float
    memory: int
    memory_peak: int
    gpu_memory: int
    def __init__(self, unit: _Optional[str] = ..., job: _Optional[str] = ..., attempt: _Optional[int] = ..., cpus: _Optional[float] = ..., cpu_seconds: _Optional[float] = ..., memory: _Optional[int] = ..., memory_peak: _Optional[int] = ..., gpu_memory: _Optional[int] = ...) -> None: ...

class ServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ServerInfoResponse(_message.Message):
    __slots__ = ("version", "platform", "image", "workers", "active_jobs", "notices", "python")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_JOBS_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    PYTHON_FIELD_NUMBER: _ClassVar[int]
    version: str
    platform: str
    image: str
    workers: int
    active_jobs: int
    notices: _containers.RepeatedScalarFieldContainer[str]
    python: str
    def __init__(self, version: _Optional[str] = ..., platform: _Optional[str] = ..., image: _Optional[str] = ..., workers: _Optional[int] = ..., active_jobs: _Optional[int] = ..., notices: _Optional[_Iterable[str]] = ..., python: _Optional[str] = ...) -> None: ...

class ErrorDetail(_message.Message):
    __slots__ = ("job_id", "problems")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    problems: _containers.RepeatedCompositeFieldContainer[Problem]
    def __init__(self, job_id: _Optional[str] = ..., problems: _Optional[_Iterable[_Union[Problem, _Mapping[str, object]]]] = ...) -> None: ...

class Problem(_message.Message):
    __slots__ = ("message", "path", "file", "line", "column")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    message: str
    path: str
    file: str
    line: int
    column: int
    def __init__(self, message: _Optional[str] = ..., path: _Optional[str] = ..., file: _Optional[str] = ..., line: _Optional[int] = ..., column: _Optional[int] = ...) -> None: ...
