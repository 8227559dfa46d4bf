from . import resources_pb2 as _resources_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ArtifactKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHECKPOINT: _ClassVar[ArtifactKind]
    OUTPUTS: _ClassVar[ArtifactKind]
CHECKPOINT: ArtifactKind
OUTPUTS: ArtifactKind

class AgentMessage(_message.Message):
    __slots__ = ("state", "heartbeat", "logs", "look_now", "usage")
    STATE_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    LOGS_FIELD_NUMBER: _ClassVar[int]
    LOOK_NOW_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    state: NodeState
    heartbeat: Heartbeat
    logs: LogBatch
    look_now: LookNow
    usage: NodeUsage
    def __init__(self, state: _Optional[_Union[NodeState, _Mapping[str, object]]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping[str, object]]] = ..., logs: _Optional[_Union[LogBatch, _Mapping[str, object]]] = ..., look_now: _Optional[_Union[LookNow, _Mapping[str, object]]] = ..., usage: _Optional[_Union[NodeUsage, _Mapping[str, object]]] = ...) -> None: ...

class NodeState(_message.Message):
    __slots__ = ("worker", "status", "labels", "leases")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    WORKER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    worker: str
    status: _resources_pb2.WorkerStatus
    labels: _containers.ScalarMap[str, str]
    leases: _containers.RepeatedCompositeFieldContainer[LeaseSeen]
    def __init__(self, worker: _Optional[str] = ..., status: _Optional[_Union[_resources_pb2.WorkerStatus, _Mapping[str, object]]] = ..., labels: _Optional[_Mapping[str, str]] = ..., leases: _Optional[_Iterable[_Union[LeaseSeen, _Mapping[str, object]]]] = ...) -> None: ...

class LeaseSeen(_message.Message):
    __slots__ = ("name", "status")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    name: str
    status: _resources_pb2.LeaseStatus
    def __init__(self, name: _Optional[str] = ..., status: _Optional[_Union[_resources_pb2.LeaseStatus, _Mapping[str, object]]] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("time", "echo")
    TIME_FIELD_NUMBER: _ClassVar[int]
    ECHO_FIELD_NUMBER: _ClassVar[int]
    time: float
    echo: float
    def __init__(self, time: _Optional[float] = ..., echo: _Optional[float] = ...) -> None: ...

class NodeUsage(_message.Message):
    __slots__ = ("time", "disk_free", "units", "devices")
    TIME_FIELD_NUMBER: _ClassVar[int]
    DISK_FREE_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    time: float
    disk_free: int
    units: _containers.RepeatedCompositeFieldContainer[UnitUsage]
    devices: _containers.RepeatedCompositeFieldContainer[DeviceUsage]
    def __init__(self, time: _Optional[float] = ..., disk_free: _Optional[int] = ..., units: _Optional[_Iterable[_Union[UnitUsage, _Mapping[str, object]]]] = ..., devices: _Optional[_Iterable[_Union[DeviceUsage, _Mapping[str, object]]]] = ...) -> None: ...

class UnitUsage(_message.Message):
    __slots__ = ("unit", "cpu_seconds", "memory", "memory_peak", "gpu_memory")
    UNIT_FIELD_NUMBER: _ClassVar[int]
    CPU_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    MEMORY_PEAK_FIELD_NUMBER: _ClassVar[int]
    GPU_MEMORY_FIELD_NUMBER: _ClassVar[int]
    unit: str
    cpu_seconds: float
    memory: int
    memory_peak: int
    gpu_memory: int
    def __init__(self, unit: _Optional[str] = ..., cpu_seconds: _Optional[float] = ..., memory: _Optional[int] = ..., memory_peak: _Optional[int] = ..., gpu_memory: _Optional[int] = ...) -> None: ...

class DeviceUsage(_message.Message):
    __slots__ = ("index", "memory_used", "utilization_milli")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    MEMORY_USED_FIELD_NUMBER: _ClassVar[int]
    UTILIZATION_MILLI_FIELD_NUMBER: _ClassVar[int]
    index: int
    memory_used: int
    utilization_milli: int
    def __init__(self, index: _Optional[int] = ..., memory_used: _Optional[int] = ..., utilization_milli: _Optional[int] = ...) -> None: ...

class LookNow(_message.Message):
    __slots__ = ("unit",)
    UNIT_FIELD_NUMBER: _ClassVar[int]
    unit: str
    def __init__(self, unit: _Optional[str] = ...) -> None: ...

class LogBatch(_message.Message):
    __slots__ = ("unit", "records", "total")
    UNIT_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    unit: str
    records: _containers.RepeatedCompositeFieldContainer[UnitRecord]
    total: int
    def __init__(self, unit: _Optional[str] = ..., records: _Optional[_Iterable[_Union[UnitRecord, _Mapping[str, object]]]] = ..., total: _Optional[int] = ...) -> None: ...

class UnitRecord(_message.Message):
    __slots__ = ("sequence", "stream", "time", "data")
    class Stream(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STREAM_UNSPECIFIED: _ClassVar[UnitRecord.Stream]
        STDOUT: _ClassVar[UnitRecord.Stream]
        STDERR: _ClassVar[UnitRecord.Stream]
        SYSTEM: _ClassVar[UnitRecord.Stream]
        RESULT: _ClassVar[UnitRecord.Stream]
    STREAM_UNSPECIFIED: UnitRecord.Stream
    STDOUT: UnitRecord.Stream
    STDERR: UnitRecord.Stream
    SYSTEM: UnitRecord.Stream
    RESULT: UnitRecord.Stream
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    stream: UnitRecord.Stream
    time: float
    data: bytes
    def __init__(self, sequence: _Optional[int] = ..., stream: _Optional[_Union[UnitRecord.Stream, str]] = ..., time: _Optional[float] = ..., data: _Optional[bytes] = ...) -> None: ...

class ControllerMessage(_message.Message):
    __slots__ = ("wanted", "log_ack", "heartbeat")
    WANTED_FIELD_NUMBER: _ClassVar[int]
    LOG_ACK_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    wanted: Wanted
    log_ack: LogAck
    heartbeat: Heartbeat
    def __init__(self, wanted: _Optional[_Union[Wanted, _Mapping[str, object]]] = ..., log_ack: _Optional[_Union[LogAck, _Mapping[str, object]]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping[str, object]]] = ...) -> None: ...

class Wanted(_message.Message):
    __slots__ = ("leases", "images", "dropped_datasets")
    LEASES_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    DROPPED_DATASETS_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[LeaseWanted]
    images: _containers.RepeatedCompositeFieldContainer[ImageWanted]
    dropped_datasets: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, leases: _Optional[_Iterable[_Union[LeaseWanted, _Mapping[str, object]]]] = ..., images: _Optional[_Iterable[_Union[ImageWanted, _Mapping[str, object]]]] = ..., dropped_datasets: _Optional[_Iterable[str]] = ...) -> None: ...

class LeaseWanted(_message.Message):
    __slots__ = ("name", "spec", "code_digest", "requirements", "args_json", "image", "next_log", "registry_auth", "datasets")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    CODE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    REQUIREMENTS_FIELD_NUMBER: _ClassVar[int]
    ARGS_JSON_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    NEXT_LOG_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_AUTH_FIELD_NUMBER: _ClassVar[int]
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    name: str
    spec: _resources_pb2.LeaseSpec
    code_digest: str
    requirements: _containers.RepeatedScalarFieldContainer[str]
    args_json: str
    image: str
    next_log: int
    registry_auth: str
    datasets: _containers.RepeatedCompositeFieldContainer[_resources_pb2.DatasetMount]
    def __init__(self, name: _Optional[str] = ..., spec: _Optional[_Union[_resources_pb2.LeaseSpec, _Mapping[str, object]]] = ..., code_digest: _Optional[str] = ..., requirements: _Optional[_Iterable[str]] = ..., args_json: _Optional[str] = ..., image: _Optional[str] = ..., next_log: _Optional[int] = ..., registry_auth: _Optional[str] = ..., datasets: _Optional[_Iterable[_Union[_resources_pb2.DatasetMount, _Mapping[str, object]]]] = ...) -> None: ...

class ImageWanted(_message.Message):
    __slots__ = ("id", "names")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    id: str
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class LogAck(_message.Message):
    __slots__ = ("unit", "next")
    UNIT_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    unit: str
    next: int
    def __init__(self, unit: _Optional[str] = ..., next: _Optional[int] = ...) -> None: ...

class GetBlobRequest(_message.Message):
    __slots__ = ("digest", "offset", "worker", "unit")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    digest: str
    offset: int
    worker: str
    unit: str
    def __init__(self, digest: _Optional[str] = ..., offset: _Optional[int] = ..., worker: _Optional[str] = ..., unit: _Optional[str] = ...) -> None: ...

class BlobChunk(_message.Message):
    __slots__ = ("data", "total")
    DATA_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    total: int
    def __init__(self, data: _Optional[bytes] = ..., total: _Optional[int] = ...) -> None: ...

class FindArtifactRequest(_message.Message):
    __slots__ = ("worker", "unit", "digest", "size", "kind")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    worker: str
    unit: str
    digest: str
    size: int
    kind: ArtifactKind
    def __init__(self, worker: _Optional[str] = ..., unit: _Optional[str] = ..., digest: _Optional[str] = ..., size: _Optional[int] = ..., kind: _Optional[_Union[ArtifactKind, str]] = ...) -> None: ...

class PutArtifactRequest(_message.Message):
    __slots__ = ("start", "data")
    class Start(_message.Message):
        __slots__ = ("artifact", "offset")
        ARTIFACT_FIELD_NUMBER: _ClassVar[int]
        OFFSET_FIELD_NUMBER: _ClassVar[int]
        artifact: FindArtifactRequest
        offset: int
        def __init__(self, artifact: _Optional[_Union[FindArtifactRequest, _Mapping[str, object]]] = ..., offset: _Optional[int] = ...) -> None: ...
    START_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    start: PutArtifactRequest.Start
    data: bytes
    def __init__(self, start: _Optional[_Union[PutArtifactRequest.Start, _Mapping[str, object]]] = ..., data: _Optional[bytes] = ...) -> None: ...

class ArtifactReceived(_message.Message):
    __slots__ = ("size", "complete")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    size: int
    complete: bool
    def __init__(self, size: _Optional[int] = ..., complete: _Optional[bool] = ...) -> None: ...

class GetImageRequest(_message.Message):
    __slots__ = ("id", "worker")
    ID_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    id: str
    worker: str
    def __init__(self, id: _Optional[str] = ..., worker: _Optional[str] = ...) -> None: ...

class ImageArchive(_message.Message):
    __slots__ = ("parts",)
    PARTS_FIELD_NUMBER: _ClassVar[int]
    parts: _containers.RepeatedCompositeFieldContainer[ImagePart]
    def __init__(self, parts: _Optional[_Iterable[_Union[ImagePart, _Mapping[str, object]]]] = ...) -> None: ...

class ImagePart(_message.Message):
    __slots__ = ("path", "digest", "size")
    PATH_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    path: str
    digest: str
    size: int
    def __init__(self, path: _Optional[str] = ..., digest: _Optional[str] = ..., size: _Optional[int] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("csr",)
    CSR_FIELD_NUMBER: _ClassVar[int]
    csr: bytes
    def __init__(self, csr: _Optional[bytes] = ...) -> None: ...

class RenewResponse(_message.Message):
    __slots__ = ("certificate",)
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    certificate: bytes
    def __init__(self, certificate: _Optional[bytes] = ...) -> None: ...
