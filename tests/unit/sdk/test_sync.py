from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from cumulus.api.frames import Log, WatchType
from cumulus.crd_like_specs.errors import NotFoundError
from cumulus.crd_like_specs.job import Code, Job, JobSpec
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.sdk import CumulusClient, Done

from .fake_server import FakeServer

CODE = Code(files={"main.py": "def main():\n    return 42\n"})


def job(name: str) -> Job:
    return Job(metadata=ObjectMeta(name=name), spec=JobSpec(code=CODE))


def test_the_synchronous_client_does_what_the_other_does(server: FakeServer) -> None:
    with CumulusClient(server.address) as client:
        events = list(client.submit_and_stream(job("a")))
        assert isinstance(events[-1], Done)
        assert [e.record.sequence for e in events if isinstance(e, Log)] == [0, 1, 2]
        assert client.result("a") == {"answer": 42}
        assert client.submit(job("b")).metadata.uid
        assert len(client.list("Job")) == 2
        assert client.why("a").summary == "waits for room"
        assert client.server_info().platform == "process"
        assert b"".join(e.record.data for e in client.logs("a")) == b"line 0\nline 1\nline 2\n"
        with pytest.raises(NotFoundError):
            client.get("Job", "nobody")


def test_leaving_a_stream_early_frees_it(server: FakeServer) -> None:
    with CumulusClient(server.address) as client:
        client.submit(job("a"))
        for item in client.watch("Job"):
            assert item.type is WatchType.ADDED
            break
        assert client.get_job("a").metadata.name == "a"


def test_closing_leaves_no_thread_and_may_be_done_twice(server: FakeServer) -> None:
    before = set(threading.enumerate())
    client = CumulusClient(server.address)
    client.server_info()
    client.close()
    client.close()
    left = [t for t in threading.enumerate() if t not in before and t.name == "cumulus-client"]
    assert left == []


def test_a_folder_is_run(server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("def main(n):\n    return n\n")
    with CumulusClient(server.address) as client:
        assert client.run_folder(tmp_path, duration="5m", args={"n": 1}) == {"answer": 42}
    sent = server.called("Submit")[0].job
    assert sent.spec.gpu.memory == 0.5
    assert json.loads(sent.spec.args_json) == {"n": 1}


def test_a_folders_requirements_may_stand_in_a_file(server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("def main():\n    return 1\n")
    listed = tmp_path / "pyproject.toml"
    listed.write_text("[project]\nname = 'x'\ndependencies = ['rich>=13']\n")
    with CumulusClient(server.address) as client:
        client.run_folder(tmp_path, requirements=str(listed))
    assert list(server.called("Submit")[0].job.spec.requirements) == ["rich>=13"]
