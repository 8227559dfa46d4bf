"""Functions that run as jobs when they are called: what the decorators make. I/O by the client."""

from __future__ import annotations

import functools
import operator
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from dataclasses import replace
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    ParamSpec,
    Self,
    TypeVar,
    final,
    overload,
)

from .functions.options import Options

if TYPE_CHECKING:
    from .client import AsyncCumulusClient  # noqa: F401 (of a base class)
    from .functions.code import FunctionCode
    from .handle import AsyncJobHandle, JobHandle
    from .sync import CumulusClient  # noqa: F401 (of a base class)

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
        self._packed: FunctionCode | None = None

    def local(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it here."""
        return self.func(*args, **kwargs)

    def with_options(self, **changes: Any) -> Self:
        """The same function with other `Options`, such as `duration` or `idempotency_key`."""
        made = type(self)(self.client, self.func, replace(self.options, **changes))
        made._packed = self._packed  # noqa: SLF001 (of the same class)
        return made

    @property
    def code(self) -> FunctionCode:
        """As the function is now, with the globals it refers to; packed anew if that changed."""
        from .functions.code import pack_function  # noqa: PLC0415 (importing the SDK costs little)

        self._packed = pack_function(self.func, self._packed)
        return self._packed

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

    @overload
    def map(
        self,
        inputs: Iterable[Any],
        *,
        concurrency: int = ...,
        ordered: bool = ...,
        return_exceptions: Literal[False] = ...,
    ) -> Iterator[R]: ...
    @overload
    def map(
        self,
        inputs: Iterable[Any],
        *,
        concurrency: int = ...,
        ordered: bool = ...,
        return_exceptions: bool,
    ) -> Iterator[R | Exception]: ...
    def map(
        self,
        inputs: Iterable[Any],
        *,
        concurrency: int = 32,
        ordered: bool = True,
        return_exceptions: bool = False,
    ) -> Iterator[Any]:
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

    @overload
    def map(
        self,
        inputs: Iterable[Any],
        *,
        concurrency: int = ...,
        ordered: bool = ...,
        return_exceptions: Literal[False] = ...,
    ) -> AsyncGenerator[R, None]: ...
    @overload
    def map(
        self,
        inputs: Iterable[Any],
        *,
        concurrency: int = ...,
        ordered: bool = ...,
        return_exceptions: bool,
    ) -> AsyncGenerator[R | Exception, None]: ...
    def map(
        self,
        inputs: Iterable[Any],
        *,
        concurrency: int = 32,
        ordered: bool = True,
        return_exceptions: bool = False,
    ) -> AsyncGenerator[Any, None]:
        """See `AsyncCumulusClient.map`."""
        return self.client.map(
            self.code,
            inputs,
            self.options,
            concurrency=concurrency,
            ordered=ordered,
            return_exceptions=return_exceptions,
        )
