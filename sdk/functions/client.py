"""The asyncio client's verbs for Python functions. I/O; a part of `sdk/client.py`'s class."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Any

from ..handle import AsyncJobHandle
from . import calling
from .calling import Function
from .code import FunctionCode
from .needs import Requirements
from .options import Options


class FunctionCalls:
    """Functions handed in as jobs."""

    async def spawn(
        self: Any,
        function: Function | FunctionCode,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        options: Options | None = None,
    ) -> AsyncJobHandle:
        """Hand in a call of a Python function; returns once it is stored.

        ValidationError where the function or its arguments cannot travel, or where only another
        Python version than that of jobs could run it.
        """
        wanted = options or Options()
        job = await calling.spawn(self, function, args, kwargs or {}, wanted)
        return AsyncJobHandle(self, job.metadata.uid, trust_result=wanted.trust_result)

    async def call(
        self: Any,
        function: Function | FunctionCode,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        options: Options | None = None,
    ) -> Any:
        """Run a Python function as a job and return what it returns; raises as `result` does."""
        return await calling.run(self, function, args, kwargs or {}, options or Options())

    async def run(
        self: Any,
        func: Function,
        gpu_memory: float | None = 0.5,
        duration: float | str = 3600,
        requirements: Requirements = None,
        timeout: float | None = None,  # noqa: ASYNC109 (a public argument, not a cancel scope)
        args: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """`call`, with what matters most as plain arguments; kwargs are the function's.

        gpu_memory: fraction of one device's memory, 0 < gpu_memory <= 1, None without a GPU;
        duration, timeout: seconds (duration also text such as `90m`).
        """
        options = Options(
            gpu_memory=gpu_memory, duration=duration, requirements=requirements, timeout=timeout
        )
        return await calling.run(self, func, args or (), kwargs, options)

    def map(
        self: Any,
        function: Function | FunctionCode,
        inputs: Iterable[Any],
        options: Options | None = None,
        *,
        concurrency: int = 32,
        ordered: bool = True,
        return_exceptions: bool = False,
    ) -> AsyncGenerator[Any, None]:
        """One job per input, at most `concurrency` at a time; results in the inputs' order, or as
        they come. A tuple is the arguments of one call, anything else its only one.

        The first failed call raises and ends it, unless its exception is wanted as its result.
        """
        return calling.map_over(
            self,
            function,
            inputs,
            options or Options(),
            concurrency=concurrency,
            ordered=ordered,
            return_exceptions=return_exceptions,
        )
