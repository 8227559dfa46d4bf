from . import resources_pb2 as _resources_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PlanRequest(_message.Message):
    __slots__ = ("resources", "prune_selector", "forecast")
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    PRUNE_SELECTOR_FIELD_NUMBER: _ClassVar[int]
    FORECAST_FIELD_NUMBER: _ClassVar[int]
    resources: _containers.RepeatedCompositeFieldContainer[_resources_pb2.Resource]
    prune_selector: str
    forecast: bool
    def __init__(self, resources: _Optional[_Iterable[_Union[_resources_pb2.Resource, _Mapping[str, object]]]] = ..., prune_selector: _Optional[str] = ..., forecast: _Optional[bool] = ...) -> None: ...

class PlanResponse(_message.Message):
    __slots__ = ("changes", "now")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[PlannedChange]
    now: float
    def __init__(self, changes: _Optional[_Iterable[_Union[PlannedChange, _Mapping[str, object]]]] = ..., now: _Optional[float] = ...) -> None: ...

class PlannedChange(_message.Message):
    __slots__ = ("kind", "before", "after", "problems", "forecast")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[PlannedChange.Kind]
        CREATED: _ClassVar[PlannedChange.Kind]
        CHANGED: _ClassVar[PlannedChange.Kind]
        REPLACED: _ClassVar[PlannedChange.Kind]
        UNCHANGED: _ClassVar[PlannedChange.Kind]
        PRUNED: _ClassVar[PlannedChange.Kind]
        REFUSED: _ClassVar[PlannedChange.Kind]
    KIND_UNSPECIFIED: PlannedChange.Kind
    CREATED: PlannedChange.Kind
    CHANGED: PlannedChange.Kind
    REPLACED: PlannedChange.Kind
    UNCHANGED: PlannedChange.Kind
    PRUNED: PlannedChange.Kind
    REFUSED: PlannedChange.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    FORECAST_FIELD_NUMBER: _ClassVar[int]
    kind: PlannedChange.Kind
    before: _resources_pb2.Resource
    after: _resources_pb2.Resource
    problems: _containers.RepeatedScalarFieldContainer[str]
    forecast: Forecast
    def __init__(self, kind: _Optional[_Union[PlannedChange.Kind, str]] = ..., before: _Optional[_Union[_resources_pb2.Resource, _Mapping[str, object]]] = ..., after: _Optional[_Union[_resources_pb2.Resource, _Mapping[str, object]]] = ..., problems: _Optional[_Iterable[str]] = ..., forecast: _Optional[_Union[Forecast, _Mapping[str, object]]] = ...) -> None: ...

class Forecast(_message.Message):
    __slots__ = ("when", "at", "worker", "devices", "reason", "workers", "ends")
    class When(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        WHEN_UNSPECIFIED: _ClassVar[Forecast.When]
        NOW: _ClassVar[Forecast.When]
        LATER: _ClassVar[Forecast.When]
        NEVER: _ClassVar[Forecast.When]
        UNKNOWN: _ClassVar[Forecast.When]
        NOTHING: _ClassVar[Forecast.When]
    WHEN_UNSPECIFIED: Forecast.When
    NOW: Forecast.When
    LATER: Forecast.When
    NEVER: Forecast.When
    UNKNOWN: Forecast.When
    NOTHING: Forecast.When
    WHEN_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    ENDS_FIELD_NUMBER: _ClassVar[int]
    when: Forecast.When
    at: float
    worker: str
    devices: _containers.RepeatedScalarFieldContainer[int]
    reason: str
    workers: _containers.RepeatedCompositeFieldContainer[_resources_pb2.WorkerReason]
    ends: float
    def __init__(self, when: _Optional[_Union[Forecast.When, str]] = ..., at: _Optional[float] = ..., worker: _Optional[str] = ..., devices: _Optional[_Iterable[int]] = ..., reason: _Optional[str] = ..., workers: _Optional[_Iterable[_Union[_resources_pb2.WorkerReason, _Mapping[str, object]]]] = ..., ends: _Optional[float] = ...) -> None: ...
