"""Decorators: functions that run as jobs when they are called.

@remote(client, gpu_memory=0.5, duration="1h", requirements=["torch"])
def train(epochs): ...

train(3)                     # runs as a job, returns its result
train.remote(3)              # the same, said aloud
job = train.spawn(3)         # a handle, at once
for loss in train.map(range(200)): ...
train.local(3)               # here, as if it were not decorated

With an AsyncCumulusClient the same are awaited: `await train(3)`, `async for … in train.map(…)`.
What they make is in `remote_function.py`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from .functions.options import Options
from .remote_function import AsyncRemoteFunction, RemoteFunction

if TYPE_CHECKING:
    from .client import AsyncCumulusClient
    from .functions.needs import Requirements
    from .handle import AsyncJobHandle, JobHandle
    from .sync import CumulusClient

P = ParamSpec("P")
R = TypeVar("R")


@overload
def remote(
    client: CumulusClient,
    gpu_memory: float | None = ...,
    duration: float | str = ...,
    requirements: Requirements = ...,
    timeout: float | None = ...,
    **options: Any,
) -> Callable[[Callable[P, R]], RemoteFunction[P, R]]: ...
@overload
def remote(
    client: AsyncCumulusClient,
    gpu_memory: float | None = ...,
    duration: float | str = ...,
    requirements: Requirements = ...,
    timeout: float | None = ...,
    **options: Any,
) -> Callable[[Callable[P, R]], AsyncRemoteFunction[P, R]]: ...
def remote(
    client: Any,
    gpu_memory: float | None = 0.5,
    duration: float | str = 3600,
    requirements: Requirements = None,
    timeout: float | None = None,
    **options: Any,
) -> Any:
    """Decorator: calls run as jobs and return their results. options: of `Options`."""
    chosen = Options(
        gpu_memory=gpu_memory,
        duration=duration,
        requirements=requirements,
        timeout=timeout,
        **options,
    )
    awaited = inspect.iscoroutinefunction(client.call)
    made: Any = AsyncRemoteFunction if awaited else RemoteFunction
    return lambda func: made(client, func, chosen)


@overload
def gpu(
    client: CumulusClient,
    memory: float | None = ...,
    duration: float | str = ...,
    requirements: Requirements = ...,
    **options: Any,
) -> Callable[[Callable[P, R]], RemoteFunction[P, R]]: ...
@overload
def gpu(
    client: AsyncCumulusClient,
    memory: float | None = ...,
    duration: float | str = ...,
    requirements: Requirements = ...,
    **options: Any,
) -> Callable[[Callable[P, R]], AsyncRemoteFunction[P, R]]: ...
def gpu(
    client: Any,
    memory: float | None = 0.5,
    duration: float | str = 3600,
    requirements: Requirements = None,
    **options: Any,
) -> Any:
    """`remote`, named after what it takes. memory: fraction of one device's memory."""
    return remote(client, memory, duration, requirements, **options)


@overload
def async_remote(
    client: CumulusClient,
    gpu_memory: float | None = ...,
    duration: float | str = ...,
    requirements: Requirements = ...,
    **options: Any,
) -> Callable[[Callable[P, Any]], Callable[P, JobHandle]]: ...
@overload
def async_remote(
    client: AsyncCumulusClient,
    gpu_memory: float | None = ...,
    duration: float | str = ...,
    requirements: Requirements = ...,
    **options: Any,
) -> Callable[[Callable[P, Any]], Callable[P, Awaitable[AsyncJobHandle]]]: ...
def async_remote(
    client: Any,
    gpu_memory: float | None = 0.5,
    duration: float | str = 3600,
    requirements: Requirements = None,
    **options: Any,
) -> Any:
    """Decorator: calls hand the job in and return its handle at once."""
    make: Any = remote(client, gpu_memory, duration, requirements, **options)

    def decorate(func: Callable[..., Any]) -> Callable[..., Any]:
        made = make(func)

        @functools.wraps(func)
        def call(*args: Any, **kwargs: Any) -> Any:
            return made.spawn(*args, **kwargs)

        return call

    return decorate


@overload
def create_remote_function(
    client: CumulusClient,
    func: Callable[P, R],
    gpu_memory: float | None = ...,
    duration: float | str = ...,
    requirements: Requirements = ...,
    timeout: float | None = ...,
    **options: Any,
) -> RemoteFunction[P, R]: ...
@overload
def create_remote_function(
    client: AsyncCumulusClient,
    func: Callable[P, R],
    gpu_memory: float | None = ...,
    duration: float | str = ...,
    requirements: Requirements = ...,
    timeout: float | None = ...,
    **options: Any,
) -> AsyncRemoteFunction[P, R]: ...
def create_remote_function(
    client: Any,
    func: Callable[..., Any],
    gpu_memory: float | None = 0.5,
    duration: float | str = 3600,
    requirements: Requirements = None,
    timeout: float | None = None,
    **options: Any,
) -> Any:
    """`remote` for a function that is there already."""
    make: Any = remote(client, gpu_memory, duration, requirements, timeout, **options)
    return make(func)
