"""What of a folder is no part of its code: `.cumulusignore` and `.gitignore`, by git's own rules.

Reads these files. Called by `packing.read_folder`. In each folder `.cumulusignore` counts, or else
`.gitignore`; a folder's rules go before those of the folders above it. Inside of a git work tree
the `.gitignore` files above the code count too, so that what is kept out of the repository (keys,
data) is not sent by accident, except where they ignore the code folder itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

FILES: Final = (".cumulusignore", ".gitignore")
ALWAYS: Final = (
    *(".git", "__pycache__", "*.pyc", ".venv", ".ipynb_checkpoints", ".mypy_cache"),
    *(".pytest_cache", ".ruff_cache", *FILES),
)


class Ignored:
    """The rules that hold in one folder. outer: those of the folder above it."""

    def __init__(self, folder: Path, rules: Sequence[tuple[Path, GitIgnoreSpec]]) -> None:
        self._folder = folder
        self._rules = rules  # innermost first, each with the folder that its paths start at

    @classmethod
    def at(cls, folder: Path) -> Ignored:
        """The rules for a folder of code."""
        top = folder.resolve()
        always = (top, _spec(ALWAYS))
        above = cls(top, [*_of_repository(top), always])
        if above.ignores(top, folder=True):
            above = cls(top, [always])
        return above.inside(top)

    def inside(self, folder: Path) -> Ignored:
        """The rules for a folder below, with those that it brings."""
        own = _own(folder, FILES)
        return Ignored(folder, [(folder, own), *self._rules] if own else self._rules)

    def ignores(self, path: Path, *, folder: bool) -> bool:
        """path: absolute. The innermost rule that speaks of it decides; `!` takes back."""
        for start, spec in self._rules:
            if path == start:
                continue
            name = path.relative_to(start).as_posix()
            said = spec.check_file(f"{name}/" if folder else name).include
            if said is not None:
                return said
        return False


def _of_repository(folder: Path) -> list[tuple[Path, GitIgnoreSpec]]:
    """Of the `.gitignore` files above a folder, up to its repository's top; none outside of one."""
    found: list[tuple[Path, GitIgnoreSpec]] = []
    if (folder / ".git").exists():
        return found
    for above in folder.parents:
        spec = _own(above, (".gitignore",))
        if spec:
            found.append((above, spec))
        if (above / ".git").exists():
            return found
    return []


def _own(folder: Path, names: Sequence[str]) -> GitIgnoreSpec | None:
    for name in names:
        path = folder / name
        if path.is_file():
            return _spec(path.read_text(errors="replace").splitlines())
    return None


def _spec(lines: Sequence[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 (only folders need it: much of what imports this packs text)

    return GitIgnoreSpec.from_lines(lines)
