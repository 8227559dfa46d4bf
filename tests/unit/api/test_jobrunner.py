"""`/jobrunner` over the controller's own parts: its forms, numbers, statuses and errors."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.session import Session
from cumulus.api.viewer import Viewer
from cumulus.api.web.jobrunner.models import JobRunnerOptions, status_of
from cumulus.api.web.jobrunner.time_limits import parse_time_limit, show_time_limit
from cumulus.controller.dataset_settings import BucketConfig
from cumulus.controller.jobrunner_settings import take_over
from cumulus.controller.runtime.numbers import Numbers
from cumulus.controller.store import Store
from cumulus.crd_like_specs.codec import load_text
from cumulus.crd_like_specs.errors import ValidationError
from cumulus.crd_like_specs.job import Phase
from cumulus.crd_like_specs.template import Template
from make import job
from moto.server import ThreadedMotoServer

from .ownership_kit import SECRETS, House, leave

TEMPLATE = """
apiVersion: cumulus.dev/v1
kind: Template
metadata: {name: echo_params}
spec:
  parameters:
  - {name: dataset, type: dataset}
  - {name: message, default: hello}
  - {name: arguments, type: list}
  job: {image: alpine, command: [echo, "{{message}}"], duration: 1m}
"""


def a_tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as tar:
        info = tarfile.TarInfo("data/file.txt")
        info.size = 13
        tar.addfile(info, io.BytesIO(b"test content\n"))
    return packed.getvalue()


TAR = a_tar()
HIS = Viewer("his", own_only=True)
SHA = hashlib.sha256(TAR).hexdigest()


class Slurm:
    """A client of `/jobrunner` for each of them."""

    def __init__(self, house: House) -> None:
        self.house = house
        url = f"{house.web}/jobrunner"  # an import's first bucket loads a library for seconds
        self.client = httpx.AsyncClient(base_url=url, trust_env=False, timeout=60)

    async def ask(
        self, who: str, method: str, path: str, code: int = 200, **options: Any
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {SECRETS[who]}"} if who else {}
        answer = await self.client.request(method, path, headers=headers, **options)
        assert answer.status_code == code, answer.text
        return answer

    async def __call__(self, who: str, method: str, path: str, code: int = 200, **o: Any) -> Any:
        return (await self.ask(who, method, path, code, **o)).json()

    async def upload(self, who: str, code: int = 200, sha: str = SHA) -> Any:
        files = {"file": ("data.tar.xz", TAR)}
        return await self(who, "POST", "/datasets/upload", code, files=files, data={"sha256": sha})

    async def submit(self, who: str, code: int = 200, **form: str) -> Any:
        form = {"command_key": "echo_params", "dataset_sha": SHA, **form}
        return await self(who, "POST", "/jobs", code, data=form)


@pytest.fixture
async def slurm(tmp_path: Path) -> AsyncIterator[Slurm]:
    async with House(tmp_path) as house:
        await house.fill()
        (template,) = load_text(TEMPLATE)
        assert isinstance(template, Template)
        await house.kit.templates.put(template)
        one = Slurm(house)
        async with one.client:
            yield one


async def test_health_alone_asks_for_no_token(slurm: Slurm) -> None:
    body = await slurm("", "GET", "/health")
    assert body == {"ok": True, "slurm": True, "b2_mounted": False}
    error = await slurm("", "GET", "/datasets/exists/abc", 401)
    assert error["detail"] == error["error"]["message"]
    assert (await slurm("his", "GET", "/datasets/exists/abc")) == {"exists": False}


async def test_a_dataset_is_uploaded_once(slurm: Slurm) -> None:
    made = await slurm.upload("his")
    assert made == {"sha256": SHA, "stored_path": f"{SHA}/", "bytes": 13}
    assert await slurm.upload("his", sha="") == made
    there = await slurm.ask("his", "GET", f"/datasets/exists/{SHA}")
    assert '"exists": true' in there.text
    assert there.json()["info"]["sha256"] == SHA
    assert await slurm("hers", "GET", f"/datasets/exists/{SHA}") == {"exists": False}
    # What somebody else has too is uploaded as if nobody had it.
    for _ in range(2):
        assert await slurm.upload("hers") == made
    assert (await slurm("hers", "GET", f"/datasets/exists/{SHA}"))["exists"]
    assert (await slurm.submit("hers"))["status"] == "SUBMITTED"


async def test_a_dataset_that_is_another_is_not_kept(slurm: Slurm) -> None:
    error = await slurm.upload("his", 400, sha="0" * 64)
    assert "SHA256 mismatch" in error["detail"]
    assert await slurm("his", "GET", f"/datasets/exists/{SHA}") == {"exists": False}
    await slurm.upload("his")
    for wrong in ({}, {"files": {"other": ("x", b"y")}}, {"content": b"nonsense"}):
        await slurm("his", "POST", "/datasets/upload", 400, **wrong)


async def test_a_job_by_its_number(slurm: Slurm) -> None:
    await slurm.upload("his")
    form = {"gpus": "1", "cpus": "2", "mem_gb": "8", "time_limit": "00:10:00"}
    answer = await slurm.ask(
        "his",
        "POST",
        "/jobs",
        files={k: (None, v) for k, v in {"command_key": "echo_params", **form}.items()},
    )
    assert answer.json() == {"job_id": 1, "status": "SUBMITTED"}
    made = await slurm.submit("his", **form, message="hi", params_json='{"experimentId": "e1"}')
    assert made["job_id"] == 2
    found = await slurm.ask("his", "GET", "/jobs/2")
    assert re.findall('"status":"[^"]*"', found.text) == ['"status":"PENDING"']
    assert not found.json()["done"]
    assert (found.json()["meta"]["dataset_sha"], found.json()["meta"]["command_key"]) == (
        SHA,
        "echo_params",
    )
    kept = slurm.house.kit.records.find_job("jobrunner-2").spec
    assert kept.gpu is not None
    assert (kept.gpu.count, kept.gpu.type, kept.gpu.memory) == (1, "", 1000)
    assert (kept.resources.cpus, kept.resources.memory) == (2000, 8 << 30)
    assert (kept.duration, kept.outputs.experiment, kept.command[1]) == (600, "e1", "hi")
    assert kept.env["DATASET_DIR"] == kept.datasets[0].path == f"/datasets/{SHA[:12]}"
    first = slurm.house.kit.records.find_job("jobrunner-1").spec
    assert (first.outputs.experiment, first.datasets) == ("job-1", ())
    assert (await slurm.ask("his", "GET", "/jobs/2/log")).text == ""
    assert (await slurm("his", "GET", "/outputs/by_job/2"))["outputs"] == []
    await slurm("his", "GET", "/jobs/2/result", 404)
    cancelled = await slurm("his", "POST", "/jobs/2/cancel")
    assert cancelled == {"job_id": 2, "status": "CANCELLED_REQUESTED"}
    for nobodys in ("3", "0", "-1", "x", "02"):
        await slurm("his", "GET", f"/jobs/{nobodys}", 404)
    await slurm("hers", "GET", "/jobs/1", 404)


async def test_a_name_that_is_taken_is_passed_over(slurm: Slurm) -> None:
    await slurm.house.kit.put(job(name="jobrunner-1", uid="d" * 32, meta={"owner": "hers"}))
    await slurm.upload("his")
    assert (await slurm.submit("his"))["job_id"] == 2
    await slurm("hers", "GET", "/jobs/1", 404)  # it did not come this way


@pytest.mark.parametrize(
    ("form", "path"),
    [
        ({"command_key": ""}, "command_key"),
        ({"gpus": "one"}, "gpus"),
        ({"cpus": "0"}, "cpus"),
        ({"time_limit": "soon"}, "time_limit"),
        ({"time_limit": "8-00:00:00"}, "time_limit"),
        ({"params_json": "[1]"}, "params_json"),
        ({"params_json": f'{{"x": "{"y" * 131_072}"}}'}, "params_json"),
        ({"dataset_sha": "abc"}, "dataset_sha"),
        ({"colour": "red"}, "params.colour"),
    ],
)
async def test_what_is_wrong_with_a_form(slurm: Slurm, form: dict[str, str], path: str) -> None:
    await slurm.upload("his")
    error = (await slurm.submit("his", 400, **form))["error"]
    assert [problem["path"] for problem in error["problems"]] == [path]


async def test_what_a_form_names_is_there(slurm: Slurm) -> None:
    assert "not found" in (await slurm.submit("his", 404))["detail"]
    await slurm.upload("his")
    assert "nonsense" in (await slurm.submit("his", 404, command_key="nonsense"))["detail"]


async def test_a_job_that_is_over(slurm: Slurm, tmp_path: Path) -> None:
    await slurm.upload("his")
    await slurm.submit("his")
    kit = slurm.house.kit
    made = kit.records.find_job("jobrunner-1")
    over = {"phase": Phase.SUCCEEDED, "attempt": 1, "cleaned": True, "exit_code": 0}
    await kit.put(made.model_copy(update={"status": made.status.model_copy(update=over)}))
    result = b'{"ok": true}'
    files = {"weights__model_d_pth": b"w" * 1000, "result_d_json": result}
    await leave(slurm.house, "jobrunner-1", tmp_path, **files)
    status = await slurm("his", "GET", "/jobs/1")
    assert (status["status"], status["done"]) == ("COMPLETED", True)
    assert (await slurm.ask("his", "GET", "/jobs/1/result")).content == result
    found = await slurm("his", "GET", "/outputs/by_job/1")
    assert [(one["output_id"], one["path"], one["job_id"]) for one in found["outputs"]] == [
        ("result", "result.json", 1),
        ("weights", "weights/model.pth", 1),
    ]
    experiment = found["outputs"][0]["experiment_id"]
    assert experiment == "job-1"
    where = {"experiment_id": experiment, "output_id": "weights"}
    weights = await slurm.ask("his", "GET", "/outputs/download", params=where)
    assert weights.content == b"w" * 1000
    client = slurm.client
    beyond = {"authorization": f"Bearer {SECRETS['his']}", "range": "bytes=1000-"}
    refused = await client.get("/outputs/download", params=where, headers=beyond)
    assert (refused.status_code, refused.content) == (416, b"")
    assert refused.headers["content-range"] == "bytes */1000"
    by_path = {"job_id": "1", "rel_path": "weights/model.pth"}
    assert (
        await slurm.ask("his", "GET", "/outputs/download_by_job", params=by_path)
    ).content == weights.content
    for path, params in (
        ("/outputs/download", where),
        ("/outputs/download_by_job", by_path),
        ("/jobs/1/result", {}),
        ("/jobs/1/log", {}),
    ):
        got = await slurm.ask("his", "GET", path, params=params)
        head = await slurm.ask("his", "HEAD", path, params=params)
        assert head.content == b""
        assert {**head.headers, "date": ""} == {**got.headers, "date": ""}, path
        assert (await slurm.ask("hers", "HEAD", path, 404, params=params)).content == b""
    by_path["rel_path"] = "../model.pth"
    await slurm("his", "GET", "/outputs/download_by_job", 404, params=by_path)
    assert await slurm("his", "GET", "/outputs?experiment_id=job-1&prefix=weights/") == {
        "outputs": [found["outputs"][1]]
    }
    assert len((await slurm("his", "GET", "/outputs"))["outputs"]) == 2
    indexed = await slurm("his", "POST", "/outputs/index/1")
    assert indexed == {"experiment_id": "job-1", "count": 2}
    await slurm("hers", "GET", "/outputs/by_job/1", 404)


async def test_imports_come_from_what_is_configured_only(slurm: Slurm) -> None:
    for path in ("data.txt", "/etc/passwd"):
        await slurm("his", "POST", "/datasets/import_path", 403, data={"src_path": path})


async def test_an_import_from_where_clients_know_it(tmp_path: Path) -> None:
    (tmp_path / "b2" / "deep").mkdir(parents=True)
    (tmp_path / "b2" / "deep" / "data.tar.xz").write_bytes(TAR)
    (tmp_path / "secret").write_text("no")
    async with House(tmp_path, imports="mount://b2/") as house:
        slurm = Slurm(house)
        assert (await slurm("", "GET", "/health"))["b2_mounted"]
        for path in ("deep/data.tar.xz", "/mnt/b2/deep/data.tar.xz"):
            made = await slurm("his", "POST", "/datasets/import_path", data={"src_path": path})
            assert made == {"sha256": SHA, "stored_path": f"{SHA}/", "bytes": 13}
        for path, code in (("../secret", 400), ("/etc/passwd", 403), ("no", 404), ("", 400)):
            form = {"data": {"src_path": path}}
            await slurm("his", "POST", "/datasets/import_path", code, **form)
        await slurm.client.aclose()


async def test_an_import_from_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    storage.start()
    try:
        host, port = storage.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        given = {"JR_B2_ENABLE": "1", "JR_B2_KEY_ID": "key", "JR_B2_APP_KEY": "not-to-be-told"}
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        take_over(os.environ)
        client: Any = Session().create_client("s3", endpoint_url=endpoint, region_name="us-east-1")
        client.create_bucket(Bucket="my-bucket")
        client.put_object(Bucket="my-bucket", Key="deep/data.tar.xz", Body=TAR)
        client.close()
        bucket = BucketConfig(bucket="my-bucket", endpoint=endpoint)
        async with House(tmp_path, imports="s3://my-bucket/", bucket=bucket) as house:
            slurm = Slurm(house)
            for path in ("deep/data.tar.xz", "/mnt/b2/deep/data.tar.xz"):
                made = await slurm("his", "POST", "/datasets/import_path", data={"src_path": path})
                assert made == {"sha256": SHA, "stored_path": f"{SHA}/", "bytes": 13}
            for path, code in (("deep", 404), ("no", 404), ("../x", 400), ("/etc/passwd", 403)):
                form = {"data": {"src_path": path}}
                error = await slurm("his", "POST", "/datasets/import_path", code, **form)
                for secret in ("127.0.0.1", "not-to-be-told"):
                    assert secret not in str(error)
            await slurm.client.aclose()
    finally:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name, raising=False)
        storage.stop()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x--",
        b"--x\r\n\r\nno name\r\n--x--\r\n",
        b'--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\ncut',
        b"--x\r\n" + b"".join(b"h%d: v\r\n" % n for n in range(99)) + b"\r\n--x--\r\n",
        b"--x\r\ncontent-disposition: " + b"a" * 20_000 + b"\r\n\r\n--x--\r\n",
    ],
)
async def test_a_form_that_is_none_is_refused(slurm: Slurm, body: bytes) -> None:
    kind = {"content-type": "multipart/form-data; boundary=x"}
    kind["authorization"] = f"Bearer {SECRETS['his']}"
    for path in ("/datasets/upload", "/jobs"):
        answer = await slurm.client.post(path, content=body, headers=kind)
        assert answer.status_code == 400, (path, answer.text)
    assert not slurm.house.datasets.port.seen_by(HIS)._parts.uploads.count("his")


@pytest.mark.parametrize("boundary", ["b" * 3000, "", '"', "\xe9"])
async def test_a_boundary_that_is_none_is_refused(slurm: Slurm, boundary: str) -> None:
    headers = {
        b"authorization": f"Bearer {SECRETS['his']}".encode(),
        b"content-type": f"multipart/form-data; boundary={boundary}".encode("latin-1"),
    }
    answer = await slurm.client.post("/jobs", content=b"--", headers=headers)
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:10:00", 600),
        ("7-00:00:00", 7 * 86400),
        ("1-02:03:04", 86400 + 2 * 3600 + 3 * 60 + 4),
        ("90", 5400),
        ("1:30", 90),
        ("2-12", 2 * 86400 + 12 * 3600),
        ("1-02:03", 86400 + 2 * 3600 + 180),
        ("100:00:00", 360_000),
    ],
)
def test_time_limits(text: str, seconds: int) -> None:
    assert parse_time_limit(text) == seconds
    assert parse_time_limit(show_time_limit(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "0", "00:00:00", "x", "1:2:3:4", "-1", "1h", "٣"])
def test_what_is_no_time_limit(text: str) -> None:
    with pytest.raises(ValidationError, match="HH:MM:SS"):
        parse_time_limit(text)


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_has_a_status(phase: Phase) -> None:
    known = {
        Phase.RUNNING: "RUNNING",
        Phase.SUCCEEDED: "COMPLETED",
        Phase.FAILED: "FAILED",
        Phase.TIMED_OUT: "TIMEOUT",
        Phase.CANCELLED: "CANCELLED",
    }
    assert status_of(job(phase)) == known.get(phase, "PENDING")


async def test_numbers_survive_restarts(tmp_path: Path) -> None:
    for expected in (1, 3):
        store = Store.open(tmp_path / "store")
        numbers = Numbers(store, "jobrunner")
        assert [await numbers.next() for _ in "ab"] == [expected, expected + 1]
        store.close()
    assert JobRunnerOptions().max_time == 7 * 86400
