from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Output(_message.Message):
    __slots__ = ("id", "path", "size", "digest", "role", "job", "job_name", "attempt", "experiment", "modified_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    JOB_NAME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    MODIFIED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    path: str
    size: int
    digest: str
    role: str
    job: str
    job_name: str
    attempt: int
    experiment: str
    modified_at: float
    def __init__(self, id: _Optional[str] = ..., path: _Optional[str] = ..., size: _Optional[int] = ..., digest: _Optional[str] = ..., role: _Optional[str] = ..., job: _Optional[str] = ..., job_name: _Optional[str] = ..., attempt: _Optional[int] = ..., experiment: _Optional[str] = ..., modified_at: _Optional[float] = ...) -> None: ...

class ListOutputsRequest(_message.Message):
    __slots__ = ("job", "experiment", "attempt", "wait")
    JOB_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    job: str
    experiment: str
    attempt: int
    wait: float
    def __init__(self, job: _Optional[str] = ..., experiment: _Optional[str] = ..., attempt: _Optional[int] = ..., wait: _Optional[float] = ...) -> None: ...

class ListOutputsResponse(_message.Message):
    __slots__ = ("outputs", "job", "job_name", "attempt", "experiment", "digest", "size", "message", "pending")
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    JOB_NAME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    outputs: _containers.RepeatedCompositeFieldContainer[Output]
    job: str
    job_name: str
    attempt: int
    experiment: str
    digest: str
    size: int
    message: str
    pending: bool
    def __init__(self, outputs: _Optional[_Iterable[_Union[Output, _Mapping[str, object]]]] = ..., job: _Optional[str] = ..., job_name: _Optional[str] = ..., attempt: _Optional[int] = ..., experiment: _Optional[str] = ..., digest: _Optional[str] = ..., size: _Optional[int] = ..., message: _Optional[str] = ..., pending: _Optional[bool] = ...) -> None: ...

class ReadOutputRequest(_message.Message):
    __slots__ = ("job", "attempt", "path", "experiment", "id", "offset", "length")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    job: str
    attempt: int
    path: str
    experiment: str
    id: str
    offset: int
    length: int
    def __init__(self, job: _Optional[str] = ..., attempt: _Optional[int] = ..., path: _Optional[str] = ..., experiment: _Optional[str] = ..., id: _Optional[str] = ..., offset: _Optional[int] = ..., length: _Optional[int] = ...) -> None: ...

class OutputChunk(_message.Message):
    __slots__ = ("output", "data")
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    output: Output
    data: bytes
    def __init__(self, output: _Optional[_Union[Output, _Mapping[str, object]]] = ..., data: _Optional[bytes] = ...) -> None: ...
