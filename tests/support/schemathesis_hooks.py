"""Loaded by schemathesis: what would never end, or wait for long, is not asked for."""

from __future__ import annotations

from typing import Any

import schemathesis

ENDLESS = ("follow", "wait")


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    del context, kwargs
    for name in ENDLESS:
        if case.query:
            case.query.pop(name, None)
