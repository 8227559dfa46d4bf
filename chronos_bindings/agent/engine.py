"""The agent's one connection to the local Docker Engine. I/O.

Called by `runtime_docker`, `isolation`, `prepare` and `node_facts`. The docker SDK blocks, so
every call runs in a small pool; transient faults are repeated here, and errors are translated
here and nowhere else.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import docker
import docker.errors
import requests
import tenacity

from ...crd_like_specs.errors import CumulusError, NotFoundError, Permanent, Temporary

T = TypeVar("T")

_WORKERS: Final = 8
_TIMEOUT: Final = 20  # seconds for one call
_CONNECTIONS: Final = 64  # kept open: short calls and the followers of running units
_ATTEMPTS: Final = 4


class Engine:
    """base_url: of the engine, None for the environment's (DOCKER_HOST) or the local socket.

    Nothing is asked of the engine before the first call, which may come before it is up.
    """

    def __init__(self, base_url: str | None = None) -> None:
        self._base_url = base_url
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="docker")
        self._lock = threading.Lock()
        self._client: docker.DockerClient | None = None

    async def call(self, work: Callable[[docker.DockerClient], T]) -> T:
        """Run `work` in the pool, again after a transient fault, so it must bear repetition.

        Raises NotFoundError (404), Temporary(reason="EngineUnreachable" | "EngineError"),
        Permanent(reason="EngineRefused").
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self.call_here, work)

    def call_here(self, work: Callable[[docker.DockerClient], T]) -> T:
        """The same for a caller that is in a thread of its own."""
        retry = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_transient),
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=tenacity.wait_exponential(multiplier=0.05, max=1.0) + tenacity.wait_random(0, 0.1),
            reraise=True,
        )
        try:
            return retry(lambda: work(self.client()))
        except FAULTS as e:
            raise translate(e) from e

    def client(self) -> docker.DockerClient:
        """The SDK's client, connected at first use. Blocks; raises one of `FAULTS`."""
        with self._lock:
            if self._client is None:
                options: dict[str, Any] = {
                    "version": "auto",
                    "timeout": _TIMEOUT,
                    "max_pool_size": _CONNECTIONS,
                }
                self._client = (
                    docker.DockerClient(base_url=self._base_url, **options)
                    if self._base_url
                    else docker.from_env(**options)
                )
            return self._client

    async def close(self) -> None:
        """Free connections and threads; calls under way are waited for."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._pool.shutdown)
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None


FAULTS: Final = (docker.errors.DockerException, requests.exceptions.RequestException)
"""All that a call to the SDK may raise."""


def translate(error: BaseException) -> CumulusError:
    """The SDK's error as one of ours, with the engine's own words."""
    if isinstance(error, docker.errors.NotFound):
        return NotFoundError(f"the engine does not have it: {_words(error)}")
    if isinstance(error, docker.errors.APIError) and not _transient(error):
        return Permanent(f"the engine refused: {_words(error)}", reason="EngineRefused")
    if isinstance(error, docker.errors.APIError):
        return Temporary(f"the engine failed: {_words(error)}", reason="EngineError")
    return Temporary(f"the Docker Engine cannot be reached: {error}", reason="EngineUnreachable")


def _transient(error: BaseException) -> bool:
    if isinstance(error, docker.errors.APIError):
        return error.status_code is None or error.status_code >= 500 or error.status_code == 429
    return isinstance(error, FAULTS)


def _words(error: docker.errors.APIError) -> str:
    return str(error.explanation or error)
