"""The agent's certificate while it runs: in use, renewed in time, taken up anew from disk. I/O.

A renewal writes the next key first, then asks, then writes the certificate, then makes the next
key the key: broken off anywhere, what is on disk still works or is put in order at the next start.
Made by `main` where the agent has an identity.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
from loguru import logger

from ...api import keys
from ...api.gen.cumulus.v1 import agent_pb2 as pb
from ...api.gen.cumulus.v1 import agent_pb2_grpc
from ...api.identity_folder import CERTIFICATE, KEY, NEXT_KEY, IdentityFiles, read_identity
from ...api.private_files import write_private
from ...crd_like_specs.errors import ValidationError
from .link import Link
from .ports import Clock
from .stream import channel_options

LOOK_SECONDS: Final = 10.0
"""Between looks at the folder and the certificate's end."""

RETRY_SECONDS: Final = 60.0
CALL_SECONDS: Final = 20.0
RENEW_AT: Final = 1 / 3
"""Part of the certificate's life that is left when it is renewed."""


@dataclass(frozen=True, slots=True)
class Life:
    """When a certificate begins and ends, POSIX seconds."""

    begins: float
    ends: float

    @property
    def renew_at(self) -> float:
        """When a third of it is left."""
        return self.ends - RENEW_AT * (self.ends - self.begins)


def load_identity(folder: Path) -> IdentityFiles:
    """What is in the folder, with a renewal that was broken off brought to its end.

    ValidationError where it is not whole, or its key and certificate don't belong together.
    """
    found = read_identity(folder)
    wanted = keys.key_hash(keys.read_certificate(found.certificate).public_key())
    coming = folder / NEXT_KEY
    for key, is_next in ((found.key, False), (_read(coming), True)):
        if key and keys.key_hash(keys.read_key(key).public_key()) == wanted:
            if is_next:
                coming.replace(folder / KEY)
            return replace(found, key=key)
    raise ValidationError(f"{folder / KEY} is not the key of {CERTIFICATE}: join again")


def life_of(identity: IdentityFiles) -> Life:
    """Of the identity's certificate."""
    certificate = keys.read_certificate(identity.certificate)
    return Life(
        certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    )


def open_channel(identity: IdentityFiles, controller: str) -> grpc.aio.Channel:
    """A connection as this worker, trusting its controller's authority and no other."""
    credentials = grpc.ssl_channel_credentials(
        identity.authority, identity.key, identity.certificate
    )
    return grpc.aio.secure_channel(controller, credentials, options=channel_options(controller))


class Identity:
    """controller: HOST:PORT to dial, as it was told beside the folder or as the folder says.

    Two connections: `link` for all that is small and soon, `bulk` for images.
    """

    def __init__(self, folder: Path, controller: str, clock: Clock) -> None:
        self._folder = folder
        self._controller = controller
        self._clock = clock
        self._files = load_identity(folder)
        self.link = Link(open_channel(self._files, controller))
        self.bulk = Link(open_channel(self._files, controller))
        self._stub: Any = agent_pb2_grpc.AgentStub(self.link.as_channel)  # type: ignore[no-untyped-call]
        self._not_before = 0.0
        if life_of(self._files).ends < clock.wall():
            logger.error("this worker's certificate has ended: join again with a new token")

    async def keep(self) -> None:
        """For ever: take up what another `join` wrote, and renew in time."""
        while True:
            await self._clock.sleep_until(self._clock.monotonic() + LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Do now what is due."""
        try:
            there = load_identity(self._folder)
            if there.worker != self._files.worker:
                return  # joined under another name: that is for the next start of the agent
            if there != self._files:
                logger.info("another certificate is in {}: connecting with it", self._folder)
                await self._use(there)
            now = self._clock.wall()
            if now >= max(life_of(self._files).renew_at, self._not_before):
                self._not_before = now + RETRY_SECONDS
                await self._renew()
        except (ValidationError, OSError) as e:
            logger.warning("the certificate in use stays: {}", e)
        except grpc.aio.AioRpcError as e:
            logger.warning("the certificate cannot be renewed yet: {}", e.details())

    async def _renew(self) -> None:
        folder = self._folder
        key = keys.new_key()
        write_private(folder / NEXT_KEY, keys.key_pem(key))
        csr = keys.request_pem(key, self._files.worker)
        answer = await self._stub.Renew(pb.RenewRequest(csr=csr), timeout=CALL_SECONDS)
        certificate = keys.read_certificate(answer.certificate)
        if keys.key_hash(certificate.public_key()) != keys.key_hash(key.public_key()):
            raise ValidationError("the controller answered with a certificate for another key")
        write_private(folder / CERTIFICATE, answer.certificate)
        await self._use(load_identity(folder))
        logger.info("renewed this worker's certificate")

    async def _use(self, files: IdentityFiles) -> None:
        self._files = files
        for link in (self.link, self.bulk):
            await link.exchange(open_channel(files, self._controller))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
