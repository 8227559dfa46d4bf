"""What importing the SDK does not import: gRPC, pydantic and their kin cost most of a second."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    *("grpc", "google.protobuf", "pydantic", "pydantic_core", "yaml", "tenacity", "cloudpickle"),
    *("rich", "typer", "pathspec", "numpy", "tomllib", "cumulus.crd_like_specs.job"),
)
EVERYDAY = (
    "CumulusClient, CumulusJob, JobHandle, AsyncJobHandle, CodePackager, "
    "Options, RemoteFunction, remote, gpu, async_remote, create_remote_function, RemoteError, "
    "JobFailedError"
)


@pytest.mark.parametrize(
    "statement",
    ["import cumulus.sdk", f"from cumulus.sdk import {EVERYDAY}"],
)
def test_importing_the_sdk_imports_nothing_heavy(statement: str) -> None:
    look = f"{statement}\nimport sys\nprint(*(m for m in {HEAVY!r} if m in sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.split() == []


def test_every_name_is_there() -> None:
    from cumulus import sdk

    assert all(getattr(sdk, name) is not None for name in sdk.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sdk.nothing
