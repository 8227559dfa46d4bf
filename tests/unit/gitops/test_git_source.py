"""A git working copy as the truth: its checked-out commit, whole."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from cumulus.controller.gitops.git import Git, without_credentials
from cumulus.crd_like_specs.errors import Temporary
from runtime_kit import Kit, until
from source_kit import Repo, SourceKit, spec


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "specs")


@pytest.fixture
def source(kit: Kit, repo: Repo) -> SourceKit:
    return SourceKit(kit, repo.folder)


async def test_the_commit_that_is_checked_out_is_read(source: SourceKit, repo: Repo) -> None:
    source.jobs("a.yaml", "one")
    source.jobs("b.yaml", "two")
    first = repo.commit()
    source.jobs("half.yaml", "three")
    (source.folder / "b.yaml").unlink()
    found = await source.settle(1)
    assert source.names() == ["one", "two"], "what is not committed does not exist"
    assert (found.spec.type, found.status.commit) == ("git", first)
    second = repo.commit()
    found = await source.settle(2)
    assert source.names() == ["one", "three"]
    assert source.states() == {"a.yaml": "Synced", "b.yaml": "Pruned", "half.yaml": "Synced"}
    assert found.status.commit == second


async def test_a_revert_prunes_what_it_removed_and_reruns_nothing(
    source: SourceKit, repo: Repo
) -> None:
    source.jobs("a.yaml", "one")
    repo.commit()
    source.jobs("a.yaml", "one", duration=61)
    source.jobs("b.yaml", "two", "three")
    await source.settle(1)
    await source.end("one")
    repo.commit()
    await source.settle(1)
    for name in ("one", "two"):
        await source.end(name)
    repo.git("revert", "--no-edit", "HEAD")
    await source.settle(3)
    assert source.names() == ["one"], "its finished record is history and stays"
    assert source.kit.records.find_job("one").spec.duration == 61
    repo.git("revert", "--no-edit", "HEAD")
    await source.settle(3)
    assert source.names() == ["one", "three"], "what never finished runs, what finished does not"
    assert set(source.states().values()) == {"Synced"}


async def test_a_folder_in_a_repository_is_a_source(kit: Kit, repo: Repo) -> None:
    source = SourceKit(kit, repo.folder / "jobs")
    source.jobs("one.yaml", "one", code={"path": "./train"})
    source.write("train/main.py", "def main(): return 1\n")
    source.write("train/settings.yaml", "rate: 1\n")
    source.write("../other.yaml", spec("two"))
    repo.commit()
    await source.settle(1)
    assert source.names() == ["one"]
    assert source.states() == {"one.yaml": "Synced"}, "a job's own YAML is no spec"
    code = kit.records.find_job("one").spec.code
    assert code is not None
    assert code.digest is not None
    assert await kit.blobs.has(code.digest)
    source.write("train/main.py", "def main(): return 2\n")
    repo.commit()
    await source.settle(1)
    changed = kit.records.find_job("one")
    assert changed.metadata.generation == 2, "other code is another run"


async def test_links_and_what_leads_out_are_refused(kit: Kit, repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text(spec("stolen"))
    source = SourceKit(kit, repo.folder)
    (repo.folder / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    source.jobs("out.yaml", "out", code={"path": "../elsewhere"})
    source.jobs("absolute.yaml", "absolute", code={"path": "/etc"})
    (repo.folder / "code").mkdir()
    (repo.folder / "code" / "main.py").symlink_to("/etc/passwd")
    source.jobs("linked.yaml", "linked", code={"path": "code"})
    source.jobs("good.yaml", "good")
    repo.commit()
    await source.settle(1)
    assert source.names() == ["good"]
    states = source.states()
    assert states.pop("good.yaml") == "Synced"
    assert set(states.values()) == {"Invalid"}
    files = source.files()
    assert "link" in files["link.yaml"].message
    assert "out of the source's folder" in files["out.yaml"].message
    assert "root:" not in files["linked.yaml"].message


async def test_pulls_fast_forward_only(kit: Kit, repo: Repo, tmp_path: Path) -> None:
    (repo.folder / "a.yaml").write_text(spec("one"))
    repo.commit()
    repo.git("clone", "--quiet", ".", str(tmp_path / "copy"))
    copy = Repo(tmp_path / "copy")
    source = SourceKit(kit, copy.folder, pull="1m")
    await source.settle(1)
    (repo.folder / "b.yaml").write_text(spec("two"))
    ahead = repo.commit()
    await source.settle(1)
    assert source.names() == ["one"], "a minute has not passed"
    kit.clock.advance(60)
    found = await source.settle(1)
    assert source.names() == ["one", "two"]
    assert found.status.commit == ahead
    (copy.folder / "c.yaml").write_text(spec("three"))
    apart = copy.commit()
    (repo.folder / "d.yaml").write_text(spec("four"))
    repo.commit()
    kit.clock.advance(60)
    found = await source.settle(1)
    assert found.status.commit == apart
    assert source.names() == ["one", "three", "two"]
    pulled = found.status.condition("Pulled")
    assert pulled is not None
    assert not pulled.status
    assert "fast-forward" in pulled.message.lower()


async def test_a_branch_that_is_not_checked_out_is_pulled_and_read(
    kit: Kit, repo: Repo, tmp_path: Path
) -> None:
    (repo.folder / "a.yaml").write_text(spec("one"))
    repo.commit()
    repo.git("branch", "release")
    repo.git("clone", "--quiet", ".", str(tmp_path / "copy"))
    copy = Repo(tmp_path / "copy")
    copy.git("branch", "release", "origin/release")
    source = SourceKit(kit, copy.folder, ref="release", pull=60)
    await source.settle(1)
    repo.git("checkout", "--quiet", "release")
    (repo.folder / "b.yaml").write_text(spec("two"))
    ahead = repo.commit()
    kit.clock.advance(60)
    found = await source.settle(1)
    assert (source.names(), found.status.commit) == (["one", "two"], ahead)
    assert copy.git("rev-parse", "HEAD") != ahead


async def test_nothing_of_the_repository_is_run(kit: Kit, repo: Repo, tmp_path: Path) -> None:
    """Hooks, monitors, filters, ssh commands and aliases of its own configuration."""
    ran = tmp_path / "ran"
    script = tmp_path / "evil"
    script.write_text(f"#!/bin/sh\ntouch {ran}\nexit 0\n")
    script.chmod(0o755)
    (repo.folder / "a.yaml").write_text(spec("one"))
    (repo.folder / ".gitattributes").write_text("*.yaml filter=evil diff=evil\n")
    repo.commit()
    repo.git("clone", "--quiet", "--no-local", ".", str(tmp_path / "copy"))
    copy = Repo(tmp_path / "copy")
    for hook in ("post-merge", "post-checkout", "reference-transaction", "pre-auto-gc"):
        (copy.folder / ".git" / "hooks" / hook).symlink_to(script)
    for name in ("core.fsmonitor", "core.sshCommand", "core.pager", "alias.ls-tree",
                 "diff.evil.textconv", "uploadpack.packObjectsHook"):  # fmt: skip
        copy.git("config", name, str(script))
    source = SourceKit(kit, copy.folder, pull=60)
    await source.settle(2)
    (repo.folder / "b.yaml").write_text(spec("two"))
    repo.commit()
    kit.clock.advance(60)
    await source.settle(1)
    assert source.names() == ["one", "two"]
    assert not ran.exists()


async def test_what_is_checked_out_in_a_rebase_is_not_taken(source: SourceKit, repo: Repo) -> None:
    source.jobs("a.yaml", "one")
    repo.commit()
    await source.settle(1)
    (repo.folder / "a.yaml").unlink()
    source.jobs("b.yaml", "two")
    repo.commit()
    (repo.folder / ".git" / "rebase-merge").mkdir()
    found = await source.settle(2)
    assert source.names() == ["one"]
    assert "rebase is under way" in found.status.message
    (repo.folder / ".git" / "rebase-merge").rmdir()
    found = await source.settle(2)
    assert (source.names(), found.status.message) == (["two"], "")


async def test_a_working_copy_that_lost_its_repository_is_not_a_folder(
    source: SourceKit, repo: Repo
) -> None:
    source.jobs("a.yaml", "one")
    repo.commit()
    await source.settle(1)
    (repo.folder / ".git").rename(repo.folder.parent / "gone")
    (repo.folder / "a.yaml").unlink()
    source.jobs("b.yaml", "two")
    source.restart()
    found = await source.settle()
    assert source.names() == ["one"]
    assert "was a git working copy" in found.status.message


async def test_a_commit_without_specs_prunes_nothing(source: SourceKit, repo: Repo) -> None:
    source.jobs("a.yaml", "one")
    repo.commit()
    await source.settle(1)
    (repo.folder / "a.yaml").unlink()
    repo.commit()
    found = await source.settle(2)
    assert source.names() == ["one"]
    assert "allowEmpty" in found.status.message


async def test_what_git_says_is_told_without_credentials(tmp_path: Path, kit: Kit) -> None:
    assert without_credentials("fatal: https://me:s3cret@example.org/x: no\nhint: z") == (
        "fatal: https://example.org/x: no"
    )
    repo = Repo(tmp_path / "specs")
    repo.git("remote", "add", "origin", "file://me:s3cret@localhost/nowhere")
    source = SourceKit(kit, repo.folder, pull=60)
    found = await source.settle(1)
    assert "s3cret" not in found.model_dump_json()
    with pytest.raises(Temporary) as caught:
        Git(tmp_path / "specs").read("rev-parse", "--verify", "nothing^{commit}")
    assert caught.value.message.startswith(f"{tmp_path}/specs: git rev-parse: fatal")


async def test_git_gets_little_of_the_controllers_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "CUMULUS_SECRET", "x")
    monkeypatch.setitem(os.environ, "GIT_DIR", "/elsewhere")
    repo = Repo(tmp_path / "specs")
    repo.git("config", "alias.show-environment", "!env")
    shown = Git(repo.folder).pull("show-environment").decode()
    assert "CUMULUS_SECRET" not in shown
    assert "/elsewhere" not in shown


async def test_a_git_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its time, or because the controller stops; its children too."""
    hanging = tmp_path / "bin" / "git"
    hanging.parent.mkdir()
    hanging.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nsleep 600 | cat\n")
    hanging.chmod(0o755)
    monkeypatch.setenv("PATH", f"{hanging.parent}:{os.environ['PATH']}")
    git = Git(tmp_path)
    reading = asyncio.create_task(asyncio.to_thread(git.read, "rev-parse", "HEAD"))
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    git.stop()
    with pytest.raises(Temporary):
        await reading
    with pytest.raises(Temporary, match="the controller stops"):
        git.read("rev-parse", "HEAD")
    monkeypatch.setattr("cumulus.controller.gitops.git.READ_SECONDS", 0.1)
    with pytest.raises(Temporary, match="git rev-parse took longer than"):
        await asyncio.to_thread(Git(tmp_path).read, "rev-parse", "HEAD")


async def test_a_machine_without_git_says_so(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SourceKit(kit, tmp_path / "specs", type="git")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = await source.settle(1)
    assert "git is not installed" in found.status.message
