"""One argument or variable of a job: as long as Linux takes it, and told at submission beyond."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from cumulus.crd_like_specs import exec_limits
from cumulus.crd_like_specs.exec_limits import MOST
from cumulus.crd_like_specs.job import JobSpec
from make import DIGEST

CODE = {"code": {"digest": DIGEST}}
IMAGE = {"image": "alpine", "command": ["true"]}


def told(**spec: Any) -> list[str]:
    return [str(one) for one in exec_limits.problems(JobSpec.model_validate(spec))]


def test_the_limit_is_that_of_the_kernel() -> None:
    subprocess.run(["/bin/true", "x" * MOST], check=True, env={"A": "x" * (MOST - 2)})
    with pytest.raises(OSError, match="Argument list too long"):
        subprocess.run(["/bin/true", "x" * (MOST + 1)], check=False)
    with pytest.raises(OSError, match="Argument list too long"):
        subprocess.run(["/bin/true"], check=False, env={"A": "x" * (MOST - 1)})


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({**IMAGE, "command": ["sh", "é" * 65_536]}, "spec.command[1]"),
        ({**IMAGE, "args": ["a", "x" * (MOST + 1)]}, "spec.args[1]"),
        ({**IMAGE, "env": {"BIG": "x" * (MOST - 3)}}, "spec.env.BIG"),
        ({**CODE, "requirements": ["x" * (MOST + 1)]}, "spec.requirements[0]"),
        ({**CODE, "secrets": [{"name": "a", "env": "E" * MOST}]}, "spec.secrets"),
    ],
)
def test_what_is_longer_is_told_with_its_place(spec: dict[str, Any], path: str) -> None:
    (one,) = told(**spec)
    assert one.startswith(f"{path}: ")
    assert "expected at most 131071: Linux takes no longer argument" in one
    assert len(one) < 400


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({**IMAGE, "command": ["sh", "ab\0c"]}, "spec.command[1]"),
        ({**IMAGE, "args": ["ab\0"]}, "spec.args[0]"),
        ({**CODE, "env": {"A": "ab\0B=c"}}, "spec.env.A"),
        ({**CODE, "requirements": ["ab\0"]}, "spec.requirements[0]"),
    ],
)
def test_where_the_kernel_would_take_it_to_end(spec: dict[str, Any], path: str) -> None:
    (one,) = told(**spec)
    assert one.startswith(f"{path}: a NUL character stands at position 2, expected text without")


def test_what_fits_is_no_problem() -> None:
    assert told(**IMAGE, args=["x" * MOST], env={"BIG": "x" * (MOST - 4)}) == []
    # Arguments of code come to it as a file.
    assert told(**CODE, args=["x" * (MOST + 1)], secrets=[{"name": "a", "env": "A"}]) == []
