"""What `images` needs of the controller and of the local engine. Protocols and plain values.

Implemented by `image_client` and `image_store`; failures are `Temporary` and `Permanent`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ...api.frames import ImageArchive


@dataclass(frozen=True, slots=True)
class LocalImage:
    """An image on this worker. names: its tags, as engines list them."""

    id: str
    names: tuple[str, ...]


class ImageGiver(Protocol):
    """What a lease asks for before it is held."""

    async def ensure(self, image: str, auth: str) -> str:
        """The id on this worker of the image that a lease names, once it is here: it may be
        waited for as long as the controller or a registry gives it.

        auth: see `frames.LeaseWanted.registry_auth`. Permanent("ImageMissing"), Temporary.
        """

    async def present(self, image: str) -> str:
        """Its id if it is here, else ""; nothing is fetched."""


class NoImages:
    """ImageGiver of runtimes that run no images."""

    async def ensure(self, image: str, auth: str) -> str:  # noqa: ARG002 (there is nothing to ensure)
        """See `ImageGiver`."""
        return ""

    async def present(self, image: str) -> str:  # noqa: ARG002
        """See `ImageGiver`."""
        return ""


class ImageSource(Protocol):
    """The controller, which gives what is wanted on this worker and nothing else."""

    async def archive(self, image: str) -> ImageArchive:
        """The parts of the image with this id. Temporary where it cannot be had now."""

    async def part(self, digest: str, dest: Path, arrived: Callable[[int], None]) -> None:
        """One part, checked, in `dest`; goes on where a break left it. arrived: told how many
        bytes there are.
        """


class ImageStore(Protocol):
    """The local engine's images."""

    async def images(self) -> tuple[LocalImage, ...]:
        """All of them."""

    async def find(self, reference: str) -> str | None:
        """Id of the image with this name or id, None where there is none."""

    async def chains(self) -> frozenset[tuple[str, ...]]:
        """The layers (digests of their content) of each image, from the lowest one up."""

    async def load(self, archive: Iterable[bytes]) -> None:
        """Take in an archive as `docker save` writes it."""

    async def tag(self, image: str, name: str) -> None:
        """Let the image of this id bear the name; another one that bore it loses it."""

    async def pull(self, name: str, auth: str) -> None:
        """From the name's registry. auth: JSON {username, password, serveraddress}.

        Permanent("ImageMissing") where the registry has no such image or refuses it.
        """

    async def root(self) -> Path | None:
        """The folder where the engine keeps images, None where it cannot be seen from here."""
