"""`cumulus-agent join` against real servers, honest and not: what it trusts, writes and says."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from cumulus.api import keys
from cumulus.api.gen.cumulus.v1 import join_pb2, join_pb2_grpc
from cumulus.api.identity_folder import write_identity
from cumulus.api.joining import Joined, JoinToken
from cumulus.chronos_bindings.agent import join_command
from cumulus.chronos_bindings.agent.identity import load_identity
from cumulus.chronos_bindings.agent.join import join
from cumulus.chronos_bindings.agent.join_command import JOIN_TOKEN_VARIABLE, main, parse
from cumulus.controller.platforms.base import WorkerJoin
from cumulus.controller.security.authority import Authority
from cumulus.controller.security.certificates import new_authority
from cumulus.crd_like_specs.errors import (
    ForbiddenError,
    UnauthenticatedError,
    UnavailableError,
    ValidationError,
)
from fleet_kit import NAMES, FleetKit, Machine

FILES = {"worker.key", "worker.crt", "ca.crt", "identity.json"}


class Impostor(join_pb2_grpc.JoinServicer):
    """A controller with another authority; `shown` is what it shows for its own. `heard`: tokens."""

    def __init__(self, shown: bytes) -> None:
        self.shown = shown
        self.heard: list[str] = []

    async def Authority(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        return join_pb2.AuthorityResponse(certificate=self.shown)

    async def Join(self, _request: Any, context: Any) -> Any:  # noqa: N802
        self.heard.append(dict(context.invocation_metadata()).get("authorization", ""))
        return join_pb2.JoinResponse()


@asynccontextmanager
async def served(impostor: Impostor, own: Authority) -> AsyncIterator[str]:
    """HOST:PORT of the impostor, with a server certificate of its own authority."""
    pem = own.server_file.read_bytes()
    server = grpc.aio.server()
    join_pb2_grpc.add_JoinServicer_to_server(impostor, server)  # type: ignore[no-untyped-call]
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(pem, pem)]))
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(0)


def foreign(fleet: FleetKit, folder: Path) -> Authority:
    made = Authority.open(folder / "foreign", fleet.now())
    made.ensure_server(NAMES, fleet.now())
    return made


async def test_it_writes_an_identity_that_is_let_in(fleet: FleetKit, tmp_path: Path) -> None:
    folder = tmp_path / "agent" / "identity"
    joined = await join(fleet.clients, folder, "w1", await fleet.token())
    assert {p.name for p in folder.iterdir()} == FILES
    assert {stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    facts = json.loads((folder / "identity.json").read_text())
    assert facts == {
        "worker": "w1",
        "agents": fleet.agents,  # the host that was dialled, where the answer leaves it out
        "platform": "process",
        "swarm_manager": "",
        "swarm_join_token": "",
        "image": "sha256:image",
        "version": "1",
    }
    assert joined.agents == fleet.agents
    there = load_identity(folder)
    machine = Machine("w1")
    machine.key, machine.certificate = keys.read_key(there.key), there.certificate
    (await fleet.connect(machine)).cancel()


async def test_run_again_it_uses_the_same_key_and_does_no_harm(
    fleet: FleetKit, tmp_path: Path
) -> None:
    token = await fleet.token()
    await join(fleet.clients, tmp_path / "i", "w1", token)
    before = load_identity(tmp_path / "i")
    await join(fleet.clients, tmp_path / "i", "w1", token)
    assert load_identity(tmp_path / "i").key == before.key
    fleet.now.ahead = 2 * 3600
    for late in (token, await used_up(fleet)):
        assert (await join(fleet.clients, tmp_path / "i", "w1", late)).worker == "w1"
    assert load_identity(tmp_path / "i").key == before.key


async def used_up(fleet: FleetKit) -> JoinToken:
    token = await fleet.token()
    await fleet.joining.join(token.text, "other", Machine("other").csr)
    return token


async def test_a_removed_worker_does_not_take_itself_for_one(
    fleet: FleetKit, tmp_path: Path
) -> None:
    token = await fleet.token()
    await join(fleet.clients, tmp_path / "i", "w1", token)
    await fleet.identities.forget("w1")
    with pytest.raises(UnauthenticatedError, match="used up"):
        await join(fleet.clients, tmp_path / "i", "w1", token)
    joined = await join(fleet.clients, tmp_path / "i", "w1", await fleet.token())
    assert joined.worker == "w1"


@pytest.mark.parametrize("left", [set(), {"worker.key"}, {"worker.key", "worker.crt"}])
async def test_broken_off_anywhere_it_goes_on(
    fleet: FleetKit, tmp_path: Path, left: set[str]
) -> None:
    token = await fleet.token()
    await join(fleet.clients, tmp_path / "i", "w1", token)
    key = (tmp_path / "i" / "worker.key").read_bytes()
    for name in FILES - left:
        (tmp_path / "i" / name).unlink()
    if not left:  # the key is written before anything is asked: a lost one is another machine
        with pytest.raises(UnauthenticatedError, match="used up"):
            await join(fleet.clients, tmp_path / "i", "w1", token)
        return
    await join(fleet.clients, tmp_path / "i", "w1", token)
    assert load_identity(tmp_path / "i").key == key


async def test_a_foreign_controller_hears_no_token(fleet: FleetKit, tmp_path: Path) -> None:
    own = foreign(fleet, tmp_path)
    impostor = Impostor(own.certificate)
    async with served(impostor, own) as address:
        with pytest.raises(ForbiddenError, match="another fingerprint; nothing was sent"):
            await join(address, tmp_path / "i", "w1", await fleet.token())
    assert impostor.heard == []
    assert {p.name for p in (tmp_path / "i").iterdir()} == {"worker.key"}


async def test_nor_does_one_in_between_that_shows_the_right_authority(
    fleet: FleetKit, tmp_path: Path
) -> None:
    own = foreign(fleet, tmp_path)
    right = fleet.authority.certificate
    for shown in (right, right + own.certificate, own.certificate + right):
        impostor = Impostor(shown)
        async with served(impostor, own) as address:
            with pytest.raises(ForbiddenError, match="nothing was sent"):
                await join(address, tmp_path / "i", "w1", await fleet.token())
        assert impostor.heard == []


async def test_nor_one_whose_authority_only_bears_the_same_name(
    fleet: FleetKit, tmp_path: Path
) -> None:
    key = keys.new_key()
    twin = keys.certificate_pem(new_authority(key, fleet.now()))
    impostor = Impostor(twin)
    async with served(impostor, foreign(fleet, tmp_path)) as address:
        with pytest.raises(ForbiddenError, match="another fingerprint"):
            await join(address, tmp_path / "i", "w1", await fleet.token())
    assert impostor.heard == []


@pytest.mark.parametrize("shown", [b"", b"nonsense"])
async def test_one_without_an_authority(fleet: FleetKit, tmp_path: Path, shown: bytes) -> None:
    impostor = Impostor(shown)
    async with served(impostor, foreign(fleet, tmp_path)) as address:
        with pytest.raises(ForbiddenError, match="no authority to show"):
            await join(address, tmp_path / "i", "w1", await fleet.token())


async def test_what_cannot_be_reached_is_said_so(fleet: FleetKit, tmp_path: Path) -> None:
    token = await fleet.token()
    with pytest.raises(UnavailableError, match="Connection refused"):
        await join("127.0.0.1:1", tmp_path / "i", "w1", token)
    with pytest.raises(UnavailableError, match="takes no calls"):
        await join(fleet.agents, tmp_path / "i", "w1", token)
    plain = grpc.aio.server()
    port = plain.add_insecure_port("127.0.0.1:0")
    await plain.start()
    with pytest.raises(UnavailableError, match="does not speak TLS"):
        await join(f"127.0.0.1:{port}", tmp_path / "i", "w1", token)
    await plain.stop(0)


async def test_a_name_that_the_certificate_lacks_is_told_with_the_remedy(
    fleet: FleetKit, tmp_path: Path
) -> None:
    fleet.authority.ensure_server(["gpu.example.org"], fleet.now())
    with pytest.raises(UnavailableError, match=r"not for 127\.0\.0\.1: set `advertise"):
        await join(fleet.clients, tmp_path / "i", "w1", await fleet.token())


async def test_a_key_that_was_damaged_is_said_so(fleet: FleetKit, tmp_path: Path) -> None:
    (tmp_path / "i").mkdir()
    (tmp_path / "i" / "worker.key").write_bytes(b"nonsense")
    with pytest.raises(ValidationError, match="PEM key"):
        await join(fleet.clients, tmp_path / "i", "w1", await fleet.token())


# The command


@pytest.mark.parametrize(
    ("arguments", "token", "says"),
    [
        (("--data", "d"), "", "--controller"),
        (("--controller", "h", "--data", "d"), "", "expected HOST:PORT"),
        (("--controller", "h:1", "--data", "d"), "", JOIN_TOKEN_VARIABLE),
        (("--controller", "h:1", "--data", "d"), "secret-nonsense", "no join token"),
        (("--controller", "h:1", "--data", "d", "--name", "No"), "x", "lower-case"),
        (("--controller", "h:1", "--data", "d", "--token-file", "/none"), "", "No such file"),
    ],
)
def test_bad_arguments_end_with_2(
    arguments: tuple[str, ...], token: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments, {JOIN_TOKEN_VARIABLE: token} if token else {})
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert says in said
    assert "secret-nonsense" not in said


def test_the_token_leaves_the_environment_and_may_come_from_a_file(tmp_path: Path) -> None:
    token = JoinToken.new("0" * 64)
    base = ["--controller", "h:1", "--data", str(tmp_path), "--name", "w1"]
    env = {JOIN_TOKEN_VARIABLE: token.text}
    options = parse(base, env)
    assert (env, options.token, options.folder) == ({}, token, tmp_path / "identity")
    assert token.secret not in repr(options)
    (tmp_path / "token").write_text(f"{token.text}\n")
    assert parse([*base, "--token-file", str(tmp_path / "token")], {}).token == token


async def test_exit_codes_tell_what_became_of_it(
    fleet: FleetKit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # It would log to this test's stderr, which later tests no longer have.
    monkeypatch.setattr(join_command, "configure_logging", lambda *_: None)

    async def code(controller: str, token: JoinToken, data: str = "data") -> int:
        monkeypatch.setenv(JOIN_TOKEN_VARIABLE, token.text)
        arguments = ["--controller", controller, "--data", str(tmp_path / data), "--name", "w1"]
        return await asyncio.to_thread(main, arguments)

    token = await fleet.token()
    assert await code(fleet.clients, token) == 0
    assert capsys.readouterr().out == f"joined as worker w1; its agent dials {fleet.agents}\n"
    assert await code(fleet.clients, token, "thief") == 6
    assert await code(fleet.clients, JoinToken.new("0" * 64)) == 6
    assert await code("127.0.0.1:1", token) == 7
    (tmp_path / "file").write_text("")
    assert await code(fleet.clients, token, "file") == 2
    for line in capsys.readouterr().err.splitlines():
        assert token.secret not in line


async def test_the_swarms_token_is_kept_with_the_identity(tmp_path: Path) -> None:
    async with FleetKit(tmp_path, WorkerJoin("10.0.0.1:2377", "SWMTKN-1")) as fleet:
        await join(fleet.clients, tmp_path / "i", "w1", await fleet.token())
        facts = json.loads((tmp_path / "i" / "identity.json").read_text())
        assert (facts["swarm_manager"], facts["swarm_join_token"]) == ("10.0.0.1:2377", "SWMTKN-1")


def test_an_identity_that_is_not_whole_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"identity\.json: No such file"):
        load_identity(tmp_path / "none")
    key, other = keys.new_key(), keys.new_key()
    authority = Authority.open(tmp_path / "pki", 1_800_000_000.0)
    certificate = authority.sign(key.public_key(), "w1", 1_800_000_000.0)
    joined = Joined("w1", "h:1", "process", certificate, authority.certificate)
    write_identity(tmp_path / "i", joined, keys.key_pem(other))
    with pytest.raises(ValidationError, match="not the key of"):
        load_identity(tmp_path / "i")
    (tmp_path / "i" / "identity.json").write_text("{")
    with pytest.raises(ValidationError, match="damaged: join again"):
        load_identity(tmp_path / "i")
