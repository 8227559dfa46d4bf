"""What a folder may not do: lead out of itself, grow without bounds, hide, or break the look."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cumulus.controller.config import load_config
from cumulus.controller.gitops import tree
from cumulus.controller.gitops.folder import FolderTree
from cumulus.crd_like_specs.errors import ValidationError
from cumulus.crd_like_specs.packing import digest, pack
from cumulus.crd_like_specs.yaml_nodes import MAX_BYTES
from runtime_kit import Kit
from source_kit import SourceKit, spec


async def test_links_are_followed_inside_only(folder: SourceKit, tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text(spec("stolen"))
    folder.write("real/..data/a.txt", spec("inside"))
    (folder.folder / "in.yaml").symlink_to("real/..data/a.txt")
    (folder.folder / "out.yaml").symlink_to(tmp_path / "secret.yaml")
    (folder.folder / "nowhere.yaml").symlink_to("nothing")
    (folder.folder / "loop.yaml").symlink_to("loop.yaml")
    (folder.folder / "dir.yaml").symlink_to(tmp_path)
    os.mkfifo(folder.folder / "pipe.yaml")
    await folder.settle()
    assert folder.names() == ["inside"]
    states = folder.states()
    assert states.pop("in.yaml") == "Synced"
    assert states == dict.fromkeys(
        ("out.yaml", "nowhere.yaml", "loop.yaml", "dir.yaml", "pipe.yaml"), "Invalid"
    )
    assert "leads out of the folder" in folder.files()["out.yaml"].message


async def test_a_folder_exchanged_for_a_link_leads_nowhere(
    folder: SourceKit, tmp_path: Path
) -> None:
    """Even between the listing and the reading."""
    folder.jobs("deep/a.yaml", "one")
    await folder.look()
    seen = folder.syncing._looker._folder.look(folder.kit.clock.now() + 5)
    (folder.folder / "deep").rename(tmp_path / "moved")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.yaml").write_text(spec("stolen"))
    (folder.folder / "deep").symlink_to(tmp_path / "outside")
    with pytest.raises(tree.UnreadableError, match="out of the folder"):
        seen.read("deep/a.yaml", 100)


async def test_code_beside_a_spec_is_packed_once_it_is_whole(folder: SourceKit) -> None:
    folder.write("train/main.py", "def main(): return 1\n")
    folder.write("train/data.yaml", "no: spec\n")
    folder.jobs("a.yaml", "one", code={"path": "train"})
    await folder.settle()
    first = folder.kit.records.find_job("one")
    assert folder.states() == {"a.yaml": "Synced"}
    folder.write("train/main.py", "def main(): return 2\n")
    await folder.look()
    assert folder.kit.records.find_job("one").spec == first.spec
    await folder.settle()
    changed = folder.kit.records.find_job("one")
    assert changed.spec.code != first.spec.code
    assert changed.metadata.generation == 2
    (folder.folder / "train" / "main.py").unlink()
    await folder.settle()
    assert folder.states()["a.yaml"] == "Invalid"
    assert "main.py" in folder.files()["a.yaml"].message
    assert folder.kit.records.find_job("one").spec == changed.spec


async def test_code_may_be_a_zip(folder: SourceKit) -> None:
    data = pack({"main.py": b"def main(): return 1\n"})
    (folder.folder / "train.zip").write_bytes(data)
    folder.jobs("deep/a.yaml", "one", code={"path": "../train.zip"})
    await folder.settle()
    code = folder.kit.records.find_job("one").spec.code
    assert code is not None
    assert code.digest == digest(data)
    assert await folder.kit.blobs.has(code.digest) == len(data)


async def test_code_outside_of_the_folder_is_refused(folder: SourceKit, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "main.py").write_text("def main(): pass\n")
    (folder.folder / "link").symlink_to(tmp_path / "outside")
    for number, path in enumerate(("../outside", str(tmp_path / "outside"), "link", "a/../..")):
        folder.jobs(f"{number}.yaml", f"job-{number}", code={"path": path})
    await folder.settle()
    assert folder.names() == []
    assert set(folder.states().values()) == {"Invalid"}


async def test_files_too_large_badly_named_or_not_jobs(folder: SourceKit) -> None:
    folder.write("large.yaml", "#" * (MAX_BYTES + 1))
    folder.write("worker.yaml", "apiVersion: cumulus.dev/v1\nkind: Worker\nmetadata: {name: w}\n")
    folder.write("a\nb.yaml", spec("one"))
    folder.write(".hidden.yaml", spec("two"))
    (folder.folder / os.fsdecode(b"\xff.yaml")).write_text(spec("three"))
    folder.write("bytes.yaml", "")
    (folder.folder / "bytes.yaml").write_bytes(b"a: \xff\n")
    folder.write("empty.yaml", "# nothing yet\n")
    await folder.settle()
    assert folder.names() == []
    states = folder.states()
    assert states.pop("empty.yaml") == "Synced"
    assert set(states.values()) == {"Invalid"}
    assert len(states) == 5
    assert all(name.isprintable() for name in states)
    assert "expected a Job" in folder.files()["worker.yaml"].message
    assert folder.files()["bytes.yaml"].message.startswith("1:4: ")


async def test_more_files_than_a_source_may_have(
    folder: SourceKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.jobs("a.yaml", "one")
    await folder.settle()
    monkeypatch.setattr("cumulus.controller.gitops.reading.MOST_SPECS", 1)
    folder.jobs("b.yaml", "two")
    found = await folder.settle()
    assert folder.names() == ["one"]
    assert "at most 1" in found.status.message


async def test_a_file_that_cannot_be_read_keeps_every_job(
    folder: SourceKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.jobs("a.yaml", "one")
    folder.jobs("b.yaml", "two")
    await folder.settle()

    def broken(*_: object) -> bytes:
        raise tree.UnreadableError("Input/output error")

    monkeypatch.setattr(FolderTree, "read", broken)
    folder.jobs("b.yaml", "two", priority=1)
    (folder.folder / "a.yaml").unlink()
    await folder.settle()
    assert folder.names() == ["one", "two"]
    assert "Input/output error" in folder.files()["b.yaml"].message


async def test_what_the_controller_refuses_is_invalid_and_the_rest_goes_on(
    folder: SourceKit,
) -> None:
    folder.jobs("a.yaml", "one", env={"CUMULUS_X": "1"})
    folder.jobs("b.yaml", "two")
    await folder.settle()
    assert folder.names() == ["two"]
    assert folder.states() == {"a.yaml": "Invalid", "b.yaml": "Synced"}
    assert "spec.env.CUMULUS_X" in folder.files()["a.yaml"].message


async def test_a_source_that_is_no_longer_configured_leaves_its_jobs(folder: SourceKit) -> None:
    folder.jobs("a.yaml", "one")
    await folder.settle()
    await folder.end("one")
    folder.restart(name="other", path=str(folder.folder.parent / "none"))
    await folder.sources.forget_unconfigured()
    assert folder.kit.store.ids("sources") == []
    assert folder.names() == ["one"]
    await folder.collect("one")
    folder.restart(name="nightly", path=str(folder.folder))
    await folder.settle()
    assert folder.names() == [], "it is remembered that this run finished"


def test_every_wrong_entry_of_the_configuration_is_named(tmp_path: Path) -> None:
    config = tmp_path / "controller.yaml"
    config.write_text(
        "sources:\n"
        "- {name: a, path: relative}\n"
        "- {name: B, path: /x}\n"
        "- {name: c, path: /x, type: folder, pull: 5m}\n"
        "- {name: d, path: /x, ref: '--upload-pack=x'}\n"
        "- {name: e, path: /x, substitute: {API_TOKEN: x}}\n"
        '- {name: f, path: /x, substitute: {REGION: "a\\nb"}}\n'
        "- {name: g, path: /x, substituteFrom: [DB_PASSWORD]}\n"
        "- {name: h, path: /x, interval: 0}\n"
        "- {name: i, path: /x, remote: 'https://u:p@h/x'}\n"
    )
    with pytest.raises(ValidationError) as caught:
        load_config(config)
    places = {problem.path.split(".")[0] for problem in caught.value.problems}
    assert places == {f"sources[{n}]" for n in range(9)}
    config.write_text("sources: [{name: a, path: /x}, {name: a, path: /y}]\n")
    with pytest.raises(ValidationError, match="a is given more than once"):
        load_config(config)


async def test_two_sources_do_not_take_each_others_jobs(kit: Kit, tmp_path: Path) -> None:
    first = SourceKit(kit, tmp_path / "first", name="first", owner="vision")
    second = SourceKit(kit, tmp_path / "second", name="second", owner="vision")
    first.jobs("a.yaml", "one")
    second.jobs("a.yaml", "one", "two")
    await first.settle()
    await second.settle()
    assert second.names() == ["one", "two"]
    assert second.states() == {"a.yaml": "OutOfSync"}
    (second.folder / "a.yaml").unlink()
    second.jobs("b.yaml", "two")
    await second.settle()
    await first.settle()
    assert second.names() == ["one", "two"]
