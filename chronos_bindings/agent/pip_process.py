"""pip as a process of this machine, for the process platform. I/O. A `Builder` for `prepare`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from ...crd_like_specs.errors import Temporary
from .pip_command import arguments, certificates, environment, host_ca
from .prepare import TIMEOUT, PipRun

_KEPT: Final = 64 << 10  # bytes of the end of pip's output


class PipProcess:
    """python: of the jobs, which is the agent's. env: the agent's environment."""

    def __init__(
        self,
        env: Mapping[str, str] = os.environ,
        python: str = sys.executable,
        timeout: float = TIMEOUT,
    ) -> None:
        self._env = env
        self._python = python
        self._timeout = timeout

    async def image_id(self, image: str) -> str:  # noqa: ARG002 (jobs run in this Python whatever it says)
        """See `Builder`: the Python that jobs will run in."""
        return f"{self._python} {sys.version}"

    async def run(self, image: str, requirements: tuple[str, ...], work: Path) -> PipRun:  # noqa: ARG002 (see above)
        """See `Builder`."""
        (work / "site").mkdir()
        (work / "scratch").mkdir()
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments(self._python, str(work / "site"), requirements),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                cwd=work / "scratch",
                env=self._environment(work / "scratch"),
                start_new_session=True,
            )
        except OSError as e:
            raise Temporary(f"cannot start {self._python}: {e}", reason="PipNotStarted") from e
        try:
            output = await asyncio.wait_for(_tail(process), self._timeout)
        except asyncio.TimeoutError as e:  # noqa: UP041 (3.10 has its own class)
            raise TimeoutError from e
        finally:
            with suppress(ProcessLookupError):  # pip has ended, and what it started too
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        return PipRun(process.returncode or 0, output)

    def _environment(self, tmp: Path) -> dict[str, str]:
        env = {name: self._env[name] for name in ("PATH", "LANG", "LC_ALL") if name in self._env}
        bundle = host_ca(self._env)
        return {
            **env,
            **environment(self._env),
            **(certificates(str(bundle)) if bundle else {}),
            "HOME": self._env.get("HOME", str(tmp)),  # pip's own configuration of this user
            "TMPDIR": str(tmp),
            "PYTHONUNBUFFERED": "1",
        }


async def _tail(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    kept = b""
    while piece := await process.stdout.read(1 << 16):
        kept = (kept + piece)[-_KEPT:]
    await process.wait()
    return kept.decode(errors="replace")
