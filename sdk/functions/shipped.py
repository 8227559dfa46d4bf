"""Runs in the job, never here: `code.py` puts this file into the zip as `_cumulus_call.py`.

It stands alone, for Python 3.10 and newer. The job's main.py takes `main` from it. What it
unpickles came from the one who submitted the job, and runs as the job anyway.
"""

from __future__ import annotations

import base64
import pickle
from pathlib import Path
from typing import Any

RESULT_MARK = "__cumulus_pickle__"
ARRAYS_MARK = "__cumulus_arrays__"
FILE_MARK = "__cumulus_file__"
MOST = 47 << 20
"""Bytes of a pickled result or of one with arrays: a result travels as JSON, of at most 64 MiB.
What is larger goes by way of the job's outputs.
"""

FOLDER = ".cumulus-result"
"""In the job's outputs: parts of its result that are too large to travel with it."""

_FUNCTION = "_cumulus_function.pkl"
_CALL = "_cumulus_call.pkl"


class ResultTooLargeError(Exception):
    """What was returned does not fit into a result."""


def main(
    args: list[Any] | tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    pickled: str | None = None,
    result: str = "json",
) -> Any:
    """Call the function. pickled: base64 of (args, kwargs) where JSON cannot hold them; result:
    "json", "arrays" (see `packed`), or "pickle" for one of any kind, in base64.
    """
    here = Path(__file__).parent
    function = pickle.loads((here / _FUNCTION).read_bytes())  # noqa: S301 (see above)
    baked = here / _CALL
    if pickled is None and not args and not kwargs and baked.exists():
        args, kwargs = pickle.loads(baked.read_bytes())  # noqa: S301 (see above)
    if pickled is not None:
        args, kwargs = pickle.loads(base64.b64decode(pickled))  # noqa: S301 (see above)
    value = function(*args, **(kwargs or {}))
    if type(value).__name__ == "coroutine":
        import asyncio  # noqa: PLC0415 (only an async function needs it)

        value = asyncio.run(value)
    if result == "arrays":
        return {ARRAYS_MARK: packed(value, [0, 0])}
    if result != "pickle":
        return value
    import cloudpickle  # noqa: PLC0415 (only such a result needs it)

    data = cloudpickle.dumps(value)
    if len(data) > MOST:
        return {RESULT_MARK: _in_file("value.pkl", data)}
    return {RESULT_MARK: base64.b64encode(data).decode("ascii")}


def packed(value: Any, total: list[int]) -> Any:
    """Value for JSON: containers as {"dict" | "list" | "tuple": items}, arrays as {"array": base64
    of the .npy format, or a file of it}, numbers that JSON has no word for as {"float": text}; what
    is none of these stays. total: [bytes of arrays so far, files so far].
    """
    if isinstance(value, dict):
        return {"dict": [[packed(_key(k), total), packed(v, total)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [packed(item, total) for item in value]}
    if isinstance(value, float) and not abs(value) < float("inf"):
        return {"float": repr(float(value))}
    if value is None or isinstance(value, (str, bool, int, float)) or not hasattr(value, "shape"):
        return value
    import io  # noqa: PLC0415 (only arrays need these)

    import numpy  # noqa: ICN001, PLC0415 (same)

    lost, advice = "", ""
    if isinstance(value, numpy.ma.MaskedArray):
        lost, advice = "mask", "its filled()"
    elif hasattr(value, "columns") and not isinstance(value, numpy.ndarray):  # a table
        lost, advice = "columns", "its to_dict()"
    if lost:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise TypeError(f"a {kind} would come back without its {lost}: return {advice}")
    if hasattr(value, "detach"):  # a tensor, perhaps of a device
        value = value.detach().cpu()
    array = numpy.asarray(value)
    buffer = io.BytesIO()
    numpy.save(buffer, array, allow_pickle=False)
    if total[0] + array.nbytes > MOST:
        total[1] += 1
        return {"array": _in_file(f"array-{total[1]}.npy", buffer.getvalue())}
    total[0] += array.nbytes
    return {"array": base64.b64encode(buffer.getvalue()).decode("ascii")}


def _key(key: Any) -> Any:
    """A number of numpy as Python's own: an array can be no key."""
    item = getattr(key, "item", None)
    return item() if getattr(key, "shape", None) == () and callable(item) else key


def _in_file(name: str, data: bytes) -> dict[str, str]:
    """Leave it in the job's outputs, which come back too; where it is, and its SHA-256."""
    import hashlib  # noqa: PLC0415 (only a large result needs these)
    import os  # noqa: PLC0415 (same)

    outputs = os.environ.get("CUMULUS_OUTPUTS")
    if not outputs:
        raise ResultTooLargeError(
            f"the result takes {len(data)} bytes: one may take {MOST}, and more only by way of "
            "the job's outputs, which it has none of (outputs.size is 0); return less of it (a "
            "summary, a part, a smaller type)"
        )
    folder = Path(outputs) / FOLDER
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    return {FILE_MARK: f"{FOLDER}/{name}", "sha256": hashlib.sha256(data).hexdigest()}


def __getattr__(name: str) -> Any:
    """A client of the SDK that a function refers to becomes this module: see `client.py`."""
    if name.startswith("__"):
        raise AttributeError(name)
    raise RuntimeError(
        f"a client's {name!r} was asked for inside a job, where there is no client: hand jobs in "
        "from outside"
    )
