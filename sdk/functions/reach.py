"""The code that a function reaches: what is to be searched for imports. Pure.

From closures, globals, defaults, decorators, partials, callable objects and the methods of
classes, as far as they are the user's own: what is installed needs no search.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType
from typing import Any

from . import modules


def codes(function: Any) -> tuple[CodeType, ...]:
    """Of the function and of all it reaches."""
    found: dict[int, CodeType] = {}
    seen: dict[int, Any] = {}  # kept, so that no id is given out twice
    waiting: list[Any] = [function]
    local = functools.cache(modules.is_local)
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen[id(one)] = one
        if isinstance(one, FunctionType):
            if local(one.__module__ or ""):
                found[id(one.__code__)] = one.__code__
                waiting += _of_function(one)
        elif isinstance(one, type):
            if local(one.__module__):
                waiting += [*vars(one).values(), *one.__bases__]
        else:
            waiting += _of_object(one, local=local(type(one).__module__))
    return tuple(found.values())


def _of_function(one: FunctionType) -> Iterator[Any]:
    yield from (cell.cell_contents for cell in one.__closure__ or () if _filled(cell))
    yield from one.__defaults__ or ()
    yield from (one.__kwdefaults__ or {}).values()
    yield from vars(one).values()  # what a decorator has left there, `__wrapped__` among it
    for code in modules.codes_of(one.__code__):
        yield from (one.__globals__[name] for name in code.co_names if name in one.__globals__)


def _of_object(one: Any, *, local: bool) -> Iterator[Any]:
    if isinstance(one, functools.partial):
        yield from (one.func, *one.args, *one.keywords.values())
    elif isinstance(one, MethodType):
        yield from (one.__func__, one.__self__)
    elif isinstance(one, staticmethod | classmethod):
        yield one.__func__
    elif isinstance(one, property):
        yield from (one.fget, one.fset, one.fdel)
    elif isinstance(one, functools.cached_property):
        yield one.func
    elif local:
        yield type(one)
        yield from getattr(one, "__dict__", {}).values()
    elif (func := getattr(one, "func", None)) is not None and isinstance(func, FunctionType):
        yield func  # a decorated function: only this of it travels
    elif isinstance(wrapped := getattr(one, "__wrapped__", None), FunctionType):
        yield wrapped  # one with a cache


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 (an empty cell raises)
    except ValueError:
        return False
    return True
