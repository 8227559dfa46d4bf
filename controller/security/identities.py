"""Which key speaks for which worker. I/O: the store. Implements `api.ports.IdentityPort`.

TLS has checked that a certificate is one of ours and has not ended; what is checked here is that
it is the one on record for the worker that the call is about. A worker that is forgotten is refused
at once, however long its certificate would still live.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from loguru import logger

from ...api import keys
from ...crd_like_specs.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnauthenticatedError,
)
from ...crd_like_specs.worker import Worker
from ..store import Delete, Put, Store
from . import certificates as made
from .authority import Authority

TABLE: Final = "identities"


@dataclass(frozen=True, slots=True)
class Identity:
    """key: hash of the public key that speaks for the worker; coming: of the one that it has
    asked a renewed certificate for and not used yet, or ""; version: of the record, 0 for none.
    """

    worker: str
    key: str
    coming: str = ""
    version: int = 0

    def write(self) -> Put:
        """The operation that keeps it, if nobody was faster."""
        doc = {"key": self.key, "coming": self.coming}
        return Put(TABLE, self.worker, doc, expect=self.version)


class Identities:
    """workers: every worker's record, by name; now: POSIX seconds."""

    def __init__(
        self,
        store: Store,
        authority: Authority,
        workers: Mapping[str, Worker],
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._authority = authority
        self._workers = workers
        self._now = now
        self._reserved: dict[str, str] = {}

    def reserve(self, node_id: str, worker: str) -> None:
        """Let this node of the platform be no other worker's; worker: "" nobody's.

        The controller's own node is: a job placed there runs beside the controller.
        """
        self._reserved[node_id] = worker

    async def admit(self, worker: str, certificate: bytes) -> None:
        """Return if this certificate (PEM) speaks for the worker.

        ForbiddenError where it is another worker's, UnauthenticatedError where it is not on
        record (any more).
        """
        subject = made.subject(certificate)
        if subject.worker != worker:
            raise ForbiddenError(
                f"the certificate is of worker {subject.worker}: it cannot speak for "
                f"{worker or 'a worker without a name'}"
            )
        while True:
            known = self.get(worker)
            if known is None or subject.key not in (known.key, known.coming):
                raise UnauthenticatedError(
                    f"the certificate of worker {worker} is not the one on record: "
                    "it was removed or joined anew; join with a new token"
                )
            if subject.key == known.key:
                return
            # The renewed one has arrived: from now on the one before it is refused.
            if await self._put(Identity(worker, subject.key, version=known.version)):
                logger.bind(worker=worker).info("the worker uses its renewed certificate")
                return

    def admit_node(self, worker: str, node_id: str) -> None:
        """ForbiddenError where the platform's node belongs to another worker already."""
        if node_id and self._reserved.get(node_id, worker) != worker:
            raise ForbiddenError(
                f"node {node_id} is the controller's own, so that {worker} cannot report it"
            )
        for other in self._workers.values():
            if node_id and other.status.node_id == node_id and other.metadata.name != worker:
                raise ForbiddenError(
                    f"node {node_id} belongs to worker {other.metadata.name}, "
                    f"so that {worker} cannot report it; remove that worker first"
                )

    async def renew(self, certificate: bytes, csr: bytes) -> bytes:
        """A certificate (PEM) for the key of the request. The one that asks stays good until the
        new one is first used. Errors as of `admit`, and ValidationError for a wrong request.
        """
        public = made.key_of_csr(csr)
        worker = made.subject(certificate).worker
        while True:
            await self.admit(worker, certificate)
            known = self.get(worker)
            if known is None:
                continue  # forgotten just now: `admit` says so
            coming = keys.key_hash(public)
            if coming == known.key or await self._put(
                Identity(worker, known.key, coming, known.version)
            ):
                logger.bind(worker=worker).info("renewed the worker's certificate")
                return self._authority.sign(public, worker, self._now())

    async def forget(self, worker: str) -> bool:
        """Refuse the worker's certificates from now on; it may join again with a new token. Whether
        it had any.
        """
        try:
            await asyncio.wrap_future(self._store.submit([Delete(TABLE, worker)]))
        except NotFoundError:  # it had none, or it is forgotten already
            return False
        logger.bind(worker=worker).info("the worker's certificate is refused from now on")
        return True

    def get(self, worker: str) -> Identity | None:
        """What is on record, or None."""
        record = self._store.get(TABLE, worker)
        if record is None:
            return None
        return Identity(worker, record.doc["key"], record.doc["coming"], record.rv)

    def taken(self, worker: str, key: str) -> bool:
        """Whether the name belongs to a worker with another key, or with none yet."""
        known = self.get(worker)
        if known is None:
            return worker in self._workers
        return key not in (known.key, known.coming)

    async def give(self, worker: str, public: keys.PublicKey) -> bytes:
        """A certificate (PEM) for this machine's own agent, whoever had the name before."""
        key = keys.key_hash(public)
        while True:
            known = self.get(worker)
            version = known.version if known else 0
            if await self._put(Identity(worker, key, version=version)):
                return self._authority.sign(public, worker, self._now())

    async def _put(self, identity: Identity) -> bool:
        """Whether it was written; otherwise someone else was faster."""
        try:
            await asyncio.wrap_future(self._store.submit([identity.write()]))
        except ConflictError:
            return False
        return True
