"""A job's result as JSON text. Pure; called by the child when main() has returned.

Most results are what JSON holds already and go through the C encoder at once. What it refuses is
walked: numbers and arrays of numpy, torch and the like become numbers and lists, NaN and the
infinities become null (JSON has no word for them), and what remains is an error that names where
in the result it stands.
"""

from __future__ import annotations

import json
from itertools import chain

from .report import JobError, whole

LIMIT = 64 << 20
"""Bytes of JSON text that a result may take."""

MAX_DEPTH = 500
"""Lists and objects in one another: Python's own readers of JSON stop at about 1000, less what they
are called from.
"""

_INFINITE = float("inf")
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
            result = _plain(result, "result", set(), nulls)
            text = json.dumps(result, allow_nan=False)
        except RecursionError:
            raise JobError("NotSerializable", "the result is nested too deeply for JSON") from None
    if len(text) > LIMIT:
        raise _too_large(f"{len(text) / (1 << 20):.0f} MiB of JSON")
    halves = "\\ud" in text
    _check_tree(result, halves=halves)
    return (whole_characters(text) if halves else text), nulls


def _check_tree(result: object, *, halves: bool) -> None:
    """Refuses what would be lost on the way although JSON took it: one of two keys that are the
    same text there, and what is nested deeper than readers go. halves: texts may hold lone
    surrogates. As much as possible of it in C: results may be large.
    """
    level = [result]
    for _ in range(MAX_DEPTH):
        dicts = [value for value in level if isinstance(value, dict)]
        lists = [value for value in level if isinstance(value, (list, tuple))]
        if halves or not {str}.issuperset(map(type, chain.from_iterable(dicts))):
            for value in dicts:
                _check_keys(value, result)
        items = chain(chain.from_iterable(map(dict.values, dicts)), chain.from_iterable(lists))
        level = [item for item in items if isinstance(item, (dict, list, tuple))]
        if not level:
            return
    raise JobError("NotSerializable", f"the result is nested deeper than {MAX_DEPTH} levels")


def _check_keys(value: dict[object, object], result: object) -> None:
    seen: dict[str, object] = {}
    for key in value:
        text = whole(key if isinstance(key, str) else json.dumps(key))
        if text in seen:
            raise JobError(
                "NotSerializable",
                f"{_path_to(value, result)} has the keys {seen[text]!r:.100} and {key!r:.100}, "
                "which are the same in JSON: expected strings, each once",
            )
        seen[text] = key


def _path_to(sought: object, result: object) -> str:
    """Where in the result it stands."""
    found = [(result, "result")]
    for value, path in found:
        if value is sought:
            return path
        if isinstance(value, dict):
            found += [(item, _step(path, key)) for key, item in value.items()]
        elif isinstance(value, (list, tuple)):
            found += [(item, f"{path}[{number}]") for number, item in enumerate(value)]
    return "result"


def _plain(value: object, path: str, parents: set[int], nulls: list[str]) -> object:
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        if value.bit_length() > _DIGITS_BITS:
            raise JobError("NotSerializable", f"{path} is an integer too long to print")
        return value
    if isinstance(value, float):
        if value != value or value in (_INFINITE, -_INFINITE):  # noqa: PLR0124 (NaN)
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
            if len(plain) < len(value):
                raise JobError("NotSerializable", f"{path} has two keys that are the same in JSON")
        else:
            plain = [_plain(item, f"{path}[{i}]", parents, nulls) for i, item in enumerate(value)]
        parents.discard(id(value))
        return plain
    return _array(value, path, parents, nulls)


def _array(value: object, path: str, parents: set[int], nulls: list[str]) -> object:
    """Scalars and arrays of numpy and whoever follows its interface; anything else is refused."""
    shape = getattr(value, "shape", None)
    tolist = getattr(value, "tolist", None)
    of_times = getattr(getattr(value, "dtype", None), "kind", "") in ("M", "m")  # some become ints
    if not isinstance(shape, tuple) or not callable(tolist) or of_times:
        raise JobError("NotSerializable", f"{path} is {_kind(value)}: {_hint(value)}")
    count = 1
    for size in shape:
        count *= int(size)
    if count > LIMIT // 2:  # a number and its comma are two bytes at least
        raise _too_large(f"{path} is an array of {count} elements")
    items = tolist()
    if type(items) is type(value):  # a number without a Python counterpart, such as longdouble
        try:
            items = float(str(items))
        except ValueError:
            raise JobError("NotSerializable", f"{path} is {_kind(value)}: {_hint(value)}") from None
    return _plain(items, path, parents, nulls)


def _key(key: object, path: str) -> str | int | float | bool | None:
    item = getattr(key, "item", None)
    plain = item() if getattr(key, "shape", None) == () and callable(item) else key
    if plain is None or isinstance(plain, str):
        return plain
    if isinstance(plain, int) and plain.bit_length() > _DIGITS_BITS:
        raise JobError("NotSerializable", f"{path} has a key that is an integer too long to print")
    if not isinstance(plain, (int, float)) or not -_INFINITE < plain < _INFINITE:
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
        "datetime64": "return its astype(str)",
        "timedelta64": "return its astype(str)",
    }
    return f"{hints[name]}; {expected}" if name in hints else expected


def _too_large(what: str) -> JobError:
    return JobError(
        "ResultTooLarge",
        f"{what}: a result may take {LIMIT >> 20} MiB of JSON; return a summary and write large "
        "data to a file",
    )


def whole_characters(text: str) -> str:
    """Lone surrogates, which many JSON readers refuse, become U+FFFD."""
    import re  # noqa: PLC0415 (rarely needed, and a job waits for each import)

    escape = r"\\\\|\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|(\\ud[89a-f][0-9a-f]{2})"
    return re.sub(escape, lambda found: "\\ufffd" if found[1] else found[0], text)
