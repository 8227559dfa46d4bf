"""Images without an engine, and the way from a controller's images to a worker's, over real gRPC.

`saved` writes archives as `docker save` does; `MemoryEngine` exports them, `MemoryStore` loads them
as Docker does, checking every digest. `Cable` stands between and breaks when told.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import tarfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import grpc.aio
from cumulus.api.frames import ImageWanted
from cumulus.api.gate import Gate
from cumulus.api.gen.cumulus.v1 import agent_pb2_grpc
from cumulus.api.interceptor import Interceptor
from cumulus.api.options import CHANNEL_OPTIONS, SERVER_OPTIONS
from cumulus.api.servicers.images import ImageHandlers
from cumulus.chronos_bindings.agent.image_client import GrpcImages
from cumulus.chronos_bindings.agent.image_ports import LocalImage
from cumulus.controller.platforms.image_engine import EngineImage
from cumulus.controller.platforms.registries import Registries
from cumulus.controller.runtime.clock import VirtualClock
from cumulus.controller.runtime.image_spool import ImageSpool
from cumulus.controller.runtime.images import Images
from cumulus.crd_like_specs.errors import NotFoundError, Temporary
from cumulus.crd_like_specs.images import familiar, split_tag

T = TypeVar("T")


def sha(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True)
class Saved:
    """One image as an archive. layers: their digests, from the lowest one up."""

    id: str
    names: tuple[str, ...]
    archive: bytes
    layers: tuple[str, ...]


def saved(*layers: bytes, name: str = "", oci: bool = False, note: str = "") -> Saved:
    """An archive as Docker 20.10 writes it, a link for a layer that comes again; oci: as Docker 25
    and later do.
    """
    digests = tuple(sha(layer) for layer in layers)
    config = json.dumps({"note": note, "rootfs": {"type": "layers", "diff_ids": digests}}).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        paths: list[str] = []
        for number, layer in enumerate(layers):
            if oci:
                paths.append(f"blobs/sha256/{digests[number][7:]}")
                _add(tar, paths[-1], layer)
                continue
            folder = hashlib.sha256(repr(digests[: number + 1]).encode()).hexdigest()
            entry = tarfile.TarInfo(f"{folder}/")
            entry.type = tarfile.DIRTYPE
            tar.addfile(entry)
            _add(tar, f"{folder}/VERSION", b"1.0")
            paths.append(f"{folder}/layer.tar")
            if digests[number] in digests[:number]:
                link = tarfile.TarInfo(paths[-1])
                link.type = tarfile.SYMTYPE
                link.linkname = f"../{paths[digests.index(digests[number])]}"
                tar.addfile(link)
            else:
                _add(tar, paths[-1], layer)
        path = f"blobs/sha256/{sha(config)[7:]}" if oci else f"{sha(config)[7:]}.json"
        _add(tar, path, config)
        manifest = [{"Config": path, "RepoTags": None, "Layers": paths}]
        _add(tar, "manifest.json", json.dumps(manifest).encode())
        if oci:
            _add(tar, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    return Saved(sha(config), (familiar(name),) if name else (), out.getvalue(), digests)


def _add(tar: tarfile.TarFile, path: str, data: bytes) -> None:
    info = tarfile.TarInfo(path)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


class MemoryEngine:
    """ImageEngine of these images. `exports`: ids in the order in which they were exported."""

    def __init__(self, *images: Saved) -> None:
        self.held = {image.id: image for image in images}
        self.exports: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.refused: dict[str, str] = {}

    async def open(self) -> None:
        return

    def close(self) -> None:
        return

    async def images(self) -> tuple[EngineImage, ...]:
        return tuple(EngineImage(i.id, i.names, len(i.archive)) for i in self.held.values())

    async def export(self, image: str, take: Callable[[IO[bytes]], T]) -> T:
        self.exports.append(image)
        await self.gate.wait()
        if image not in self.held:
            raise NotFoundError(f"no such image: {image}")
        return await asyncio.to_thread(take, io.BytesIO(self.held[image].archive))

    async def refuses(self, auth: str) -> str:
        return self.refused.get(json.loads(auth)["username"], "")


class MemoryStore:
    """ImageStore that loads as Docker does. skips: it looks only at layers that it lacks, as
    engines with layer stores do; others want all of them. `pulls`: (name, auth) asked for.
    """

    def __init__(self, *, skips: bool = True) -> None:
        self.by_id: dict[str, tuple[str, ...]] = {}
        self.tags: dict[str, str] = {}
        self.loads: list[list[str]] = []
        self.pulls: list[tuple[str, str]] = []
        self.registry: dict[str, Saved | Exception] = {}
        self.fail: list[Exception] = []
        self._skips = skips

    def have(self, image: Saved) -> None:
        self.by_id[image.id] = image.layers
        self.tags |= dict.fromkeys(image.names, image.id)

    async def images(self) -> tuple[LocalImage, ...]:
        return tuple(
            LocalImage(image, tuple(n for n, i in self.tags.items() if i == image))
            for image in self.by_id
        )

    async def find(self, reference: str) -> str | None:
        if reference in self.by_id:
            return reference
        return self.tags.get(familiar(reference))

    async def chains(self) -> frozenset[tuple[str, ...]]:
        return frozenset(self.by_id.values())

    async def load(self, archive: Iterable[bytes]) -> None:
        if self.fail:
            raise self.fail.pop(0)
        files: dict[str, bytes] = {}
        with tarfile.open(fileobj=io.BytesIO(b"".join(archive))) as tar:
            for member in tar.getmembers():
                content = tar.extractfile(member)
                assert content is not None
                files[member.name] = content.read()
        self.loads.append(list(files))
        (manifest,) = json.loads(files["manifest.json"])
        config = files[manifest["Config"]]
        layers = tuple(json.loads(config)["rootfs"]["diff_ids"])
        for number, (path, digest) in enumerate(zip(manifest["Layers"], layers, strict=True)):
            known = any(
                chain[: number + 1] == layers[: number + 1] for chain in self.by_id.values()
            )
            if known and self._skips:
                continue
            if path not in files:
                raise Temporary(f"open {path}: no such file", reason="ImageLoadFailed")
            assert sha(files[path]) == digest
        self.by_id[sha(config)] = layers

    async def tag(self, image: str, name: str) -> None:
        assert image in self.by_id
        repository, tag = split_tag(name)
        self.tags[f"{repository}:{tag}"] = image

    async def pull(self, name: str, auth: str) -> None:
        self.pulls.append((name, auth))
        found = self.registry.get(familiar(name))
        if isinstance(found, Exception):
            raise found
        assert found is not None
        self.have(found)

    async def root(self) -> Path | None:
        return None


class Cable:
    """A TCP proxy in front of a port of this machine, which counts and breaks.

    `down` and `up`: bytes to and from the client. `break_after`: bytes down after which
    every connection breaks, once.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self.down = 0
        self.break_after: int | None = None
        self.breaks = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._open |= {writer, other_writer}
        for task in (
            asyncio.ensure_future(self._pump(reader, other_writer, count=False)),
            asyncio.ensure_future(self._pump(other_reader, writer, count=True)),
        ):
            self._tasks.add(task)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, count: bool
    ) -> None:
        try:
            while data := await reader.read(1 << 16):
                if count:
                    self.down += len(data)
                    if self.break_after is not None and self.down >= self.break_after:
                        self.break_after = None
                        self.breaks += 1
                        self.cut()
                        return
                writer.write(data)
                await writer.drain()
        except OSError:
            return
        finally:
            writer.close()


class _Servicer(agent_pb2_grpc.AgentServicer):
    def __init__(self, images: Images) -> None:
        self._handlers = ImageHandlers(images)

    async def GetImage(self, request: Any, context: Any) -> Any:  # noqa: N802
        del context
        return await self._handlers.archive(request)

    async def GetImagePart(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        del context
        async for chunk in self._handlers.part(request):
            yield chunk


class Served:
    """A controller's images on a port of this machine. wanted: worker → images wanted there."""

    def __init__(self, engine: Any, folder: Path, *, limit: int = 1 << 40, spare: int = 0) -> None:
        self.engine = engine
        self.wanted: dict[str, tuple[ImageWanted, ...]] = {}
        self.changes = 0
        self.clock = VirtualClock()
        self.spool = ImageSpool(folder, limit, spare)
        self.images = Images(
            engine,
            self.spool,
            Registries(),
            self.clock,
            wanted=lambda worker: self.wanted.get(worker, ()),
            changed=self._changed,
        )

    async def start(self) -> int:
        await self.images.open()
        self._server = grpc.aio.server(
            interceptors=[Interceptor(Gate(None))], options=list(SERVER_OPTIONS)
        )
        add: Any = agent_pb2_grpc.add_AgentServicer_to_server
        add(_Servicer(self.images), self._server)
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return port

    async def stop(self) -> None:
        await self._server.stop(0)
        await self.images.close()

    def want(self, worker: str, *images: Saved) -> tuple[ImageWanted, ...]:
        self.wanted[worker] = tuple(ImageWanted(i.id, i.names) for i in images)
        return self.wanted[worker]

    def _changed(self) -> None:
        self.changes += 1


@asynccontextmanager
async def serving(
    engine: Any, folder: Path, **more: int
) -> AsyncIterator[tuple[Served, Cable, int]]:
    """The controller's images, the cable to them, and the cable's port."""
    served = Served(engine, folder, **more)
    cable = Cable(await served.start())
    port = await cable.start()
    try:
        yield served, cable, port
    finally:
        await cable.stop()
        await served.stop()


@asynccontextmanager
async def client(port: int, worker: str) -> AsyncIterator[GrpcImages]:
    """A worker's end."""
    options = (
        *CHANNEL_OPTIONS,
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 100),
    )
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield GrpcImages(channel, worker)


def noise(seed: int, size: int) -> bytes:
    """Bytes that compress to nothing else, the same for the same seed."""
    out = bytearray()
    block = str(seed).encode()
    while len(out) < size:
        block = hashlib.sha512(block).digest()
        out += block * 64
    return bytes(out[:size])


def parts_of(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Each file of an archive, links followed."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar.getmembers():
            if not member.isdir():
                content = tar.extractfile(member)
                assert content is not None
                yield member.name, content.read()
