"""What secures one controller's listeners, put together from its configuration. I/O: dataDir.

With `tls.auto` the controller is its own authority: every listener has a certificate of it, agents
come to a listener of their own with certificates of theirs, and clients with tokens. Made by
`controller.wiring`; everything here is ready before anything listens.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import psutil
from loguru import logger

from ...api.audited import AuditPort
from ...api.auth import Holder, Role, Tokens, is_loopback
from ...api.gate import Gate
from ...api.happened import Happened
from ...api.joining import Joined
from ...api.private_files import write_private
from ...api.server import Fleet, TlsFiles
from ...crd_like_specs.errors import Problem, StoreError, ValidationError
from ...crd_like_specs.worker import Worker
from ..config import Config
from ..credential_files import read_tokens
from ..jobrunner_settings import PROJECT
from ..platforms.base import WorkerJoin
from ..store import Store
from .api_tokens import IssuedTokens
from .authority import Authority
from .identities import Identities
from .joining import Joining, Place
from .own_agent import give_identity

Swarm = Callable[[], Awaitable[WorkerJoin]]

CHECK_SECONDS: Final = 6 * 3600.0
"""Between looks at whether the server's certificate is to be renewed; it is a month before its end."""

_WILDCARDS: Final = ("0.0.0.0", "::", "")  # noqa: S104 (compared with, not listened on)


class Security:
    """tls, tokens, fleet, join: as `GrpcServer` takes them. workers: every worker's record, by
    name; place: what workers are told, asked each time; now: POSIX seconds; note: keeps an event;
    audit: keeps a line of each call that changes something.

    StoreError where the data folder cannot keep the authority, ValidationError for wrong files.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        workers: Mapping[str, Worker],
        place: Callable[[], Place],
        now: Callable[[], float],
        *,
        agent_token: str = "",
        note: Callable[[Happened], None] = lambda _: None,
        audit: AuditPort | None = None,
    ) -> None:
        self._issued = IssuedTokens(store, now, note)
        self._config = config
        self._now = now
        self.authority: Authority | None = None
        self.identities: Identities | None = None
        self.join: Joining | None = None
        self.fleet: Fleet | None = None
        self.tls: TlsFiles | None = None
        if config.tls.auto:
            authority = self.authority = Authority.open(config.data_dir / "pki", now())
            authority.ensure_server(server_names(config), now())
            file = authority.server_file
            self.identities = Identities(store, authority, workers, now)
            self.join = Joining(store, authority, self.identities, place, now)
            self.fleet = Fleet(
                config.agents_listen, TlsFiles(file, file, authority.path), self.identities
            )
            self.tls = TlsFiles(file, file)
        elif config.tls.cert and config.tls.key:
            self.tls = TlsFiles(config.tls.cert, config.tls.key)
        self.tokens = self._tokens(agent_token)
        self.gate = Gate(self.tokens, config.rates.limits, audit)
        """Before every call of clients, by gRPC and HTTP alike."""

    async def give_own_agent(self, folder: Path, facts: Joined) -> bool:
        """Whether there is an identity in the folder now for the agent beside the controller."""
        if self.authority is None or self.identities is None:
            return False
        await give_identity(folder, self.identities, self.authority, facts, self._now())
        return True

    async def forget(self, worker: str) -> bool:
        """Refuse the worker's certificates from now on; whether it had any."""
        return self.identities is not None and await self.identities.forget(worker)

    async def keep(self, renewed: Callable[[], None]) -> None:
        """For ever: renew the server's certificate well before it ends; `renewed` is called then.

        gRPC's listeners find out by themselves.
        """
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            if self.authority is None:
                continue
            try:
                if self.authority.ensure_server(server_names(self._config), self._now()):
                    renewed()
            except StoreError as e:
                logger.error("the server's certificate is not renewed: {}", e.message)

    def _tokens(self, agent_token: str) -> Tokens | None:
        config = self._config
        if config.tokens_file is not None:
            tokens = read_tokens(config.tokens_file)
        elif config.tls.auto or config.jobrunner.has_token:
            tokens = {admin_token(config.data_dir / "admin.token"): Holder(Role.ADMIN)}
        else:
            return None
        if secret := config.jobrunner.secret():
            tokens.setdefault(secret, Holder(Role.SUBMITTER, PROJECT))
        if not (config.tls.auto or config.insecure or all(map(is_loopback, config.listeners))):
            _check_named(tokens, config)
        # An agent with a certificate needs no token, and gets none.
        return Tokens(
            tokens
            if self.fleet or not agent_token
            else {**tokens, agent_token: Holder(Role.AGENT)},
            self._issued,
        )


def _check_named(tokens: Mapping[str, Holder], config: Config) -> None:
    """ValidationError where a token could speak for any worker, and others can reach this machine."""
    if Holder(Role.AGENT) in tokens.values():
        raise ValidationError(
            [
                Problem(
                    "without tls.auto a worker is known by its token alone: expected "
                    "`agent:WORKER:TOKEN`, one for each worker",
                    file=str(config.tokens_file),
                )
            ]
        )


def place_of(config: Config, ports: tuple[int, int], facts: Joined, swarm: Swarm | None) -> Place:
    """What workers are told. ports: of clients and of agents; facts: platform, image, version;
    swarm: asks the engine, None where there is no Swarm.
    """

    def reached(listen: str) -> str:
        host = listen.rpartition(":")[0]
        return config.advertise or ("" if host.strip("[]") in _WILDCARDS else host)

    controller = reached(config.listen.grpc)
    return Place(
        agents=f"{reached(config.agents_listen)}:{ports[1]}",
        controller=f"{controller}:{ports[0]}" if controller else "",
        platform=facts.platform,
        image=facts.image,
        version=facts.version,
        swarm=swarm,
    )


def dialled_here(listen: str, port: int) -> str:
    """HOST:PORT by which this machine itself reaches what listens there."""
    host = listen.rpartition(":")[0]
    return f"{'127.0.0.1' if host.strip('[]') in _WILDCARDS else host}:{port}"


def server_names(config: Config) -> frozenset[str]:
    """Names and addresses under which clients and agents may reach this controller."""
    names = {"localhost", "127.0.0.1", "::1", socket.gethostname().lower()}
    if config.advertise:
        names.add(config.advertise.strip("[]").lower())
    for listen in (config.listen.grpc, config.agents_listen, config.listen.http):
        host = listen.rpartition(":")[0].strip("[]").lower()
        if host in _WILDCARDS:
            names |= _own_addresses()
        else:
            names.add(host)
    return frozenset(_plain(name) for name in names)


def admin_token(path: Path) -> str:
    """The token in the file, made at the first start. StoreError where it cannot be kept."""
    try:
        token = path.read_text(encoding="ascii").strip() if path.exists() else ""
        if not token:
            token = secrets.token_urlsafe(32)
            write_private(path, f"{token}\n".encode())
        path.chmod(0o600)
    except (OSError, UnicodeDecodeError) as e:
        raise StoreError(f"the admin token {path} cannot be kept: {e}") from e
    logger.info("the admin token is in {}", path)
    return token


def _own_addresses() -> set[str]:
    """Of this machine's interfaces, but for those that mean something on their own link only."""
    found = {
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family in (socket.AF_INET, socket.AF_INET6)
    }
    return {one for one in found if "%" not in one and not ipaddress.ip_address(one).is_link_local}


def _plain(name: str) -> str:
    """An address in its one canonical form, as certificates give it back."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name
