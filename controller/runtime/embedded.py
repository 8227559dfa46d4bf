"""Keeps one agent running beside the controller, for its own machine.

The agent is a process of its own: a controller killed with SIGKILL leaves it to enforce leases
alone, and the next controller finds it by its lock (exit code 75) and leaves it be.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from loguru import logger

LOCKED: Final = 75
RESTART_SECONDS: Final = 1.0
LOCKED_RETRY_SECONDS: Final = 2.0
STOP_SECONDS: Final = 10.0


class EmbeddedAgent:
    """command: argument list of `cumulus-agent`; lock: its lock file, which holds its pid;
    env: what it is given beyond the controller's own environment, such as its token.
    """

    def __init__(
        self,
        command: Sequence[str],
        lock: Path,
        log: Path,
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._command = list(command)
        self._env = env
        self._lock = lock
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Start it again whenever it ends, until cancelled; then stop it."""
        try:
            while True:
                pause = await self._once()
                await asyncio.sleep(pause)
        finally:
            await self._stop()

    async def _once(self) -> float:
        """Run it to its end; seconds to wait before the next start."""
        with self._log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**os.environ, **self._env},
            )
        code = await self._process.wait()
        if code == LOCKED:
            logger.debug("an agent of an earlier controller runs on")
            return LOCKED_RETRY_SECONDS
        logger.warning("the agent ended with exit code {}; see {}", code, self._log)
        return RESTART_SECONDS

    async def _stop(self) -> None:
        """Stop the child, and the agent that holds the lock if that is another one."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        pid = self._holder()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):  # it ended just now
                os.kill(pid, signal.SIGTERM)

    def _holder(self) -> int | None:
        """Pid of the agent that holds the lock, checked to be one."""
        try:
            pid = int(self._lock.read_text().strip() or 0)
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if pid > 1 and str(self._lock.parent).encode() in command else None


def kept_token(path: Path) -> str:
    """The agent's token, made at the first start and kept in a file that only we can read.

    An agent that outlived its controller must be let in by the next one.
    """
    token = path.read_text().strip() if path.exists() else ""
    if not token:
        token = secrets.token_urlsafe(32)
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(token)
        fresh.replace(path)
    return token
