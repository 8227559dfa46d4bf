"""The supervisor of a unit reads what was written in time, however late it comes to it."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest
from cumulus.controller.platforms import process_shim


def test_output_that_lies_in_the_pipe_when_time_is_up_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine so busy that all of the time to drain goes by between two steps."""
    monkeypatch.setattr(process_shim, "DRAIN_SECONDS", 0.0)
    words = b"".join(b"line %d\n" % n for n in range(6000))
    read, write = os.pipe()
    wake, unused = os.pipe()
    leader = os.fork()
    if not leader:
        os.write(write, words)
        os._exit(3)
    os.waitid(os.P_PID, leader, os.WEXITED | os.WNOWAIT)
    file = tmp_path / "log.jsonl"
    log = os.open(file, os.O_WRONLY | os.O_CREAT)
    held = {read: "stdout"}  # `write` is open here, as by a process that left the group
    assert process_shim._pump(leader, held, wake, process_shim._Log(log)) == 3
    for fd in (read, write, wake, unused, log):
        os.close(fd)
    pieces = [json.loads(line) for line in file.read_text().splitlines()]
    assert b"".join(base64.b64decode(piece["d"]) for piece in pieces) == words
