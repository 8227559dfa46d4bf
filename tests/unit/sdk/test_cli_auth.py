"""`cumulusctl auth`: tokens go to a file or stdout, once, and nowhere else."""

from __future__ import annotations

import json
import stat

import pytest
from cumulus.api.api_tokens import ApiToken, Caller
from cumulus.crd_like_specs.errors import ForbiddenError

from .ctl import Ctl
from .fake_server import FakeServer
from .fake_state import NOW

SECRET = "cmlt1.secret"


def test_a_token_goes_to_stdout_alone(ctl: Ctl, server: FakeServer) -> None:
    assert ctl("auth", "token", "create", "alice", "--ttl", "90d") == 0
    assert ctl.out == f"{SECRET}\n"
    assert SECRET not in ctl.err
    assert "token t1 of alice (submitter), good until " in ctl.err
    asked = server.called("CreateToken")[0]
    assert (asked.name, asked.role, asked.ttl) == ("alice", "submitter", 90 * 86400)


def test_a_token_goes_to_a_file_for_its_owner_only(ctl: Ctl, server: FakeServer) -> None:
    path = ctl.home / "alice.token"
    assert ctl("auth", "token", "create", "alice", "--role", "viewer", "--out", str(path)) == 0
    assert path.read_text() == f"{SECRET}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SECRET not in ctl.out + ctl.err
    assert server.called("CreateToken")[0].ttl == 0
    assert ctl("auth", "token", "create", "alice", "--out", str(path)) == 2
    assert "exists already" in ctl.err
    assert len(server.called("CreateToken")) == 1


def test_a_file_that_cannot_be_written(ctl: Ctl) -> None:
    assert ctl("auth", "token", "create", "alice", "--out", str(ctl.home / "no" / "x")) == 2
    assert "revoke the token that was made" in ctl.err


def test_the_list(ctl: Ctl, server: FakeServer) -> None:
    assert ctl("auth", "token", "list") == 0
    assert (ctl.out, ctl.err.split(";")[0]) == ("", "no tokens were handed out")
    server.tokens = [ApiToken("t1", "alice", "viewer", NOW, 0.0, "boss")]
    assert ctl("auth", "token", "list") == 0
    assert ctl.out.splitlines()[1].split()[:3] == ["t1", "alice", "viewer"]
    assert "never" in ctl.out
    assert ctl("auth", "token", "list", "-o", "jsonpath={.items[*].id}") == 0
    assert ctl.out == "t1"


def test_revoking_goes_on_behind_what_fails(ctl: Ctl, server: FakeServer) -> None:
    server.tokens = [ApiToken("t1", "alice", "viewer", NOW)]
    assert ctl("auth", "token", "revoke", "t0", "t1") == 4
    assert ctl.out == "token t1 of alice revoked\n"
    assert server.tokens == []


def test_who_calls(ctl: Ctl, server: FakeServer) -> None:
    assert ctl("auth", "whoami") == 0
    assert ctl.out == "everybody: this controller asks for no tokens\n"
    server.caller = Caller("alice", "viewer", "t1", NOW)
    assert ctl("auth", "whoami") == 0
    assert ctl.out.splitlines() == [
        "name:  alice",
        "role:  viewer",
        "token: t1",
        "good:  until 2027-01-15T08:00:00Z",
    ]
    assert ctl("auth", "whoami", "-o", "json") == 0
    assert json.loads(ctl.out)["role"] == "viewer"


@pytest.mark.parametrize("ttl", ["soon", "-1"])
def test_times_that_are_none(ctl: Ctl, server: FakeServer, ttl: str) -> None:
    assert ctl("auth", "token", "create", "alice", f"--ttl={ttl}") == 2
    assert "ttl" in ctl.err
    assert server.calls == []


def test_who_is_no_admin_is_told_so(ctl: Ctl, server: FakeServer) -> None:
    server.errors["ListTokens"] = ForbiddenError("the role submitter may not call ListTokens")
    assert ctl("auth", "token", "list") == 6
    assert "the role submitter may not" in ctl.err
