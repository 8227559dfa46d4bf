"""Functions handed in as jobs over an open client. I/O through the client only.

Called by `AsyncCumulusClient.run`, `.spawn` and `.map`, and by decorated functions, which pack
their function once.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence, Sized
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ...api.frames import ServerInfo
from ...crd_like_specs.errors import ValidationError
from ...crd_like_specs.job import Job
from ..errors import JobFailedError
from ..progress.display import Watch, showing
from ..progress.view import JobView, ManyView
from ..stream import Event
from . import mapping
from .checks import check_call
from .code import FunctionCode, check_python, pack_function
from .options import Options, function_job, job_name
from .pickling import carries_bytecode
from .values import decode_result, encode_call

Function = Callable[..., Any]


class Client(Protocol):
    """What is needed of AsyncCumulusClient."""

    async def server_info(self) -> ServerInfo:
        """What the controller is."""

    def has_sent(self, digest: str) -> bool:
        """Whether the server has had this zip from here."""

    async def submit_code(
        self, job: Job, code: bytes, *, idempotency_key: str | None = None
    ) -> Job:
        """Hand in a job whose code is this zip."""

    async def run_code(
        self,
        job: Job,
        code: bytes,
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (a public argument, not a cancel scope)
        watch: Callable[[Event], None] | None = None,
        logs: bool = True,
    ) -> Any:
        """Hand it in, and wait for what its main() returns."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call, ready to be handed in."""

    job: Job
    zip: bytes
    options: Options


async def spawn(
    client: Client,
    function: Function | FunctionCode,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Options,
) -> Job:
    """Hand one call in; returns once it is stored."""
    call = await _prepared(client, _code(function), args, kwargs, options)
    return await client.submit_code(
        call.job, call.zip, idempotency_key=call.options.idempotency_key
    )


async def run(
    client: Client,
    function: Function | FunctionCode,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Options,
) -> Any:
    """Hand one call in and wait for what it returns."""
    call = await _prepared(client, _code(function), args, kwargs, options)
    with showing(JobView(call.job.metadata.name), options.progress) as watch:
        return await _ran(client, call, watch)


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
    if concurrency < 1:
        raise ValidationError(f"concurrency: {concurrency} is out of range: expected at least 1")
    code = _code(function)
    name = job_name(code.name)
    view = ManyView(code.name, len(inputs) if isinstance(inputs, Sized) else 0)
    with showing(view, options.progress) as watch:

        async def call(number: int, one: Any) -> Any:
            args = one if isinstance(one, tuple) else (one,)
            key = options.idempotency_key and f"{options.idempotency_key}-{number}"
            its = replace(options, idempotency_key=key)
            made = await _prepared(client, code, args, {}, its, f"{name}-{number}")
            return await _ran(client, made, watch, logs=False)

        results = mapping.each(
            call,
            inputs,
            concurrency=concurrency,
            ordered=ordered,
            return_exceptions=return_exceptions,
        )
        async with aclosing(results):
            async for result in results:
                yield result


def _code(function: Function | FunctionCode) -> FunctionCode:
    return function if isinstance(function, FunctionCode) else pack_function(function)


async def _prepared(
    client: Client,
    code: FunctionCode,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Options,
    name: str = "",
) -> Call:
    """Packed with what its arguments need, and known to run on the Python that jobs have here."""
    check_call(code.name, code.signature, args, kwargs)
    given, pickled = encode_call(args, kwargs, result=options.result_kind)
    if pickled:
        code = code.with_modules_of(pickled)
    checked = client.has_sent(code.digest) and not carries_bytecode(pickled)
    if not checked and (code.python or carries_bytecode(pickled)):
        check_python(code, (await client.server_info()).python, pickled)
    job = function_job(code.name, code.digest, options, given, name)
    return Call(job, code.zip, options)


async def _ran(client: Client, call: Call, watch: Watch | None, *, logs: bool = True) -> Any:
    options = call.options
    try:
        value = await client.run_code(
            call.job,
            call.zip,
            idempotency_key=options.idempotency_key,
            timeout=options.timeout,
            watch=watch,
            logs=logs,
        )
    except JobFailedError as e:
        if e.error_type == "NotSerializable":
            e.add_note(
                'result="arrays" brings arrays as they are; trust_result=True brings any object, '
                "by a pickle that is read here"
            )
        raise
    return decode_result(value, trust=options.trust_result)
