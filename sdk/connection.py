"""One gRPC channel to the controller: calls with time limits, retries and our own errors. I/O.

Called by `client.py` and `follow.py` only; everything here runs on one event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

import grpc
import grpc.aio
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from ..api import status
from ..api.gen.cumulus.v1 import (
    cumulus_pb2_grpc,
    datasets_pb2_grpc,
    outputs_pb2_grpc,
    templates_pb2_grpc,
    tenancy_pb2_grpc,
)
from ..api.options import CHANNEL_OPTIONS
from ..crd_like_specs.errors import (
    CumulusError,
    TooManyRequestsError,
    UnavailableError,
    ValidationError,
)
from .address import Address

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]

_OPTIONS = (
    *CHANNEL_OPTIONS,
    # A server that restarts is found again at once instead of after gRPC's growing pauses.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_retries", 0),  # retries are made here, where they are visible
)
_END: Any = vars(grpc.aio)["EOF"]  # the published stubs lack it
_PAUSES = wait_random_exponential(multiplier=0.05, max=2)


_STUBS: dict[str, Callable[[grpc.aio.Channel], Any]] = {
    "": cumulus_pb2_grpc.CumulusStub,
    "Datasets": datasets_pb2_grpc.DatasetsStub,
    "Outputs": outputs_pb2_grpc.OutputsStub,
    "Templates": templates_pb2_grpc.TemplatesStub,
    "Tenancy": tenancy_pb2_grpc.TenancyStub,
}
"""A method is called `Service.Method`, or by its name alone where it is of `Cumulus`."""


class BrokenError(Exception):
    """The connection broke, or the server had no time for it: nothing is said about the request;
    `cause` tells how.
    """

    def __init__(self, cause: CumulusError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Connection:
    """Lazily opened, reusable, to be closed.

    token: sent as a bearer token, over TLS or to this machine only unless `insecure`.
    ca: PEM certificate of the authority to trust instead of the system's; it means TLS.
    timeout: seconds a single call may take. patience: seconds a server that has answered before
    may be away, such as while it is started anew, before UnavailableError; one that never did is
    given up after a moment. sleep: awaited between tries; tests give their own.
    """

    def __init__(
        self,
        address: Address,
        *,
        token: str | None = None,
        insecure: bool = False,
        ca: bytes | None = None,
        timeout: float = 30.0,
        patience: float = 120.0,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        if ca is not None:
            address = replace(address, tls=True)
        if token and not (address.tls or address.local or insecure):
            raise ValidationError(
                f"the token would travel unencrypted to {address.target}: "
                f"use https://{address.target}, or allow it with insecure"
            )
        self.address = address
        self.timeout = timeout
        self.patience = patience
        self._ca = ca
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._sleep = sleep
        self._channel: grpc.aio.Channel | None = None
        self._stubs: dict[str, Any] = {}
        self._answered = False

    async def close(self) -> None:
        """End every open call and the connection; a later call opens it again."""
        channel, self._channel = self._channel, None
        self._stubs.clear()
        if channel is not None:
            await channel.close(None)

    async def call(self, method: str, request: Any) -> Any:
        """One request that may be sent twice without harm; raises CumulusError."""
        return await self.retry(
            lambda: self._translated(
                lambda: self._method(method)(request, timeout=self.timeout, metadata=self._metadata)
            )
        )

    async def upload(self, method: str, requests: Callable[[], Iterable[Any]]) -> Any:
        """A client stream, begun anew after a break; `requests` makes it each time."""
        return await self.retry(
            lambda: self._translated(
                lambda: self._method(method)(_each(requests()), metadata=self._metadata)
            )
        )

    async def send(self, method: str, requests: AsyncIterator[Any]) -> Any:
        """A client stream that is not begun anew. BrokenError, or CumulusError."""
        return await self._translated(
            lambda: self._method(method)(requests, metadata=self._metadata)
        )

    async def pause(self, seconds: float) -> None:
        """Between two tries."""
        await self._sleep(seconds)

    def open(self, method: str, request: Any) -> Any:
        """A call that streams back; read it with `read`, end it with `.cancel()`.

        request: a message, or a list of them where the client streams too.
        """
        given = _each(request) if isinstance(request, list) else request
        return self._method(method)(given, metadata=self._metadata)

    async def read(self, call: Any) -> Any:
        """The next message, None at the stream's end. BrokenError, or CumulusError."""
        message = await self._translated(call.read)
        return None if message is _END else message

    async def retry(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """`attempt` anew while the server can't be reached: up to three times within a moment, or,
        where it has answered before, as long as patience lasts.
        """

        async def next_try() -> T:  # tenacity awaits what is a coroutine function only
            return await attempt()

        try:
            return await self._retrying(stop_after_attempt(3))(next_try)
        except BrokenError as e:
            if self._answered:
                return await self.come_back(e, attempt)
            raise e.cause from e

    async def come_back(self, cause: BrokenError, attempt: Callable[[], Awaitable[T]]) -> T:
        """After a break: `attempt` with growing pauses until it succeeds or patience is over."""
        broken_at = time.monotonic()
        pending: BrokenError | None = cause

        async def next_try() -> T:
            nonlocal pending
            if pending is not None:  # the break counts as the first try: there is a pause after it
                error, pending = pending, None
                raise error
            return await attempt()

        def over(_state: RetryCallState) -> bool:
            return time.monotonic() - broken_at >= self.patience

        try:
            return await self._retrying(over)(next_try)
        except BrokenError as e:
            if isinstance(e.cause, TooManyRequestsError):
                raise e.cause from e
            raise UnavailableError(
                f"{self.address.target} did not come back within {self.patience:.0f} s: {e.cause}"
            ) from e

    def _retrying(self, stop: Any) -> AsyncRetrying:
        return AsyncRetrying(
            retry=retry_if_exception_type(BrokenError),
            wait=_pause,
            stop=stop,
            sleep=self._sleep,
            reraise=True,
        )

    def _method(self, name: str) -> Any:
        if self._channel is None:
            target = self.address.target
            if self.address.tls:
                credentials = grpc.ssl_channel_credentials(self._ca)
                self._channel = grpc.aio.secure_channel(target, credentials, options=_OPTIONS)
            else:
                self._channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        service, _, method = name.rpartition(".")
        if service not in self._stubs:
            self._stubs[service] = _STUBS[service](self._channel)
        return getattr(self._stubs[service], method)

    async def _translated(self, make: Callable[[], Awaitable[T]]) -> T:
        try:
            result = await make()
        except grpc.aio.AioRpcError as e:
            error = status.from_grpc(e)
            if isinstance(error, TooManyRequestsError):
                self._answered = True
                raise BrokenError(error) from e
            if _says_nothing(e, error):
                if e.code() is grpc.StatusCode.UNAVAILABLE:
                    distrusted = _distrusted(error.message)
                    why = distrusted or _why(error.message, tls=self.address.tls)
                    error = UnavailableError(
                        f"cannot reach the controller at {self.address.target}: {why}"
                    )
                    if distrusted:
                        raise error from e  # no patience mends that
                raise BrokenError(error) from e
            self._answered = True
            raise error from e
        self._answered = True
        return result


def _pause(state: RetryCallState) -> float:
    """Seconds before the next try: as the server asked for, and never all clients at once."""
    error = state.outcome.exception() if state.outcome else None
    cause = error.cause if isinstance(error, BrokenError) else None
    asked = cause.retry_after if isinstance(cause, TooManyRequestsError) else 0.0
    return asked + _PAUSES(state)


def _distrusted(details: str) -> str:
    """What is wrong with the server's certificate, "" where it was not looked at or is right."""
    if "CERTIFICATE_VERIFY_FAILED" in details:
        return (
            "its certificate is not of an authority that is trusted here: "
            "give the controller's own with --ca FILE (in Python: ca)"
        )
    if "is not in peer certificate" in details or "Hostname Verification" in details:
        return "its certificate is for other names than this one"
    return ""


def _why(details: str, *, tls: bool) -> str:
    """The reason at the end of what gRPC tells of its way there."""
    if "WRONG_VERSION_NUMBER" in details:  # told as `…: OK`
        return "it does not answer in TLS: does it speak TLS?"
    if not tls and "failed to connect" in details and "Socket closed" in details:
        return (
            "it closed the connection at once: if it expects TLS, "
            "give https://HOST:PORT, or its authority with --ca FILE (in Python: ca)"
        )
    why = details.rsplit(": ", 1)[-1]
    return why if "[" in why else why.rstrip("]")


async def _each(items: Iterable[T]) -> AsyncIterator[T]:
    for item in items:
        yield item


def _says_nothing(raw: grpc.aio.AioRpcError, error: CumulusError) -> bool:
    """Whether the connection failed, rather than the server answered."""
    code = raw.code()
    if code is grpc.StatusCode.UNAVAILABLE:
        return type(error) is UnavailableError
    if code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN):
        return type(error) is CumulusError and not _has_details(raw)
    return code is grpc.StatusCode.CANCELLED


def _has_details(raw: grpc.aio.AioRpcError) -> bool:
    pairs: Any = raw.trailing_metadata() or ()  # the published stubs take a pair for one value
    return any(key == "grpc-status-details-bin" for key, _value in pairs)
