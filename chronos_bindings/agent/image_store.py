"""The local Docker Engine's images, as `images` needs them. I/O; implements `ImageStore`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import docker
import requests
import urllib3
from docker.auth import encode_header

from ...crd_like_specs.errors import CumulusError, NotFoundError, Permanent, Temporary
from ...crd_like_specs.images import DISK_TOO_FULL, familiar, registry_of, split_tag
from .engine import FAULTS, Engine, translate
from .image_ports import LocalImage
from .threads import pieces

LOAD_SECONDS: Final = 600.0
PULL_SECONDS: Final = 600.0
"""An engine that says nothing for so long is given up."""

_NOT_THERE: Final = ("not found", "unknown", "no such", "does not exist")
_REFUSED: Final = ("unauthorized", "no basic auth", "denied", "authentication required")


class DockerImages:
    """See `ImageStore`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def images(self) -> tuple[LocalImage, ...]:
        """See `ImageStore`."""
        rows = await self._engine.call(lambda client: client.api.images())
        return tuple(LocalImage(str(row["Id"]), tuple(row["RepoTags"] or ())) for row in rows)

    async def find(self, reference: str) -> str | None:
        """See `ImageStore`."""
        try:
            return await self._engine.call(lambda client: str(client.images.get(reference).id))
        except NotFoundError:
            return None

    async def chains(self) -> frozenset[tuple[str, ...]]:
        """See `ImageStore`."""
        return await self._engine.call(_chains)

    async def load(self, archive: Iterable[bytes]) -> None:
        """See `ImageStore`. In a thread of its own: it takes as long as the disk does."""
        await asyncio.to_thread(self._load, archive)

    async def tag(self, image: str, name: str) -> None:
        """See `ImageStore`."""
        repository, tag = split_tag(name)
        await self._engine.call(lambda client: client.api.tag(image, repository, tag, force=True))

    async def pull(self, name: str, auth: str) -> None:
        """See `ImageStore`. Cancelling it makes the engine stop."""
        source = _Pull(self._engine, name, json.loads(auth))
        async with aclosing(pieces(source, "pull")) as said:
            async for line in said:
                if "error" in line:
                    raise _refusal(name, str(line["error"]))

    async def root(self) -> Path | None:
        """See `ImageStore`."""
        root = await self._engine.call(lambda client: Path(str(client.api.info()["DockerRootDir"])))
        return root if await asyncio.to_thread(root.is_dir) else None

    def _load(self, archive: Iterable[bytes]) -> None:
        try:
            api = self._engine.client().api
            answer = api.post(
                f"{api.base_url}/v{api.api_version}/images/load",
                data=iter(archive),
                params={"quiet": 0},
                headers={"Content-Type": "application/x-tar"},
                stream=True,
                timeout=LOAD_SECONDS,
            )
            with answer:
                answer.raise_for_status()
                for line in _lines(answer):
                    if "error" in line:
                        raise _load_failed(str(line["error"]))
        except requests.HTTPError as e:
            raise _load_failed(e.response.text.strip()) from e
        except (*FAULTS, urllib3.exceptions.HTTPError) as e:
            raise translate(e) from e


class _Pull:
    """What the engine says while it pulls. See `threads.Source`."""

    def __init__(self, engine: Engine, name: str, auth: Mapping[str, str]) -> None:
        self._engine = engine
        self._name = name
        self._auth = auth
        self._answer: requests.Response | None = None
        self._closed = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        repository, tag = split_tag(self._name)
        try:
            api = self._engine.client().api
            answer = self._answer = api.post(
                f"{api.base_url}/v{api.api_version}/images/create",
                params={"fromImage": repository, "tag": tag},
                headers={"X-Registry-Auth": encode_header(dict(self._auth)).decode()},
                stream=True,
                timeout=PULL_SECONDS,
            )
            if self._closed:
                answer.close()
                return
            answer.raise_for_status()
            yield from _lines(answer)
        except requests.HTTPError as e:
            raise _refusal(self._name, _said(e.response)) from e
        except (*FAULTS, urllib3.exceptions.HTTPError) as e:
            raise translate(e) from e

    def close(self) -> None:
        """See `threads.Source`: the engine stops when nobody listens."""
        self._closed = True
        if self._answer is not None:
            self._answer.close()


def _lines(answer: requests.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        if line.strip():
            yield json.loads(line)


def _said(answer: requests.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text.strip()


def _chains(client: docker.DockerClient) -> frozenset[tuple[str, ...]]:
    found = set()
    for row in client.api.images():
        try:
            layers = client.images.get(row["Id"]).attrs["RootFS"].get("Layers") or ()
        except docker.errors.NotFound:
            continue  # it was removed between the two calls
        found.add(tuple(str(layer) for layer in layers))
    return frozenset(found)


def _load_failed(words: str) -> CumulusError:
    if "no space left" in words:
        return Temporary(f"the engine's disk is full: {words}", reason=DISK_TOO_FULL)
    return Temporary(f"the engine does not load it: {words}", reason="ImageLoadFailed")


def _refusal(name: str, words: str) -> CumulusError:
    """What a registry's answer means; the engine passes its words on."""
    registry, said = registry_of(name), words.lower()
    if any(word in said for word in _REFUSED):
        return Permanent(
            f"registry {registry} does not give image {familiar(name)} with the credentials "
            f"that are configured for it: {words}",
            reason="ImageMissing",
        )
    if "no such host" not in said and any(word in said for word in _NOT_THERE):
        return Permanent(
            f"registry {registry} has no image {familiar(name)}: {words}", reason="ImageMissing"
        )
    if "no space left" in said:
        return Temporary(f"image {familiar(name)}: {words}", reason=DISK_TOO_FULL)
    return Temporary(
        f"image {familiar(name)} cannot be pulled from registry {registry}: {words}",
        reason="RegistryUnreachable",
    )
