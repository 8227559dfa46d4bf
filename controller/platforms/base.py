"""The narrow port through which the controller runs services. Protocol only, no I/O here.

Implementations: `swarm` (Docker Swarm), `process` (this machine, no Docker), `fake` (tests).
All are held to the same suite in `tests/contract/test_platforms.py`. Drivers translate their
own errors once into `Temporary` and `Permanent` of `crd_like_specs.errors`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

from ..reconcile.actions import ServiceSpec
from ..reconcile.observed import ServiceSeen


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """One node of the platform. `up`: the platform believes it alive and schedulable."""

    node_id: str
    name: str
    up: bool
    address: str = ""


@dataclass(frozen=True, slots=True)
class LogFrame:
    """A piece of output: stream is `stdout` or `stderr`, time POSIX seconds, data as written."""

    stream: str
    time: float
    data: bytes


@dataclass(frozen=True, slots=True)
class WorkerJoin:
    """What a machine needs to join the platform itself. manager: HOST:PORT; token: a secret."""

    manager: str
    token: str = field(repr=False)


class Platform(Protocol):
    """Verbs are level-triggered: done twice they are done once."""

    @property
    def name(self) -> str:
        """`swarm`, `process` or `fake`, as it shows to users."""

    @property
    def notices(self) -> tuple[str, ...]:
        """What every user of this platform must know, e.g. that it does not isolate."""

    async def start(self) -> None:
        """Check the engine and prepare networks; Permanent with a clear reason if it can't."""

    async def close(self) -> None:
        """Free connections and threads. Services run on."""

    async def list_owned(self) -> list[ServiceSeen]:
        """Every service that bears our label, with its task's state. Never anything else."""

    async def create(self, service: ServiceSpec) -> None:
        """Start it; a service of this name that bears our label is adopted (no error).

        Permanent(reason="ImageMissing" | "Rejected" | "Unsupported"), Temporary otherwise.
        """

    async def remove(self, name: str) -> None:
        """Remove it and kill what runs; no error if it is gone. Refuses what isn't ours."""

    async def logs(self, name: str) -> list[LogFrame]:
        """All output of an ended service so far, in order. NotFoundError if it is gone."""

    async def nodes(self) -> list[NodeSeen]:
        """Every node, up or not."""

    async def image_id(self, reference: str) -> str:
        """`sha256:…` of an image on this engine; Permanent("ImageMissing") with what to do."""

    async def python_of(self, reference: str) -> str:
        """Version of the Python that runs jobs with code in this image, such as `3.11`, or ""."""

    async def remove_node(self, node_id: str) -> None:
        """Forget a node on which nothing runs; no error if there is none. ConflictError for the
        one that the controller itself runs on.
        """

    def changes(self) -> AsyncIterator[None]:
        """Yields whenever something may have changed; only a hint to list again."""
