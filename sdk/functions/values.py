"""Arguments of functions on their way in, results on their way out. PURE.

JSON where it keeps the value as it is, else a pickle in base64. A result is unpickled only where
the caller trusts it: the job could have put anything there. Arrays come as what numpy's own format
holds, read without unpickling anything.
"""

from __future__ import annotations

import base64
import io
import pickle
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ...crd_like_specs.errors import ValidationError
from ...crd_like_specs.json_values import check_json
from . import pickling
from .code import dumps
from .shipped import ARRAYS_MARK, RESULT_MARK

MAX_PICKLED: Final = 3 << 20
"""Bytes of pickled arguments: they travel in the job's record, which one message carries."""


def encode_call(
    args: Sequence[Any], kwargs: Mapping[str, Any], *, result: str = "json"
) -> tuple[dict[str, Any], bytes]:
    """`spec.args` for `shipped.main`, and the pickle in them, b"" where JSON is enough.

    result: json, arrays or pickle. ValidationError for what can neither be JSON nor pickled.
    """
    call: dict[str, Any] = {} if result == "json" else {"result": result}
    if _is_json([list(args), dict(kwargs)]):
        return {**call, "args": list(args), "kwargs": dict(kwargs)}, b""
    try:
        data = dumps((tuple(args), dict(kwargs)))
    except pickling.FAILURES as e:
        raise ValidationError(f"the arguments cannot be sent: {e}") from e
    if len(data) > MAX_PICKLED:
        raise ValidationError(
            f"the arguments take {len(data)} bytes pickled: expected at most {MAX_PICKLED}; let "
            "the job read or make large data itself"
        )
    return {**call, "pickled": base64.b64encode(data).decode("ascii")}, data


def decode_result(value: Any, *, trust: bool) -> Any:
    """The result as the function returned it. ValidationError for a pickle that is not trusted,
    and for arrays where numpy is not installed.
    """
    if not isinstance(value, dict):
        return value
    if value.keys() == {ARRAYS_MARK}:
        return _with_arrays(value[ARRAYS_MARK])
    if value.keys() != {RESULT_MARK}:
        return value
    if not trust:
        raise ValidationError(
            "the result is pickled, and a pickle can run code here: pass trust_result=True if you "
            "trust the job that made it"
        )
    return pickle.loads(_bytes(value[RESULT_MARK]))  # noqa: S301 (trusted by the caller)


def _bytes(held: str | bytes) -> bytes:
    """What came in a file is bytes already, see `sdk/large_results.py`."""
    return held if isinstance(held, bytes) else base64.b64decode(held)


def _with_arrays(value: Any) -> Any:
    """What `shipped.packed` made: dicts as pairs, lists and tuples as such, arrays as bytes."""
    if not isinstance(value, dict):
        return value
    kind, held = next(iter(value.items()))
    if kind == "array":
        try:
            import numpy  # noqa: ICN001, PLC0415 (only such a result needs it)
        except ImportError as e:
            raise ValidationError(
                "the result holds arrays: expected numpy to be installed here, or a result of lists"
            ) from e
        return numpy.load(io.BytesIO(_bytes(held)), allow_pickle=False)
    if kind == "float":
        return float(held)
    if kind == "dict":
        return {_with_arrays(k): _with_arrays(v) for k, v in held}
    items = [_with_arrays(item) for item in held]
    return tuple(items) if kind == "tuple" else items


def _is_json(value: Any) -> bool:
    """Whether JSON gives the very same value back: tuples become lists there, so they do not."""
    if isinstance(value, tuple) or type(value) not in (
        *(dict, list, str, int, float, bool),
        type(None),
    ):
        return False
    if isinstance(value, dict) and not all(map(_is_json, value.values())):
        return False
    if isinstance(value, list) and not all(map(_is_json, value)):
        return False
    try:
        check_json(value)
    except (ValueError, RecursionError):
        return False
    return True
