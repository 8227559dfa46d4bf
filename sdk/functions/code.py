"""A Python function as a zip that a job runs. Reads the files of local modules.

    main.py                  takes `main` from the next
    _cumulus_call.py         unpickles and calls (shipped.py)
    _cumulus_function.pkl    the function
    cloudpickle/             the version it was pickled with
    …                        the user's own modules and packages

Functions of local modules are pickled by reference and so work on any Python; those of `__main__`
and notebooks, lambdas and closures carry bytecode, which only one Python version understands.
Equal functions give equal bytes within a process, and across processes where no class is defined
in `__main__`.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Final

from ...crd_like_specs import packing
from ...crd_like_specs.errors import ValidationError
from . import modules

_MAIN: Final = b"from _cumulus_call import main  # noqa: F401\n"


@dataclass(frozen=True, slots=True)
class FunctionCode:
    """zip: ready to send; digest: of it; name: of the function; python: `3.11` where only that
    version can run it, "" for any.
    """

    zip: bytes
    digest: str
    name: str
    python: str


def pack_function(function: Callable[..., Any]) -> FunctionCode:
    """ValidationError that names what cannot travel, such as an open file or a lock."""
    files, pickled = function_files(function)
    data = packing.pack(files)
    return FunctionCode(
        zip=data,
        digest=packing.digest(data),
        name=_name(function),
        python=".".join(map(str, sys.version_info[:2])) if _carries_bytecode(pickled) else "",
    )


def function_files(
    function: Callable[..., Any], call: tuple[tuple[Any, ...], dict[str, Any]] | None = None
) -> tuple[dict[str, bytes], bytes]:
    """The files of the zip, and the pickled function. call: (args, kwargs) packed along."""
    import cloudpickle  # noqa: PLC0415 (the SDK is imported far more often than functions travel)

    name = _name(function)
    if not callable(function):
        raise ValidationError(f"{function!r:.80} is no function: expected something to call")
    try:
        pickled = cloudpickle.dumps(function, protocol=pickle.DEFAULT_PROTOCOL)
        baked = cloudpickle.dumps(call, protocol=pickle.DEFAULT_PROTOCOL) if call else b""
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as e:
        raise ValidationError(
            f"function {name!r} cannot be sent: {e}; make what it uses inside the function, or "
            "give it as an argument"
        ) from e
    files = {
        **modules.local_files([p for p in (pickled, baked) if p], _codes(function)),
        **_cloudpickle(Path(cloudpickle.__file__).parent),
        "main.py": _MAIN,
        "_cumulus_call.py": Path(__file__).with_name("shipped.py").read_bytes(),
        "_cumulus_function.pkl": pickled,
    }
    if baked:
        files["_cumulus_call.pkl"] = baked
    return files, pickled


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def check_python(code: FunctionCode, image_python: str) -> None:
    """ValidationError where the job image's Python (`3.11`, "" unknown) cannot run the code."""
    if code.python and image_python and code.python != image_python:
        raise ValidationError(
            f"function {code.name!r} holds bytecode of Python {code.python}, but jobs run on "
            f"Python {image_python}: put it into a module of its own (a file beside this one), or "
            f"use Python {image_python} here"
        )


def _carries_bytecode(pickled: bytes) -> bool:
    """Code objects are rebuilt by `types.CodeType`, which cloudpickle names `_builtin_type`."""
    return b"CodeType" in pickled


def _codes(function: Callable[..., Any]) -> tuple[CodeType, ...]:
    """Of the function and of what it reaches by closure and by globals that are functions."""
    found: dict[int, CodeType] = {}
    waiting: list[Any] = [function]
    while waiting:
        one = waiting.pop()
        one = getattr(one, "__wrapped__", None) or getattr(one, "__func__", one)
        if not isinstance(one, FunctionType) or id(one.__code__) in found:
            continue
        found[id(one.__code__)] = one.__code__
        waiting += [c.cell_contents for c in one.__closure__ or () if _filled(c)]
        for code in modules.codes_of(one.__code__):
            waiting += [one.__globals__[n] for n in code.co_names if n in one.__globals__]
    return tuple(found.values())


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 (an empty cell raises)
    except ValueError:
        return False
    return True


def _cloudpickle(folder: Path) -> dict[str, bytes]:
    return {f"cloudpickle/{path.name}": path.read_bytes() for path in folder.glob("*.py")}
