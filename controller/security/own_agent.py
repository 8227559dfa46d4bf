"""The identity of the agent beside the controller, given without a token. I/O: its folder, the store.

The controller makes the key here as the same user on the same machine; everything after that is as
for any other worker. Used, through `Security`, by `controller.agent_beside`.
"""

from __future__ import annotations

from pathlib import Path

from ...api import keys
from ...api.identity_folder import read_identity, write_identity
from ...api.joining import Joined
from ...crd_like_specs.errors import StoreError, ValidationError
from . import certificates as made
from .authority import Authority
from .identities import Identities

_ENOUGH = made.WORKER_SECONDS / 3


async def give_identity(
    folder: Path, identities: Identities, authority: Authority, facts: Joined, now: float
) -> None:
    """Have an identity in the folder with which an agent is let in as `facts.worker`.

    facts: all but the certificates. One that is good is kept, since an agent that outlived an
    earlier controller works with it. StoreError where it cannot be written.
    """
    certificate = _good(folder, identities, authority, facts.worker, now)
    key = None
    if certificate is None:
        fresh = keys.new_key()
        key = keys.key_pem(fresh)
        certificate = await identities.give(facts.worker, fresh.public_key())
    try:
        write_identity(
            folder,
            Joined(
                worker=facts.worker,
                certificate=certificate,
                authority=authority.certificate,
                agents=facts.agents,
                platform=facts.platform,
                image=facts.image,
                version=facts.version,
            ),
            key,
        )
    except OSError as e:
        raise StoreError(f"{e.filename} cannot be written: {e.strerror}") from e


def _good(
    folder: Path, identities: Identities, authority: Authority, worker: str, now: float
) -> bytes | None:
    """The certificate (PEM) in the folder, if it does."""
    try:
        there = read_identity(folder)
        subject = made.subject(there.certificate)
        certificate = keys.read_certificate(there.certificate)
        mine = keys.key_hash(keys.read_key(there.key).public_key()) == subject.key
    except (ValidationError, ValueError):
        return None
    known = identities.get(worker)
    good = (
        mine
        and subject.worker == worker
        and known is not None
        and subject.key in (known.key, known.coming)
        and authority.is_ours(certificate)
        and made.seconds_left(certificate, now) > _ENOUGH
    )
    return there.certificate if good else None
