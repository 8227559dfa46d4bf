"""What a configuration makes of the controller's front, and the identity of its own agent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cumulus.api import keys
from cumulus.api.auth import Role, check_exposure
from cumulus.api.identity_folder import read_identity
from cumulus.api.joining import Joined
from cumulus.controller.config import Config, load_config
from cumulus.controller.platforms.base import WorkerJoin
from cumulus.controller.security.certificates import DAY
from cumulus.controller.security.joining import Place
from cumulus.controller.security.setup import Security, dialled_here, place_of
from cumulus.controller.store import Store
from cumulus.crd_like_specs.errors import UnauthenticatedError, ValidationError

FACTS = Joined("w1", "127.0.0.1:50052", "process", image="sha256:image", version="1")
AGENT_TOKEN = "an-agent-token-of-some-length"


class World:
    def __init__(self, folder: Path, **settings: Any) -> None:
        self.now = 1_800_000_000.0
        self.folder = folder
        self.store = Store.open(None)
        self.security = self.open(**settings)

    def open(self, **settings: Any) -> Security:
        config = configured(self.folder, dataDir=str(self.folder / "data"), **settings)
        place = lambda: Place("", "", "process", "", "1")  # noqa: E731 (one expression)
        return Security(config, self.store, {}, place, lambda: self.now, agent_token=AGENT_TOKEN)

    async def give(self, facts: Joined = FACTS) -> bytes:
        assert await self.security.give_own_agent(self.folder / "identity", facts)
        there = read_identity(self.folder / "identity")
        assert self.security.identities
        await self.security.identities.admit(there.worker, there.certificate)
        return there.certificate


def configured(folder: Path, **settings: Any) -> Config:
    (folder / "c.yaml").write_text(json.dumps(settings))
    return load_config(folder / "c.yaml")


AUTO = {"tls": {"auto": True}}


def test_without_tls_nothing_is_made(tmp_path: Path) -> None:
    made = World(tmp_path).security
    assert (made.tls, made.tokens, made.fleet, made.join) == (None, None, None, None)
    assert not (tmp_path / "data").exists()


async def test_with_an_authority_there_is_an_admin_and_no_agents_token(tmp_path: Path) -> None:
    made = World(tmp_path, **AUTO).security
    assert made.tokens
    assert made.fleet
    assert made.join
    admin = (tmp_path / "data" / "admin.token").read_text().strip()
    assert made.tokens.holder(f"Bearer {admin}").role is Role.ADMIN
    with pytest.raises(UnauthenticatedError):
        made.tokens.holder(f"Bearer {AGENT_TOKEN}")
    assert made.fleet.listen == "127.0.0.1:50052"


def test_tokens_of_a_file_take_the_place_of_the_admin_token(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"submitter:{'s' * 20}\n")
    tokens = {"tokensFile": str(tmp_path / "tokens")}
    made = World(tmp_path, **tokens, **AUTO).security
    assert made.tokens
    assert made.tokens.holder(f"Bearer {'s' * 20}").role is Role.SUBMITTER
    assert not (tmp_path / "data" / "admin.token").exists()
    plain = World(tmp_path, **tokens).security
    assert plain.tokens
    assert plain.tokens.holder(f"Bearer {AGENT_TOKEN}").role is Role.AGENT


def test_files_of_ones_own_leave_agents_where_they_were(tmp_path: Path) -> None:
    made = World(tmp_path, tls={"cert": "/c.pem", "key": "/k.pem"}).security
    assert made.tls
    assert made.tls.certificate == Path("/c.pem")
    assert (made.fleet, made.join) == (None, None)


@pytest.mark.parametrize(
    ("listen", "token", "insecure", "fine"),
    [
        ("127.0.0.1:1", "agent", False, True),
        ("0.0.0.0:1", "agent:n1", False, True),
        ("0.0.0.0:1", "agent", True, True),
        ("0.0.0.0:1", "agent", False, False),
    ],
)
def test_beyond_this_machine_a_token_speaks_for_one_worker(
    tmp_path: Path, listen: str, token: str, insecure: bool, fine: bool
) -> None:
    (tmp_path / "tokens").write_text(f"{token}:{'a' * 20}\n")
    settings = {
        "tokensFile": str(tmp_path / "tokens"),
        "tls": {"cert": "/c.pem", "key": "/k.pem"},
        "listen": {"grpc": listen},
        "insecure": insecure,
    }
    if fine:
        assert World(tmp_path, **settings).security.tokens
        return
    with pytest.raises(ValidationError, match="agent:WORKER:TOKEN"):
        World(tmp_path, **settings)


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        ({"listen": {"grpc": "0.0.0.0:1"}}, ["0.0.0.0:1"]),
        ({"listen": {"agents": "0.0.0.0:1"}}, []),  # nobody listens there without TLS
        ({"listen": {"agents": "0.0.0.0:1"}, **AUTO}, []),
        ({"listen": {"grpc": "0.0.0.0:1", "http": "0.0.0.0:2"}, **AUTO}, []),
        ({"listen": {"http": "10.0.0.1:2"}, "tls": {"cert": "c", "key": "k"}}, ["10.0.0.1:2"]),
    ],
)
def test_what_others_could_reach_is_refused_without_tls_and_tokens(
    tmp_path: Path, settings: dict[str, Any], refused: list[str]
) -> None:
    config = configured(tmp_path, **settings)
    auto = config.tls.auto

    def check() -> None:
        check_exposure(
            config.listeners,
            tls=auto or config.tls.cert is not None,
            tokens=auto or config.tokens_file is not None,
            insecure=False,
        )

    if not refused:
        return check()
    with pytest.raises(ValidationError, match=r"tls\.auto") as caught:
        check()
    assert [p.message.partition("reach ")[2].partition(",")[0] for p in caught.value.problems] == (
        refused
    )
    return None


async def test_the_own_agents_identity_is_kept_while_it_is_good(tmp_path: Path) -> None:
    world = World(tmp_path, **AUTO)
    first = await world.give()
    world.now += 19 * DAY
    moved = Joined("w1", "127.0.0.1:9", "process")
    assert await world.give(moved) == first
    assert read_identity(tmp_path / "identity").agents == "127.0.0.1:9"
    world.now += 2 * DAY
    assert await world.give() != first


@pytest.mark.parametrize(
    "harm", ["forgotten", "renamed", "damaged", "other key", "other authority"]
)
async def test_and_made_anew_where_it_is_not(tmp_path: Path, harm: str) -> None:
    world = World(tmp_path, **AUTO)
    first = await world.give()
    facts = FACTS
    folder = tmp_path / "identity"
    if harm == "forgotten":
        await world.security.forget("w1")
    elif harm == "renamed":
        facts = Joined("w2", "127.0.0.1:50052", "process")
    elif harm == "damaged":
        (folder / "worker.crt").write_bytes(b"half")
    elif harm == "other key":
        (folder / "worker.key").write_bytes(keys.key_pem(keys.new_key()))
    else:
        for file in (tmp_path / "data" / "pki").iterdir():
            file.unlink()
        world.security = world.open(**AUTO)
    assert await world.give(facts) != first


async def test_forgetting_is_nothing_where_there_are_no_certificates(tmp_path: Path) -> None:
    security = World(tmp_path).security
    await security.forget("w1")
    assert not await security.give_own_agent(tmp_path / "identity", FACTS)


async def swarm() -> WorkerJoin:
    return WorkerJoin("10.0.0.1:2377", "t")


@pytest.mark.parametrize(
    ("settings", "agents", "controller"),
    [
        ({}, "127.0.0.1:7", "127.0.0.1:6"),
        ({"listen": {"grpc": "0.0.0.0:50051"}}, ":7", ""),
        ({"listen": {"grpc": "[::]:50051"}}, ":7", ""),
        ({"listen": {"grpc": "10.0.0.5:50051"}}, "10.0.0.5:7", "10.0.0.5:6"),
        ({"listen": {"grpc": "0.0.0.0:50051"}, "advertise": "h"}, "h:7", "h:6"),
        ({"advertise": "h"}, "h:7", "h:6"),
    ],
)
def test_workers_are_told_what_they_can_dial(
    tmp_path: Path, settings: dict[str, Any], agents: str, controller: str
) -> None:
    config = configured(tmp_path, **settings, **AUTO)
    place = place_of(config, (6, 7), FACTS, swarm)
    assert (place.agents, place.controller, place.swarm) == (agents, controller, swarm)
    assert (place.platform, place.image, place.version) == ("process", "sha256:image", "1")


@pytest.mark.parametrize(
    ("listen", "dialled"),
    [
        ("127.0.0.1:0", "127.0.0.1:5"),
        ("0.0.0.0:1", "127.0.0.1:5"),
        ("[::]:1", "127.0.0.1:5"),
        ("10.0.0.5:1", "10.0.0.5:5"),
    ],
)
def test_this_machine_dials_where_it_listens(listen: str, dialled: str) -> None:
    assert dialled_here(listen, 5) == dialled
