"""An attempt that ran into the limit of its share is told so, and no other is."""

from __future__ import annotations

from typing import Any

import pytest
from cumulus.controller.reconcile.observed import ResultSeen
from cumulus.controller.reconcile.share_words import crashed, refused, share
from cumulus.crd_like_specs.lease import Lease
from cumulus.crd_like_specs.worker import Device
from make import lease

CPU = (Device(index=0, name="pocl", type="cpu", memory=10 << 30),)
CAPPED = {"env": {"CUMULUS_RLIMIT_DATA": str(5270 << 20)}}
SHARE = "its share of device 0 is 5120 MiB (RLIMIT_DATA: each process may have 5270 MiB of data)"


def held(status: dict[str, Any] | None = None) -> Lease:
    return lease(status=CAPPED if status is None else status)


def test_a_share_is_told_in_mib_with_what_enforces_it() -> None:
    assert share(held(), CPU) == SHARE
    assert share(held({}), ()) == "its share of device 0 is 0.5 of the memory"
    assert share(None, CPU) == ""


@pytest.mark.parametrize(("code", "name"), [(134, "SIGABRT"), (139, "SIGSEGV")])
def test_a_driver_that_dies_of_the_limit_is_turned_into_words(code: int, name: str) -> None:
    said = crashed(held(), CPU, code)
    assert said == f"killed by {name}, as by a driver that gets no more memory; {SHARE}"


@pytest.mark.parametrize("code", [None, 0, 1, 137, 143])
def test_other_ends_are_not_blamed_on_it(code: int | None) -> None:
    assert crashed(held(), CPU, code) == ""


def test_without_a_limit_a_crash_is_a_crash() -> None:
    assert crashed(held({}), CPU, 134) == ""
    assert crashed(None, CPU, 134) == ""


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("MemoryError", ""),
        ("_ArrayMemoryError", "Unable to allocate 9 GiB"),
        ("OutOfMemoryError", "CUDA out of memory"),
        ("RuntimeError", "clEnqueueNDRangeKernel failed: MEM_OBJECT_ALLOCATION_FAILURE"),
    ],
)
def test_a_job_that_is_refused_memory_says_so_and_is_told_its_share(kind: str, error: str) -> None:
    said = refused(held(), CPU, ResultSeen(9, ok=False, error_type=kind, error=error))
    assert said == f"{error or kind}; {SHARE}"


def test_other_errors_are_left_alone() -> None:
    wrong = ResultSeen(9, ok=False, error_type="ValueError", error="no good")
    assert refused(held(), CPU, wrong) == ""
    short = ResultSeen(9, ok=False, error_type="MemoryError")
    assert refused(None, CPU, short) == ""
