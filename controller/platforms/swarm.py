"""Docker Swarm as a platform: one service per attempt. I/O; made by `controller.chosen_platform`.

Works on Docker Engine 20.10 (API 1.41) and up. Words and choices are in `swarm_map.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from docker import APIClient
from docker.errors import APIError
from loguru import logger

from ...crd_like_specs.errors import (
    ConflictError,
    CumulusError,
    NotFoundError,
    Permanent,
    Temporary,
)
from ...crd_like_specs.identity import LABEL_OWNED, LABEL_PYTHON, parse_unit
from ...crd_like_specs.images import is_id, is_reference
from ..reconcile.actions import ServiceSpec
from ..reconcile.observed import ServiceSeen
from . import swarm_map, swarm_secrets
from .base import LogFrame, NodeSeen, WorkerJoin
from .hints import Hints
from .registries import Registries
from .secret_values import Values, no_secrets
from .swarm_engine import Engine, delete, get_bytes, get_json, post
from .swarm_ensure import NAMES as NETWORKS
from .swarm_ensure import ensure_networks
from .swarm_events import Events
from .swarm_frames import parse_frames
from .swarm_join import rotate, worker_join

TIDY_SECONDS: Final = 15.0
LOGS_SECONDS: Final = 5.0  # for a node's logs, which come by way of the manager
"""Between looks for the volumes of removed services; longer than a service's grace to stop."""


class SwarmPlatform:
    """endpoint: URL of a manager's Docker Engine, "" for the environment's or local default.

    owner: value of the label by which services are known as this controller's. A second
    controller on the same Swarm needs another one, else each removes the other's as orphans.
    registries: where images may come from that this engine lacks. secrets: values of what jobs name.
    """

    name = "swarm"
    notices: tuple[str, ...] = ()

    def __init__(
        self,
        endpoint: str = "",
        owner: str = swarm_map.OWNER,
        registries: Registries | None = None,
        secrets: Values = no_secrets,
    ) -> None:
        self._secrets = secrets
        self._endpoint = endpoint
        self._owner = owner
        self._ours = (f"{LABEL_OWNED}={owner}",)
        self._engine = Engine(endpoint)
        self._registries = registries or Registries()
        self._events: Events | None = None
        self._hints = Hints()
        self._node_id = ""
        self._running_since: dict[str, float] = {}
        self._rounds = 1
        self._tidying: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Check engine and swarm, make the networks of jobs, listen to events."""
        await self._engine.open()
        swarm = (await self._engine.call("ask for the engine's state", _info)).get("Swarm") or {}
        if swarm.get("LocalNodeState") != "active" or not swarm.get("ControlAvailable"):
            raise Permanent(
                "this Docker Engine is not a Swarm manager: run `docker swarm init` on it, "
                "or name a manager as the platform's endpoint",
                reason="NoSwarm",
            )
        self._node_id = str(swarm.get("NodeID", ""))
        await ensure_networks(self._engine)
        loop = asyncio.get_running_loop()
        self._events = Events(self._endpoint, lambda: _call_in(loop, self._hints.notify))
        self._events.start()
        self._tidying = asyncio.create_task(self._tidy_for_ever())

    async def close(self) -> None:
        """Free threads and connections. Services run on."""
        if self._tidying is not None:
            self._tidying.cancel()
            await asyncio.gather(self._tidying, return_exceptions=True)
        if self._events is not None:
            await asyncio.to_thread(self._events.stop)
        self._engine.close()

    async def list_owned(self) -> list[ServiceSeen]:
        """One look at the tasks, then one at the services: in this order a service that vanishes
        in between is simply absent, and one that appears is pending.
        """
        tasks, services = await self._engine.call(
            "list services", partial(_tasks_and_services, ours=self._ours)
        )
        of_service: dict[str, list[swarm_map.Json]] = defaultdict(list)
        for task in tasks:
            of_service[str(task.get("ServiceID"))].append(task)
        down = await self._down_nodes([t for s in services for t in of_service[s["ID"]]])
        seen: list[ServiceSeen] = []
        for service in services:
            since = self._running_since.get(str(service["Spec"]["Name"]), 0.0)
            found = swarm_map.service_seen(
                service, of_service[service["ID"]], down=down, started_at=since
            )
            if found is not None:
                seen.append(found)
        self._running_since = {s.name: s.started_at for s in seen if s.started_at}
        return seen

    async def create(self, service: ServiceSpec) -> None:
        """See the protocol. An image named by id is taken as it is for another node, which says
        itself if it lacks it; anything else must be on the manager, or in a registry that is
        configured, from where its node pulls it then.
        """
        elsewhere = service.node_id != self._node_id and is_id(service.image)
        image = service.image if elsewhere else await self._usable(service.image)
        auth = "" if is_id(image) else self._registries.header(image)
        headers = {"X-Registry-Auth": auth} if auth else {}
        body = swarm_map.create_body(service, image, self._owner)
        if service.secrets:
            made = await swarm_secrets.make(self._engine, service, self._secrets, self._owner)
            body["TaskTemplate"]["ContainerSpec"]["Secrets"] = made
        what = f"create service {service.name}"
        try:
            await self._engine.call(what, lambda c: post(c, "/services/create", body, headers))
        except ConflictError as e:
            existing = await self._inspect(service.name)
            if existing is None:
                raise Temporary(f"{e.message}, but it is gone again", reason="Conflict") from e
            self._refuse_foreign(service.name, existing)
        except NotFoundError as e:
            if any(name in e.message for name in NETWORKS):
                await ensure_networks(self._engine)
            raise Temporary(e.message, reason="EngineFault") from e

    async def _usable(self, reference: str) -> str:
        """The id where the manager has the image, its name where a registry gives it."""
        try:
            return await self.image_id(reference)
        except Permanent as e:
            named = is_reference(reference) and not is_id(reference)
            if e.reason != "ImageMissing" or not named or not self._registries.of(reference):
                raise
            return reference

    async def remove(self, name: str) -> None:
        """Swarm stops what runs: SIGTERM, then SIGKILL after the service's grace."""
        existing = await self._inspect(name)
        if existing is None:
            await swarm_secrets.drop(self._engine, name, self._owner)
            return
        self._refuse_foreign(name, existing)
        path = f"/services/{existing['ID']}"
        try:
            await self._engine.call(f"remove service {name}", lambda c: delete(c, path))
        except NotFoundError:
            return
        finally:
            self._rounds = 2
        if (existing["Spec"]["TaskTemplate"]["ContainerSpec"]).get("Secrets"):
            await swarm_secrets.drop(self._engine, name, self._owner)

    async def logs(self, name: str) -> list[LogFrame]:
        """Read once and without following: a follower of Docker's service logs never ends.

        Temporary where the node is out of reach: the manager would wait for it up to a minute.
        """
        existing = await self._inspect(name)
        if existing is None:
            raise NotFoundError(f"service {name} is gone, and its output with it")
        self._refuse_foreign(name, existing)
        path = f"/services/{existing['ID']}/logs"
        params = {"stdout": "1", "stderr": "1", "timestamps": "1"}
        body = await self._engine.call(
            f"read the logs of {name}",
            lambda c: get_bytes(c, path, params, LOGS_SECONDS),
            tries=1,
        )
        return list(parse_frames(body))

    async def nodes(self) -> list[NodeSeen]:
        """Every node of the swarm."""
        nodes = await self._engine.call("list nodes", lambda c: get_json(c, "/nodes"))
        return [swarm_map.node_seen(node) for node in nodes]

    @property
    def node_id(self) -> str:
        """Of the engine that is asked: this controller's own. "" before `start`."""
        return self._node_id

    async def remove_node(self, node_id: str) -> None:
        """By force: nothing runs there, but Swarm may not know yet that it is gone."""
        if node_id == self._node_id:
            raise ConflictError(
                "this node cannot be removed: the controller runs on it, as Swarm's manager"
            )
        with contextlib.suppress(NotFoundError):
            await self._engine.call(
                f"remove node {node_id}",
                lambda c: delete(c, f"/nodes/{node_id}", {"force": "true"}),
            )
        await rotate(self._engine)  # the removed machine may still know the one it joined with

    async def image_id(self, reference: str) -> str:
        """`sha256:…` of an image on the manager's engine."""
        return str((await self._image(reference))["Id"])

    async def _image(self, reference: str) -> dict[str, Any]:
        if not is_reference(reference):
            raise Permanent(
                f"{reference!r} is no image reference: expected name[:tag], name@digest or an id",
                reason="ImageMissing",
            )
        try:
            found: dict[str, Any] = await self._engine.call(
                f"look up image {reference}", lambda c: get_json(c, f"/images/{reference}/json")
            )
        except NotFoundError as e:
            raise Permanent(
                f"image {reference!r} is not on this Docker Engine: "
                "the job image is built with image/build.sh; any other must be there before "
                "(docker pull, docker build or docker load), or in a configured registry",
                reason="ImageMissing",
            ) from e
        return found

    async def python_of(self, reference: str) -> str:
        """As image/build.sh labels it."""
        found = await self._image(reference)
        return str((found["Config"].get("Labels") or {}).get(LABEL_PYTHON, ""))

    def changes(self) -> AsyncIterator[None]:
        """Hints from Docker's events."""
        return self._hints.listen()

    async def worker_join(self) -> WorkerJoin:
        """What a machine needs to join this Swarm."""
        return await worker_join(self._engine)

    async def tidy(self) -> int:
        """Delete the volumes on this node, and the secrets, that ended services left; returns how
        many.
        """
        secrets = await self._engine.call(
            "tidy up secrets", lambda c: swarm_secrets.tidy(c, self._ours, time.time())
        )
        return secrets + await self._engine.call(
            "tidy up volumes", partial(_delete_left_volumes, ours=self._ours)
        )

    def _refuse_foreign(self, name: str, service: Mapping[str, Any]) -> None:
        if not swarm_map.is_owned(service["Spec"].get("Labels"), self._owner):
            raise Permanent(
                f"service {name} exists, but this Cumulus did not make it "
                f"(it has no label {self._ours[0]}): it is left alone",
                reason="NotOwned",
            )

    async def _inspect(self, name: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = await self._engine.call(
                f"inspect service {name}", lambda c: get_json(c, f"/services/{name}")
            )
        except NotFoundError:
            return None
        return found if found["Spec"]["Name"] == name else None  # an id's prefix matches too

    async def _down_nodes(self, tasks: list[swarm_map.Json]) -> set[str]:
        """Ids of nodes that are down or gone; asked for only where a task makes one doubt."""
        doubtful = {str(t.get("NodeID")) for t in tasks if swarm_map.may_be_lost(t)}
        if not doubtful:
            return set()
        nodes = await self._engine.call("list nodes", lambda c: get_json(c, "/nodes"))
        return doubtful - {str(node["ID"]) for node in nodes if not swarm_map.is_down(node)}

    async def _tidy_for_ever(self) -> None:
        """Once after start, as an earlier controller may have left something; then twice after
        each removal, as the first round may come before the container is gone.
        """
        while True:
            if self._rounds:
                self._rounds -= 1
                try:
                    await self.tidy()
                except CumulusError as error:
                    logger.warning("volumes of ended services are left behind: {}", error)
            await asyncio.sleep(TIDY_SECONDS)


def _call_in(loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(work)
    except RuntimeError:  # the loop is closed: nobody listens any more
        return


def _info(client: APIClient) -> dict[str, Any]:
    return dict(client.info())


def _tasks_and_services(client: APIClient, ours: Sequence[str]) -> tuple[list[Any], list[Any]]:
    tasks = get_json(client, "/tasks")
    return tasks, get_json(client, "/services", label=ours)


def _delete_left_volumes(client: APIClient, ours: Sequence[str]) -> int:
    """Volumes first, services second: whatever appears in between has no volume listed here."""
    volumes = get_json(client, "/volumes", label=ours, dangling=["true"])["Volumes"] or []
    kept = {str(service["Spec"]["Name"]) for service in get_json(client, "/services", label=ours)}
    deleted = 0
    for name in (str(volume["Name"]) for volume in volumes):
        if name in kept or parse_unit(name) is None:
            continue
        try:
            delete(client, f"/volumes/{name}")
            deleted += 1
        except APIError as error:
            if error.status_code not in (404, 409):  # gone, or still in use: the next round
                raise
    return deleted
