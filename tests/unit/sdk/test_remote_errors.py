"""A job's exception is caught by its own class and by ours, and shows the remote traceback."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any, Self

import pytest
from cumulus.crd_like_specs.job import Job, JobSpec
from cumulus.crd_like_specs.meta import ObjectMeta
from cumulus.sdk.errors import JobFailedError
from cumulus.sdk.remote_errors import RemoteError, remote_error
from cumulus.sdk.remote_trace import shown

JOB = Job(metadata=ObjectMeta(name="j", uid="u" * 32), spec=JobSpec(image="a"))
TRACE = 'Traceback (most recent call last):\n  File "main.py", line 2\nValueError: odd\n'


class CustomError(Exception):
    def __init__(self, _code: int, *, _where: str) -> None:
        raise AssertionError("a job must not run code here")


class OddError(Exception):
    def __new__(cls, *_args: Any) -> Self:
        raise AssertionError("a job must not run code here")


def made(kind: str, place: str = "") -> JobFailedError:
    return remote_error(
        f"Job j failed: {kind}: odd", job=JOB, error_type=kind, place=place, traceback=TRACE
    )


@pytest.mark.parametrize(
    "kind",
    [ValueError, KeyError, OSError, FileNotFoundError, UnicodeDecodeError, ZeroDivisionError],
)
def test_a_builtin_exception_is_both(kind: type[Exception]) -> None:
    for place in ("", f"builtins:{kind.__name__}"):
        error = made(kind.__name__, place)
        assert isinstance(error, kind)
        assert isinstance(error, JobFailedError)
        assert isinstance(error, RuntimeError)
        assert (error.error_type, error.traceback, error.job) == (kind.__name__, TRACE, JOB)
        assert str(error) == f"Job j failed: {kind.__name__}: odd"


def test_an_exception_of_a_module_that_is_loaded_here_is_found() -> None:
    assert isinstance(made("CustomError", f"{__name__}:CustomError"), CustomError)


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("Gone", "no.such.module:Gone"),
        ("Other", f"{__name__}:CustomError"),  # the name and the place disagree
        ("system", "os:system"),
        ("KeyboardInterrupt", "builtins:KeyboardInterrupt"),
        ("SystemExit", "builtins:SystemExit"),
        ("ExceptionGroup", "builtins:ExceptionGroup"),
        ("NoMain", ""),
        ("x", ":"),
    ],
)
def test_what_is_not_there_or_no_exception_is_a_remote_error(kind: str, place: str) -> None:
    error = made(kind, place)
    assert type(error) is RemoteError
    assert error.error_type == kind


def test_a_class_with_its_own_new_runs_nothing_here() -> None:
    with pytest.raises(JobFailedError):
        raise made("OddError", f"{__name__}:OddError")


class SetterError(Exception):
    @property
    def code(self) -> int:
        return 7

    @code.setter
    def code(self, _value: int) -> None:
        raise AssertionError("a job must not run code here")

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "where":
            raise AssertionError("a job must not run code here")
        super().__setattr__(name, value)


def test_what_the_exception_held_is_there_but_never_in_place_of_what_is_ours() -> None:
    fields = {"code": 3, "where": "there", "job": "mine", "args": ["odd"], "__class__": 1, "a b": 2}
    for place, code in ((f"{__name__}:SetterError", 7), ("no.such:SetterError", 3)):
        error: Any = remote_error(
            "x", job=JOB, error_type="SetterError", place=place, traceback="", fields=fields
        )
        assert (error.code, error.where, error.job) == (code, "there", JOB)
        assert error.args == ("x",)
        assert error.error_fields == fields


def test_an_error_of_the_system_has_its_number_and_file() -> None:
    fields = {"errno": 2, "strerror": "No such file or directory", "filename": "/data/x"}
    error = remote_error(
        "x", job=JOB, error_type="FileNotFoundError", place="", traceback="", fields=fields
    )
    assert isinstance(error, FileNotFoundError)
    assert (error.errno, error.strerror, error.filename) == tuple(fields.values())
    assert str(error) == "x"


def test_the_remote_traceback_is_shown() -> None:
    shown = "".join(traceback.format_exception(made("ValueError")))
    assert 'File "main.py", line 2' in shown
    assert "direct cause" in shown


def test_lines_that_only_this_side_has_are_added_and_our_own_frame_is_left_out(
    tmp_path: Path,
) -> None:
    secret = tmp_path / "notes.txt"
    secret.write_text("not for a job to name\n")
    here = Path(__file__)
    number = next(
        n for n, line in enumerate(here.read_text().splitlines(), 1) if line.startswith("JOB = ")
    )
    trace = (
        "Traceback (most recent call last):\n"
        '  File "/job/code/_cumulus_call.py", line 43, in main\n'
        "    value = function(*args)\n"
        "            ^^^^^^^^^^^^^^^\n"
        f'  File "{here}", line {number}, in f\n'
        f'  File "{here}", line 99999, in beyond\n'
        f'  File "{secret}", line 1, in elsewhere\n'
        '  File "/job/code/shop.py", line 2, in total\n'
        "    raise ValueError\n"
        "ValueError: odd\n"
    )
    assert shown(trace) == (
        "Traceback (most recent call last):\n"
        f'  File "{here}", line {number}, in f\n'
        '    JOB = Job(metadata=ObjectMeta(name="j", uid="u" * 32), spec=JobSpec(image="a"))\n'
        f'  File "{here}", line 99999, in beyond\n'
        f'  File "{secret}", line 1, in elsewhere\n'
        '  File "/job/code/shop.py", line 2, in total\n'
        "    raise ValueError\n"
        "ValueError: odd\n"
    )
    assert shown("") == ""
    assert shown("no traceback at all") == "no traceback at all"
