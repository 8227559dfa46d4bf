"""One verb for several names, as `cumulusctl delete a b c`. I/O: standard output."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence

from ...api import status as table
from ...crd_like_specs.errors import CumulusError
from ..client import AsyncCumulusClient
from . import talk

Verb = Callable[[AsyncCumulusClient, str], Awaitable[str]]
"""Does it to what has this name, and gives the line to say of it."""


async def each(client: AsyncCumulusClient, names: Sequence[str], verb: Verb) -> int:
    """Every one of them, whatever becomes of the others; the first error's exit code."""
    code = 0
    for name in names:
        try:
            sys.stdout.write(f"{await verb(client, name)}\n")
        except CumulusError as e:
            talk.complain(e.message)
            code = code or table.exit_code(e)
    return code
