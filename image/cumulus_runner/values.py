"""A job's result as JSON text. Pure; called by the child when main() has returned.

Most results are what JSON holds already and go through the C encoder at once. What it refuses is
walked: numbers and arrays of numpy, torch and the like become numbers and lists, NaN and the
infinities become null (JSON has no word for them), and what remains is an error that names where
in the result it stands.
"""

from __future__ import annotations

import json

from .report import JobError

LIMIT = 64 << 20
"""Bytes of JSON text that a result may take."""

_DIGITS_BITS = 14_000  # about 4,200 digits: CPython refuses to print longer integers


def encode(result: object) -> tuple[str, list[str]]:
    """(JSON text in ASCII on one line, paths of numbers that became null).

    Raises JobError NotSerializable or ResultTooLarge.
    """
    nulls: list[str] = []
    try:
        text = json.dumps(result, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        try:
            text = json.dumps(_plain(result, "result", set(), nulls), allow_nan=False)
        except RecursionError:
            raise JobError("NotSerializable", "the result is nested too deeply for JSON") from None
    if len(text) > LIMIT:
        raise _too_large(f"{len(text) / (1 << 20):.0f} MiB of JSON")
    return (_whole_characters(text) if "\\ud" in text else text), nulls


def _plain(value: object, path: str, parents: set[int], nulls: list[str]) -> object:
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        if value.bit_length() > _DIGITS_BITS:
            raise JobError("NotSerializable", f"{path} is an integer too long to print")
        return value
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 (NaN)
            nulls.append(path)
            return None
        return float(value)
    if isinstance(value, (dict, list, tuple)):
        if id(value) in parents:
            raise JobError("NotSerializable", f"{path} contains itself")
        parents.add(id(value))
        plain: object
        if isinstance(value, dict):
            plain = {
                _key(key, path): _plain(item, _step(path, key), parents, nulls)
                for key, item in value.items()
            }
        else:
            plain = [_plain(item, f"{path}[{i}]", parents, nulls) for i, item in enumerate(value)]
        parents.discard(id(value))
        return plain
    return _array(value, path, parents, nulls)


def _array(value: object, path: str, parents: set[int], nulls: list[str]) -> object:
    """Scalars and arrays of numpy and whoever follows its interface; anything else is refused."""
    shape = getattr(value, "shape", None)
    tolist = getattr(value, "tolist", None)
    if not isinstance(shape, tuple) or not callable(tolist):
        raise JobError("NotSerializable", f"{path} is {_kind(value)}: {_hint(value)}")
    count = 1
    for size in shape:
        count *= int(size)
    if count > LIMIT // 2:  # a number and its comma are two bytes at least
        raise _too_large(f"{path} is an array of {count} elements")
    items = tolist()
    if type(items) is type(value):  # a number without a Python counterpart, such as longdouble
        items = float(str(items))
    return _plain(items, path, parents, nulls)


def _key(key: object, path: str) -> str | int | float | bool | None:
    if key is None or isinstance(key, (str, int, float)):
        return key
    item = getattr(key, "item", None)
    plain = item() if getattr(key, "shape", None) == () and callable(item) else None
    if not isinstance(plain, (str, int, float)):
        raise JobError("NotSerializable", f"{path} has the key {key!r:.100}: expected a string")
    return plain


def _step(path: str, key: object) -> str:
    return (
        f"{path}.{key}" if isinstance(key, str) and key.isidentifier() else f"{path}[{key!r:.100}]"
    )


def _kind(value: object) -> str:
    kind = type(value)
    name = kind.__qualname__
    return f"a {name}" if kind.__module__ == "builtins" else f"a {kind.__module__}.{name}"


def _hint(value: object) -> str:
    expected = "expected what JSON holds (dict, list, str, int, float, bool, None) or an array"
    name = type(value).__name__
    hints = {
        "DataFrame": "return its to_dict()",
        "set": "return sorted() of it",
        "frozenset": "return sorted() of it",
        "bytes": "return its hex() or decode() it",
        "datetime": "return its isoformat()",
        "date": "return its isoformat()",
        "generator": "return list() of it",
    }
    return f"{hints[name]}; {expected}" if name in hints else expected


def _too_large(what: str) -> JobError:
    return JobError(
        "ResultTooLarge",
        f"{what}: a result may take {LIMIT >> 20} MiB of JSON; return a summary and write large "
        "data to a file",
    )


def _whole_characters(text: str) -> str:
    """Lone surrogates, which many JSON readers refuse, become U+FFFD."""
    import re  # noqa: PLC0415 (rarely needed, and a job waits for each import)

    escape = r"\\\\|\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|(\\ud[89a-f][0-9a-f]{2})"
    return re.sub(escape, lambda found: "\\ufffd" if found[1] else found[0], text)
