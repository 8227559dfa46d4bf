"""What of Python's values every part between a user and a job can carry as JSON. Pure.

Python's own JSON takes more than others do: NaN, integers of any size, half characters. Refused
where a job comes in, since the store or a client in another language would stumble over it later.
"""

from __future__ import annotations

import math
from typing import Any, Final

INTEGERS: Final = range(-(1 << 63), 1 << 63)
MAX_DEPTH: Final = 64


def check_json(value: Any) -> None:
    """ValueError that says where and what, for anything but plain JSON."""
    found: list[tuple[str, Any, int]] = [("", value, 0)]
    while found:
        where, item, depth = found.pop()
        if depth > MAX_DEPTH:
            raise ValueError(f"is nested deeper than {MAX_DEPTH} levels")
        if isinstance(item, dict):
            found += [(f"{where}.{_key(where, k)}", v, depth + 1) for k, v in item.items()]
        elif isinstance(item, list | tuple):
            found += [(f"{where}[{n}]", v, depth + 1) for n, v in enumerate(item)]
        else:
            _check_scalar(where, item)


def _key(where: str, key: object) -> str:
    if not isinstance(key, str):
        raise ValueError(_said(where, f"the key {key!r:.40} is no text"))  # noqa: TRY004 (pydantic reports ValueError only)
    _check_scalar(where, key)
    return key


def _check_scalar(where: str, item: object) -> None:
    if item is None or isinstance(item, bool):
        return
    if isinstance(item, int):
        if item not in INTEGERS:
            raise ValueError(_said(where, "an integer does not fit into 64 bits: send it as text"))
    elif isinstance(item, float):
        if not math.isfinite(item):
            raise ValueError(_said(where, f"{item} is not a JSON number"))
    elif isinstance(item, str):
        try:
            item.encode()
        except UnicodeEncodeError as e:
            raise ValueError(_said(where, "text is not valid Unicode")) from e
    else:
        raise ValueError(_said(where, f"a {type(item).__name__} is not JSON"))  # noqa: TRY004 (as above)


def _said(where: str, what: str) -> str:
    return f"{where.removeprefix('.')}: {what}" if where else what
