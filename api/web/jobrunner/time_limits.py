"""Slurm's ways to write a time limit. Pure."""

from __future__ import annotations

import re
from typing import Final

from ....crd_like_specs.errors import Problem, ValidationError

_FORMS: Final = (
    re.compile(r"(?P<d>\d{1,4})-(?P<h>\d{1,4})(:(?P<m>\d{1,4})(:(?P<s>\d{1,4}))?)?", re.ASCII),
    re.compile(r"(?P<h>\d{1,6}):(?P<m>\d{1,4}):(?P<s>\d{1,4})", re.ASCII),
    re.compile(r"(?P<m>\d{1,8})(:(?P<s>\d{1,4}))?", re.ASCII),
)
_SECONDS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def parse_time_limit(text: str) -> int:
    """`[D-]HH:MM:SS`, `MM`, `MM:SS`, `D-HH` or `D-HH:MM` → seconds. ValidationError."""
    for form in _FORMS:
        match = form.fullmatch(text.strip())
        if match:
            seconds = sum(
                int(part) * _SECONDS[unit] for unit, part in match.groupdict().items() if part
            )
            if seconds > 0:
                return seconds
    expected = "[D-]HH:MM:SS, MM, MM:SS, D-HH or D-HH:MM, and more than nothing"
    raise ValidationError([Problem(f"{text!r:.40} is given, expected {expected}", "time_limit")])


def show_time_limit(seconds: int) -> str:
    """`[D-]HH:MM:SS`."""
    days, rest = divmod(seconds, 86400)
    head = f"{days}-" if days else ""
    return f"{head}{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
