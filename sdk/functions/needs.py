"""Requirements, from wherever a user keeps them. Reads files.

A list of lines, a requirements.txt, a pyproject.toml (`project.dependencies`), or a script with
inline metadata (PEP 723). Lines are checked where every job's are, when it is handed in.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ...crd_like_specs.errors import Problem, ValidationError

Requirements = Sequence[str] | str | Path | None

# The reference pattern of the inline script metadata specification, for type `script` only.
_INLINE: Final = re.compile(
    r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$",
)

_INCLUDED: Final = re.compile(r"^(-r|--requirement)[ =]?\s*(?P<file>\S.*)$")


def read_requirements(given: Requirements) -> tuple[str, ...]:
    """given: lines, or the path of one of the files above. ValidationError names file and reason.

    Names of standard modules ("math") are left out: there is nothing to install.
    """
    if given is None:
        return ()
    if isinstance(given, str | Path):
        lines = _of_file(Path(given))
    else:
        lines = [str(line) for line in given]
    return tuple(line for line in lines if line.strip() not in sys.stdlib_module_names)


def read_listed(given: Sequence[str]) -> tuple[str, ...]:
    """Of a command line, where packages and files stand side by side: a file is what ends in .txt
    or .toml, or a script that is there (`discord.py` may be a package too).
    """
    lines: list[str] = []
    for one in given:
        path = Path(one)
        named = path.suffix in (".txt", ".toml") or (path.suffix == ".py" and path.is_file())
        lines += read_requirements(path if named else [one])
    return tuple(lines)


def _of_file(path: Path, above: tuple[Path, ...] = ()) -> list[str]:
    if path.resolve() in above:
        raise _wrong(path, "includes itself")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        raise _wrong(path, f"cannot be read: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise _wrong(path, "is no UTF-8 text") from e
    if path.suffix == ".toml":
        project = _toml(path, text).get("project", {})
        return _lines(path, "project.dependencies", project.get("dependencies", []))
    if path.suffix == ".py":
        found = list(_INLINE.finditer(text))
        if len(found) != 1:
            raise _wrong(path, f"{len(found)} blocks `# /// script`: expected one")
        rows = found[0]["content"].splitlines()
        inline = _toml(path, "\n".join(row.removeprefix("#").removeprefix(" ") for row in rows))
        return _lines(path, "dependencies", inline.get("dependencies", []))
    return _of_list(path, text, above)


def _of_list(path: Path, text: str, above: tuple[Path, ...]) -> list[str]:
    """A requirements.txt: `-r other.txt` is read too, comments and continued lines are as pip's."""
    lines: list[str] = []
    for row in re.sub(r"[ \t]*\\\r?\n[ \t]*", " ", text).splitlines():
        line = re.sub(r"(^|\s)#.*$", "", row).strip()
        other = _INCLUDED.match(line)
        if other:
            lines += _of_file(path.parent / other["file"], (*above, path.resolve()))
        elif line:
            lines.append(line)
    return lines


def _toml(path: Path, text: str) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 (importing the SDK is to cost little)

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise _wrong(path, f"is no TOML: {e}") from e


def _lines(path: Path, where: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
        raise ValidationError([Problem("expected a list of texts", where, str(path))])
    return list(value)


def _wrong(path: Path, message: str) -> ValidationError:
    return ValidationError([Problem(message, "requirements", str(path))])
