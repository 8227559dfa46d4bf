"""What of pip's output says why it failed, short and without what is nobody's business. Pure.

Called by `prepare`: the words become part of a job's status, which many may read; addresses of a
private index and credentials must not stand there. The whole output goes to the job's own log.
"""

from __future__ import annotations

import re
from typing import Final

from ...crd_like_specs.errors import Permanent

LONGEST: Final = 400
"""Characters of the reason at most."""

_SAYS_WHY: Final = re.compile(
    r"^\s*(ERROR\b|error:|fatal:)|No matching|Could not find|No space left"
)
_ADDRESS: Final = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>)\]]+")
_HOST: Final = re.compile(r"\b(host|hostname)=(['\"])[^'\"]*\2")
_EMPTY: Final = "(an address)"


class NotInstalled(Permanent):
    """Installing failed; output: all that was written meanwhile, for the job's log."""

    def __init__(self, message: str, *, output: str) -> None:
        super().__init__(message, reason="RequirementsFailed")
        self.output = output


def reason_in(output: str) -> str:
    """The lines that say why, at most `LONGEST` characters; the last line where none does."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    why = [line for line in lines if _SAYS_WHY.search(line)] or lines[-1:]
    # The last ones say most; what was said twice is said once.
    text = "; ".join(dict.fromkeys(without_addresses(line) for line in why[-3:]))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def without_addresses(text: str) -> str:
    """The text without URLs and host names of connections."""
    return _HOST.sub(r"\1=…", _ADDRESS.sub(_EMPTY, text))
