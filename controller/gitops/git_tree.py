"""A commit of a git repository as a tree, read by git's plumbing: whole, whatever is being edited.

The working copy's files are never read, so that what is half-written, ignored or not committed does
not exist here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ...crd_like_specs.errors import Temporary
from .git import Git
from .tree import LEFT_OUT, MOST_FILES, Found, UnreadableError, shown

HEAD: Final = "HEAD"
_UNDER_WAY: Final = ("rebase-merge", "rebase-apply", "BISECT_LOG")
_PLAIN: Final = frozenset({"100644", "100755", "100664"})
_LINK: Final = "120000"
_MODULE: Final = "160000"


@dataclass(slots=True)
class Repository:
    """A working copy, or a folder in one, from look to look. ref: branch, tag or commit that is
    read; "" for what is checked out. remote: where `pull` pulls from.
    """

    git: Git
    ref: str = ""
    remote: str = "origin"
    _last: GitTree | None = field(default=None)

    def look(self) -> GitTree:
        """The commit as it is now. Temporary where it can't be read, or may not be final."""
        if not self.git.folder.is_dir():
            raise Temporary(
                f"{self.git.folder} is no folder: nothing is changed", reason="NoFolder"
            )
        if not self.ref:
            self._check_at_rest()
        name = f"{self.ref or HEAD}^{{commit}}"
        commit = _line(self.git.read("rev-parse", "--verify", "--end-of-options", name))
        if self._last is None or self._last.commit != commit:
            self._last = GitTree(self.git, commit, _listed(self.git, commit))
        return self._last

    def pull(self) -> None:
        """Fast-forward the branch that is read to its remote's, or raise Temporary."""
        branch = _line(self.git.read("rev-parse", "--symbolic-full-name", HEAD))
        wanted = f"refs/heads/{self.ref}" if self.ref else branch
        if not wanted.startswith("refs/heads/"):
            text = f"{self.git.folder}: no branch is checked out: there is nothing to pull"
            raise Temporary(text, reason="NoBranch")
        fetch = ("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--end-of-options")
        if wanted == branch:
            self.git.pull(*fetch, self.remote, wanted)
            self.git.pull("merge", "--quiet", "--ff-only", "FETCH_HEAD")
        else:
            self.git.pull(*fetch, self.remote, f"{wanted}:{wanted}")  # git takes no other here

    def _check_at_rest(self) -> None:
        """What is checked out in the middle of a rebase or bisection is nobody's wish."""
        asked = (part for name in _UNDER_WAY for part in ("--git-path", name))
        for path in self.git.read("rev-parse", *asked).decode(errors="replace").splitlines():
            if (self.git.folder / path).exists():
                what = "bisection" if "BISECT" in path else "rebase"
                text = f"{self.git.folder}: a {what} is under way: nothing is changed until it ends"
                raise Temporary(text, reason="Busy")


@dataclass(slots=True)
class GitTree:
    """One commit, below the repository's folder."""

    git: Git
    commit: str
    files: Sequence[Found]
    gone: frozenset[str] = frozenset()
    settling: bool = False
    _fetched: dict[str, bytes] = field(default_factory=dict)
    _by_path: dict[str, str] = field(default_factory=dict)

    def read(self, path: str, limit: int) -> bytes:
        """See `Tree`."""
        stamp = self._stamps().get(path)
        if stamp is None:
            raise UnreadableError("is not in the commit")
        known = self._fetched.get(stamp)
        return (known if known is not None else self._blobs([stamp])[0])[:limit]

    def prefetch(self, paths: Iterable[str]) -> None:
        """See `Tree`: one process for all of them."""
        stamps = self._stamps()
        wanted = list(dict.fromkeys(stamps[path] for path in paths))
        self._fetched = dict(zip(wanted, self._blobs(wanted), strict=True)) if wanted else {}

    def extract(self, paths: Iterable[str], target: Path) -> None:
        """See `Tree`."""
        stamps = self._stamps()
        wanted = list(paths)
        blobs = self._blobs([stamps[path] for path in wanted]) if wanted else []
        for path, data in zip(wanted, blobs, strict=True):
            copy = target / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(data)

    def _stamps(self) -> dict[str, str]:
        if not self._by_path:
            self._by_path = {one.path: one.stamp for one in self.files}
        return self._by_path

    def _blobs(self, names: Sequence[str]) -> list[bytes]:
        try:
            out = self.git.read(
                "cat-file", "--batch", stdin="".join(f"{n}\n" for n in names).encode()
            )
        except Temporary as error:
            raise UnreadableError(error.message) from error
        blobs, at = [], 0
        for name in names:
            end = out.find(b"\n", at)
            head = out[at:end].split()
            if end < 0 or len(head) != 3 or head[1] != b"blob":
                raise UnreadableError(f"object {name} is missing from the repository")
            size = int(head[2])
            blobs.append(out[end + 1 : end + 1 + size])
            at = end + size + 2
        return blobs


def _listed(git: Git, commit: str) -> tuple[Found, ...]:
    """Everything of the commit from the folder on, as `ls-tree` gives it for where it is run."""
    out = git.read("ls-tree", "-r", "-l", "-z", "--end-of-options", commit)
    lines = out.split(b"\0")[:-1]
    if len(lines) > MOST_FILES:
        text = f"{git.folder} holds more than {MOST_FILES} files: name a smaller folder"
        raise Temporary(text, reason="TooLarge")
    found = []
    for line in lines:
        head, _, name = line.partition(b"\t")
        mode, _, blob, size = head.decode().split()
        path, wrong = shown(name.decode(errors="surrogateescape"))
        if mode == _MODULE or LEFT_OUT.intersection(path.split("/")[:-1]):
            continue
        if mode not in _PLAIN:
            wrong = wrong or "is a link: expected a plain file"
        found.append(Found(path, blob, int(size), refused=wrong))
    return tuple(sorted(found, key=lambda one: one.path))


def _line(out: bytes) -> str:
    return out.decode(errors="replace").strip()
