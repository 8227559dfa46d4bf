"""A Python function as a zip that a job runs. Reads the files of local modules.

    main.py                  takes `main` from the next
    _cumulus_call.py         unpickles and calls (shipped.py)
    _cumulus_function.pkl    the function
    cloudpickle/             the version it was pickled with
    …                        the user's own modules and packages

Functions of local modules are pickled by reference and so work on any Python; those of `__main__`
and notebooks, of modules that import the SDK, lambdas and closures carry bytecode, which only one
Python version understands. Equal functions give equal bytes, in every process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from inspect import Signature
from pathlib import Path
from typing import Any, Final

from ...crd_like_specs.errors import ValidationError
from . import checks, modules, pickling, reach
from .tainted import sdk_users

_MAIN: Final = b"from _cumulus_call import main  # noqa: F401\n"
_PICKLE: Final = "_cumulus_function.pkl"
_HERE: Final = ".".join(map(str, sys.version_info[:2]))


@dataclass(frozen=True, slots=True)
class FunctionCode:
    """zip: ready to send; digest: of it; name: of the function; python: `3.11` where only that
    version can run it, "" for any; files: of the zip; signature: None where it is not known.
    """

    zip: bytes = field(repr=False)
    digest: str
    name: str
    python: str
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)
    signature: Signature | None = field(default=None, repr=False, compare=False)
    _wider: dict[frozenset[str], FunctionCode] = field(
        default_factory=dict, repr=False, compare=False
    )

    def with_modules_of(self, pickled: bytes) -> FunctionCode:
        """The code with the local modules that pickled arguments need."""
        more = modules.local_files([pickled], ())
        if more.keys() <= self.files.keys():
            return self
        names = frozenset(more)
        if names not in self._wider:
            wider = _packed({**more, **self.files}, self.name, self.python)
            self._wider[names] = replace(wider, signature=self.signature)
        return self._wider[names]


def pack_function(function: Callable[..., Any], known: FunctionCode | None = None) -> FunctionCode:
    """ValidationError that names what cannot travel, such as an open file or a lock. known: as it
    was packed before, which is given back where nothing of it changed.
    """
    if known is not None and _is_as_packed(function, known):
        return known
    files, pickled = function_files(function)
    python = _HERE if pickling.carries_bytecode(pickled) else ""
    code = _packed(files, _name(function), python)
    return replace(code, signature=checks.signature_of(function))


def function_files(
    function: Callable[..., Any], call: tuple[tuple[Any, ...], dict[str, Any]] | None = None
) -> tuple[dict[str, bytes], bytes]:
    """The files of the zip, and the pickled function. call: (args, kwargs) packed along."""
    import cloudpickle  # noqa: PLC0415 (the SDK is imported far more often than functions travel)

    name = _name(function)
    if not callable(function):
        raise ValidationError(f"{function!r:.80} is no function: expected something to call")
    try:
        pickled = dumps(function)
        baked = dumps(call) if call else b""
    except pickling.FAILURES as e:
        where = checks.culprit(function, dumps)
        why = f"{where}: {e}" if where else str(e)
        raise ValidationError(
            f"function {name!r} cannot be sent: {why}; make what it uses inside the function, or "
            "give it as an argument"
        ) from e
    files = {
        **modules.local_files([p for p in (pickled, baked) if p], reach.codes(function)),
        **_cloudpickle(Path(cloudpickle.__file__).parent),
        "main.py": _MAIN,
        "_cumulus_call.py": Path(__file__).with_name("shipped.py").read_bytes(),
        _PICKLE: pickled,
    }
    if baked:
        files["_cumulus_call.pkl"] = baked
    return files, pickled


def dumps(value: Any) -> bytes:
    """Value as a job can unpickle it: without what imports the SDK. Raises pickling.FAILURES."""
    pickled = pickling.dumps(value)
    by_value = sdk_users([pickled])
    while by_value:
        pickled = pickling.dumps(value, by_value)
        more = sdk_users([pickled])
        if len({*by_value, *more}) == len(by_value):
            break
        by_value = [*by_value, *(module for module in more if module not in by_value)]
    return pickled


def check_python(code: FunctionCode, image_python: str, call: bytes = b"") -> None:
    """ValidationError where the job image's Python (`3.11`, "" unknown) cannot run the code, or
    cannot read the pickled arguments.
    """
    if image_python and code.python and code.python != image_python:
        raise ValidationError(
            f"function {code.name!r} holds bytecode of Python {code.python}, but jobs run on "
            f"Python {image_python}: put it into a module of its own (a file beside this one), or "
            f"use Python {image_python} here"
        )
    if image_python and pickling.carries_bytecode(call) and image_python != _HERE:
        raise ValidationError(
            f"the arguments of {code.name!r} hold bytecode of Python {_HERE}, but jobs run on "
            f"Python {image_python}: put the functions and classes among them into a module of "
            f"their own, or use Python {image_python} here"
        )


def _is_as_packed(function: Callable[..., Any], known: FunctionCode) -> bool:
    try:
        return dumps(function) == known.files[_PICKLE]
    except pickling.FAILURES:
        return False  # packing it says why


def _packed(files: Mapping[str, bytes], name: str, python: str) -> FunctionCode:
    from ...crd_like_specs import packing  # noqa: PLC0415 (importing the SDK is to cost little)

    data = packing.pack(files)
    return FunctionCode(data, packing.digest(data), name, python, files)


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _cloudpickle(folder: Path) -> dict[str, bytes]:
    return {f"cloudpickle/{path.name}": path.read_bytes() for path in folder.glob("*.py")}
