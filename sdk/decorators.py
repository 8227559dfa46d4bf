"""Decorators: functions that run as jobs when they are called.

@remote(client, gpu_memory=0.5, duration="1h", requirements=["torch"])
def train(epochs): ...

train(3)                     # runs as a job, returns its result
train.remote(3)              # the same, said aloud
job = train.spawn(3)         # a handle, at once
for loss in train.map(range(200)): ...
train.local(3)               # here, as if it were not decorated
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from .functions.code import FunctionCode, pack_function
from .functions.needs import Requirements
from .functions.options import Options
from .handle import JobHandle

if TYPE_CHECKING:
    from .sync import CumulusClient

P = ParamSpec("P")
R = TypeVar("R")


class RemoteFunction(Generic[P, R]):
    """A function that runs as jobs of `client`. Inside a job it is the plain function again."""

    def __init__(self, client: CumulusClient, func: Callable[P, R], options: Options) -> None:
        functools.update_wrapper(self, func)
        self.client = client
        self.func = func
        self.options = options

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

    def local(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it here."""
        return self.func(*args, **kwargs)

    @functools.cached_property
    def code(self) -> FunctionCode:
        """Packed once: what the function refers to is taken as it is at its first call."""
        return pack_function(self.func)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """As the function alone, by nothing of ours: the SDK is not there in a job."""
        return operator.getitem, ((self.func,), 0)


def remote(
    client: CumulusClient,
    gpu_memory: float | None = 0.5,
    duration: float | str = 3600,
    requirements: Requirements = None,
    timeout: float | None = None,
    **options: Any,
) -> Callable[[Callable[P, R]], RemoteFunction[P, R]]:
    """Decorator: calls run as jobs and return their results. options: of `Options`."""
    chosen = Options(
        gpu_memory=gpu_memory,
        duration=duration,
        requirements=requirements,
        timeout=timeout,
        **options,
    )
    return lambda func: RemoteFunction(client, func, chosen)


def gpu(
    client: CumulusClient,
    memory: float | None = 0.5,
    duration: float | str = 3600,
    requirements: Requirements = None,
    **options: Any,
) -> Callable[[Callable[P, R]], RemoteFunction[P, R]]:
    """`remote`, named after what it takes. memory: fraction of one device's memory."""
    return remote(client, memory, duration, requirements, **options)


def async_remote(
    client: CumulusClient,
    gpu_memory: float | None = 0.5,
    duration: float | str = 3600,
    requirements: Requirements = None,
    **options: Any,
) -> Callable[[Callable[P, Any]], Callable[P, JobHandle]]:
    """Decorator: calls return a `JobHandle` at once."""
    make: Any = remote(client, gpu_memory, duration, requirements, **options)

    def decorate(func: Callable[P, Any]) -> Callable[P, JobHandle]:
        made: RemoteFunction[P, Any] = make(func)

        @functools.wraps(func)
        def call(*args: P.args, **kwargs: P.kwargs) -> JobHandle:
            return made.spawn(*args, **kwargs)

        return call

    return decorate


def create_remote_function(
    client: CumulusClient,
    func: Callable[P, R],
    gpu_memory: float | None = 0.5,
    duration: float | str = 3600,
    requirements: Requirements = None,
    timeout: float | None = None,
    **options: Any,
) -> RemoteFunction[P, R]:
    """`remote` for a function that is there already."""
    made: RemoteFunction[P, R] = remote(
        client, gpu_memory, duration, requirements, timeout, **options
    )(func)
    return made
