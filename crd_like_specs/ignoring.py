"""What of a folder is no part of its code: `.cumulusignore` and `.gitignore`, by git's own rules.

Reads these files. Called by `packing.read_folder`. In each folder `.cumulusignore` counts, or else
`.gitignore`; a folder's rules go before those of the folders above it. Inside of a git work tree
the `.gitignore` files above the code count too, so that what is kept out of the repository (keys,
data) is not sent by accident, except where they ignore the code folder itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

FILES: Final = (".cumulusignore", ".gitignore")
ALWAYS: Final = (
    *(".git", "__pycache__", "*.pyc", ".venv", ".ipynb_checkpoints", ".mypy_cache"),
    *(".pytest_cache", ".ruff_cache", *FILES),
)

_FOLDERS_WITHIN: Final = re.compile(r"/\*\*/$")

_Patterns = tuple[tuple[bool, re.Pattern[str]], ...]
"""Of one file, the last one first: whether it ignores, or takes back; and what it matches."""


class Ignored:
    """The rules that hold in one folder. outer: those of the folder above it."""

    def __init__(self, folder: Path, rules: Sequence[tuple[Path, _Patterns]]) -> None:
        self._folder = folder
        self._rules = rules  # innermost first, each with the folder that its paths start at

    @classmethod
    def at(cls, folder: Path) -> Ignored:
        """The rules for a folder of code."""
        top = folder.resolve()
        always = (top, _compiled(ALWAYS))
        above = cls(top, [*_of_repository(top), always])
        if any(above.ignores(path, folder=True) for path in (top, *top.parents)):
            above = cls(top, [always])
        return above.inside(top)

    def inside(self, folder: Path) -> Ignored:
        """The rules for a folder below, with those that it brings."""
        own = _own(folder, FILES)
        return Ignored(folder, [(folder, own), *self._rules] if own else self._rules)

    def ignores(self, path: Path, *, folder: bool) -> bool:
        """path: absolute, in folders that are not ignored. The innermost rules that speak of it
        decide, of these the last one; `!` takes back. git's own folder is never taken: it may
        hold a password, and `!.*` is meant for other names.
        """
        if path.name == ".git":
            return True
        for start, patterns in self._rules:
            if start in path.parents:
                name = path.relative_to(start).as_posix()
                for ignores, pattern in patterns:
                    if _matches(pattern, name, folder=folder):
                        return ignores
        return False


def _matches(pattern: re.Pattern[str], name: str, *, folder: bool) -> bool:
    """Whether it is the pattern of this very path. The library's patterns match what lies below it
    too, and mark with their only group where they took a `/` for the end of a folder's name.
    """
    found = pattern.search(name)
    if found is not None and found.lastgroup is None:
        return True
    inside = len(name)
    return folder and any(
        one.lastgroup is not None and one.end() > inside for one in pattern.finditer(f"{name}/")
    )


def _of_repository(folder: Path) -> list[tuple[Path, _Patterns]]:
    """Of the `.gitignore` files above a folder, up to its repository's top; none outside of one."""
    found: list[tuple[Path, _Patterns]] = []
    if (folder / ".git").exists():
        return found
    for above in folder.parents:
        spec = _own(above, (".gitignore",))
        if spec:
            found.append((above, spec))
        if (above / ".git").exists():
            return found
    return []


def _own(folder: Path, names: Sequence[str]) -> _Patterns:
    for name in names:
        path = folder / name
        if path.is_file():
            # As git reads it: bytes, whatever they encode, behind a mark that Windows may set.
            text = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
            return _compiled(text.decode(errors="surrogateescape").split("\n"))
    return ()


def _compiled(lines: Sequence[str]) -> _Patterns:
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 (only folders need it: much of what imports this packs text)

    found: list[tuple[bool, re.Pattern[str]]] = []
    for line in reversed(lines):
        # Of `a/**/` git takes all folders within, and the library `a` itself.
        given = _FOLDERS_WITHIN.sub("/**/*/", line.removesuffix("\r"))
        try:
            made = GitIgnoreSpec.from_lines([given]).patterns
        except ValueError:
            continue  # a lone `!`, say: to git it is a pattern of nothing
        found += [(bool(one.include), one.regex) for one in made if one.regex is not None]
    return tuple(found)
