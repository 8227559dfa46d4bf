"""What is found in an archive of outputs, whatever a worker sends; and what its files are called."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from cumulus.api.outputs import OutputRole
from cumulus.chronos_bindings.agent.archive_outputs import take_outputs
from cumulus.controller.runtime.output_archives import index_of
from cumulus.controller.runtime.output_index import Index, role_of
from cumulus.controller.runtime.output_tar import members
from cumulus.crd_like_specs.errors import ValidationError
from hypothesis import given, settings
from hypothesis import strategies as st

LIMIT = 1 << 20
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1, max_size=40)


def archive(*entries: tuple[str, bytes], form: int = tarfile.GNU_FORMAT, **fields: Any) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=form) as tar:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in fields.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))
    return raw.getvalue()


def refused(data: bytes, limit: int = LIMIT) -> str:
    with pytest.raises(ValidationError) as caught:
        list(members(io.BytesIO(data), limit=limit))
    return caught.value.message


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.tuples(NAMES, NAMES).map(lambda two: "/".join(n.replace("/", "_") for n in two)),
        st.binary(max_size=2000),
        max_size=8,
    )
)
def test_every_file_is_found_where_it_lies(files: dict[str, bytes]) -> None:
    files = {
        path: data
        for path, data in files.items()
        if not {".", ".."} & set(path.split("/"))
        and all(len(part.encode()) < 250 for part in path.split("/"))
    }
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "outputs"
        folder.mkdir()
        for path, data in files.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes(data)
        tar = Path(place) / "a.tar"
        taken = take_outputs(folder, tar, limit=LIMIT)
        if taken is None:
            assert not files
            return
        whole = tar.read_bytes()
        found = {m.path: m for m in members(io.BytesIO(whole), limit=LIMIT)}
    assert found.keys() == files.keys()
    for path, data in files.items():
        member = found[path]
        assert whole[member.offset : member.offset + member.size] == data
        assert member.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize("before", range(4))
def test_a_long_name_is_cut_within_a_character(before: int, tmp_path: Path) -> None:
    name = "x" * before + "語" * 60 + ".json"
    folder = tmp_path / "outputs"
    folder.mkdir()
    (folder / name).write_text("1")
    take_outputs(folder, tmp_path / "a.tar", limit=LIMIT)
    with (tmp_path / "a.tar").open("rb") as file:
        (found,) = members(file, limit=LIMIT)
    assert found.path == name


@pytest.mark.parametrize(
    ("mtime", "kept"), [(-5, 0.0), (1 << 40, 253402300799.0), (1_700_000_000, 1_700_000_000.0)]
)
def test_times_are_those_that_a_calendar_has(mtime: int, kept: float) -> None:
    """A file system may have others, and HTTP could not say when it was changed."""
    (found,) = members(io.BytesIO(archive(("a", b"1"), mtime=mtime)), limit=LIMIT)
    assert found.modified_at == kept
    assert formatdate(found.modified_at, usegmt=True)


@given(st.binary(max_size=3000), st.integers(0, 3000), st.integers(0, 255))
def test_no_archive_breaks_it(noise: bytes, at: int, value: int) -> None:
    whole = bytearray(archive(("a", b"1" * 600), ("b" * 150, b"2")))
    whole[at % len(whole)] = value
    for data in (noise, bytes(whole), bytes(whole[: at % len(whole)])):
        try:
            found = list(members(io.BytesIO(data), limit=LIMIT))
        except ValidationError:
            continue
        for member in found:
            assert member.offset + member.size <= len(data)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../up", "a/../../b", "./a", "a//b", "no/folder", "li\nne", "\x1b[2J"]
)
def test_paths_that_lead_out_are_refused(name: str) -> None:
    assert "has an entry of this name" in refused(archive((name, b"x")))


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE],
)
def test_only_files_and_folders_are_taken(kind: bytes) -> None:
    assert "neither file nor folder" in refused(archive(("a", b""), type=kind, linkname="b"))


def test_other_broken_archives() -> None:
    assert "an entry of this name: 'a'" in refused(archive(("a", b"1"), ("a", b"2")))
    assert "ends within" in refused(archive(("a", b"x" * 2000))[:1024])
    assert "ends within" in refused(archive(("a", b"x" * 2000))[:2600])
    assert "holds more than 5 bytes" in refused(archive(("a", b"123"), ("b", b"456")), 5)
    assert "no archive of ours" in refused(b"\1" * 512)
    no_text = bytearray(archive(("a" * 3, b"")))
    no_text[0], no_text[148:154] = (
        0xFF,
        b"%06o" % (int(bytes(no_text[148:154]), 8) + 0xFF - ord("a")),
    )
    assert "no text" in refused(bytes(no_text))
    long_name = archive(("x" * 3000, b""))
    assert "too long" in refused(long_name)
    assert "PaxHeader" in refused(archive(("a" * 300, b""), form=tarfile.PAX_FORMAT)), (
        "agents write none of those"
    )


def test_more_entries_than_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cumulus.controller.runtime.output_tar.MOST_FILES", 2)
    assert "more than 2 entries" in refused(archive(("a", b""), ("b", b""), ("c", b"")))


def test_a_cut_end_is_no_end() -> None:
    whole = archive(("a", b"x"))
    assert "ends within" in refused(whole[:1024])


def index(tmp_path: Path, manifest: Any = None, *names: str) -> Index:
    folder = tmp_path / "outputs"
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    if manifest is not None:
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        (folder / "manifest.json").write_text(text)
    take_outputs(folder, tmp_path / "a.tar", limit=LIMIT)
    return index_of(tmp_path / "a.tar")


def ids(found: Index) -> dict[str, str]:
    return {file.path: file.id for file in found.files}


def test_files_are_told_by_their_names(tmp_path: Path) -> None:
    found = index(
        tmp_path, None, "weights/model.pth", "io_stats.json", "train.log", "b/io_stats.json"
    )
    assert ids(found) == {
        "weights/model.pth": "weights",
        "io_stats.json": "io_stats-2",
        "b/io_stats.json": "io_stats",
        "train.log": "train",
    }
    roles = [file.role.value for file in found.files]
    assert roles == ["metrics", "metrics", "log", "weights"]


@pytest.mark.parametrize(
    ("path", "role"),
    [
        *((f"a/m{end}", "weights") for end in (".pt", ".PTH", ".bin", ".ckpt", ".safetensors")),
        *((name, "metrics") for name in ("metrics.json", "metrics-3.csv", "run.jsonl")),
        *((name, "plot") for name in ("loss.png", "x.svg", "photo.JPEG", "paper.pdf")),
        *((name, "other") for name in ("readme.txt", "metrics.txt", "data.csv", "pt", "model")),
        ("m.onnx", "weights"),
        ("stderr.log", "log"),
    ],
)
def test_what_a_name_tells(path: str, role: str) -> None:
    assert role_of(path) is OutputRole(role)


def test_several_weights_are_numbered_in_order(tmp_path: Path) -> None:
    found = index(tmp_path, None, "z.pt", "a/step.ckpt", "final.bin")
    assert ids(found) == {"a/step.ckpt": "weights", "final.bin": "weights-2", "z.pt": "weights-3"}


def test_a_manifest_says_what_files_are(tmp_path: Path) -> None:
    manifest = {
        "experiment_id": "night-3",
        "outputs": [
            {"id": "best", "path": "./z.dat", "type": "model", "note": "anything"},
            {"path": "curve.dat", "type": "figure"},
            {"path": "a.pt"},
        ],
    }
    found = index(tmp_path, manifest, "z.dat", "curve.dat", "a.pt", "best.txt")
    assert (found.experiment, found.message) == ("night-3", "")
    assert ids(found) == {
        "a.pt": "weights",
        "best.txt": "best-2",
        "curve.dat": "curve",
        "manifest.json": "manifest",
        "z.dat": "best",
    }
    assert {f.path: f.role.value for f in found.files}["curve.dat"] == "plot"


def test_a_manifest_may_speak_as_the_slurm_job_runners_api_does(tmp_path: Path) -> None:
    manifest = {"outputs": [{"output_id": "best", "rel_path": "z.dat"}]}
    found = index(tmp_path, manifest, "z.dat")
    assert found.message == ""
    assert ids(found)["z.dat"] == "best"


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("{not json", "Expecting property name"),
        ([], "expected an object"),
        ({"outputs": {}}, "outputs: expected a list"),
        ({"outputs": [{"path": "../../etc/passwd"}]}, "outputs[0].path: '../../etc/passwd' is no"),
        ({"outputs": [{"path": 3}]}, "outputs[0].path: 3 is no file"),
        ({"outputs": ["a"]}, "outputs[0].path: None"),
        ({"outputs": [{"path": "a", "id": "a/b"}]}, "outputs[0].id: 'a/b' is no name"),
        ({"outputs": [{"path": "a"}, {"path": "a"}]}, "outputs[1]: 'a' comes twice"),
        ({"experiment_id": "../x"}, "experiment_id '../x' is no name"),
        ("[" * 100_000, "not understood"),
    ],
)
def test_a_wrong_manifest_is_said_and_costs_no_file(
    tmp_path: Path, manifest: Any, words: str
) -> None:
    found = index(tmp_path, manifest, "a", "model.pth")
    assert words in found.message
    assert ids(found)["model.pth"] == "weights"
    assert found.experiment == ""
