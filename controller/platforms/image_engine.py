"""The port through which the controller knows and exports the images of its own engine. Protocol.

Implemented by `swarm_images`; platforms without images have none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EngineImage:
    """An image that the engine holds. names: its tags, as engines list them; size: bytes, about."""

    id: str
    names: tuple[str, ...]
    size: int


class ImageEngine(Protocol):
    """Each call may be repeated. Failures are `Temporary`, `Permanent` and NotFoundError."""

    async def open(self) -> None:
        """Connect. Permanent("EngineUnreachable" | "EngineTooOld")."""

    def close(self) -> None:
        """Free connections and threads."""

    async def images(self) -> tuple[EngineImage, ...]:
        """All of them."""

    async def export(self, image: str, take: Callable[[IO[bytes]], T]) -> T:
        """Call `take`, in a thread, with the image's archive as a stream; give what it returns.

        NotFoundError where the engine has no such image. What `take` raises goes through.
        """

    async def refuses(self, auth: str) -> str:
        """Why a registry refuses these credentials (as in `frames.LeaseWanted.registry_auth`);
        "" where it takes them.
        """
