"""Arguments of functions on their way in, results on their way out. PURE.

JSON where it keeps the value as it is, else a pickle in base64. A result is unpickled only where
the caller trusts it: the job could have put anything there.
"""

from __future__ import annotations

import base64
import pickle
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ...crd_like_specs.errors import ValidationError
from ...crd_like_specs.json_values import check_json
from .shipped import RESULT_MARK

MAX_PICKLED: Final = 3 << 20
"""Bytes of pickled arguments: they travel in the job's record, which one message carries."""


def encode_call(
    args: Sequence[Any], kwargs: Mapping[str, Any], *, any_result: bool
) -> dict[str, Any]:
    """`spec.args` for `shipped.main`. ValidationError for what can neither be JSON nor pickled."""
    call: dict[str, Any] = {"result": "pickle"} if any_result else {}
    if _is_json([list(args), dict(kwargs)]):
        return {**call, "args": list(args), "kwargs": dict(kwargs)}
    import cloudpickle  # noqa: PLC0415 (only such arguments need it)

    try:
        data = cloudpickle.dumps((tuple(args), dict(kwargs)), protocol=pickle.DEFAULT_PROTOCOL)
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as e:
        raise ValidationError(f"the arguments cannot be sent: {e}") from e
    if len(data) > MAX_PICKLED:
        raise ValidationError(
            f"the arguments take {len(data)} bytes pickled: expected at most {MAX_PICKLED}; let "
            "the job read or make large data itself"
        )
    return {**call, "pickled": base64.b64encode(data).decode("ascii")}


def decode_result(value: Any, *, trust: bool) -> Any:
    """The result as the function returned it. ValidationError for a pickle that is not trusted."""
    if not (isinstance(value, dict) and value.keys() == {RESULT_MARK}):
        return value
    if not trust:
        raise ValidationError(
            "the result is pickled, and a pickle can run code here: pass trust_result=True if you "
            "trust the job that made it"
        )
    return pickle.loads(base64.b64decode(value[RESULT_MARK]))  # noqa: S301 (trusted by the caller)


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
