"""The two endless reads of the Docker Engine, as sources for `threads.pieces`. I/O.

Called by `runtime_docker` (logs, container events) and `node_facts` (image events).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

import docker
import docker.errors
import requests
from docker.types.daemon import CancellableStream

from .docker_logs import FrameParser
from .engine import FAULTS, Engine, translate
from .ports import RawFrame

_CONNECT: Final = 10.0  # seconds; reading has no limit


class Closeable(Protocol):
    """Something that is open and can be closed from another thread."""

    def close(self) -> None:
        """Unblock whoever reads it."""


class _Stream:
    """What both have in common: opened in the reading thread, closed from any other."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._open: Closeable | None = None
        self._closed = False

    def close(self) -> None:
        with self._lock:
            self._closed = True
            stream, self._open = self._open, None
        if stream is not None:
            try:
                stream.close()
            except OSError:
                return  # the engine hung up first, which is as good

    def _hold(self, stream: Closeable) -> bool:
        """False where `close` came first: the stream is closed then."""
        with self._lock:
            if not self._closed:
                self._open = stream
                return True
        stream.close()
        return False


class LogStream(_Stream):
    """Output of one container, a list of frames a piece: all of it, following until it has
    ended; or with `tail` that many of its last frames as they are now.
    """

    def __init__(self, engine: Engine, container: str, tail: int | None = None) -> None:
        super().__init__(engine)
        self._container = container
        self._how = {"follow": 1} if tail is None else {"follow": 0, "tail": tail}

    def __iter__(self) -> Iterator[list[RawFrame]]:
        """Raises NotFoundError, Temporary; ends where the engine ends the stream properly."""
        parser = FrameParser()
        try:
            response = _request(self._engine.client(), self._container, self._how)
            if self._hold(CancellableStream(iter(()), response)):
                for chunk in response.iter_content(None):
                    if frames := parser.feed(chunk):
                        yield frames
        except (*FAULTS, OSError) as e:
            raise translate(e) from e
        parser.finish()


class EventStream(_Stream):
    """The engine's events that match the filters, as it sends them.

    They begin a second before this is made, so that nothing is missed while connecting.
    """

    def __init__(self, engine: Engine, filters: Mapping[str, Any]) -> None:
        super().__init__(engine)
        self._filters = dict(filters)
        self._since = int(time.time()) - 1

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Raises Temporary; ends where the connection does."""
        try:
            api = self._engine.client().api
            stream = api.events(since=self._since, decode=True, filters=self._filters)
            if self._hold(stream):
                yield from stream
        except (*FAULTS, OSError) as e:
            raise translate(e) from e


def _request(
    client: docker.DockerClient, container: str, how: Mapping[str, int]
) -> requests.Response:
    """The raw stream. The SDK's own `logs` reads the frames away and loses which stream each
    piece is of when times are asked for, so the request is made here.
    """
    api = client.api
    url = f"{api.base_url}/v{api.api_version}/containers/{container}/logs"
    params = {**how, "stdout": 1, "stderr": 1, "timestamps": 1}
    response = api.get(url, params=params, stream=True, timeout=(_CONNECT, None))
    try:
        response.raise_for_status()
    except requests.HTTPError as e:
        docker.errors.create_api_error_from_http_exception(e)
    return response
