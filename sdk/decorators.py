"""Decorators: functions that run as jobs when they are called.

@remote(client, gpu_memory=0.5, duration="1h", requirements=["torch"])
def train(epochs): ...

train(3)                     # runs as a job, returns its result
train.remote(3)              # the same, said aloud
job = train.spawn(3)         # a handle, at once
for loss in train.map(range(200)): ...
train.local(3)               # here, as if it were not decorated

With an AsyncCumulusClient the same are awaited: `await train(3)`, `async for … in train.map(…)`.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, final, overload

from .functions.options import Options

if TYPE_CHECKING:
    from .client import AsyncCumulusClient
    from .functions.code import FunctionCode
    from .functions.needs import Requirements
    from .handle import AsyncJobHandle, JobHandle
    from .sync import CumulusClient

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C")


class _Function(Generic[C, P, R]):
    """A function that runs as jobs of `client`. Inside a job it is the plain function again."""

    def __init__(self, client: C, func: Callable[P, R], options: Options) -> None:
        wrapper: Any = self
        functools.update_wrapper(wrapper, func)
        self.client = client
        self.func = func
        self.options = options

    def local(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it here."""
        return self.func(*args, **kwargs)

    def with_options(self, **changes: Any) -> Self:
        """The same function with other `Options`, such as `duration` or `idempotency_key`."""
        made = type(self)(self.client, self.func, replace(self.options, **changes))
        made.__dict__["code"] = self.code
        return made

    @functools.cached_property
    def code(self) -> FunctionCode:
        """Packed once: what the function refers to is taken as it is at its first call."""
        from .functions.code import pack_function  # noqa: PLC0415 (importing the SDK costs little)

        return pack_function(self.func)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """As the function alone, by nothing of ours: the SDK is not there in a job."""
        return operator.getitem, ((self.func,), 0)


@final
class RemoteFunction(_Function["CumulusClient", P, R]):
    """A function that runs as jobs of a CumulusClient."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it as a job and return what it returns."""
        return self.remote(*args, **kwargs)

    def remote(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it as a job and return what it returns; raises what it raises."""
        result: R = self.client.call(self.code, args, kwargs, self.options)
        return result

    def spawn(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle:
        """Hand the call in and return at once."""
        return self.client.spawn(self.code, args, kwargs, self.options)

    async_call = spawn

    def map(
        self,
        inputs: Iterable[Any],
        *,
        concurrency: int = 32,
        ordered: bool = True,
        return_exceptions: bool = False,
    ) -> Iterator[R]:
        """See `CumulusClient.map`."""
        return self.client.map(
            self.code,
            inputs,
            self.options,
            concurrency=concurrency,
            ordered=ordered,
            return_exceptions=return_exceptions,
        )


@final
class AsyncRemoteFunction(_Function["AsyncCumulusClient", P, R]):
    """A function that runs as jobs of an AsyncCumulusClient."""

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it as a job and return what it returns."""
        return await self.remote(*args, **kwargs)

    async def remote(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it as a job and return what it returns; raises what it raises."""
        result: R = await self.client.call(self.code, args, kwargs, self.options)
        return result

    async def spawn(self, *args: P.args, **kwargs: P.kwargs) -> AsyncJobHandle:
        """Hand the call in and return at once."""
        return await self.client.spawn(self.code, args, kwargs, self.options)

    async_call = spawn

    def map(
        self,
        inputs: Iterable[Any],
        *,
        concurrency: int = 32,
        ordered: bool = True,
        return_exceptions: bool = False,
    ) -> AsyncGenerator[R, None]:
        """See `AsyncCumulusClient.map`."""
        return self.client.map(
            self.code,
            inputs,
            self.options,
            concurrency=concurrency,
            ordered=ordered,
            return_exceptions=return_exceptions,
        )


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
