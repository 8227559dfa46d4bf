"""Around every call: who calls, errors as status, the access log. I/O: the log only.

One object per server. It gives each call a `Call` (see `current`), turns errors of our tree into
statuses by the one table, anything else into INTERNAL with the request id, and ends open streams
when the server stops. It never logs what a request holds, nor its metadata.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, aclosing, asynccontextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio
from grpc_status import rpc_status
from loguru import logger

from ..crd_like_specs.errors import CumulusError, UnauthenticatedError, UnavailableError
from .auth import WITHOUT_ROLE, Holder, Role, allowed, changes, require, viewer_of
from .gate import Gate, came_of
from .rates import address_of
from .status import row, to_grpc
from .viewer import Viewer

UNARY_SECONDS: Final = 60.0
"""No call with a single answer takes longer, whatever deadline its client has set."""

_OURS: Final = "/cumulus.v1."
_OPEN: Final = "/grpc.health."  # probes carry no tokens
_REQUEST_ID: Final = "x-request-id"
_OF_AGENTS: Final = "/cumulus.v1.Agent/"  # they are few, and what they send is bounded elsewhere
_UPLOADS: Final = ("/PutBlob", ".Datasets/Put")
"""They take as long as their uploads do, and those of data sets as looking through an archive."""
_NAMES: Final = ("name", "worker", "job", "project", "id", "digest")
"""Fields of requests that name what they are about; all of them are short, and no secrets."""

if TYPE_CHECKING:
    _Base = grpc.aio.ServerInterceptor[Any, Any]
else:  # generic in its type stubs only
    _Base = grpc.aio.ServerInterceptor

Context = Any  # grpc.aio.ServicerContext, whose type parameters no handler needs
Behavior = Callable[[Any, Context], Any]


@dataclass(slots=True)
class Call:
    """One call in progress. holder: of its token, None where none are configured. job_id: set by
    the servicer as soon as it is known, to the name that was given until then. resource: what it
    names otherwise; noted: there is a line of it in the journal.
    """

    method: str
    request_id: str
    peer: str
    holder: Holder | None = None
    job_id: str = ""
    resource: str = ""
    noted: bool = False

    @property
    def role(self) -> Role | None:
        """What its token stands for; None where no tokens are configured."""
        return self.holder.role if self.holder else None

    @property
    def viewer(self) -> Viewer:
        """Whose jobs it sees."""
        return viewer_of(self.holder)


_CURRENT: ContextVar[Call] = ContextVar("cumulus_call")


def current() -> Call:
    """The call that the running servicer method serves."""
    return _CURRENT.get()


class Interceptor(_Base):
    """See the module docstring. gate: whose tokens None lets everybody in as admin (loopback only)."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._tokens = gate.tokens
        self._streams: set[asyncio.Task[Any]] = set()
        self._stopping = False

    def end_streams(self) -> None:
        """End every open stream with UNAVAILABLE; the jobs they follow go on."""
        self._stopping = True
        for task in self._streams:
            task.cancel()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler of this call."""
        handler = await continuation(details)
        method = details.method
        if handler is None or method.startswith(_OPEN):
            return handler
        metadata = dict(details.invocation_metadata or ())
        if not method.startswith(_OURS):  # reflection: only the token is looked at
            return handler if self._admits(metadata) else _refusing(handler)
        if handler.response_streaming:
            wrapped = self._stream(_behavior(handler), method, metadata)
            build = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
        else:
            wrapped = self._unary(_behavior(handler), method, metadata)
            build = (
                grpc.stream_unary_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_unary_rpc_method_handler
            )
        return build(wrapped, handler.request_deserializer, handler.response_serializer)

    def _unary(self, behavior: Behavior, method: str, metadata: dict[str, Any]) -> Behavior:
        limited = not method.endswith(_UPLOADS)

        async def call(request: Any, context: Context) -> Any:
            async with self._guard(method, metadata, context):
                current().resource = _resource(request)
                answer = behavior(request, context)
                if not limited:
                    return await answer
                try:
                    return await asyncio.wait_for(answer, UNARY_SECONDS)
                except TimeoutError as e:
                    raise UnavailableError(f"no answer within {UNARY_SECONDS:g} s") from e

        return call

    def _stream(self, behavior: Behavior, method: str, metadata: dict[str, Any]) -> Behavior:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            task = asyncio.current_task()
            assert task is not None
            self._streams.add(task)
            try:
                async with (
                    self._guard(method, metadata, context),
                    aclosing(behavior(request, context)) as answers,
                ):
                    async for answer in answers:
                        self._note(current(), None)  # now, not when it ends: that may be days
                        yield answer
            finally:
                self._streams.discard(task)

        return call

    @asynccontextmanager
    async def _guard(
        self, method: str, metadata: dict[str, Any], context: Context
    ) -> AsyncIterator[None]:
        call = Call(method, _request_id(metadata), context.peer())
        _CURRENT.set(call)  # each call has its own task, and so its own context
        started = time.monotonic()
        context.set_trailing_metadata(((_REQUEST_ID, call.request_id),))
        error: CumulusError | None = None
        outcome = "OK"
        try:
            if not method.startswith(WITHOUT_ROLE):
                call.holder = self._gate.enter(metadata.get("authorization"), address_of(call.peer))
            if not method.startswith(_OF_AGENTS):
                self._gate.count(call.holder, address_of(call.peer))
            require(call.role, allowed(method), f"call {method.rpartition('/')[2]}")
            with self._using(call.holder):
                yield
        except CumulusError as e:
            error = e
        except asyncio.CancelledError:
            outcome = "CANCELLED"
            error = self._cut_off(call.holder)
            if error is None:
                raise
        except Exception as e:  # noqa: BLE001 (the boundary: a bug must neither leak nor kill the stream unseen)
            _bound(call).opt(exception=e).error("{} failed unexpectedly", method)
            error = CumulusError(f"internal error, see the log of request {call.request_id}")
        finally:
            if error:
                outcome = row(error).grpc.name
                call.noted = call.noted and not isinstance(error, UnauthenticatedError)
            self._note(call, error)
            _log(call, outcome, time.monotonic() - started, error)
        if error:
            await _abort(error, call, context)

    def _note(self, call: Call, error: CumulusError | None) -> None:
        if call.noted:
            return
        call.noted = True
        self._gate.note(
            "grpc",
            call.method.removeprefix(_OURS),
            address=address_of(call.peer),
            holder=call.holder,
            came=came_of(error),
            changes=changes(call.method),
            resource=call.resource or call.job_id,
            request_id=call.request_id,
        )

    def _using(self, holder: Holder | None) -> AbstractContextManager[None]:
        return self._tokens.using(holder) if self._tokens and holder else nullcontext()

    def _cut_off(self, holder: Holder | None) -> CumulusError | None:
        """Why we cancelled the call; None where its client did."""
        if self._tokens is not None and self._tokens.ended(holder):
            return UnauthenticatedError("the token was revoked, or its time is over")
        if self._stopping:
            return UnavailableError("the controller is stopping; jobs go on, connect again")
        return None

    def _admits(self, metadata: dict[str, Any]) -> bool:
        try:
            if self._tokens is not None:
                self._tokens.holder(metadata.get("authorization"))
        except CumulusError:
            return False
        return True


async def _abort(error: CumulusError, call: Call, context: Context) -> None:
    error.job_id = error.job_id or call.job_id
    status = rpc_status.to_status(to_grpc(error))
    await context.abort(
        status.code,
        status.details,
        (*status.trailing_metadata, (_REQUEST_ID, call.request_id)),
    )


def _log(call: Call, outcome: str, seconds: float, error: CumulusError | None) -> None:
    log = _bound(call).bind(code=outcome, seconds=round(seconds, 4))
    if error is None:
        log.debug("{} {}", call.method, outcome)
    else:
        log.info("{} {}: {}", call.method, outcome, error.message)


def _bound(call: Call) -> Any:
    return logger.bind(
        request_id=call.request_id,
        method=call.method,
        peer=call.peer,
        role=call.role.value if call.role else "",
        owner=call.viewer.owner,
        job_id=call.job_id,
    )


def _request_id(metadata: dict[str, Any]) -> str:
    given = metadata.get(_REQUEST_ID)
    if isinstance(given, str) and 0 < len(given) <= 64 and given.isprintable():
        return given
    return uuid.uuid4().hex[:16]


def _resource(request: Any) -> str:
    """What a request names, "" where it names nothing."""
    known = (
        {field.name for field, _ in request.ListFields()} if hasattr(request, "ListFields") else ()
    )
    if "resource" in known:
        kind = request.resource.WhichOneof(request.resource.DESCRIPTOR.oneofs[0].name)
        named = getattr(request.resource, kind).metadata.name if kind else ""
        return f"{kind} {named}" if kind else ""
    found = (getattr(request, name) for name in _NAMES if name in known)
    return next((value for value in found if isinstance(value, str)), "")


def _behavior(handler: Any) -> Behavior:
    found: Behavior = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )
    return found


def _refusing(handler: Any) -> Any:
    async def refuse(_request: Any, context: Context) -> None:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no valid token is given")

    return grpc.stream_stream_rpc_method_handler(
        refuse, handler.request_deserializer, handler.response_serializer
    )
