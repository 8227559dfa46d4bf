"""Clients and TLS: whom they trust, what they say where that fails, and join tokens over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from cumulus.controller.security.authority import Authority
from cumulus.crd_like_specs.errors import UnavailableError, ValidationError
from cumulus.sdk import AsyncCumulusClient
from cumulus.sdk.cli import main
from cumulus.sdk.trust import authority, lifetime
from fleet_kit import ADMIN, FleetKit


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[FleetKit]:
    folder = tmp_path / "controller"
    folder.mkdir()
    async with FleetKit(folder) as one:
        yield one


class Ctl:
    """cumulusctl in a thread, beside the server's event loop."""

    def __init__(self, fleet: FleetKit, capfd: pytest.CaptureFixture[str]) -> None:
        self._fleet, self._capfd = fleet, capfd

    async def __call__(self, *arguments: str) -> SimpleNamespace:
        code = await asyncio.to_thread(main.run, list(arguments))
        out, err = self._capfd.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)


@pytest.fixture
def ctl(
    fleet: FleetKit,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Ctl:
    for name in ("SERVER", "TOKEN", "TOKEN_FILE", "CA_FILE"):
        monkeypatch.delenv(f"CUMULUS_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "token").write_text(ADMIN)
    capfd.readouterr()
    return Ctl(fleet, capfd)


@pytest.fixture
def opts(fleet: FleetKit, tmp_path: Path) -> list[str]:
    """What reaches the controller."""
    trusted = ["--server", fleet.clients, "--ca", str(fleet.authority.path)]
    return [*trusted, "--token-file", str(tmp_path / "token")]


async def test_a_join_token_is_all_that_stands_on_stdout(
    fleet: FleetKit, ctl: Ctl, opts: list[str]
) -> None:
    done = await ctl(*opts, "token", "create", "--ttl", "30m", "--worker", "w7")
    assert done.code == 0, done.err
    token = done.out.removesuffix("\n")
    assert token.startswith("cmlj1.")
    assert token.endswith(fleet.authority.fingerprint)
    assert f"./bootstrap/worker.sh --controller {fleet.clients} --token TOKEN" in done.err
    assert token not in done.err  # not a terminal: perhaps a log


@pytest.mark.parametrize("ttl", ["25h", "0s", "soon"])
async def test_a_life_that_no_token_has(ctl: Ctl, opts: list[str], ttl: str) -> None:
    done = await ctl(*opts, "token", "create", "--ttl", ttl)
    assert (done.code, done.out) == (2, "")
    assert "ttl" in done.err


async def test_what_is_missing_or_wrong_is_said_in_a_line(
    fleet: FleetKit, ctl: Ctl, opts: list[str], tmp_path: Path
) -> None:
    server = ["--server", fleet.clients]
    foreign = Authority.open(tmp_path / "foreign", fleet.now()).path
    token = ["--token-file", str(tmp_path / "token")]
    (tmp_path / "wrong").write_text("a-token-that-nobody-knows")
    told = {
        (*server, *token): (3, "if it expects TLS, give https://HOST:PORT, or its authority"),
        (*server, "--ca", str(foreign), *token): (3, "not of an authority that is trusted here"),
        ("--server", f"https://{fleet.clients}", *token): (
            3,
            "give the controller's own with --ca",
        ),
        tuple(opts[:4]): (6, "no token is given"),
        (*opts[:4], "--token-file", str(tmp_path / "wrong")): (6, "the token is not valid"),
        (*server, "--ca", str(tmp_path / "token"), *token): (2, "expected a PEM certificate"),
        (*server, "--ca", str(tmp_path / "none"), *token): (2, "No such file"),
    }
    for given, (code, words) in told.items():
        done = await ctl(*given, "info")
        assert (done.code, done.out) == (code, ""), given
        assert words in done.err
        assert "Traceback" not in done.err
    fleet.authority.ensure_server(["gpu.example.org"], fleet.now())
    done = await ctl(*opts, "info")
    assert done.code == 3
    assert "for other names than this one" in done.err


async def test_a_context_keeps_the_authority(
    fleet: FleetKit, ctl: Ctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await ctl(
        *("config", "set-context", "farm", "--server", fleet.clients),
        *("--ca-file", str(fleet.authority.path), "--token-file", str(tmp_path / "token")),
    )
    assert made.code == 0, made.err
    kept = yaml.safe_load((tmp_path / "config" / "cumulus" / "config.yaml").read_text())
    assert kept["contexts"]["farm"]["ca_file"] == str(fleet.authority.path)
    assert (await ctl("info")).code == 0
    assert str(fleet.authority.path) in (await ctl("config", "get-contexts")).out
    # A context's authority is for that context's server only.
    other = await ctl("--server", fleet.clients, "--token-file", str(tmp_path / "token"), "info")
    assert other.code == 3
    monkeypatch.setenv("CUMULUS_CA_FILE", str(fleet.authority.path))
    again = await ctl("--server", fleet.clients, "--token-file", str(tmp_path / "token"), "info")
    assert again.code == 0


async def test_distrust_is_not_waited_out(fleet: FleetKit, tmp_path: Path) -> None:
    foreign = Authority.open(tmp_path / "foreign", fleet.now()).path
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async with AsyncCumulusClient(fleet.clients, ADMIN, ca=foreign, sleep=sleep) as client:
        with pytest.raises(UnavailableError, match="not of an authority"):
            await client.server_info()
        with pytest.raises(UnavailableError, match="not of an authority"):
            async for _ in client.stream("some-job"):
                pass
    assert pauses == []


async def test_the_sdk_makes_tokens(fleet: FleetKit) -> None:
    async with AsyncCumulusClient(fleet.clients, ADMIN, ca=fleet.authority.path) as client:
        made = await client.create_join_token(ttl="30m")
        assert made.expires_at == pytest.approx(fleet.now() + 1800, abs=60)
        assert made.controller == fleet.clients
        assert made.token not in repr(made)


def test_what_is_no_authority(tmp_path: Path) -> None:
    for name, content in (("empty", b""), ("binary", b"\xff\xfe"), ("text", b"hello")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValidationError, match="expected a PEM certificate"):
            authority(tmp_path / name)


def test_lives_of_tokens() -> None:
    assert [lifetime(text) for text in ("1h", 90, "1h30m")] == [3600, 90, 5400]
    for wrong in ("soon", 0, -5, "0s"):
        with pytest.raises(ValidationError, match="ttl"):
            lifetime(wrong)
