"""What can be said of a function before it travels: calls that it would refuse, and what of it
cannot be pickled. Runs nothing of the function. Pure.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from types import FunctionType, MethodType
from typing import Any

from ...crd_like_specs.errors import ValidationError
from . import modules, pickling


class CallError(ValidationError, TypeError):
    """The function does not take these arguments; nothing was sent."""


def signature_of(function: Any) -> inspect.Signature | None:
    """What it takes, or None where only calling it would tell: a class, an object, a builtin."""
    if not isinstance(function, FunctionType | MethodType) or hasattr(function, "__signature__"):
        return None
    return inspect.signature(function, follow_wrapped=False)


def check_call(
    name: str,
    signature: inspect.Signature | None,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> None:
    """CallError where calling it so would raise a TypeError, before a job is spent on it."""
    if signature is None:
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as e:
        from .options import Options  # noqa: PLC0415 (it needs this module's neighbours)

        options = {one.name for one in fields(Options)} & (kwargs.keys() - signature.parameters)
        hint = "".join(
            f"; {one} is an option of the job: give it as options=Options({one}=...) to call, "
            "spawn or map, or to the decorator"
            for one in sorted(options)
        )
        raise CallError(f"{name}{signature}: {e}{hint}") from None


def culprit(function: Any, dumps: Callable[[Any], bytes]) -> str:
    """Which name that the function uses cannot be pickled, as `'lock', which 'train' uses`; ""
    where none is found. dumps: raises pickling.FAILURES.
    """
    found = ""
    seen: set[int] = set()
    waiting = [function]
    while waiting:
        one = waiting.pop()
        one = getattr(one, "__wrapped__", one)
        if not isinstance(one, FunctionType) or id(one) in seen:
            continue
        seen.add(id(one))
        for name, value in _used(one):
            try:
                dumps(value)
            except pickling.FAILURES:
                found = f"{name!r}, which {one.__name__!r} uses"
                if not isinstance(getattr(value, "__wrapped__", value), FunctionType):
                    return found
                waiting.append(value)  # perhaps because of what that one uses
    return found


def _used(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Names and what they stand for: of the closure, the globals, the defaults."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield name, cell.cell_contents
        except ValueError:
            continue  # not filled yet
    for code in modules.codes_of(function.__code__):
        for name in code.co_names:
            if name in function.__globals__:
                yield name, function.__globals__[name]
    for one in inspect.signature(function, follow_wrapped=False).parameters.values():
        if one.default is not inspect.Parameter.empty:
            yield one.name, one.default
