"""`${NAME}` and `${NAME:-default}` in specs, for names that the configuration lists. Pure.

Replaced in the text, before YAML is read, so that numbers and durations can be given too; values
hold no line break, and so every problem found later is on the line where it stands in the file.
`$${NAME}` stands for the text `${NAME}`. Other uses of `$` are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ...crd_like_specs.errors import Problem

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LONGEST_VALUE: Final = 4096
LARGEST_TEXT: Final = 4 << 20
"""Bytes of a file after substitution, beyond which nothing more is replaced."""

_SECRET: Final = re.compile(
    r"(^|_)(TOKEN|SECRETS?|PASS|PASSWD|PASSWORD|PASSPHRASE|CREDENTIALS?|PRIVATE|KEY|APIKEY|AUTH"
    r"|COOKIE|DSN)(_|$)|(TOKEN|SECRET|PASSWORD|APIKEY)$"
)
_USE: Final = re.compile(r"(\$?)\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}\n]*))?\}")


def wrong_name(name: str) -> str:
    """Why no file may use this name, or "": specs are stored and shown in clear, so that nothing
    which looks like a secret goes into them.
    """
    if not NAME.fullmatch(name):
        return "is no name: expected letters, digits and underscores, no digit first"
    if _SECRET.search(name.upper()):
        return "looks like a secret, and specs are stored in clear: expected none"
    if name.upper().startswith(("CUMULUS_", "CHRONOS_")):
        return "belongs to Cumulus itself: expected another name"
    return ""


def wrong_value(value: str) -> str:
    """Why no file may be given this value, or ""; the value is not repeated."""
    if len(value) > LONGEST_VALUE:
        return f"its value is longer than {LONGEST_VALUE} characters"
    if any(ord(char) < 32 or char in "\x7f\x85\u2028\u2029" for char in value):
        return "its value holds a line break or control character: expected one line of text"
    return ""


def substitute(
    text: str, values: Mapping[str, str | None], file: str
) -> tuple[str, tuple[Problem, ...]]:
    """The text with its names replaced, and everything wrong with their use.

    values: name → text, None for one that is listed but has no value, which needs a default where
    it is used. A text used with no values at all is left as it is.
    """
    if not values:
        return text, ()
    problems: list[Problem] = []
    spent = len(text)

    def replaced(use: re.Match[str]) -> str:
        nonlocal spent
        escaped, name, default = use[1], use[2], use[4]
        if escaped:
            return use[0][1:]
        value = values.get(name)
        wrong = ""
        if name not in values:
            listed = ", ".join(sorted(values))
            wrong = f"${{{name}}} is not in this source's substitute: expected one of {listed}"
        elif value is None and default is None:
            wrong = f"${{{name}}} has no value: expected one, or a default as in ${{{name}:-text}}"
        found = value if value is not None else default or ""
        spent += len(found)
        if not wrong and spent > LARGEST_TEXT:
            wrong = f"is larger than {LARGEST_TEXT} characters once its names are replaced"
        if wrong:
            line = text.count("\n", 0, use.start()) + 1
            column = use.start() - text.rfind("\n", 0, use.start())
            problems.append(Problem(wrong, file=file, line=line, column=column))
            return ""
        return found

    return _USE.sub(replaced, text), tuple(problems)
