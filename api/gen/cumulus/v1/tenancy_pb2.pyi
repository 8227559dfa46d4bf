from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Quota(_message.Message):
    __slots__ = ("running", "gpu", "dataset_bytes")
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    GPU_FIELD_NUMBER: _ClassVar[int]
    DATASET_BYTES_FIELD_NUMBER: _ClassVar[int]
    running: int
    gpu: int
    dataset_bytes: int
    def __init__(self, running: _Optional[int] = ..., gpu: _Optional[int] = ..., dataset_bytes: _Optional[int] = ...) -> None: ...

class Project(_message.Message):
    __slots__ = ("name", "quota", "running", "waiting", "gpu", "dataset_bytes", "tokens", "configured", "day_ends")
    NAME_FIELD_NUMBER: _ClassVar[int]
    QUOTA_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    GPU_FIELD_NUMBER: _ClassVar[int]
    DATASET_BYTES_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    CONFIGURED_FIELD_NUMBER: _ClassVar[int]
    DAY_ENDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    quota: Quota
    running: int
    waiting: int
    gpu: int
    dataset_bytes: int
    tokens: int
    configured: bool
    day_ends: float
    def __init__(self, name: _Optional[str] = ..., quota: _Optional[_Union[Quota, _Mapping[str, object]]] = ..., running: _Optional[int] = ..., waiting: _Optional[int] = ..., gpu: _Optional[int] = ..., dataset_bytes: _Optional[int] = ..., tokens: _Optional[int] = ..., configured: _Optional[bool] = ..., day_ends: _Optional[float] = ...) -> None: ...

class GetProjectRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListProjectsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListProjectsResponse(_message.Message):
    __slots__ = ("projects",)
    PROJECTS_FIELD_NUMBER: _ClassVar[int]
    projects: _containers.RepeatedCompositeFieldContainer[Project]
    def __init__(self, projects: _Optional[_Iterable[_Union[Project, _Mapping[str, object]]]] = ...) -> None: ...

class SetQuotaRequest(_message.Message):
    __slots__ = ("project", "quota", "lift")
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    QUOTA_FIELD_NUMBER: _ClassVar[int]
    LIFT_FIELD_NUMBER: _ClassVar[int]
    project: str
    quota: Quota
    lift: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, project: _Optional[str] = ..., quota: _Optional[_Union[Quota, _Mapping[str, object]]] = ..., lift: _Optional[_Iterable[str]] = ...) -> None: ...

class AuditRequest(_message.Message):
    __slots__ = ("who", "project", "method", "resource", "outcome", "address", "since", "after", "tail", "watch")
    WHO_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    TAIL_FIELD_NUMBER: _ClassVar[int]
    WATCH_FIELD_NUMBER: _ClassVar[int]
    who: str
    project: str
    method: str
    resource: str
    outcome: str
    address: str
    since: float
    after: int
    tail: int
    watch: bool
    def __init__(self, who: _Optional[str] = ..., project: _Optional[str] = ..., method: _Optional[str] = ..., resource: _Optional[str] = ..., outcome: _Optional[str] = ..., address: _Optional[str] = ..., since: _Optional[float] = ..., after: _Optional[int] = ..., tail: _Optional[int] = ..., watch: _Optional[bool] = ...) -> None: ...

class AuditRecord(_message.Message):
    __slots__ = ("sequence", "time", "via", "address", "who", "role", "token", "project", "method", "resource", "outcome", "reason", "repeated", "request_id")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    VIA_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    time: float
    via: str
    address: str
    who: str
    role: str
    token: str
    project: str
    method: str
    resource: str
    outcome: str
    reason: str
    repeated: int
    request_id: str
    def __init__(self, sequence: _Optional[int] = ..., time: _Optional[float] = ..., via: _Optional[str] = ..., address: _Optional[str] = ..., who: _Optional[str] = ..., role: _Optional[str] = ..., token: _Optional[str] = ..., project: _Optional[str] = ..., method: _Optional[str] = ..., resource: _Optional[str] = ..., outcome: _Optional[str] = ..., reason: _Optional[str] = ..., repeated: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...
