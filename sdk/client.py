"""The asyncio client: every verb of the API, typed. I/O; used by `sync.py` and the command line.

    async with AsyncCumulusClient("127.0.0.1:50051") as client:
        job = await client.submit("job.yaml")
        async for event in client.stream(job):
            print(event)

The verbs are in `submitting.py` (what should be), `observing.py` (what is), `functions/client.py`
(Python functions), `pausing.py` and `operators.py` (fleets). Raises CumulusError everywhere
(crd_like_specs/errors.py and errors.py here), among them UnavailableError where the server cannot
be reached and ValidationError for bad input.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, final

from . import trust
from .address import DEFAULT_SERVER, Address
from .connection import Connection, Sleep
from .datasets import DatasetCalls
from .functions.client import FunctionCalls
from .observing import Observations
from .operators import OperatorCalls
from .outputs import OutputCalls
from .pausing import PauseCalls
from .submitting import Submissions
from .templating import TemplateCalls


@final
class AsyncCumulusClient(
    Submissions,
    TemplateCalls,
    DatasetCalls,
    Observations,
    OutputCalls,
    PauseCalls,
    OperatorCalls,
    FunctionCalls,
):
    """A connection to one controller, opened by the first call, shared by all, to be closed.

    server_url: HOST:PORT, or https://HOST:PORT. api_key: a bearer token; it is sent over TLS or
    to this machine only, unless `insecure`. ca: file with the authority to trust (PEM), such as
    a controller's own; it means TLS. timeout: seconds that a single call may take;
    patience: seconds that streams wait for a server that went away; sleep: for tests.
    """

    def __init__(
        self,
        server_url: str = DEFAULT_SERVER,
        api_key: str | None = None,
        *,
        insecure: bool = False,
        ca: str | Path | None = None,
        timeout: float = 30.0,
        patience: float = 120.0,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._connection = Connection(
            Address.parse(server_url),
            token=api_key,
            insecure=insecure,
            ca=trust.authority(ca) if ca else None,
            timeout=timeout,
            patience=patience,
            sleep=sleep,
        )
        self._sent: set[str] = set()

    async def __aenter__(self) -> AsyncCumulusClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End every open call. Jobs go on."""
        await self._connection.close()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """In a job, where the SDK is not, by a module that says so: see `functions/shipped.py`."""
        return import_module, ("_cumulus_call",)
