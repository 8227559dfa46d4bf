"""Templates over the wire: who may what, and what clients and `cumulusctl` make of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from cumulus.api.auth import Holder, Role, Tokens
from cumulus.api.frames import Outcome
from cumulus.api.server import GrpcServer
from cumulus.controller.runtime.service import JobsService
from cumulus.crd_like_specs.errors import (
    ForbiddenError,
    NotFoundError,
    UnauthenticatedError,
    ValidationError,
)
from cumulus.crd_like_specs.template import Template
from cumulus.sdk.cli import main, session
from cumulus.sdk.client import AsyncCumulusClient
from loguru import logger
from runtime_kit import Kit

SECRETS = {role: f"{role.value}-token-0123456789" for role in Role}
BODY = {
    "metadata": {"name": "count_it", "labels": {"kind": "counting"}},
    "spec": {
        "description": "counts",
        "parameters": [{"name": "n", "type": "int", "default": 1, "maximum": 9}],
        "job": {"image": "alpine", "command": ["seq", "{{n}}"]},
        "bounds": {"env": ["TZ"]},
    },
}
COUNT = Template.model_validate(BODY)


class House:
    """A controller's server, and clients of every role."""

    def __init__(self, folder: Path) -> None:
        self.kit = kit = Kit(folder)
        self.server = GrpcServer(
            jobs=JobsService(kit.desired, kit.views, kit.streams, kit.workers, kit.operations),
            blobs=kit.blobs,
            agents=kit.agents,
            templates=kit.templates,
            listen="127.0.0.1:0",
            tokens=Tokens(
                {
                    SECRETS[role]: Holder(role, "hers" if role is Role.SUBMITTER else "")
                    for role in Role
                }
            ),
        )
        self.address = ""
        self._clients: list[AsyncCumulusClient] = []

    async def start(self) -> None:
        self.address = f"127.0.0.1:{await self.server.start()}"

    def of(self, role: Role | None) -> AsyncCumulusClient:
        client = AsyncCumulusClient(self.address, SECRETS[role] if role else None)
        self._clients.append(client)
        return client

    async def stop(self) -> None:
        for client in self._clients:
            await client.close()
        await self.server.stop(grace=0.2)
        self.kit.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    await made.start()
    yield made
    await made.stop()


async def test_admins_write_them_and_submitters_run_them(house: House) -> None:
    boss, hers = house.of(Role.ADMIN), house.of(Role.SUBMITTER)
    with pytest.raises(ForbiddenError, match="may not change templates"):
        await hers.apply(COUNT)
    assert (await boss.apply(COUNT)).outcome is Outcome.CREATED
    assert (await boss.apply(COUNT)).outcome is Outcome.UNCHANGED
    assert [one.metadata.name for one in await hers.list("Template")] == ["count_it"]
    assert [one.metadata.name for one in await hers.list("Template", selector="kind=x")] == []
    job = await hers.submit_template("count_it", {"n": 3}, overrides={"env": {"TZ": "UTC"}})
    assert (job.spec.command, job.spec.env) == (("seq", "3"), {"TZ": "UTC"})
    assert job.metadata.owner == "hers"
    again = [await hers.submit_template("count_it", idempotency_key="k") for _ in range(2)]
    assert again[0].metadata.uid == again[1].metadata.uid
    with pytest.raises(ForbiddenError):
        await hers.delete_template("count_it")
    assert (await boss.delete_template("count_it")).spec == COUNT.spec
    with pytest.raises(NotFoundError):
        await hers.get("Template", "count_it")


async def test_who_may_not_run_jobs_runs_no_templates(house: House) -> None:
    await house.of(Role.ADMIN).apply(COUNT)
    viewer, agent = house.of(Role.VIEWER), house.of(Role.AGENT)
    assert (await viewer.get("Template", "count_it")).metadata.name == "count_it"
    for client in (viewer, agent):
        for refused in (client.submit_template("count_it"), client.delete_template("count_it")):
            with pytest.raises(ForbiddenError):
                await refused
    with pytest.raises(UnauthenticatedError):
        await house.of(None).submit_template("count_it")
    assert house.kit.store.ids("jobs") == []


async def test_what_is_wrong_is_named_with_its_place(house: House) -> None:
    await house.of(Role.ADMIN).apply(COUNT)
    hers = house.of(Role.SUBMITTER)
    for params, overrides, expected in (
        ({"n": 10}, None, "params.n: 10 is given, expected at most 9"),
        ({"m": 1}, None, "params.m: template count_it has no such parameter: expected n"),
        ({}, {"env": {"A": "b"}}, "overrides.env.A: may not be set: the template allows TZ"),
        ({}, {"gpus": 1}, "gpus: is no known field"),
        ({"n": float("nan")}, None, "params: cannot be sent"),
    ):
        with pytest.raises(ValidationError) as error:
            await hers.submit_template("count_it", params, overrides=overrides)
        assert expected in str(error.value)
    for name in ("../x", "Count", ""):
        with pytest.raises(ValidationError, match="lower-case letters"):
            await hers.submit_template(name)


@pytest.fixture
def unheard() -> Iterator[None]:
    """The server of this process logs to the stderr that the commands are judged by."""
    logger.disable("cumulus")
    yield
    logger.enable("cumulus")


@pytest.mark.usefixtures("unheard")
async def test_the_command_line_shows_and_runs_them(
    house: House,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUMULUS_SERVER", house.address)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)

    async def ctl(*words: str, role: Role = Role.ADMIN) -> tuple[int, str, str]:
        monkeypatch.setenv("CUMULUS_TOKEN", SECRETS[role])
        code = await asyncio.to_thread(main.run, list(words))
        return (code, *capfd.readouterr())

    file = {"apiVersion": "cumulus.dev/v1", "kind": "Template", **BODY}
    (tmp_path / "count.yaml").write_text(json.dumps(file))
    assert await ctl("apply", "-f", "count.yaml") == (0, "template/count_it created\n", "")
    assert (await ctl("diff", "-f", "count.yaml"))[0] == 0
    file["spec"] = {**BODY["spec"], "description": "counts on"}  # type: ignore[dict-item]
    (tmp_path / "count.yaml").write_text(json.dumps(file))
    code, out, _ = await ctl("diff", "-f", "count.yaml")
    assert code == 1
    assert "spec.description" in out
    code, out, err = await ctl("get", "templates", role=Role.VIEWER)
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split() == ["count_it", "n", "alpine", "seq", "{{n}}", "counts"]
    code, out, _ = await ctl("describe", "template", "count_it", role=Role.VIEWER)
    assert "n          int   1        ..9" in out
    assert "Bounds:       env TZ" in out
    run = ("run", "--template", "count_it", "-p", "n=4", "--name", "four", "--memory", "64Mi")
    code, _, err = await ctl(*run, "--timeout", "1s", role=Role.SUBMITTER)
    assert code == 124  # nothing runs it here
    assert "cumulusctl logs -f four" in err
    job = house.kit.records.job("four")
    assert job is not None
    assert (job.spec.command, job.spec.resources.memory) == (("seq", "4"), 64 << 20)
    for words, expected in (
        (("run",), "expected a FOLDER or --template NAME"),
        (("run", ".", "-p", "n=1"), "go with --template"),
        (("run", "-t", "count_it", "-r", "numpy"), "go with a folder"),
        (("run", "-t", "count_it", "-p", "n"), "expected NAME=VALUE"),
        (("run", "-t", "count_it", "-p", "n=x"), "params.n: 'x' is given"),
    ):
        code, _, err = await ctl(*words)
        assert (code, expected in err) == (2, True), err
    assert (await ctl("delete", "template/count_it"))[:2] == (0, "template/count_it deleted\n")
    assert (await ctl("delete", "template/count_it"))[0] == 4


def test_shells_complete_kinds_and_nothing_without_a_template() -> None:
    ctx: Any = click.Context(click.Command("run"))
    ctx.params = {"template": ""}
    assert session.parameters(ctx, "") == []
    assert session.kinds("temp") == ["templates"]
