"""Functions handed in as jobs over an open client. I/O through the client only.

Called by `AsyncCumulusClient.run`, `.spawn` and `.map`, and by decorated functions, which pack
their function once.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from ...api.frames import ServerInfo
from ...crd_like_specs.job import Job
from . import mapping
from .code import FunctionCode, check_python, pack_function
from .options import Options, function_job, job_name
from .values import decode_result, encode_call

Function = Callable[..., Any]


class Client(Protocol):
    """What is needed of AsyncCumulusClient."""

    async def server_info(self) -> ServerInfo:
        """What the controller is."""

    async def submit_code(self, job: Job, code: bytes) -> Job:
        """Hand in a job whose code is this zip."""

    async def result(self, job: Job | str, timeout: float | None = None) -> Any:  # noqa: ASYNC109 (a public argument)
        """What its main() returned."""


async def spawn(
    client: Client,
    function: Function | FunctionCode,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Options,
    name: str = "",
) -> Job:
    """Hand one call in; returns once it is stored."""
    code = await prepared(client, function)
    call = encode_call(args, kwargs, any_result=options.trust_result)
    return await client.submit_code(function_job(code, options, call, name), code.zip)


async def run(
    client: Client,
    function: Function | FunctionCode,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Options,
) -> Any:
    """Hand one call in and wait for what it returns."""
    return await _result(client, await spawn(client, function, args, kwargs, options), options)


async def map_over(
    client: Client,
    function: Function | FunctionCode,
    inputs: Iterable[Any],
    options: Options,
    *,
    concurrency: int,
    ordered: bool,
    return_exceptions: bool,
) -> AsyncGenerator[Any, None]:
    """See `AsyncCumulusClient.map`. A tuple among the inputs is one call's arguments."""
    code = await prepared(client, function)
    name = job_name(code.name)

    async def call(number: int, one: Any) -> Any:
        args = one if isinstance(one, tuple) else (one,)
        job = await spawn(client, code, args, {}, options, f"{name}-{number}")
        return await _result(client, job, options)

    results = mapping.each(
        call,
        inputs,
        concurrency=concurrency,
        ordered=ordered,
        return_exceptions=return_exceptions,
    )
    async for result in results:
        yield result


async def prepared(client: Client, function: Function | FunctionCode) -> FunctionCode:
    """Packed, and known to run on the Python that jobs have here."""
    code = function if isinstance(function, FunctionCode) else pack_function(function)
    if code.python:
        check_python(code, (await client.server_info()).python)
    return code


async def _result(client: Client, job: Job, options: Options) -> Any:
    value = await client.result(job, options.timeout)
    return decode_result(value, trust=options.trust_result)
