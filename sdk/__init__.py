"""The client side of Cumulus: `from cumulus.sdk import CumulusClient`.

Names are loaded when they are first used, so that `import cumulus.sdk` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import AsyncCumulusClient as AsyncCumulusClient
    from .decorators import async_remote as async_remote
    from .decorators import create_remote_function as create_remote_function
    from .decorators import gpu as gpu
    from .decorators import remote as remote
    from .errors import JobCancelledError as JobCancelledError
    from .errors import JobError as JobError
    from .errors import JobFailedError as JobFailedError
    from .errors import JobTimedOutError as JobTimedOutError
    from .errors import WaitTimeoutError as WaitTimeoutError
    from .functions.options import Options as Options
    from .functions.packager import CodePackager as CodePackager
    from .handle import AsyncJobHandle as AsyncJobHandle
    from .handle import CumulusJob as CumulusJob
    from .handle import JobHandle as JobHandle
    from .remote_errors import RemoteError as RemoteError
    from .remote_function import AsyncRemoteFunction as AsyncRemoteFunction
    from .remote_function import RemoteFunction as RemoteFunction
    from .stream import Done as Done
    from .stream import LogsLost as LogsLost
    from .sync import CumulusClient as CumulusClient

_HOME = {
    "AsyncCumulusClient": "client",
    "AsyncJobHandle": "handle",
    "AsyncRemoteFunction": "remote_function",
    "CodePackager": "functions.packager",
    "CumulusClient": "sync",
    "CumulusJob": "handle",
    "Done": "stream",
    "JobCancelledError": "errors",
    "JobError": "errors",
    "JobFailedError": "errors",
    "JobHandle": "handle",
    "JobTimedOutError": "errors",
    "LogsLost": "stream",
    "Options": "functions.options",
    "RemoteError": "remote_errors",
    "RemoteFunction": "remote_function",
    "WaitTimeoutError": "errors",
    "async_remote": "decorators",
    "create_remote_function": "decorators",
    "gpu": "decorators",
    "remote": "decorators",
}

__all__ = [
    "AsyncCumulusClient",
    "AsyncJobHandle",
    "AsyncRemoteFunction",
    "CodePackager",
    "CumulusClient",
    "CumulusJob",
    "Done",
    "JobCancelledError",
    "JobError",
    "JobFailedError",
    "JobHandle",
    "JobTimedOutError",
    "LogsLost",
    "Options",
    "RemoteError",
    "RemoteFunction",
    "WaitTimeoutError",
    "async_remote",
    "create_remote_function",
    "gpu",
    "remote",
]


def __getattr__(name: str) -> Any:
    """PEP 562: the module that defines the name is imported now."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
