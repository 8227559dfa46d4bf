"""The synchronous client's verbs for Python functions. I/O; a part of `sdk/sync.py`'s class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..handle import JobHandle

if TYPE_CHECKING:
    from ..background import Background
    from ..client import AsyncCumulusClient
    from .calling import Function
    from .code import FunctionCode
    from .needs import Requirements
    from .options import Options


class SyncFunctionCalls:
    """Functions handed in as jobs."""

    _client: AsyncCumulusClient
    _background: Background

    def spawn(
        self: Any,
        function: Function | FunctionCode,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        options: Options | None = None,
    ) -> JobHandle:
        """See AsyncCumulusClient.spawn."""
        job = self._background.do(self._client.spawn(function, args, kwargs, options))
        trust = options is not None and options.trust_result
        return JobHandle(self, job.id, trust_result=trust)

    def call(
        self,
        function: Function | FunctionCode,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        options: Options | None = None,
    ) -> Any:
        """See AsyncCumulusClient.call."""
        return self._background.do(self._client.call(function, args, kwargs, options))

    def run(
        self,
        func: Function,
        gpu_memory: float | None = 0.5,
        duration: float | str = 3600,
        requirements: Requirements = None,
        timeout: float | None = None,
        args: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """See AsyncCumulusClient.run."""
        return self._background.do(
            self._client.run(func, gpu_memory, duration, requirements, timeout, args, **kwargs)
        )

    def map(
        self,
        function: Function | FunctionCode,
        inputs: Iterable[Any],
        options: Options | None = None,
        *,
        concurrency: int = 32,
        ordered: bool = True,
        return_exceptions: bool = False,
    ) -> Iterator[Any]:
        """See AsyncCumulusClient.map."""
        return self._background.each(
            self._client.map(
                function,
                inputs,
                options,
                concurrency=concurrency,
                ordered=ordered,
                return_exceptions=return_exceptions,
            )
        )
