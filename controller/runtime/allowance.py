"""How much of one attempt's output the controller keeps, whatever its worker sends. Pure.

Workers keep these limits themselves (`api/records.py`) and what they send is within them. This is
for one that does not: its job must not fill the controller's disk. Used by `spool.py`.
"""

from __future__ import annotations

import json
from typing import Final

from ...api.frames import LogStream
from ...api.records import LOG_LIMIT, RECORD_COST, RESULT_LIMIT

MARGIN: Final = 1 << 20
"""Bytes beyond a worker's own limits: its notices, and what records of a result cost."""

TOO_LARGE: Final = "ResultTooLarge"


class Allowance:
    """Bytes of log and of result that may still come; each record costs RECORD_COST on top."""

    def __init__(self, log: int = LOG_LIMIT + MARGIN, result: int = RESULT_LIMIT + MARGIN) -> None:
        self._log, self._result = log, result
        self._log_left, self._result_left = log, result

    def take(self, stream: LogStream, size: int) -> bool:
        """Whether a record with so many bytes of data may be kept; it counts then."""
        cost = size + RECORD_COST
        if stream is LogStream.RESULT:
            if cost > self._result_left:
                return False
            self._result_left -= cost
            return True
        if cost > self._log_left:
            return False
        self._log_left -= cost
        return True

    @property
    def notice(self) -> bytes:
        """The last line of a log of which no more is kept."""
        return f"output beyond {self._log} bytes is not kept: its worker sent more\n".encode()

    @property
    def no_result(self) -> bytes:
        """What stands in place of a result that is larger than any runner makes."""
        error = f"a result beyond {self._result} bytes is not kept: its worker sent more"
        envelope = {"status": "error", "error": error, "error_type": TOO_LARGE}
        return json.dumps(envelope).encode() + b"\n"
