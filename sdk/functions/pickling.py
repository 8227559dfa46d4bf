"""Pickles that travel: by value what a job has no file of, and equal for equal code. I/O: none.

cloudpickle names each class that it pickles by value with a random number, so that both sides know
it again, and sets among a code's constants come in an order of the process. Here the name is made
from what the class holds, and the sets are sorted: the same script gives the same bytes in every
process, and its zip is uploaded once.
"""

from __future__ import annotations

import functools
import hashlib
import io
import pickle
from collections import ChainMap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import CodeType, ModuleType
from typing import Any, Final
from weakref import WeakSet

FAILURES: Final = (pickle.PicklingError, TypeError, AttributeError, RecursionError, ValueError)
"""What pickling raises for what cannot travel."""

_named: WeakSet[type] = WeakSet()  # classes that bear a name of ours


def dumps(value: Any, by_value: Sequence[ModuleType] = ()) -> bytes:
    """Value as a pickle for a job; by_value: modules that are not there. Raises FAILURES."""
    with _registered(by_value):
        data = _dumped(value)
        return _dumped(value) if _name_classes(data) else data


def carries_bytecode(pickled: bytes) -> bool:
    """Whether one version of Python only can read it: code objects are rebuilt by `CodeType`."""
    return b"CodeType" in pickled


def _dumped(value: Any) -> bytes:
    buffer = io.BytesIO()
    _pickler()(buffer, protocol=pickle.DEFAULT_PROTOCOL).dump(value)
    return buffer.getvalue()


@functools.cache
def _pickler() -> Any:
    """cloudpickle's, with the sets of code sorted, and functions with a cache by value where a
    plain function would be.
    """
    import cloudpickle  # noqa: PLC0415 (the SDK is imported far more often than functions travel)
    from cloudpickle import cloudpickle as inner  # noqa: PLC0415 (same)

    theirs = cloudpickle.Pickler.dispatch_table

    def reduced(code: CodeType) -> tuple[Any, ...]:
        made, arguments, *more = theirs[CodeType](code)
        stable = tuple(_stable(a) if a is code.co_consts else a for a in arguments)
        return made, stable, *more

    def cached(function: Any) -> str | tuple[Any, ...]:
        found = inner._lookup_module_and_qualname(function)  # noqa: SLF001 (no public way)
        if found and found[0].__name__ not in inner.list_registry_pickle_by_value():
            return str(found[1])
        return _Cache(**function.cache_parameters()), (function.__wrapped__,)

    table = ChainMap({CodeType: reduced, _Cached: cached}, theirs)
    return type("Pickler", (cloudpickle.Pickler,), {"dispatch_table": table})


class _Sorted:
    """Stands for a frozenset, and becomes one again."""

    def __init__(self, items: frozenset[Any]) -> None:
        self._items = items

    def __reduce__(self) -> tuple[Any, ...]:
        return frozenset, (sorted(map(_stable, self._items), key=repr),)


_Cached: Final = type(functools.cache(len))


class _Cache:
    """Stands for `functools.lru_cache(maxsize, typed)`, and becomes it."""

    def __init__(self, maxsize: int | None, typed: bool) -> None:
        self._settings = (maxsize, typed)

    def __call__(self, function: Any) -> Any:
        return functools.lru_cache(*self._settings)(function)

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.lru_cache, self._settings


def _stable(constant: Any) -> Any:
    if isinstance(constant, tuple):
        return tuple(map(_stable, constant))
    return _Sorted(constant) if isinstance(constant, frozenset) else constant


@contextmanager
def _registered(modules: Sequence[ModuleType]) -> Iterator[None]:
    from cloudpickle import cloudpickle  # noqa: PLC0415 (see dumps)

    known = cloudpickle.list_registry_pickle_by_value()
    added = [module for module in modules if module.__name__ not in known]
    for module in added:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in added:
            cloudpickle.unregister_pickle_by_value(module)


def _name_classes(data: bytes) -> bool:
    """Give the classes in this pickle names made from it; whether there were any without."""
    from cloudpickle import cloudpickle as inner  # noqa: PLC0415 (see dumps)

    with inner._DYNAMIC_CLASS_TRACKER_LOCK:  # noqa: SLF001 (there is no public way to these)
        by_class = inner._DYNAMIC_CLASS_TRACKER_BY_CLASS  # noqa: SLF001
        by_name = inner._DYNAMIC_CLASS_TRACKER_BY_ID  # noqa: SLF001
        places = {
            place: kind
            for kind, name in list(by_class.items())
            if kind not in _named and (place := data.find(name.encode())) >= 0
        }
        fresh = [places[place] for place in sorted(places)]
        for number, kind in enumerate(fresh):
            data = data.replace(by_class[kind].encode(), b"%032d" % number)
        for number, kind in enumerate(fresh):
            name = hashlib.sha256(b"%d of %s" % (number, data)).hexdigest()[:32]
            by_class[kind] = name
            by_name[name] = kind
            _named.add(kind)
    return bool(fresh)
