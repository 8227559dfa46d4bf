"""The two endless reads of the Docker Engine, as sources for `threads.pieces`. I/O.

Called by `runtime_docker` (logs, container events) and `node_facts` (image events).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import docker
import docker.errors
import requests
from docker.types.daemon import CancellableStream

from .docker_logs import FrameParser
from .engine import FAULTS, Engine, translate
from .ports import RawFrame

_CONNECT: Final = 10.0  # seconds; reading has no limit


class _Stream:
    """What both have in common: opened in the reading thread, closed from any other."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._open: CancellableStream[Any] | None = None
        self._closed = False

    def close(self) -> None:
        """Unblock the reading thread by hanging up. May be called at any time."""
        with self._lock:
            self._closed = True
            if self._open is not None:
                with suppress(OSError):  # the engine hung up first, which is as good
                    self._open.close()
                self._open = None

    def _chunks(self, path: str, params: Mapping[str, Any]) -> Iterator[bytes]:
        """The answer's body as it comes. The SDK's own readers take a connection that broke for
        the end of the stream, and drop what tells stdout from stderr.
        """
        try:
            response = _request(self._engine.client(), path, params)
            try:
                with self._lock:
                    if self._closed:
                        return
                    self._open = CancellableStream(iter(()), response)
                yield from response.iter_content(None)
            finally:
                with self._lock:
                    self._open = None
                response.close()
        except (*FAULTS, OSError) as e:
            raise translate(e) from e


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
        params = {**self._how, "stdout": 1, "stderr": 1, "timestamps": 1}
        for chunk in self._chunks(f"/containers/{self._container}/logs", params):
            if frames := parser.feed(chunk):
                yield frames
        parser.finish()


class EventStream(_Stream):
    """The engine's events that match the filters, as it sends them.

    They begin a second before this is made, so that nothing is missed while connecting.
    """

    def __init__(self, engine: Engine, filters: Mapping[str, list[str]]) -> None:
        super().__init__(engine)
        self._params = {"since": int(time.time()) - 1, "filters": json.dumps(filters)}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Raises Temporary; ends where the connection does."""
        rest = b""
        for chunk in self._chunks("/events", self._params):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (json.loads(line) for line in lines if line.strip())


def _request(
    client: docker.DockerClient, path: str, params: Mapping[str, Any]
) -> requests.Response:
    api = client.api
    url = f"{api.base_url}/v{api.api_version}{path}"
    response = api.get(url, params=params, stream=True, timeout=(_CONNECT, None))
    try:
        response.raise_for_status()
    except requests.HTTPError as e:
        docker.errors.create_api_error_from_http_exception(e)
    return response
