"""The client side of Cumulus: `from cumulus.sdk import CumulusClient`.

Names are loaded when they are first used, so that `import cumulus.sdk` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import AsyncCumulusClient as AsyncCumulusClient
    from .errors import (
        JobCancelledError as JobCancelledError,
    )
    from .errors import (
        JobError as JobError,
    )
    from .errors import (
        JobFailedError as JobFailedError,
    )
    from .errors import (
        JobTimedOutError as JobTimedOutError,
    )
    from .errors import (
        WaitTimeoutError as WaitTimeoutError,
    )
    from .stream import Done as Done
    from .stream import LogsLost as LogsLost
    from .sync import CumulusClient as CumulusClient

_HOME = {
    "AsyncCumulusClient": "client",
    "CumulusClient": "sync",
    "Done": "stream",
    "JobCancelledError": "errors",
    "JobError": "errors",
    "JobFailedError": "errors",
    "JobTimedOutError": "errors",
    "LogsLost": "stream",
    "WaitTimeoutError": "errors",
}

__all__ = [
    "AsyncCumulusClient",
    "CumulusClient",
    "Done",
    "JobCancelledError",
    "JobError",
    "JobFailedError",
    "JobTimedOutError",
    "LogsLost",
    "WaitTimeoutError",
]


def __getattr__(name: str) -> Any:
    """PEP 562: the module that defines the name is imported now."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
