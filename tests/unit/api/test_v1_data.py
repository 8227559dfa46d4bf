"""`/v1` of what jobs leave and what they are made of: outputs in ranges, templates and their runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .ownership_kit import SECRETS, House, leave

MODEL = bytes(range(256)) * 12_000
TEMPLATE = """
apiVersion: cumulus.dev/v1
kind: Template
metadata: {name: say_it}
spec:
  parameters: [{name: word, required: true}]
  job: {image: alpine, command: [echo, "{{word}}"], duration: 1m}
"""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path) as one:
        await one.fill()
        files = {"weights__model_d_pth": MODEL, "metrics_d_json": b"{}", "empty": b""}
        await leave(one, "train", tmp_path, **files)
        yield one


async def ask(house: House, who: str, method: str, path: str, **options: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {SECRETS[who]}", **options.pop("headers", {})}
    async with httpx.AsyncClient(base_url=f"{house.web}/v1", trust_env=False) as client:
        return await client.request(method, path, headers=headers, **options)


async def test_outputs_of_a_job_and_of_an_experiment(house: House) -> None:
    found = (await ask(house, "hers", "GET", "/jobs/train/outputs")).json()
    assert (found["jobName"], found["attempt"], found["pending"]) == ("train", 1, False)
    assert [(one["id"], one["path"], one["role"]) for one in found["outputs"]] == [
        ("empty", "empty", "other"),
        ("metrics", "metrics.json", "metrics"),
        ("weights", "weights/model.pth", "weights"),
    ]
    listed = (await ask(house, "hers", "GET", "/outputs?experiment=train")).json()
    assert listed["outputs"] == found["outputs"]
    assert (await ask(house, "his", "GET", "/outputs?experiment=train")).json()["outputs"] == []
    assert (await ask(house, "his", "GET", "/jobs/train/outputs")).status_code == 404
    assert (await ask(house, "his", "GET", "/jobs/train/outputs/empty")).status_code == 404


@pytest.mark.parametrize("path", ["jobs/train/outputs/weights/model.pth", "outputs/train/weights"])
async def test_a_file_whole_and_in_ranges(house: House, path: str) -> None:
    whole = await ask(house, "hers", "GET", f"/{path}")
    assert (whole.status_code, whole.content) == (200, MODEL)
    assert whole.headers["content-type"] == "application/octet-stream"
    assert 'filename="model.pth"' in whole.headers["content-disposition"]
    tag = {"etag": whole.headers["etag"]}["etag"]
    head = await ask(house, "hers", "HEAD", f"/{path}")
    assert (head.headers["content-length"], head.headers["etag"]) == (str(len(MODEL)), tag)
    same = await ask(house, "hers", "GET", f"/{path}", headers={"if-none-match": f"W/{tag}"})
    assert (same.status_code, same.content) == (304, b"")
    for asked, start, end in (
        ("bytes=10-19", 10, 20),
        ("bytes=3071990-", 3071990, len(MODEL)),
        ("bytes=-5", len(MODEL) - 5, len(MODEL)),
        ("bytes=5-99999999", 5, len(MODEL)),
    ):
        part = await ask(house, "hers", "GET", f"/{path}", headers={"range": asked})
        assert (part.status_code, part.content) == (206, MODEL[start:end]), asked
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{len(MODEL)}"
    beyond = await ask(house, "hers", "GET", f"/{path}", headers={"range": "bytes=99999999-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(MODEL)}")
    for ignored in ("bytes=0-1,4-5", "bytes=-", "bytes=9-3", "lines=1-2"):
        answer = await ask(house, "hers", "GET", f"/{path}", headers={"range": ignored})
        assert answer.status_code == 200, ignored
    other = {"range": "bytes=0-1", "if-range": '"another"'}
    assert (await ask(house, "hers", "GET", f"/{path}", headers=other)).status_code == 200


async def test_a_file_by_its_id_and_an_empty_one(house: House) -> None:
    assert (await ask(house, "hers", "GET", "/jobs/train/outputs/metrics")).content == b"{}"
    assert (await ask(house, "hers", "GET", "/jobs/train/outputs/empty")).content == b""
    for missing in ("nothing", "../metrics.json", "%2e%2e/metrics.json", "weights"):
        code = (await ask(house, "hers", "GET", f"/jobs/train/outputs/{missing}")).status_code
        assert code == (200 if missing == "weights" else 404), missing


async def test_a_template_is_written_by_admins_and_run_by_all(house: House) -> None:
    put = {"content": TEMPLATE}
    assert (await ask(house, "his", "PUT", "/templates/say_it", **put)).status_code == 403
    assert (await ask(house, "his", "POST", "/apply", **put)).status_code == 403
    made = await ask(house, "boss", "PUT", "/templates/say_it", **put)
    assert (made.status_code, made.json()["outcome"]) == (200, "created")
    assert (await ask(house, "boss", "PUT", "/templates/other", **put)).status_code == 400
    listed = (await ask(house, "his", "GET", "/templates")).json()["items"]
    assert [one["metadata"]["name"] for one in listed] == ["say_it"]
    assert (await ask(house, "his", "GET", "/templates/say_it")).json() == listed[0]
    run = {"params": {"word": "$(reboot)"}, "overrides": {"duration": "30s"}}
    job = await ask(house, "his", "POST", "/templates/say_it/run", json=run)
    assert job.status_code == 201
    spec = job.json()["spec"]
    assert (spec["command"], spec["duration"]) == (["echo", "$(reboot)"], "30s")
    assert job.json()["metadata"]["owner"] == "his"
    for half in ({"params": {"\ud800": 1}}, {"overrides": {"env": {"A": "\udfff"}}}):
        body = {"content": json.dumps(half), "headers": {"content-type": "application/json"}}
        odd = await ask(house, "his", "POST", "/templates/say_it/run", **body)
        assert "holds half a character" in odd.text
        assert odd.status_code == 400
    wrong = await ask(house, "his", "POST", "/templates/say_it/run", json={})
    assert wrong.json()["error"]["problems"][0]["path"] == "params.word"
    assert (await ask(house, "his", "DELETE", "/templates/say_it")).status_code == 403
    assert (await ask(house, "boss", "DELETE", "/templates/say_it")).status_code == 200
    assert (await ask(house, "his", "GET", "/templates/say_it")).status_code == 404


BYTES = b"a,b\n1,2\n" * 1000
DIGEST = f"sha256:{hashlib.sha256(BYTES).hexdigest()}"


async def test_a_dataset_in_one_go_and_out_again(house: House) -> None:
    wrong = {"params": {"digest": f"sha256:{'0' * 64}"}, "content": BYTES}
    assert (await ask(house, "his", "PUT", "/datasets/table", **wrong)).status_code == 400
    query = {"digest": DIGEST, "filename": "table.csv"}
    made = await ask(house, "his", "PUT", "/datasets/table", params=query, content=BYTES)
    assert (made.status_code, made.json()["spec"]["digest"]) == (200, DIGEST)
    again = await ask(house, "his", "PUT", "/datasets/table", params=query, content=BYTES)
    assert again.json()["metadata"]["uid"] == made.json()["metadata"]["uid"]
    for name in ("table", DIGEST):
        assert (await ask(house, "his", "GET", f"/datasets/{name}")).json() == again.json()
        assert (await ask(house, "hers", "GET", f"/datasets/{name}")).status_code == 404
        out = await ask(house, "his", "GET", f"/datasets/{name}/content")
        assert (out.content, out.headers["etag"]) == (BYTES, f'"{DIGEST}"')
    part = {"headers": {"range": "bytes=4-7"}}
    assert (await ask(house, "his", "GET", "/datasets/table/content", **part)).content == BYTES[4:8]
    listed = (await ask(house, "his", "GET", "/datasets")).json()["items"]
    assert [one["metadata"]["name"] for one in listed] == ["table"]
    pin = {"json": {"pinned": True}}
    assert (await ask(house, "his", "POST", "/datasets/table/pin", **pin)).json()["spec"]["pinned"]
    assert (await ask(house, "his", "DELETE", "/datasets/table")).status_code == 200
    assert (await ask(house, "his", "GET", "/datasets/table")).status_code == 404


JSON = {"headers": {"content-type": "application/json"}}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "body: is missing"),
        (
            {"content": b"{", **JSON},
            "body: is no JSON: Expecting property name enclosed in double quotes, character 1",
        ),
        ({"json": {"pinned": "perhaps"}}, "pinned: expected true or false, got 'perhaps'"),
    ],
)
async def test_what_is_wrong_with_a_body_is_said_with_its_place(
    house: House, given: dict[str, Any], words: str
) -> None:
    refused = await ask(house, "his", "POST", "/datasets/table/pin", **given)
    assert (refused.status_code, refused.json()["error"]["message"]) == (400, words)


async def test_an_upload_is_gone_on_with(house: House) -> None:
    wanted = {"name": "table", "digest": DIGEST, "size": len(BYTES)}
    begun = await ask(house, "his", "POST", "/datasets/uploads", json=wanted)
    assert (begun.status_code, begun.json()["received"]) == (201, 0)
    path = f"/datasets/uploads/{begun.json()['id']}"
    first = {"content": BYTES[:1000], "headers": {"upload-offset": "0"}}
    assert (await ask(house, "his", "PATCH", path, **first)).json()["received"] == 1000
    assert (await ask(house, "his", "PATCH", path, **first)).status_code == 409
    assert (await ask(house, "hers", "HEAD", path)).status_code == 404
    head = await ask(house, "his", "HEAD", path)
    assert head.headers["upload-offset"] == "1000"
    found = await ask(house, "his", "POST", "/datasets/uploads", json=wanted)
    assert found.json() == {"id": begun.json()["id"], "received": 1000}
    rest = {"content": BYTES[1000:], "headers": {"upload-offset": "1000"}}
    done = await ask(house, "his", "PATCH", f"{path}?complete=true", **rest)
    assert done.json()["dataset"]["spec"]["digest"] == DIGEST
    assert (await ask(house, "his", "GET", path)).status_code == 404


async def test_an_upload_is_dropped(house: House) -> None:
    begun = await ask(house, "his", "POST", "/datasets/uploads", json={"name": "table"})
    path = f"/datasets/uploads/{begun.json()['id']}"
    assert (await ask(house, "his", "GET", path)).json()["received"] == 0
    assert (await ask(house, "his", "DELETE", path)).status_code == 204
    assert (await ask(house, "his", "GET", path)).status_code == 404
    missing = await ask(house, "his", "PATCH", path, content=b"x")
    assert (missing.status_code, missing.json()["error"]["problems"][0]["path"]) == (
        400,
        "Upload-Offset",
    )


async def test_an_import_tells_how_far_it_is(house: House, tmp_path: Path) -> None:
    (tmp_path / "b2").mkdir()
    (tmp_path / "b2" / "table.csv").write_bytes(BYTES)
    wanted = {"url": "mount://b2/table.csv", "name": "table"}
    answer = await ask(house, "his", "POST", "/datasets/import", json=wanted)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "event: finished" in answer.text
    assert DIGEST in answer.text
    for url, code in (("mount://b2/../secret", 400), ("mount://other/x", 403), ("file:///x", 400)):
        refused = await ask(house, "his", "POST", "/datasets/import", json={"url": url})
        assert refused.status_code == code, refused.text
