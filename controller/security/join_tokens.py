"""Join tokens: short-lived, for one machine, kept as hashes. I/O: the store.

A token is bound to the public key that it is first used with. The same token with the same key
is answered again until it ends, so that a broken-off `worker.sh` can go on; with another key it is
used up. What is kept is in the store, so that a restart changes nothing. Used by `joining.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from ...api.joining import DEFAULT_TTL, MAX_TTL, JoinToken
from ...crd_like_specs.errors import NotFoundError, Problem, UnauthenticatedError, ValidationError
from ..store import Delete, Put, Store

TABLE: Final = "join_tokens"

ASK_ANEW: Final = "make a new one with `cumulusctl token create`"


@dataclass(frozen=True, slots=True)
class KeptToken:
    """What is known of a token. worker: name that it was made for ("" any), once it is used the
    name that it gave; key: hash of the key that used it, "" before; version: of the record.
    """

    id: str
    secret_hash: str
    expires_at: float
    worker: str = ""
    made_for: str = ""
    key: str = ""
    version: int = 0

    def bound(self, key: str, worker: str) -> KeptToken:
        """As it is once it let this key in under this name."""
        return replace(self, key=key, worker=worker)

    def write(self) -> Put:
        """The operation that keeps it, if nobody was faster."""
        doc = {
            "secretHash": self.secret_hash,
            "expiresAt": self.expires_at,
            "worker": self.worker,
            "madeFor": self.made_for,
            "key": self.key,
        }
        return Put(TABLE, self.id, doc, expect=self.version)


class JoinTokens:
    """fingerprint: of the authority, part of every token."""

    def __init__(self, store: Store, fingerprint: str) -> None:
        self._store = store
        self._fingerprint = fingerprint

    async def create(self, now: float, ttl: int, worker: str) -> tuple[JoinToken, float]:
        """A new token and when it ends (POSIX seconds). ttl: seconds, 0 one hour; worker: the
        name that it is for, "" any. ValidationError for a life over 24 hours.
        """
        if not 0 <= ttl <= MAX_TTL:
            raise ValidationError(
                [Problem(f"{ttl} s is given, expected 1 s to {MAX_TTL // 3600} h", path="ttl")]
            )
        token = JoinToken.new(self._fingerprint)
        expires_at = now + (ttl or DEFAULT_TTL)
        kept = KeptToken(token.id, _hash(token.secret), expires_at, worker, worker)
        await self._sweep(now)
        await asyncio.wrap_future(self._store.submit([kept.write()]))
        return token, expires_at

    def look_up(self, text: str, key: str, now: float) -> KeptToken:
        """The token that this text is, if the holder of `key` may use it now.

        UnauthenticatedError in one line; it never repeats the token.
        """
        try:
            token = JoinToken.parse(text)
        except ValidationError as e:
            raise UnauthenticatedError(e.message) from e
        if not hmac.compare_digest(token.fingerprint, self._fingerprint):
            raise UnauthenticatedError("the join token is of another controller")
        kept = self._kept(token.id)
        known = kept.secret_hash if kept else _hash("")
        if not hmac.compare_digest(known, _hash(token.secret)) or kept is None:
            raise UnauthenticatedError(f"the join token is not known here: {ASK_ANEW}")
        if now >= kept.expires_at:
            ended = datetime.fromtimestamp(kept.expires_at, UTC).isoformat(" ", "seconds")
            raise UnauthenticatedError(f"the join token ended at {ended}: {ASK_ANEW}")
        if kept.key and not hmac.compare_digest(kept.key, key):
            raise UnauthenticatedError(
                f"the join token is used up, it let worker {kept.worker} in: {ASK_ANEW}"
            )
        return kept

    def _kept(self, id_: str) -> KeptToken | None:
        record = self._store.get(TABLE, id_)
        if record is None:
            return None
        doc = record.doc
        return KeptToken(
            id_,
            doc["secretHash"],
            doc["expiresAt"],
            doc["worker"],
            doc["madeFor"],
            doc["key"],
            record.rv,
        )

    async def _sweep(self, now: float) -> None:
        """Forget tokens that ended a day ago; until then their holders are told that they ended."""
        for record in self._store.list(TABLE)[0]:
            if record.doc["expiresAt"] + MAX_TTL < now:
                try:
                    await asyncio.wrap_future(
                        self._store.submit([Delete(TABLE, record.id, expect=record.rv)])
                    )
                except NotFoundError:  # another sweep was faster
                    continue


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
