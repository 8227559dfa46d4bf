"""Outputs over the SDK: listed, downloaded over breaks and restarts, and nowhere but where asked."""

from __future__ import annotations

import asyncio
import hashlib
import json
import pickle
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cumulus.api.outputs import Output, OutputRole, OutputSet
from cumulus.api.server import GrpcServer
from cumulus.api.viewer import Viewer
from cumulus.crd_like_specs.errors import (
    CumulusError,
    NotFoundError,
    UnavailableError,
    ValidationError,
)
from cumulus.crd_like_specs.job import Job
from cumulus.sdk import AsyncCumulusClient, CumulusClient
from cumulus.sdk.cli import main
from cumulus.sdk.functions import shipped
from cumulus.sdk.functions.values import decode_result
from cumulus.sdk.handle import JobHandle
from cumulus.sdk.large_results import whole

UID = "a" * 32
FILES = {
    "weights/model.pth": bytes(range(256)) * 10_000,
    "io_stats.json": b'{"rounds": 3}',
    "empty": b"",
}


def an_output(path: str, data: bytes, **fields: Any) -> Output:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    name = path.rpartition("/")[2].partition(".")[0]
    found = Output(
        name, path, len(data), digest, OutputRole.OTHER, UID, "train", 1, "train", 1000.0
    )
    return replace(found, **fields)


class Shelf:
    """`OutputsPort` over what it is given; it breaks off after `breaks` bytes, each time it may."""

    def __init__(self) -> None:
        self.contents = dict(FILES)
        self.outputs = [an_output(path, data) for path, data in self.contents.items()]
        self.pending = 0
        self.breaks: list[int] = []
        self.offsets: list[int] = []

    def seen_by(self, _viewer: Viewer) -> Shelf:
        return self

    async def of_job(self, job: str, *, attempt: int = 0, wait: float = 0.0) -> OutputSet:
        if job not in ("train", UID):
            raise NotFoundError(f"job {job!r} not found")
        if self.pending:
            self.pending -= bool(wait)
            return OutputSet(UID, "train", pending=True)
        return OutputSet(
            UID, "train", attempt or 1, "train", "", 3, tuple(self.outputs), "some left"
        )

    async def of_experiment(self, experiment: str) -> tuple[Output, ...]:
        return tuple(self.outputs) if experiment == "train" else ()

    async def at(self, job: str, path: str, *, attempt: int = 0) -> Output:
        found = await self.of_job(job, attempt=attempt)
        return next(output for output in found.outputs if output.path == path)

    async def find(self, experiment: str, output_id: str) -> Output:
        return next(o for o in await self.of_experiment(experiment) if o.id == output_id)

    async def read(
        self, output: Output, *, offset: int = 0, length: int = 0
    ) -> AsyncIterator[bytes]:
        data = self.contents[output.path][offset:]
        assert length == 0
        self.offsets.append(offset)
        if self.breaks:
            yield data[: self.breaks.pop(0)]
            raise UnavailableError("the controller stops")
        for at in range(0, len(data), 1 << 20):
            yield data[at : at + (1 << 20)]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
async def address(shelf: Shelf) -> AsyncIterator[str]:
    nothing: Any = None  # no other port is asked
    server = GrpcServer(
        jobs=nothing, blobs=nothing, agents=nothing, outputs=shelf, listen="127.0.0.1:0"
    )
    yield f"127.0.0.1:{await server.start()}"
    await server.stop(grace=0.1)


@pytest.fixture
async def client(address: str) -> AsyncIterator[AsyncCumulusClient]:
    async def at_once(_seconds: float) -> None:
        await asyncio.sleep(0)

    async with AsyncCumulusClient(address, sleep=at_once) as one:
        yield one


async def test_a_listing(client: AsyncCumulusClient, shelf: Shelf) -> None:
    shelf.pending = 2
    found = await client.outputs("train")
    assert shelf.pending == 0, "it was waited for"
    assert [output.path for output in found] == list(FILES)
    assert (len(found), found.attempt, found.experiment) == (3, 1, "train")
    assert found.message == "some left"
    assert found["model"] == found["weights/model.pth"]
    assert await found.read("io_stats") == FILES["io_stats.json"]
    assert await found.read("empty") == b""
    with pytest.raises(NotFoundError, match="job train left no output 'x'"):
        await found.read("x")
    with pytest.raises(NotFoundError):
        await client.outputs("other")
    assert await client.experiment_outputs("train") == shelf.outputs


async def test_a_download_goes_on_where_it_broke(
    client: AsyncCumulusClient, shelf: Shelf, tmp_path: Path
) -> None:
    shelf.breaks = [1_000_000, 7, 500_000]
    found = await client.outputs("train")
    file = await found.download("weights/model.pth", tmp_path)
    assert file == tmp_path / "model.pth"
    assert file.read_bytes() == FILES["weights/model.pth"]
    assert shelf.offsets == [0, 1_000_000, 1_000_007, 1_500_007]
    assert [path.name for path in tmp_path.iterdir()] == ["model.pth"]


async def test_another_process_goes_on_with_it(
    client: AsyncCumulusClient, shelf: Shelf, tmp_path: Path
) -> None:
    (output,) = [o for o in shelf.outputs if o.path == "weights/model.pth"]
    target = tmp_path / "m.pth"
    part = tmp_path / f".m.pth.{output.digest[-12:]}.part"
    part.write_bytes(FILES[output.path][:12345])
    assert await client.download_output(output, target) == target
    assert target.read_bytes() == FILES[output.path]
    assert shelf.offsets == [12345]


async def test_what_came_damaged_is_not_kept(
    client: AsyncCumulusClient, shelf: Shelf, tmp_path: Path
) -> None:
    found = await client.outputs("train")
    shelf.contents["io_stats.json"] = b'{"rounds": 4}'
    with pytest.raises(CumulusError, match=r"io_stats\.json came damaged"):
        await found.download("io_stats.json", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["😀" * 63, "x" * 255, "é" * 127 + "x"])
async def test_a_name_may_be_as_long_as_file_systems_take(
    client: AsyncCumulusClient, shelf: Shelf, tmp_path: Path, name: str
) -> None:
    shelf.contents[name] = b"content"
    shelf.outputs = [an_output(name, b"content")]
    file = await (await client.outputs("train")).download(name, tmp_path)
    assert (file.name, file.read_bytes()) == (name, b"content")


async def test_all_of_them(client: AsyncCumulusClient, tmp_path: Path) -> None:
    files = await (await client.outputs("train")).download_all(tmp_path / "new")
    assert {f.relative_to(tmp_path / "new").as_posix(): f.read_bytes() for f in files} == FILES


@pytest.mark.parametrize("path", ["../up", "/tmp/abs", "a/../../up", "line\nbreak"])
async def test_no_controller_writes_elsewhere(
    client: AsyncCumulusClient, shelf: Shelf, tmp_path: Path, path: str
) -> None:
    shelf.outputs = [an_output(path, b"x")]
    shelf.contents[path] = b"x"
    found = await client.outputs("train")
    with pytest.raises(ValidationError, match="leads out of a folder"):
        await found.download_all(tmp_path / "in")
    assert list(tmp_path.rglob("*")) == []


async def test_no_link_in_the_folder_is_followed_out(
    client: AsyncCumulusClient, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "weights").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValidationError, match="leads out of"):
        await (await client.outputs("train")).download_all(tmp_path / "in")
    assert list((tmp_path / "elsewhere").iterdir()) == []


async def test_where_nothing_can_be_written(client: AsyncCumulusClient, tmp_path: Path) -> None:
    found = await client.outputs("train")
    with pytest.raises(ValidationError, match=r"cannot be written to .*: No such file"):
        await found.download("empty", tmp_path / "missing" / "x")


async def test_without_asyncio(address: str, tmp_path: Path) -> None:
    def work() -> None:
        with CumulusClient(address) as client:
            found = JobHandle.from_id(client, UID).outputs()
            assert found.read("io_stats.json") == FILES["io_stats.json"]
            assert (
                found.download("model", tmp_path / "m").read_bytes() == FILES["weights/model.pth"]
            )
            assert len(found.download_all(tmp_path / "all")) == 3
            assert client.experiment_outputs("none") == []

    await asyncio.to_thread(work)


def ctl(address: str, *args: str) -> int:
    return main.run(["--server", address, *args])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


async def test_on_the_command_line(
    address: str, shelf: Shelf, home: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    async def run(*args: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(ctl, address, *args)
        out, err = capfdbinary.readouterr()
        said = [one for one in err.decode().splitlines() if "interceptor" not in one]
        return code, out.decode(errors="replace"), "\n".join(said)

    shelf.pending = 1
    code, out, said = await run("outputs", "ls", "train")
    assert (code, said.splitlines()) == (
        0,
        ["waiting for outputs that are on their way from the worker", "attempt 1: some left"],
    )
    assert [line.split() for line in out.splitlines()] == [
        ["PATH", "ID", "TYPE", "SIZE"],
        ["weights/model.pth", "model", "other", "2.441Mi"],
        ["io_stats.json", "io_stats", "other", "13"],
        ["empty", "empty", "other", "0"],
    ]
    code, out, _ = await run("outputs", "ls", "-e", "train", "--json")
    assert (code, [one["path"] for one in json.loads(out)]) == (0, list(FILES))
    code, out, _ = await run("outputs", "get", "train", "io_stats.json", "-o", "-")
    assert (code, out) == (0, '{"rounds": 3}')
    code, out, _ = await run("outputs", "get", "train", "model")
    assert (code, out) == (0, "model.pth\n")
    assert (home / "model.pth").read_bytes() == FILES["weights/model.pth"]
    code, out, _ = await run("outputs", "get", "train")
    assert (code, out.splitlines()) == (0, [f"train/{path}" for path in FILES])
    assert {
        p.relative_to(home / "train").as_posix(): p.read_bytes()
        for p in (home / "train").rglob("*")
        if p.is_file()
    } == FILES
    assert (await run("outputs", "get", "other"))[0] == 4
    assert (await run("outputs", "get", "train", "nothing"))[0] == 4
    assert (await run("outputs", "get", "train", "-o", "-"))[0] == 2
    assert (await run("outputs", "ls"))[0] == 2


@pytest.mark.parametrize("kind", ["arrays", "pickle"])
async def test_a_large_result_comes_by_way_of_the_outputs(
    client: AsyncCumulusClient,
    shelf: Shelf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    monkeypatch.setattr(shipped, "MOST", 1000)
    monkeypatch.setenv("CUMULUS_OUTPUTS", str(tmp_path))
    value: Any = {"small": np.ones(3), "rest": [(np.arange(999), np.arange(500.0)), "x"]}
    if kind == "arrays":
        sent = {shipped.ARRAYS_MARK: shipped.packed(value, [0, 0])}
    else:
        value = list(range(5000))
        sent = {shipped.RESULT_MARK: shipped._in_file("value.pkl", pickle.dumps(value))}
    sent = json.loads(json.dumps(sent))
    left = {
        path.relative_to(tmp_path).as_posix(): path.read_bytes()
        for path in tmp_path.rglob("*.*")
        if path.is_file()
    }
    assert len(json.dumps(sent)) < 1000
    shelf.contents = left
    shelf.outputs = [an_output(path, data) for path, data in left.items()]
    job = Job.model_validate(
        {
            "metadata": {"name": "train", "uid": UID},
            "spec": {"image": "i"},
            "status": {"attempt": 1},
        }
    )
    got = await whole(client._connection, job, sent)
    if kind == "pickle":
        with pytest.raises(ValidationError, match="trust_result=True"):
            decode_result(got, trust=False)
        assert decode_result(got, trust=True) == value
    else:
        back = decode_result(got, trust=False)
        assert back["small"].tolist() == [1, 1, 1]
        (first, second), word = back["rest"]
        assert (first.tolist(), second.tolist(), word) == (
            list(range(999)),
            list(np.arange(500.0)),
            "x",
        )
    shelf.outputs = []
    with pytest.raises(
        CumulusError, match=r"which was not kept: some left; a larger outputs\.size"
    ):
        await whole(client._connection, job, sent)
    assert await whole(client._connection, job, {"plain": 1}) == {"plain": 1}
