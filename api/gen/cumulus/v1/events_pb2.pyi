from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class EventsRequest(_message.Message):
    __slots__ = ("job", "worker", "types", "since", "after", "tail", "watch", "warnings")
    JOB_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    TAIL_FIELD_NUMBER: _ClassVar[int]
    WATCH_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    job: str
    worker: str
    types: _containers.RepeatedScalarFieldContainer[str]
    since: float
    after: int
    tail: int
    watch: bool
    warnings: bool
    def __init__(self, job: _Optional[str] = ..., worker: _Optional[str] = ..., types: _Optional[_Iterable[str]] = ..., since: _Optional[float] = ..., after: _Optional[int] = ..., tail: _Optional[int] = ..., watch: _Optional[bool] = ..., warnings: _Optional[bool] = ...) -> None: ...

class EventRecord(_message.Message):
    __slots__ = ("sequence", "time", "type", "warning", "kind", "name", "uid", "attempt", "worker", "message", "by")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    WARNING_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    time: float
    type: str
    warning: bool
    kind: str
    name: str
    uid: str
    attempt: int
    worker: str
    message: str
    by: str
    def __init__(self, sequence: _Optional[int] = ..., time: _Optional[float] = ..., type: _Optional[str] = ..., warning: _Optional[bool] = ..., kind: _Optional[str] = ..., name: _Optional[str] = ..., uid: _Optional[str] = ..., attempt: _Optional[int] = ..., worker: _Optional[str] = ..., message: _Optional[str] = ..., by: _Optional[str] = ...) -> None: ...
