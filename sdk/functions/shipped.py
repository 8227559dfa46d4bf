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
_FUNCTION = "_cumulus_function.pkl"
_CALL = "_cumulus_call.pkl"


def main(
    args: list[Any] | tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    pickled: str | None = None,
    result: str = "json",
) -> Any:
    """Call the function. pickled: base64 of (args, kwargs) where JSON cannot hold them;
    result: "json", or "pickle" for one of any kind, given back as base64 under RESULT_MARK.
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
    if result != "pickle":
        return value
    import cloudpickle  # noqa: PLC0415 (only such a result needs it)

    return {RESULT_MARK: base64.b64encode(cloudpickle.dumps(value)).decode("ascii")}
