from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cumulus.chronos_bindings.agent.ports import RawFrame
from cumulus.chronos_bindings.agent.unit_files import (
    Exit,
    Leader,
    group,
    is_owned,
    parse_log,
    process_stat,
    read_exit,
    read_leader,
)
from cumulus.crd_like_specs.errors import Temporary
from hypothesis import given
from hypothesis import strategies as st


def line(stream: str, data: bytes, time: float = 1.5) -> bytes:
    record = {"t": time, "s": stream, "d": base64.b64encode(data).decode()}
    return json.dumps(record).encode() + b"\n"


@given(st.lists(st.binary(max_size=50), max_size=6), st.data())
def test_lines_are_the_same_however_they_were_flushed(
    written: list[bytes], data: st.DataObject
) -> None:
    log = b"".join(line("stdout", one) for one in written)
    cut = data.draw(st.integers(0, len(log)))
    first, position = parse_log(log[:cut])
    second, rest = parse_log(log[position:])
    assert [f.data for f in first + second] == written
    assert position + rest == len(log)


def test_a_line_says_stream_time_and_data() -> None:
    written = line("stderr", b"\xff\n")
    assert parse_log(written) == ([RawFrame("stderr", 1.5, b"\xff\n")], len(written))


@pytest.mark.parametrize(
    "text",
    [b"no json\n", b"[]\n", b'{"t":1,"s":"stdin","d":""}\n', b'{"t":1,"s":"stdout","d":"%"}\n'],
)
def test_a_broken_line_is_an_error(text: bytes) -> None:
    with pytest.raises(Temporary) as caught:
        parse_log(text)
    assert caught.value.reason == "LogBroken"


def test_files_that_are_missing_or_half_written_are_not_there(tmp_path: Path) -> None:
    assert (read_leader(tmp_path), read_exit(tmp_path), is_owned(tmp_path)) == (None, None, False)
    for name in ("pid", "exit.json", "service.json"):
        (tmp_path / name).write_text('{"pid": 1, "st')
    assert (read_leader(tmp_path), read_exit(tmp_path), is_owned(tmp_path)) == (None, None, False)


def test_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text('{"pid": 7, "start": 99}')
    (tmp_path / "exit.json").write_text('{"exit_code": -9, "finished_at": 12.5}')
    (tmp_path / "service.json").write_text('{"labels": {"dev.cumulus.owned": "1"}}')
    assert read_leader(tmp_path) == Leader(7, 99)
    assert read_exit(tmp_path) == Exit(-9, 12.5)
    assert is_owned(tmp_path)


def process(proc: Path, pid: int, state: str, pgid: int, start: int) -> None:
    folder = proc / str(pid)
    folder.mkdir()
    fields = [state, "1", str(pgid), *["0"] * 16, str(start), "0"]
    (folder / "stat").write_text(f"{pid} (a ) b) " + " ".join(fields))


def test_a_group_is_its_living_members(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    process(tmp_path, 10, "S", 10, 500)
    process(tmp_path, 11, "R", 10, 510)
    process(tmp_path, 12, "Z", 10, 510)
    process(tmp_path, 13, "R", 99, 510)
    assert sorted(group(Leader(10, 500), tmp_path)) == [10, 11]
    assert group(Leader(10, 499), tmp_path) == [], "another process has the pid now"
    assert process_stat(14, tmp_path) is None


def test_children_of_a_dead_leader_are_still_the_group(tmp_path: Path) -> None:
    process(tmp_path, 11, "S", 10, 510)
    assert group(Leader(10, 500), tmp_path) == [11]
