"""pip in a container of the job's image, for Docker workers. I/O. A `Builder` for `prepare`.

The container has network (jobs have none) and nothing else: an unprivileged user, no
capabilities, a read-only root, limits, and one writable folder, which becomes the environment.
What pip builds runs code of whoever wrote the package, so that the network is one of its own:
`isolation` keeps those on it apart, and from the machine's credentials.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import docker
import docker.errors
from docker.types import Mount

from ...crd_like_specs.errors import NotFoundError, Permanent
from ...crd_like_specs.identity import BRIDGE_PREPARE, LABEL_OWNED, NETWORK_PREPARE
from .engine import Engine
from .isolation import options as bridge_options
from .pip_command import arguments, certificates, environment, host_ca
from .prepare import TIMEOUT, PipRun

LABEL_PREPARATION: Final = "dev.cumulus.preparation"  # the environment's folder
_WORK: Final = "/build"
_TMP: Final = "/tmp"  # noqa: S108 (the container's own, a tmpfs)
_BUNDLE: Final = "/build-ca.crt"
_USER: Final = 1000
_POLL: Final = 0.1  # seconds
_TAIL: Final = 200  # lines of output


class PipDocker:
    """memory: bytes for pip and what it builds. env: the agent's environment."""

    def __init__(
        self,
        engine: Engine,
        env: Mapping[str, str] = os.environ,
        memory: int = 4 << 30,
        timeout: float = TIMEOUT,
    ) -> None:
        self._engine = engine
        self._env = env
        self._memory = memory
        self._timeout = timeout

    async def clean(self) -> None:
        """Remove preparation containers that an agent which died has left running."""
        await self._engine.call(_clean)

    async def image_id(self, image: str) -> str:
        """See `Builder`."""
        try:
            return await self._engine.call(lambda client: str(client.images.get(image).id))
        except NotFoundError as e:
            raise Permanent(
                f"the image {image} is not on this worker: load it there with `docker load`",
                reason="ImageMissing",
            ) from e

    async def run(self, image: str, requirements: tuple[str, ...], work: Path) -> PipRun:
        """See `Builder`."""
        for folder in (work / "site", work / "scratch"):
            folder.mkdir()
            if os.geteuid() == 0:
                os.chown(folder, _USER, _USER)
        options = self._options(image, requirements, work)
        try:
            return await self._follow(options)
        finally:
            # In a task of its own, so that a second cancellation cannot leave it running.
            await asyncio.shield(
                asyncio.ensure_future(self._engine.call(lambda c: _remove(c, str(work))))
            )

    async def _follow(self, options: dict[str, Any]) -> PipRun:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        container = await self._engine.call(lambda client: _start(client, options))
        while True:
            state = await self._engine.call(
                lambda client: client.api.inspect_container(container)["State"]
            )
            if not state["Running"]:
                break
            if loop.time() >= deadline:
                raise TimeoutError
            await asyncio.sleep(_POLL)
        output = await self._engine.call(
            lambda client: client.api.logs(container, tail=_TAIL).decode(errors="replace")
        )
        if state["OOMKilled"]:
            output += f"\npip was killed: it used more than {self._memory >> 20} MiB of memory"
        return PipRun(int(state["ExitCode"]), output)

    def _options(self, image: str, requirements: tuple[str, ...], work: Path) -> dict[str, Any]:
        mounts = [Mount(_WORK, str(work), type="bind")]
        env = {
            **environment(self._env),
            "HOME": _TMP,
            # On disk, beside the target: pip unpacks gigabytes here and then renames.
            "TMPDIR": f"{_WORK}/scratch",
            "PYTHONUNBUFFERED": "1",
        }
        if bundle := host_ca(self._env):
            mounts.append(Mount(_BUNDLE, str(bundle.resolve()), type="bind", read_only=True))
            env |= certificates(_BUNDLE)
        root = os.geteuid() == 0
        user = f"{_USER}:{_USER}" if root else f"{os.geteuid()}:{os.getegid()}"
        return {
            "image": image,
            "entrypoint": ["python3"],
            "command": arguments("python3", f"{_WORK}/site", requirements)[1:],
            "environment": env,
            "user": user,
            "working_dir": f"{_WORK}/scratch",
            "mounts": mounts,
            "tmpfs": {_TMP: "rw,exec,nosuid,nodev,size=512m,mode=1777"},
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "mem_limit": self._memory,
            "pids_limit": 512,
            "init": True,
            "network": NETWORK_PREPARE,
            "log_config": {"Type": "json-file", "Config": {"max-size": "1m"}},
            "labels": {LABEL_OWNED: "1", LABEL_PREPARATION: str(work)},
        }


def _start(client: docker.DockerClient, options: dict[str, Any]) -> str:
    _remove(client, options["labels"][LABEL_PREPARATION])  # of an attempt that broke in between
    _ensure_network(client)
    container = client.containers.create(**options)
    container.start()
    return str(container.id)


def _ensure_network(client: docker.DockerClient) -> None:
    """An engine may lose its networks whenever it starts, see `bootstrap/forget_networks.sh`."""
    if any(net["Name"] == NETWORK_PREPARE for net in client.api.networks(names=[NETWORK_PREPARE])):
        return
    try:
        client.api.create_network(
            NETWORK_PREPARE,
            driver="bridge",
            check_duplicate=True,
            options=bridge_options(BRIDGE_PREPARE, outwards=True),
            labels={LABEL_OWNED: "1"},
        )
    except docker.errors.APIError as e:
        if e.status_code != 409:  # another preparation was faster
            raise


def _remove(client: docker.DockerClient, work: str) -> None:
    _clean(client, f"{LABEL_PREPARATION}={work}")


def _clean(client: docker.DockerClient, label: str = LABEL_PREPARATION) -> None:
    for row in client.api.containers(all=True, filters={"label": label}):
        try:
            client.api.remove_container(row["Id"], force=True, v=True)
        except docker.errors.APIError as e:
            if e.status_code not in (404, 409):  # gone, or being removed already
                raise
