"""How a machine becomes a worker: token in, certificate and addresses out. I/O: store, platform.

Implements `api.ports.JoinPort`; made by `setup.py`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from loguru import logger

from ...api import keys
from ...api.joining import Joined, NewToken
from ...crd_like_specs.errors import (
    ConflictError,
    Problem,
    UnauthenticatedError,
    ValidationError,
)
from ...crd_like_specs.identity import NAME_PATTERN
from ..platforms.base import WorkerJoin
from ..store import Store
from . import certificates as made
from .authority import Authority
from .identities import Identities, Identity
from .join_tokens import ASK_ANEW, JoinTokens, KeptToken

_TRIES: Final = 8


@dataclass(frozen=True, slots=True)
class Place:
    """What every worker is told. agents: HOST:PORT that agents dial, with no HOST where it is the
    one that was asked; controller: HOST:PORT of the clients' port, "" where it is not configured;
    image: id of the job image; swarm: asks the engine, None where there is no Swarm to join.
    """

    agents: str
    controller: str
    platform: str
    image: str
    version: str
    swarm: Callable[[], Awaitable[WorkerJoin]] | None = None


class Joining:
    """See the module docstring. place: asked each time, since ports are known late."""

    def __init__(
        self,
        store: Store,
        authority: Authority,
        identities: Identities,
        place: Callable[[], Place],
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._authority = authority
        self._identities = identities
        self._tokens = JoinTokens(store, authority.fingerprint)
        self._place = place
        self._now = now

    def authority(self) -> bytes:
        """See the port."""
        return self._authority.certificate

    async def create_token(self, ttl: int, worker: str) -> NewToken:
        """See the port."""
        if worker:
            _check_name(worker)
        token, expires_at = await self._tokens.create(self._now(), ttl, worker)
        logger.bind(worker=worker).info("made join token {}", token.id)
        return NewToken(token.text, expires_at, self._place().controller)

    async def join(self, token: str, worker: str, csr: bytes) -> Joined:
        """See the port."""
        public = made.key_of_csr(csr)
        key = keys.key_hash(public)
        self._tokens.look_up(token, key, self._now())  # before anything is asked of the engine
        place = self._place()
        swarm = await place.swarm() if place.swarm else WorkerJoin("", "")
        name = await self._take(token, worker, key)
        certificate = self._authority.sign(public, name, self._now())
        logger.bind(worker=name).info("a machine joined as worker {}", name)
        return Joined(
            worker=name,
            certificate=certificate,
            authority=self._authority.certificate,
            agents=place.agents,
            platform=place.platform,
            swarm_manager=swarm.manager,
            swarm_join_token=swarm.token,
            image=place.image,
            version=place.version,
        )

    async def _take(self, token: str, wished: str, key: str) -> str:
        """Bind the token to the key and the key to a name, both or neither; the name."""
        for _ in range(_TRIES):
            kept = self._tokens.look_up(token, key, self._now())
            name = kept.worker or wished
            _check_name(name)
            identity = self._identity(kept, name, key)
            if kept.key:
                if identity is not None:  # its worker was removed, or joined anew, since then
                    raise UnauthenticatedError(
                        f"the join token is used up, it let worker {name} in: {ASK_ANEW}"
                    )
                return name  # asked again
            bound = kept.bound(key, name)
            ops = [bound.write(), *([identity.write()] if identity else [])]
            try:
                await asyncio.wrap_future(self._store.submit(ops))
            except ConflictError:
                continue  # another machine, or this one's first try: look again
            return name
        raise ConflictError(f"worker {wished} is being joined by others at this moment: try again")

    def _identity(self, kept: KeptToken, name: str, key: str) -> Identity | None:
        """The record to write, None where this key speaks for the name already."""
        known = self._identities.get(name)
        if known is not None and key in (known.key, known.coming):
            return None
        if self._identities.taken(name, key) and kept.made_for != name:
            raise ConflictError(
                f"there is a worker {name} already: join under another name, remove that worker, "
                f"or use a token made for it (cumulusctl token create --worker {name})"
            )
        return Identity(name, key, version=known.version if known else 0)


def _check_name(name: str) -> None:
    if not re.fullmatch(NAME_PATTERN, name):
        raise ValidationError(
            [
                Problem(
                    f"{name[:80]!r} is given, expected lower-case letters, digits and inner dashes",
                    path="worker",
                )
            ]
        )
