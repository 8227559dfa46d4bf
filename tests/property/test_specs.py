"""Properties of the resources' text forms, and that what is packed is what a job unpacks."""

import json
import string
import sys
import tempfile
from pathlib import Path

import pytest
from cumulus.crd_like_specs.codec import dump_yaml, load_bytes, load_text
from cumulus.crd_like_specs.errors import ValidationError
from cumulus.crd_like_specs.ignoring import ALWAYS
from cumulus.crd_like_specs.job import Job
from cumulus.crd_like_specs.packing import MAX_RATIO, digest, pack, read_folder
from cumulus.crd_like_specs.units import (
    format_bytes,
    format_cpus,
    format_fraction,
    format_seconds,
    parse_bytes,
    parse_cpus,
    parse_fraction,
    parse_seconds,
)
from cumulus.image.cumulus_runner import report, unpack, values
from hypothesis import assume, given, settings
from hypothesis import strategies as st

BIG = (1 << 63) - 1
SMALL = st.integers(0, BIG) | st.integers(0, 1 << 20)

TEXT = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(
    ["yes", "no", "1:30", "0777", "~", "null", "1e3", ".nan", "=", "<<", "2020-01-01", "- a", "a: b",
     "#x", " x ", "\t", "\n", "x\ny\n", "'", '"', "!", "&a", "*a", "%", "@", "`", "---", "...", "\x85"]
)  # fmt: skip
LABELS = st.dictionaries(TEXT, TEXT, max_size=3)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-BIG, BIG)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
ENV_NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)

CODE = st.fixed_dictionaries({"files": st.dictionaries(TEXT, TEXT, max_size=2)}).map(
    lambda code: {"code": {"files": code["files"] | {"main.py": "x"}}}
)
CONSTRAINTS = st.sampled_from(
    ["a100", "a100,h100", "!eu", "*", "!*", "", ["a", "b"], "NVIDIA H200"]
)
JOBS = st.builds(
    lambda name, labels, kind, common: Job.model_validate(
        {"metadata": {"name": name, "labels": labels}, "spec": kind | common}
    ),
    NAMES,
    LABELS,
    CODE,
    st.fixed_dictionaries(
        {},
        optional={
            "args": st.lists(JSON, max_size=3) | st.dictionaries(TEXT, JSON, max_size=3),
            "env": st.dictionaries(ENV_NAMES, TEXT, max_size=3),
            "gpu": st.fixed_dictionaries(
                {"memory": st.integers(1, 1000).map(lambda n: f"{n}m"), "count": st.integers(1, 64)}
            ),
            "resources": st.fixed_dictionaries(
                {
                    "cpus": st.integers(1, 10**6).map(format_cpus),
                    "memory": st.integers(16 << 20, BIG),
                }
            ),
            "duration": st.integers(1, 30 * 86400),
            "retry": st.fixed_dictionaries({"limit": st.integers(0, 100), "backoff": SMALL}),
            "nodeSelector": st.dictionaries(TEXT, CONSTRAINTS, max_size=3),
            "suspend": st.booleans(),
            "requirements": st.lists(TEXT, max_size=3),
        },
    ),
)

PARTS = st.text(string.ascii_letters + string.digits + "._- é😀", min_size=1, max_size=12).filter(
    lambda part: part not in {".", ".."}
)
PATHS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
FILES = st.dictionaries(PATHS, st.binary(max_size=2000), max_size=6).map(
    lambda files: files | {"main.py": b"def main(): return 1"}
)


@given(SMALL)
def test_bytes_come_back(value: int) -> None:
    assert parse_bytes(format_bytes(value)) == parse_bytes(value) == value


@given(st.integers(1, BIG))
def test_cpus_come_back(milli: int) -> None:
    assert parse_cpus(format_cpus(milli)) == milli


@given(SMALL)
def test_seconds_come_back(value: int) -> None:
    assert parse_seconds(format_seconds(value)) == parse_seconds(value) == value


@given(st.integers(1, 1000))
def test_fractions_come_back(milli: int) -> None:
    fraction = format_fraction(milli)
    assert parse_fraction(fraction) == milli
    assert parse_fraction(str(fraction)) == parse_fraction(f"{milli}m") == milli


@given(st.integers(0, 9999), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_both_ways_to_write_a_duration_agree(
    days: int, hours: int, minutes: int, secs: int
) -> None:
    seconds = ((days * 24 + hours) * 60 + minutes) * 60 + secs
    assert parse_seconds(f"{days}d{hours}h{minutes}m{secs}s") == seconds
    assert parse_seconds(f"P{days}DT{hours}H{minutes}M{secs}S") == seconds


@pytest.mark.parametrize("parse", [parse_bytes, parse_cpus, parse_seconds, parse_fraction])
@given(raw=st.text(max_size=40) | st.floats() | st.integers() | st.booleans() | st.none() | JSON)
def test_anything_is_a_number_in_range_or_a_clear_error(parse: object, raw: object) -> None:
    assert callable(parse)
    try:
        value = parse(raw)
    except ValueError as error:
        kind, text = type(error), str(error)
    else:
        assert type(value) is int
        assert 0 <= value <= BIG
        return
    assert kind is ValueError
    assert len(text) < 250


@given(st.lists(JOBS, min_size=1, max_size=3))
@settings(max_examples=60)
def test_jobs_come_back_from_yaml(jobs: list[Job]) -> None:
    text = dump_yaml(jobs)
    again = load_text(text)
    assert again == jobs
    assert [job.spec.run_hash() for job in again if isinstance(job, Job)] == [
        job.spec.run_hash() for job in jobs
    ]
    assert dump_yaml(again) == text


@given(JOBS, st.booleans(), st.sampled_from([None, "\t", 0]))
@settings(max_examples=40)
def test_jobs_come_back_from_json(job: Job, ascii_: bool, indent: str | int | None) -> None:
    data = json.dumps(job.to_dict(), indent=indent, ensure_ascii=ascii_)
    assert load_bytes(data.encode(), "job.json", Path())[0].resource == job


ODD = st.sampled_from(
    [1e-05, 1e16, 1e22, 5e-324, -0.0, 1.5e300, BIG, -BIG - 1, 10**17, "1e3", "-1.e5", ".5E1", "NaN",
     "a\x85b", " \u2028 a", "\x7f", "\x80", "\ufeff", "\uffff", "\ufffe", "k" * 1200, "=", "<<"]
) | st.text(st.characters(codec="utf-8"), max_size=3)  # fmt: skip


@given(st.lists(ODD | st.dictionaries(ODD.map(str), ODD, max_size=2), max_size=4), st.booleans())
@settings(max_examples=200)
def test_values_come_back_as_they_were_of_the_same_types(args: list[object], ascii_: bool) -> None:
    spec = {"code": {"path": "x"}, "args": args}
    head = {"apiVersion": "cumulus.dev/v1", "kind": "Job", "metadata": {"name": "a"}}
    text = json.dumps({**head, "spec": spec}, ensure_ascii=ascii_)
    (from_json,) = load_bytes(text.encode(), "job.json", Path())
    assert isinstance(from_json.resource, Job)
    assert repr(from_json.resource.spec.args) == repr(args)
    (from_yaml,) = load_text(dump_yaml(from_json.resource))
    assert isinstance(from_yaml, Job)
    assert repr(from_yaml.spec.args) == repr(args)


@given(
    st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "ignore"))
)
@settings(max_examples=200)
def test_any_bytes_are_resources_or_problems_with_a_place(data: bytes) -> None:
    try:
        load_bytes(data, "f.yaml", Path())
    except ValidationError as error:
        problems = error.problems
    else:
        return
    assert problems
    assert all(problem.file == "f.yaml" and problem.message for problem in problems)


def conflicts(files: dict[str, bytes]) -> bool:
    return any(other.startswith(f"{name}/") for name in files for other in files)


@given(FILES, st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_packing_depends_on_content_alone(files: dict[str, bytes], chance: object) -> None:
    assume(not conflicts(files) and not any(name[1:2] == ":" for name in files))
    order = list(files)
    chance.shuffle(order)  # type: ignore[attr-defined]
    packed = pack(files)
    assert pack({name: files[name] for name in order}) == packed
    changed = files | {"main.py": files["main.py"] + b"#"}
    assert digest(pack(changed)) != digest(packed)


@given(FILES)
@settings(max_examples=60)
def test_what_is_packed_is_what_the_job_finds(files: dict[str, bytes]) -> None:
    assume(not conflicts(files))
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "code.zip")
        archive.write_bytes(pack(files))
        code = Path(unpack.unpack(str(archive), str(Path(folder, "work"))))
        assert read(code) == files


@given(st.dictionaries(st.text(max_size=12), st.binary(max_size=10), max_size=3))
def test_whatever_packing_takes_the_runner_takes(files: dict[str, bytes]) -> None:
    try:
        packed = pack(files | {"main.py": b""})
    except ValidationError:
        return
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "code.zip")
        archive.write_bytes(packed)
        code = Path(unpack.unpack(str(archive), folder))
        assert read(code) == files | {"main.py": b""}


@given(FILES)
@settings(max_examples=40)
def test_a_folder_packs_like_its_files(files: dict[str, bytes]) -> None:
    parts = {part for name in files for part in name.split("/")}
    assume(not conflicts(files) and not parts & set(ALWAYS))
    assume(not any(part.endswith(".pyc") for part in parts))
    with tempfile.TemporaryDirectory() as root:
        for name, data in files.items():
            path = Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        assert read_folder(Path(root)) == files


def test_the_limits_of_packing_lie_within_the_runners() -> None:
    from cumulus.crd_like_specs import packing

    assert packing.MAX_FILES <= unpack.MAX_ENTRIES
    assert packing.MAX_BYTES <= unpack.MAX_BYTES
    assert MAX_RATIO <= unpack.MAX_RATIO


@given(JSON)
def test_results_come_back_from_the_envelope(value: object) -> None:
    text, nulls = values.encode(value)
    assert not nulls
    assert text.isascii()
    assert "\n" not in text
    assert json.loads(text) == value
    frame = report.success(text, 1.5)
    assert report.complete(frame)
    assert not report.complete(frame[:-1])
    assert report.opened(frame) == (
        True,
        0,
        f'"result": {text}, "execution_time": 1.500000'.encode(),
    )


@given(st.text(max_size=200), st.text(max_size=200), st.integers(1, 255))
def test_errors_come_back_from_the_envelope(message: str, trace: str, code: int) -> None:
    from cumulus.image.cumulus_runner.settings import Settings

    ok, found, middle = report.opened(report.failure("Kind", message, trace, 0.0, code))
    line = report.envelope(ok, middle, Settings(), 7, sys.version)
    parsed = json.loads(line)
    assert (ok, found) == (False, code)
    assert line.startswith(b'{"status": "error", ')
    assert line.count(b"\n") == 1
    assert (parsed["error"], parsed["traceback"]) == (message, trace)


def read(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
