"""One look at a source's files: pull if it is due, list, read what changed. I/O, in a thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...crd_like_specs.errors import Temporary
from .declared import Declared, Reading
from .folder import Folder
from .git import Git
from .git_tree import Repository
from .reading import Reader
from .settings import SourceConfig
from .tree import Tree


@dataclass(frozen=True, slots=True)
class Look:
    """What there is. pull_failed: why the last pull did not go well, "" where it did."""

    tree: Tree
    readings: tuple[Reading, ...]
    pull_failed: str = ""


@dataclass(slots=True)
class Looker:
    """Of one source, from look to look. values: for substitution."""

    config: SourceConfig
    values: Mapping[str, str | None]
    was_git: bool = False
    """Whether an earlier look, of an earlier controller too, was at commits."""
    _git: Git = field(init=False)
    _repository: Repository = field(init=False)
    _folder: Folder = field(init=False)
    _reader: Reader = field(init=False)
    _pull_at: float = 0.0
    _pull_failed: str = ""

    def __post_init__(self) -> None:
        self._git = Git(self.config.path)
        self._repository = Repository(self._git, self.config.ref, self.config.remote)
        self._folder = Folder(self.config.path)
        self._reader = Reader(self.config.name, self.values, self.config.templates)

    def look(self, now: float) -> Look:
        """now: seconds of a clock that never steps. Temporary where nothing can be said."""
        tree: Tree
        if self.config.is_git:
            self._pull(now)
            tree = self._repository.look()
            self.was_git = True
        elif self.was_git and self.config.type == "auto":
            text = f"{self.config.path} was a git working copy and is none: set its type if it is to be a folder"
            raise Temporary(text, reason="NoGit")
        else:
            tree = self._folder.look(now)
        return Look(tree, tuple(self._reader.readings(tree)), self._pull_failed)

    def code(self, tree: Tree, declared: Declared) -> bytes:
        """See `Reader.code`."""
        return self._reader.code(tree, declared)

    def stop(self) -> None:
        """End what runs in the thread, soon."""
        self._git.stop()

    def _pull(self, now: float) -> None:
        """A pull that fails is told, and what is there is read all the same."""
        if not self.config.pull or now < self._pull_at:
            return
        self._pull_at = now + self.config.pull
        try:
            self._repository.pull()
            self._pull_failed = ""
        except Temporary as error:
            self._pull_failed = error.message
