"""A job's traceback as it is shown here: without our own frame, and with the lines of code that only
this side has. Reads source files of modules that are loaded here, and cells of notebooks.

A function of a script or a notebook travels as bytecode: the job knows the file and the number of a
line, and not what it says.
"""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Iterator
from typing import Final

_FRAME: Final = re.compile(r'  File "(?P<file>[^"\n]+)", line (?P<line>[0-9]{1,7}), in ')
_OURS: Final = "/_cumulus_call.py"


def shown(traceback: str) -> str:
    """The text to show. A line of code is added where the frame's file is one that this process
    runs; no other file is read, whatever a job names.
    """
    return "\n".join(_lines(traceback.split("\n")))


def _lines(lines: list[str]) -> Iterator[str]:
    known: frozenset[str] | None = None
    ours = False
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        frame = _FRAME.match(line)
        if frame or not line.startswith("    "):
            ours = frame is not None and frame["file"].endswith(_OURS)
        if ours:
            continue
        yield line
        if frame and not following.startswith("    "):
            known = _files() if known is None else known
            if frame["file"] in known:
                code = linecache.getline(frame["file"], int(frame["line"])).strip()
                yield from [f"    {code}"] if code else []


def _files() -> frozenset[str]:
    """Sources of what is loaded here. Notebooks put their cells into linecache."""
    loaded = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return frozenset({*filter(None, loaded), *linecache.cache})
