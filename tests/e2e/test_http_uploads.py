"""Uploads by a form over HTTP: the controller's memory does not grow with them, and a cut is no end."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ctl import wait_for
from system import System

MIB = 1 << 20
PIECE = bytes(range(256)) * (MIB // 256)
GROWTH = 256 * MIB


def peak(system: System) -> int:
    """Bytes of memory that the controller had at most."""
    assert system.process
    status = Path(f"/proc/{system.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10


def form(size: int, boundary: str) -> Iterator[bytes]:
    """A form as curl sends it, the file before its digest."""
    digest = hashlib.sha256()
    head = (
        f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="big.bin"\r\n\r\n'
    )
    yield head.encode()
    for _ in range(size // MIB):
        digest.update(PIECE)
        yield PIECE
    tail = f'\r\n--{boundary}\r\ncontent-disposition: form-data; name="sha256"\r\n\r\n'
    yield f"{tail}{digest.hexdigest()}\r\n--{boundary}--\r\n".encode()


def ask(system: System, method: str, path: str, **options: Any) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", system.http, timeout=300)
    try:
        connection.request(method, path, **options)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")
    finally:
        connection.close()


@pytest.mark.parametrize(
    "size", [512 * MIB, pytest.param(2048 * MIB, marks=pytest.mark.soak)], ids=["512M", "2G"]
)
def test_a_large_file_passes_through(process: System, size: int) -> None:
    before = peak(process)
    headers = {"content-type": "multipart/form-data; boundary=xyz"}
    body = form(size, "xyz")
    code, made = ask(
        process,
        "POST",
        "/jobrunner/datasets/upload",
        body=body,
        headers=headers,
        encode_chunked=True,
    )
    assert (code, made["bytes"]) == (200, size), made
    assert peak(process) - before < GROWTH


def test_an_upload_goes_on_after_the_controller_was_killed(process: System) -> None:
    content = PIECE * 8
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    wanted = json.dumps({"name": "cut", "digest": digest, "size": len(content)})
    json_body = {"content-type": "application/json"}
    _, begun = ask(process, "POST", "/v1/datasets/uploads", body=wanted, headers=json_body)
    path = f"/v1/datasets/uploads/{begun['id']}"
    first = {"body": content[: 5 * MIB], "headers": {"upload-offset": "0"}}
    assert ask(process, "PATCH", path, **first)[1]["received"] == 5 * MIB
    process.kill9()
    process.start()
    wait_for(lambda: ask(process, "GET", path)[0] == 200, 10)
    at = ask(process, "GET", path)[1]["received"]
    assert 0 < at <= 5 * MIB
    rest = {"body": content[at:], "headers": {"upload-offset": str(at)}}
    code, done = ask(process, "PATCH", f"{path}?complete=true", **rest)
    assert (code, done["dataset"]["spec"]["digest"]) == (200, digest)
