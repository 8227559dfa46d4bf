"""The unit folders: what a job finds at /job and /env. File I/O (in threads); called by `lease_task`.

    <root>/<unit>/job/code.zip          from the blob cache, checked against its digest
    <root>/<unit>/job/args.json         arguments of main()
    <root>/<unit>/job/requirements.txt  merged requirements, where there are any
    <root>/<unit>/job/warning.json      shortly before the end
    <root>/<unit>/checkpoint            what an attempt before it left; see `checkpoint_folder`
    <root>/<unit>/outputs               what it finds at /results, empty; see `outputs_folder`
    <root>/<unit>/datasets/             links to its datasets in their cache
    <root>/<unit>/env                   link to a prepared environment, or an empty folder

A folder appears whole or not at all (built aside, then renamed), so that one that is there needs
no second look. Paths are made of the unit's checked name only. The root can be passed through but
not listed: containers run as another user and must read what is theirs, the names can't be guessed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from ...api.frames import LeaseWanted
from ...crd_like_specs.checkpoint import CHECKPOINT_DIR
from ...crd_like_specs.errors import DriverError, Permanent, Temporary
from ...crd_like_specs.identity import parse_unit
from ...crd_like_specs.job_datasets import FOLDERS, DatasetMount
from ...crd_like_specs.outputs import OUTPUTS_DIR
from . import checkpoint_folder, outputs_folder, requirements
from .blob_cache import BlobCache
from .dataset_cache import DatasetCache, Told
from .ports import ArtifactSource

P = ParamSpec("P")
T = TypeVar("T")

_ASIDE: Final = ".aside-"


class Staging:
    """root: absolute folder, made if missing; blobs: where code comes from; archives: where
    checkpoints are kept, and artifacts: where they come from; without both jobs have none.
    owner: user that jobs run as, None: the one that the agent runs as. datasets: None where there
    are none.
    """

    def __init__(
        self,
        root: Path,
        blobs: BlobCache,
        archives: BlobCache | None = None,
        artifacts: ArtifactSource | None = None,
        owner: int | None = None,
        datasets: DatasetCache | None = None,
    ) -> None:
        self.root = root
        self._datasets = datasets
        self._blobs = blobs
        self._archives = archives
        self._artifacts = artifacts
        self._owner = owner
        root.mkdir(parents=True, exist_ok=True)
        root.chmod(0o711)
        for left in root.glob(f"{_ASIDE}*"):
            with contextlib.suppress(OSError):
                checkpoint_folder.remove(left)

    def units(self) -> list[str]:
        """Units that have a folder."""
        return [path.name for path in self.root.iterdir() if parse_unit(path.name)]

    async def stage(self, lease: LeaseWanted, told: Told = lambda _: None) -> tuple[str, ...]:
        """Make the unit's folder and give its requirements; one that is there is kept. told: how far
        it is, in words, where that takes a while.

        `Permanent("BadLease" | "CodeMissing" | "CheckpointMissing" | "CheckpointUnsafe" |
        "DatasetMissing" | "DatasetUnsafe" | "RequirementsFailed")`, `Temporary`.
        """
        folder = self._folder(lease.name)
        if not folder.exists():
            code = await self._blobs.get(lease.code_digest) if lease.code_digest else None
            archive = await self._archive(lease)
            data = {m.link: await self._dataset(lease.name, m, told) for m in lease.datasets}
            await asyncio.to_thread(_io, self._build, lease, folder, code, archive, data)
        return await asyncio.to_thread(_io, self._requirements, folder)

    def writable(self, unit: str) -> tuple[tuple[Path, str], ...]:
        """Its folders that the job writes to, each with where it finds it."""
        unit_folder = self._folder(unit)
        known = (
            (unit_folder / checkpoint_folder.FOLDER, CHECKPOINT_DIR),
            (unit_folder / outputs_folder.FOLDER, OUTPUTS_DIR),
        )
        return tuple((folder, target) for folder, target in known if folder.is_dir())

    def is_pausable(self, unit: str) -> bool:
        """Whether its job said that it asks whether to pause."""
        return checkpoint_folder.is_pausable(self._folder(unit))

    async def link_env(self, unit: str, env: Path | None) -> None:
        """Give it this environment (absolute), or an empty one."""
        await asyncio.to_thread(_io, self._link_env, self._folder(unit), env)

    async def warn(self, unit: str, *, reason: str, ends_at: float, seconds_left: float) -> None:
        """Write warning.json (whole at once). ends_at: POSIX seconds."""
        text = json.dumps({"reason": reason, "ends_at": ends_at, "seconds_left": seconds_left})
        path = self._folder(unit) / "job" / "warning.json"
        await asyncio.to_thread(_io, _write_whole, path, text)

    async def drop(self, unit: str) -> None:
        """Remove the folder; none is fine."""
        await asyncio.to_thread(_io, self._drop, self._folder(unit))
        if self._datasets is not None:
            self._datasets.release(unit)

    def _folder(self, unit: str) -> Path:
        if parse_unit(unit) is None:
            raise Permanent(f"{unit!r} is not the name of an attempt", reason="BadLease")
        return self.root / unit

    async def _archive(self, lease: LeaseWanted) -> Path | None:
        """What its /checkpoint begins with."""
        spec, artifacts = lease.spec, self._artifacts
        if not (spec.checkpoint and spec.checkpoint_size and self._archives and artifacts):
            return None
        return await self._archives.get(spec.checkpoint, _Of(artifacts, lease.name))

    async def _dataset(self, unit: str, mount: DatasetMount, told: Told) -> Path:
        if self._datasets is None:
            raise Permanent(f"dataset {mount.label}: this worker keeps none", reason="BadLease")
        return await self._datasets.get(unit, mount, told)

    def _build(
        self,
        lease: LeaseWanted,
        folder: Path,
        code: Path | None,
        archive: Path | None,
        datasets: Mapping[str, Path],
    ) -> None:
        own = requirements.of_zip(code) if code else ""
        lines = requirements.merge(own, lease.requirements)
        aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=self.root))
        try:
            job = aside / "job"
            job.mkdir()
            if code:
                _place(code, job / "code.zip")
            _write(job / "args.json", lease.args_json or "[]")
            if lines:
                _write(job / "requirements.txt", "".join(f"{line}\n" for line in lines))
            for path in (aside, job):
                path.chmod(0o755)
            _link_all(aside / FOLDERS, datasets)
            if lease.spec.checkpoint_size and self._archives:
                checkpoint_folder.make(aside, lease.spec, archive, self._owner)
                if self._owner is not None and not lease.code_digest:
                    # Whoever an image runs as; the folder's path can't be guessed.
                    (aside / checkpoint_folder.FOLDER).chmod(0o777)
            if lease.spec.outputs_size:
                outputs_folder.make(aside, lease.spec, self._owner)
            aside.rename(folder)
        except (OSError, DriverError) as e:
            shutil.rmtree(aside, ignore_errors=True)
            if isinstance(e, DriverError) or not folder.exists():  # else someone else was faster
                raise

    @staticmethod
    def _requirements(folder: Path) -> tuple[str, ...]:
        path = folder / "job" / "requirements.txt"
        return tuple(path.read_text().splitlines()) if path.exists() else ()

    @staticmethod
    def _link_env(folder: Path, env: Path | None) -> None:
        link = folder / "env"
        if link.is_symlink():
            link.unlink()
        if env is None:
            link.mkdir(mode=0o755, exist_ok=True)
            link.chmod(0o755)
            return
        if link.is_dir():
            link.rmdir()
        link.symlink_to(env, target_is_directory=True)

    @staticmethod
    def _drop(folder: Path) -> None:
        """Away at once, so that what is half removed never looks like a staged unit; and without a
        new folder for it, since that may be what a full disk has no room for.
        """
        aside = folder.with_name(f"{_ASIDE}{uuid.uuid4().hex}")
        with contextlib.suppress(FileNotFoundError):
            folder.rename(aside)
            checkpoint_folder.remove(aside)


@dataclass(frozen=True, slots=True)
class _Of:
    """The artifacts that one attempt is given, as a source of blobs."""

    artifacts: ArtifactSource
    unit: str

    async def fetch(self, digest: str, dest: Path) -> None:
        await self.artifacts.fetch(self.unit, digest, dest)


def datasets_in_use(root: Path) -> set[str]:
    """Keys of the datasets that units refer to which are staged below this root."""
    found = set()
    for link in root.glob(f"*/{FOLDERS}/*"):
        with contextlib.suppress(OSError):  # dropped meanwhile
            found.add(link.readlink().name)
    return found


def _link_all(folder: Path, datasets: Mapping[str, Path]) -> None:
    if datasets:
        folder.mkdir()
        folder.chmod(0o755)
    for name, path in datasets.items():
        (folder / name).symlink_to(path, target_is_directory=True)


def _place(source: Path, target: Path) -> None:
    """Share the cached file's blocks where the file system allows it. It is mounted read-only."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        target.chmod(0o644)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)


def _write_whole(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}")
    _write(aside, text)
    aside.replace(path)


def _io(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return work(*args, **kwargs)
    except OSError as e:
        raise Temporary(f"staging: {e.strerror}: {e.filename}", reason="StagingFailed") from e
