"""The images of a manager's Docker Engine: listed, exported, and a registry's answer. I/O.

Made by `controller.chosen_platform` beside `SwarmPlatform`, with connections of its own, so that an export,
which takes seconds, keeps no call of the platform waiting.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import IO, Final, TypeVar, cast

from docker import APIClient
from docker.errors import APIError
from urllib3.exceptions import HTTPError

from ...crd_like_specs.errors import DriverError, Permanent, Temporary
from .image_engine import EngineImage
from .swarm_engine import Engine, get_json, get_stream, post

EXPORT_SECONDS: Final = 300.0
"""An engine may gather a large image for so long before, and while, it writes."""

T = TypeVar("T")


class SwarmImages:
    """ImageEngine of the Docker Engine at `endpoint` ("": the environment's or local default)."""

    def __init__(self, endpoint: str = "") -> None:
        self._engine = Engine(endpoint)

    async def open(self) -> None:
        """See `ImageEngine`."""
        await self._engine.open()

    def close(self) -> None:
        """See `ImageEngine`."""
        self._engine.close()

    async def images(self) -> tuple[EngineImage, ...]:
        """See `ImageEngine`."""
        rows = await self._engine.call("list images", lambda c: get_json(c, "/images/json"))
        return tuple(
            EngineImage(
                str(row["Id"]),
                tuple(tag for tag in row["RepoTags"] or () if tag != "<none>:<none>"),
                int(row["Size"]),
            )
            for row in rows
        )

    async def export(self, image: str, take: Callable[[IO[bytes]], T]) -> T:
        """See `ImageEngine`."""
        return await self._engine.call(f"export image {image}", lambda c: _export(c, image, take))

    async def refuses(self, auth: str) -> str:
        """See `ImageEngine`."""
        body = json.loads(auth)
        try:
            await self._engine.call("log in", lambda c: post(c, "/auth", body))
        except DriverError as e:
            return e.message
        return ""


def _export(client: APIClient, image: str, take: Callable[[IO[bytes]], T]) -> T:
    answer = get_stream(client, f"/images/{image}/get", EXPORT_SECONDS)
    try:
        return take(cast(IO[bytes], answer.raw))
    except (HTTPError, APIError) as e:
        raise Temporary(f"the export of image {image} broke off: {e}", reason="EngineFault") from e
    except Permanent as e:
        if e.reason != "BadArchive":
            raise
        # An engine that fails half-way can only cut its answer short.
        raise Temporary(f"image {image}: {e.message}", reason="EngineFault") from e
    finally:
        answer.close()
