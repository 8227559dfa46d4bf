"""One Docker Engine behind asyncio: bounded threads, repeated transient faults, our own errors.

The Docker SDK is synchronous, so each call runs in a small pool. This is the one place where
its exceptions become `Temporary`, `Permanent` and `NotFoundError`. Used by `swarm.py`.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, Final, TypeVar
from urllib.parse import quote

import requests
from docker import APIClient
from docker.constants import DEFAULT_UNIX_SOCKET
from docker.errors import APIError, DockerException, create_api_error_from_http_exception
from docker.utils import kwargs_from_env
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from ...crd_like_specs.errors import (
    ConflictError,
    CumulusError,
    NotFoundError,
    Permanent,
    Temporary,
)

THREADS: Final = 16
TIMEOUT_SECONDS: Final = 20.0
TRIES: Final = 3
MIN_API: Final = (1, 41)

T = TypeVar("T")


def connect(endpoint: str) -> APIClient:
    """A client of the engine at `endpoint` ("": what DOCKER_HOST and its companions say).

    Blocks; speaks the engine's own API version.
    """
    where = {"base_url": endpoint} if endpoint else kwargs_from_env()
    scheme, _, path = str(where.get("base_url", DEFAULT_UNIX_SOCKET)).partition("://")
    if scheme.endswith("unix"):  # the SDK leaks a descriptor for each refused connection
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(f"/{path.lstrip('/')}")
    return APIClient(
        **where, version="auto", timeout=int(TIMEOUT_SECONDS), max_pool_size=THREADS, num_pools=4
    )


class Engine:
    """endpoint: as in `connect`. `open` before anything else."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._client: APIClient | None = None
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="docker")

    async def open(self) -> None:
        """Connect and check; Permanent with what to do where this engine cannot serve."""
        loop = asyncio.get_running_loop()
        where = self._endpoint or "the default endpoint"
        try:
            self._client = await loop.run_in_executor(self._threads, connect, self._endpoint)
        except (DockerException, requests.RequestException, OSError, ValueError) as e:
            raise Permanent(
                f"no Docker Engine answers at {where}: {e}; is dockerd running, "
                "and may this user reach its socket?",
                reason="EngineUnreachable",
            ) from e
        version = str(self._client.api_version)
        if tuple(int(part) for part in version.split(".")[:2]) < MIN_API:
            raise Permanent(
                f"the Docker Engine at {where} speaks API {version}, "
                "but 1.41 (Docker 20.10) or newer is needed",
                reason="EngineTooOld",
            )

    def close(self) -> None:
        """Free threads and connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    async def call(self, what: str, work: Callable[[APIClient], T], *, tries: int = TRIES) -> T:
        """Run `work` in a thread, again after a transient fault. what: for messages, "list …".

        NotFoundError for 404, ConflictError for 409, Permanent("Rejected") for a bad request,
        Temporary for everything that may pass.
        """
        loop = asyncio.get_running_loop()
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(Temporary),
            stop=stop_after_attempt(tries),
            wait=wait_exponential(0.05, max=1.0),
            reraise=True,
        ):
            with attempt:
                return await loop.run_in_executor(self._threads, self._guarded, what, work)
        raise AssertionError("unreachable: the last attempt raises")

    def _guarded(self, what: str, work: Callable[[APIClient], T]) -> T:
        assert self._client is not None, "open() comes first"
        try:
            return work(self._client)
        except APIError as e:
            raise translate(what, e) from e
        except (DockerException, requests.RequestException, OSError) as e:
            raise Temporary(f"cannot {what}: {e}", reason="EngineUnreachable") from e


def translate(what: str, error: APIError) -> CumulusError:
    """Docker's status code in the words of our error tree."""
    text = str(error.explanation or error)
    code = error.status_code or 500
    if code == 404:
        return NotFoundError(f"cannot {what}: {text}")
    if code == 409:
        return ConflictError(f"cannot {what}: {text}")
    if code < 500 or "InvalidArgument" in text:  # older managers answer 500 with the inner code
        return Permanent(f"cannot {what}: {text}", reason="Rejected")
    return Temporary(f"cannot {what}: {text}", reason="EngineFault")


def post(
    client: APIClient,
    path: str,
    body: Mapping[str, Any],
    headers: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """POST JSON where the SDK's own wrappers lack fields that we need; APIError as they raise."""
    answer = client.post(
        _url(client, path), json=body, headers=dict(headers), timeout=TIMEOUT_SECONDS
    )
    _check(answer)
    return dict(answer.json())


def get_json(client: APIClient, path: str, **filters: Sequence[str]) -> Any:
    """GET and parse, with Docker's `filters`; APIError as the SDK's own calls raise it."""
    params = {"filters": json.dumps(filters)} if filters else {}
    return json.loads(get_bytes(client, path, params))


def get_bytes(
    client: APIClient, path: str, params: Mapping[str, str], timeout: float = TIMEOUT_SECONDS
) -> bytes:
    """GET a whole body as it is. timeout: seconds between its pieces."""
    answer = client.get(_url(client, path), params=params, timeout=timeout)
    _check(answer)
    return bytes(answer.content)


def get_stream(client: APIClient, path: str, timeout: float) -> requests.Response:
    """GET whose body is read piece by piece from `.raw`. timeout: seconds between pieces."""
    answer: requests.Response = client.get(_url(client, path), stream=True, timeout=timeout)
    _check(answer)
    return answer


def delete(client: APIClient, path: str, params: Mapping[str, str] = MappingProxyType({})) -> None:
    """DELETE; APIError as the SDK's own calls raise it."""
    _check(client.delete(_url(client, path), params=dict(params), timeout=TIMEOUT_SECONDS))


def _url(client: APIClient, path: str) -> str:
    """Each part of the path is quoted, since names come from users."""
    return f"{client.base_url}/v{client.api_version}{quote(path, safe='/:@')}"


def _check(answer: requests.Response) -> None:
    try:
        answer.raise_for_status()
    except requests.HTTPError as e:
        create_api_error_from_http_exception(e)
