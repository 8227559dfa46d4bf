"""A worker's identity on disk: who it is, and whom it trusts. I/O: that folder.

    worker.key, worker.crt   its key, which never leaves the machine, and the certificate for it
    ca.crt                   the controller's authority
    identity.json            worker, agents, platform, swarm_manager, swarm_join_token, image, version

All of it is readable by its owner only. identity.json is written last: where it is, the rest is
whole. Written by `cumulus-agent join` and, for the agent beside it, by the controller.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..crd_like_specs.errors import ValidationError
from .joining import Joined
from .private_files import private_folder, write_private

KEY: Final = "worker.key"
CERTIFICATE: Final = "worker.crt"
AUTHORITY: Final = "ca.crt"
FACTS: Final = "identity.json"
NEXT_KEY: Final = "worker.key.next"
"""Of a renewal under way: it becomes the key as soon as a certificate for it is there."""


@dataclass(frozen=True, slots=True)
class IdentityFiles:
    """What the folder holds. key, certificate, authority: PEM; agents: HOST:PORT to dial."""

    worker: str
    agents: str
    key: bytes = field(repr=False)
    certificate: bytes
    authority: bytes
    platform: str = ""
    image: str = ""


def write_identity(folder: Path, joined: Joined, key: bytes | None = None) -> None:
    """Keep what joining gave. key: where it is not in the folder already. OSError."""
    private_folder(folder)
    if key is not None:
        write_private(folder / KEY, key)
    write_private(folder / CERTIFICATE, joined.certificate)
    write_private(folder / AUTHORITY, joined.authority)
    facts = {
        "worker": joined.worker,
        "agents": joined.agents,
        "platform": joined.platform,
        "swarm_manager": joined.swarm_manager,
        "swarm_join_token": joined.swarm_join_token,
        "image": joined.image,
        "version": joined.version,
    }
    write_private(folder / FACTS, f"{json.dumps(facts, indent=2)}\n".encode())


def read_identity(folder: Path) -> IdentityFiles:
    """ValidationError where it is not there, not whole or not readable."""
    try:
        facts: Any = json.loads((folder / FACTS).read_bytes())
        return IdentityFiles(
            worker=str(facts["worker"]),
            agents=str(facts["agents"]),
            key=(folder / KEY).read_bytes(),
            certificate=(folder / CERTIFICATE).read_bytes(),
            authority=(folder / AUTHORITY).read_bytes(),
            platform=str(facts.get("platform", "")),
            image=str(facts.get("image", "")),
        )
    except OSError as e:
        raise ValidationError(
            f"{e.filename}: {e.strerror}: expected what `cumulus-agent join` wrote"
        ) from e
    except (ValueError, TypeError, KeyError, AttributeError) as e:
        raise ValidationError(f"{folder / FACTS} is damaged: join again") from e
