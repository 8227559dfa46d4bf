from . import resources_pb2 as _resources_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BeginDatasetRequest(_message.Message):
    __slots__ = ("name", "digest", "size", "filename", "format", "pinned", "replace")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    REPLACE_FIELD_NUMBER: _ClassVar[int]
    name: str
    digest: str
    size: int
    filename: str
    format: str
    pinned: bool
    replace: bool
    def __init__(self, name: _Optional[str] = ..., digest: _Optional[str] = ..., size: _Optional[int] = ..., filename: _Optional[str] = ..., format: _Optional[str] = ..., pinned: _Optional[bool] = ..., replace: _Optional[bool] = ...) -> None: ...

class DatasetUpload(_message.Message):
    __slots__ = ("upload", "received", "dataset")
    UPLOAD_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    upload: str
    received: int
    dataset: _resources_pb2.Dataset
    def __init__(self, upload: _Optional[str] = ..., received: _Optional[int] = ..., dataset: _Optional[_Union[_resources_pb2.Dataset, _Mapping[str, object]]] = ...) -> None: ...

class FindDatasetRequest(_message.Message):
    __slots__ = ("upload",)
    UPLOAD_FIELD_NUMBER: _ClassVar[int]
    upload: str
    def __init__(self, upload: _Optional[str] = ...) -> None: ...

class DiscardDatasetResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PutDatasetRequest(_message.Message):
    __slots__ = ("start", "data", "complete")
    class Start(_message.Message):
        __slots__ = ("upload", "offset")
        UPLOAD_FIELD_NUMBER: _ClassVar[int]
        OFFSET_FIELD_NUMBER: _ClassVar[int]
        upload: str
        offset: int
        def __init__(self, upload: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...
    START_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    start: PutDatasetRequest.Start
    data: bytes
    complete: bool
    def __init__(self, start: _Optional[_Union[PutDatasetRequest.Start, _Mapping[str, object]]] = ..., data: _Optional[bytes] = ..., complete: _Optional[bool] = ...) -> None: ...

class ImportDatasetRequest(_message.Message):
    __slots__ = ("url", "name", "digest", "filename", "format", "pinned", "replace")
    URL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    REPLACE_FIELD_NUMBER: _ClassVar[int]
    url: str
    name: str
    digest: str
    filename: str
    format: str
    pinned: bool
    replace: bool
    def __init__(self, url: _Optional[str] = ..., name: _Optional[str] = ..., digest: _Optional[str] = ..., filename: _Optional[str] = ..., format: _Optional[str] = ..., pinned: _Optional[bool] = ..., replace: _Optional[bool] = ...) -> None: ...

class ImportDatasetProgress(_message.Message):
    __slots__ = ("received", "size", "dataset")
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    received: int
    size: int
    dataset: _resources_pb2.Dataset
    def __init__(self, received: _Optional[int] = ..., size: _Optional[int] = ..., dataset: _Optional[_Union[_resources_pb2.Dataset, _Mapping[str, object]]] = ...) -> None: ...

class NamedDatasetRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class PinDatasetRequest(_message.Message):
    __slots__ = ("name", "pinned")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    name: str
    pinned: bool
    def __init__(self, name: _Optional[str] = ..., pinned: _Optional[bool] = ...) -> None: ...

class ReadDatasetRequest(_message.Message):
    __slots__ = ("name", "offset")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    name: str
    offset: int
    def __init__(self, name: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class DatasetChunk(_message.Message):
    __slots__ = ("data", "total")
    DATA_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    total: int
    def __init__(self, data: _Optional[bytes] = ..., total: _Optional[int] = ...) -> None: ...
