"""One machine without Docker as a platform: units are plain processes. For laptops and tests.

It does not isolate, and says so. Each unit has a folder under the units' root and a supervisor
of its own (`process_shim.py`), so units survive the controller; nothing is kept in memory that
the folders don't tell. Linux only (/proc). I/O; made by `controller.chosen_platform`.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from loguru import logger

from ...crd_like_specs.checkpoint import CHECKPOINT_DIR, ENV_CHECKPOINT_DIR
from ...crd_like_specs.errors import ConflictError, NotFoundError, Permanent, Temporary
from ...crd_like_specs.identity import NODE_THIS_MACHINE
from ...crd_like_specs.job_datasets import ENV_DATASETS
from ...crd_like_specs.job_secrets import ENV_SECRETS_DIR
from ...crd_like_specs.outputs import ENV_OUTPUTS, OUTPUTS_DIR
from ..reconcile.actions import ServiceSpec
from ..reconcile.observed import ServiceSeen
from . import process_unit as unit
from .base import LogFrame, NodeSeen
from .hints import Hints
from .secret_values import Values, no_secrets

IMAGE: Final = "process:this-machine"
"""Stands where other platforms have an image's id; a job that names any other image is refused."""

THREADS: Final = 8
LAUNCH_SECONDS: Final = 20.0
NOTICES: Final = (
    "No isolation: a job runs as the controller's user, with all its files and its network.",
    "No limits: CPU, memory, processes and shared memory of a job are not enforced.",
)
INHERITED: Final = (
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV"),
    *("LD_LIBRARY_PATH", "OCL_ICD_VENDORS", "CUDA_VISIBLE_DEVICES"),
)
"""All that a job gets of the controller's environment, which may hold secrets."""

_SHIM: Final = Path(__file__).with_name("process_shim.py")
_RUNNER: Final = Path(__file__).resolve().parents[2] / "image" / "runner.py"
_FOLDERS: Final = (
    ("CUMULUS_JOB_DIR", "/job"),
    ("CUMULUS_ENV_DIR", "/env"),
    (ENV_CHECKPOINT_DIR, CHECKPOINT_DIR),
    (ENV_OUTPUTS, OUTPUTS_DIR),
)
T = TypeVar("T")


class ProcessPlatform:
    """root: folder of the units, made if missing. runner: what runs code jobs."""

    name = "process"
    notices: tuple[str, ...] = NOTICES

    def __init__(self, root: Path, runner: Path = _RUNNER, secrets: Values = no_secrets) -> None:
        self._values = secrets
        self._root = root.resolve()
        self._runner = runner
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="units")
        self._hints = Hints()
        self._watched: dict[str, int] = {}

    async def start(self) -> None:
        """Make the root, launch what an earlier controller only prepared, finish its deletions."""
        for name in await self._in_thread("prepare the units' folder", self._take_over):
            self._watch(name)

    async def close(self) -> None:
        """Free threads and descriptors. Units run on."""
        for name in list(self._watched):
            self._unwatch(name)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def list_owned(self) -> list[ServiceSeen]:
        """Every unit's folder."""
        return await self._in_thread("list units", self._list)

    async def create(self, service: ServiceSpec) -> None:
        """Returns once the job's process runs."""
        if service.image != IMAGE:
            raise Permanent(
                f"the process platform runs code jobs only: image {service.image!r} "
                "needs a controller on the swarm platform",
                reason="Unsupported",
            )
        await self._in_thread(f"start {service.name}", lambda: self._create(service))
        self._watch(service.name)
        self._hints.notify()

    async def remove(self, name: str) -> None:
        """Kill the job's process group and delete the unit's folder."""
        await self._in_thread(f"remove {name}", lambda: self._remove(name))
        self._unwatch(name)
        self._hints.notify()

    async def logs(self, name: str) -> list[LogFrame]:
        """All output so far."""

        def read() -> list[LogFrame]:
            self._refuse_foreign(name)
            if not (self._root / name).exists():
                raise NotFoundError(f"unit {name} is gone, and its output with it")
            return unit.read_log(self._root / name)

        return await self._in_thread(f"read the logs of {name}", read)

    async def nodes(self) -> list[NodeSeen]:
        """Only the one it runs on."""
        return [NodeSeen(NODE_THIS_MACHINE, socket.gethostname(), up=True, address="127.0.0.1")]

    async def remove_node(self, node_id: str) -> None:
        """Its only node is this machine."""
        if node_id == NODE_THIS_MACHINE:
            raise ConflictError("this machine cannot be removed: the controller runs on it")

    async def image_id(self, reference: str) -> str:  # noqa: ARG002 (there are no images here)
        """The pseudo id that stands for "no image"."""
        return IMAGE

    async def python_of(self, reference: str) -> str:  # noqa: ARG002 (there are no images here)
        """Jobs run on this very interpreter."""
        return f"{sys.version_info[0]}.{sys.version_info[1]}"

    def changes(self) -> AsyncIterator[None]:
        """A hint at each start, removal and end of a unit."""
        return self._hints.listen()

    # In threads

    def _take_over(self) -> list[str]:
        if not Path("/proc/self/stat").exists():
            raise Permanent("the process platform needs Linux with /proc", reason="Unsupported")
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        names = []
        for folder in sorted(self._root.iterdir()):
            if folder.name.startswith((".new-", ".gone-")):
                unit.end(folder)
                unit.delete(folder)
            elif unit.is_owned(folder):
                if not unit.started(folder):
                    self._launch(folder)
                names.append(folder.name)
        return names

    def _list(self) -> list[ServiceSeen]:
        seen = (unit.look(folder, NODE_THIS_MACHINE) for folder in sorted(self._root.iterdir()))
        return [service for service in seen if service is not None]

    def _create(self, service: ServiceSpec) -> None:
        self._refuse_foreign(service.name)
        folder = self._root / service.name
        command = list(service.command) or [sys.executable, str(self._runner)]
        env = self._env(service)
        if "\0" in "".join((*command, *env, *env.values())):
            raise Permanent(
                "a NUL character cannot be in a command or an environment", reason="Rejected"
            )
        self._put_secrets(service)
        unit.write_new(self._root, service, command, env)
        if not unit.started(folder):
            self._launch(folder)

    def _env(self, service: ServiceSpec) -> dict[str, str]:
        env = {key: os.environ[key] for key in INHERITED if key in os.environ}
        env |= service.env
        sources = {mount.target: mount.source for mount in service.mounts}
        env["CUMULUS_WORK_DIR"] = str(self._root / service.name / "work")
        for variable, target in _FOLDERS:
            if target in sources:
                env[variable] = sources[target]
        if ENV_SECRETS_DIR in env:
            env[ENV_SECRETS_DIR] = str(self._secrets_of(service.name))
        if ENV_DATASETS in env:
            told = json.loads(env[ENV_DATASETS])
            env[ENV_DATASETS] = json.dumps({name: sources[path] for name, path in told.items()})
        return env

    def _launch(self, folder: Path) -> None:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-S", str(_SHIM), str(folder)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd="/",
                env={},
                start_new_session=True,
                timeout=LAUNCH_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as e:
            raise Temporary(
                f"the supervisor of {folder.name} does not start", reason="LaunchFailed"
            ) from e
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise Temporary(
                f"the supervisor of {folder.name} did not start: {said}", reason="LaunchFailed"
            )

    def _remove(self, name: str) -> None:
        self._refuse_foreign(name)
        folder = self._root / name
        if folder.exists():
            unit.end(folder)
            unit.delete(folder)
        shutil.rmtree(self._secrets_of(name), ignore_errors=True)

    def _secrets_of(self, name: str) -> Path:
        """Beside the units: what is there when a unit is, is whole."""
        return self._root.parent / f"{self._root.name}-secrets" / name

    def _put_secrets(self, service: ServiceSpec) -> None:
        folder = self._secrets_of(service.name)
        for secret in service.secrets:
            value = self._values(secret)
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(folder / secret.file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(value)

    def _refuse_foreign(self, name: str) -> None:
        folder = self._root / name
        if folder.exists() and not unit.is_owned(folder):
            raise Permanent(
                f"{folder} exists, but Cumulus did not make it: it is left alone",
                reason="NotOwned",
            )

    # On the event loop

    async def _in_thread(self, what: str, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, work)
        except (OSError, ValueError) as e:
            raise Temporary(f"cannot {what}: {e}", reason="ProcessFault") from e

    def _watch(self, name: str) -> None:
        """Hint as soon as the unit's supervisor ends; the slow beat covers where that can't be."""
        pid = unit.supervisor(self._root / name)
        if not pid or name in self._watched:
            return
        try:
            fd = os.pidfd_open(pid)
        except OSError as error:  # it ended just now, or the kernel is older than 5.3
            logger.debug("unit {} cannot be watched: {}", name, error)
            self._hints.notify()
            return
        self._watched[name] = fd
        asyncio.get_running_loop().add_reader(fd, self._ended, name)

    def _ended(self, name: str) -> None:
        self._unwatch(name)
        self._hints.notify()

    def _unwatch(self, name: str) -> None:
        fd = self._watched.pop(name, None)
        if fd is not None:
            asyncio.get_running_loop().remove_reader(fd)
            os.close(fd)
