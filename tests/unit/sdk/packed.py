"""Functions as notebooks, scripts and modules define them, and what a job makes of their zips."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

from cumulus.sdk.functions.code import pack_function
from cumulus.sdk.functions.values import decode_result, encode_call
from run_job import Job as Run


def names(code: bytes) -> set[str]:
    return set(zipfile.ZipFile(BytesIO(code)).namelist())


def by_value(source: str, name: str) -> Any:
    """A function as a notebook defines it: of `__main__`, without a file."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(source, scope)
    return scope[name]


def called(
    job: Run,
    function: Any,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    result: str = "json",
) -> Any:
    """What the function gives as a job: packed, run as the job image does, decoded."""
    call, pickled = encode_call(args, kwargs or {}, result=result)
    code = pack_function(function)
    if pickled:
        code = code.with_modules_of(pickled)
    (job.job / "code.zip").write_bytes(code.zip)
    job.args(json.dumps(call))
    return decode_result(job.run().result, trust=result == "pickle")
