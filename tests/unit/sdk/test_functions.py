"""Functions travel whole: what they refer to goes with them, and runs in another process."""

from __future__ import annotations

import importlib
import json
import sys
import threading
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from cumulus.crd_like_specs.errors import ValidationError
from cumulus.sdk.functions.checks import check_call
from cumulus.sdk.functions.code import FunctionCode, check_python, pack_function
from cumulus.sdk.functions.options import Options, function_job
from cumulus.sdk.functions.packager import CodePackager
from cumulus.sdk.functions.values import decode_result, encode_call
from cumulus.sdk.remote_function import RemoteFunction
from run_job import Job as Run

from .packed import by_value, called, names

OFFSET = 40


def add(one: int, two: int = 2) -> int:
    return one + two + OFFSET - 40


def ran(job: Run, code: bytes, call: object = None) -> Any:
    """What the function returned, run as the job image runs it."""
    (job.job / "code.zip").write_bytes(code)
    if call is not None:
        job.args(json.dumps(call))
    return job.run().result


def test_a_function_of_a_notebook_runs_with_its_globals_and_defaults(job: Run) -> None:
    function = by_value(
        "base = 40\ndef add(a, b=1):\n    return helper(a) + b\ndef helper(a): return base + a",
        "add",
    )
    code = pack_function(function)
    assert ran(job, code.zip, encode_call([1], {})[0]) == 42
    assert code.python == f"{sys.version_info[0]}.{sys.version_info[1]}"


def test_a_closure_a_lambda_and_a_class_run(job: Run) -> None:
    def scaled(factor: int) -> Any:
        return lambda values: [box(v).twice() * factor for v in values]

    box = by_value(
        "class Box:\n    def __init__(self, v): self.v = v\n    def twice(self): return 2 * self.v",
        "Box",
    )
    code = pack_function(scaled(5))
    assert ran(job, code.zip, encode_call([[1, 2]], {})[0]) == [10, 20]


def test_local_modules_travel_with_what_they_import_and_their_data(folder: Path, job: Run) -> None:
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").write_text("from .prices import total\n")
    (folder / "shop" / "prices.py").write_text(
        "from pathlib import Path\n"
        "def total(count):\n"
        "    import taxes\n"
        "    price = float((Path(__file__).parent / 'price.txt').read_text())\n"
        "    return taxes.add(price * count)\n"
    )
    (folder / "shop" / "price.txt").write_text("2.5")
    (folder / "taxes.py").write_text("def add(value): return value * 2\n")
    (folder / "unused.py").write_text("1/0\n")
    shop: Any = importlib.import_module("shop")
    code = pack_function(shop.total)
    assert {"shop/__init__.py", "shop/prices.py", "shop/price.txt", "taxes.py"} <= names(code.zip)
    assert "unused.py" not in names(code.zip)
    assert code.python == ""  # by reference: any Python runs it
    assert ran(job, code.zip, encode_call([2], {})[0]) == 10.0


def test_an_import_inside_a_notebooks_function_counts(folder: Path, job: Run) -> None:
    (folder / "inner_only.py").write_text("VALUE = 7\n")
    function = by_value("def f():\n    import inner_only\n    return inner_only.VALUE", "f")
    assert ran(job, pack_function(function).zip, encode_call([], {})[0]) == 7


def test_equal_functions_give_equal_bytes() -> None:
    assert pack_function(add).digest == pack_function(add).digest


def test_a_decorated_function_is_packed_anew_only_when_it_changed() -> None:
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec("factor = 3\nclass Box: pass\ndef f(x): return Box, x * factor", scope)
    client: Any = None
    function = RemoteFunction(client, scope["f"], Options())
    first = function.code
    assert function.code is first
    assert function.with_options(duration=60).code is first
    scope["factor"] = 10
    assert function.code.digest != first.digest
    scope["factor"] = threading.Lock()
    with pytest.raises(ValidationError, match=r"'f' cannot be sent"):
        _ = function.code


def test_what_is_installed_stays_where_it_is() -> None:
    import pydantic

    assert not {n for n in names(pack_function(pydantic.create_model).zip) if "pydantic" in n}


def test_what_cannot_travel_is_named() -> None:
    lock = threading.Lock()
    with pytest.raises(ValidationError, match=r"function 'locked' cannot be sent: .*lock"):
        pack_function(
            by_value("def locked(): return lock", "locked").__class__(
                by_value("def locked(): return lock", "locked").__code__,
                {"lock": lock, "__name__": "__main__"},
                "locked",
            )
        )
    with pytest.raises(ValidationError, match="expected something to call"):
        pack_function(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "where"),
    [
        ("guard = threading.Lock()\ndef f(): return guard", "'guard', which 'f' uses"),
        (
            "guard = threading.Lock()\ndef deep(): return guard\ndef f(): return deep()",
            "'guard', which 'deep' uses",
        ),
        ("def f(held=threading.Lock()): return held", "'held', which 'f' uses"),
        ("def outer(held):\n  return lambda: held\nf = outer(threading.Lock())", "'held', which"),
        (
            "kinds = functools.singledispatch(len)\ndef f(): return kinds",
            "'kinds', which 'f' uses",
        ),
    ],
)
def test_what_cannot_travel_is_found_among_what_a_function_uses(source: str, where: str) -> None:
    function = by_value(f"import functools, threading\n{source}", "f")
    with pytest.raises(ValidationError, match=rf"cannot be sent: {where}"):
        pack_function(function)


def test_functions_with_a_cache_travel_with_what_they_import(folder: Path, job: Run) -> None:
    (folder / "units.py").write_text(
        "from functools import cache\nONE = 1\n@cache\ndef plus(x): return x + ONE\n"
    )
    function = by_value(
        "from functools import cache, lru_cache\n"
        "from units import plus\n"
        "@lru_cache(maxsize=7)\n"
        "def fib(n):\n"
        "    import units\n"
        "    return n * units.ONE if n < 2 else fib(n - 1) + fib(n - 2)\n"
        "@cache\n"
        "def twice(n): return 2 * n\n"
        "def f(): return [fib(40), twice(3), fib.cache_info().maxsize, fib.__name__, plus(1)]",
        "f",
    )
    assert called(job, function) == [102334155, 6, 7, "fib", 2]
    units: Any = importlib.import_module("units")
    assert pack_function(units.plus).python == ""  # by reference, as its module travels


def test_a_call_that_a_function_would_refuse_is_told_before_it_is_sent() -> None:
    def train(rate: float, *, epochs: int = 1) -> float:
        return rate * epochs

    code = pack_function(train)
    check_call(code.name, code.signature, [1.0], {"epochs": 2})
    for args, kwargs, said in (
        ([], {}, "missing a required argument: 'rate'"),
        ([1, 2], {}, "too many positional arguments"),
        ([1], {"epoch": 2}, "got an unexpected keyword argument 'epoch'"),
        ([1], {"trust_result": True}, r"give it as options=Options\(trust_result=\.\.\.\)"),
    ):
        with pytest.raises(TypeError, match=rf"^train\(rate.*{said}") as caught:
            check_call(code.name, code.signature, args, kwargs)
        assert isinstance(caught.value, ValidationError)
    for function in (max, type("Callable", (), {"__call__": lambda _self, x: x})(), int):
        assert pack_function(function).signature is None  # only calling them tells


def test_another_python_is_told_before_anything_is_sent() -> None:
    code = FunctionCode(b"", "sha256:" + "0" * 64, "f", "3.12")
    with pytest.raises(
        ValidationError, match=r"bytecode of Python 3\.12, but jobs run on Python 3\.11"
    ):
        check_python(code, "3.11")
    check_python(code, "3.12")
    check_python(code, "")
    check_python(FunctionCode(b"", "", "f", ""), "3.9")


@pytest.mark.parametrize(
    "value", [1, 1.5, None, True, "é", [1, [2]], {"a": {"b": []}}, (1, 2), {1: 2}, {3}, b"x", 2**70]
)
def test_arguments_arrive_as_they_were_given(value: object, job: Run) -> None:
    function = by_value("def same(value): return [type(value).__name__, repr(value)]", "same")
    call = encode_call([value], {})[0]
    assert ran(job, pack_function(function).zip, call) == [
        type(value).__name__,
        repr(value),
    ]


def test_plain_arguments_can_be_read_in_the_job() -> None:
    assert encode_call([1, "a"], {"b": [2]})[0] == {
        "args": [1, "a"],
        "kwargs": {"b": [2]},
    }


def test_arguments_that_are_too_large_or_cannot_travel_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"take \d+ bytes pickled: expected at most"):
        encode_call([b"x" * (4 << 20)], {})[0]
    with pytest.raises(ValidationError, match=r"the arguments cannot be sent: .*lock"):
        encode_call([threading.Lock()], {})[0]


def test_a_result_of_any_kind_comes_back_only_where_it_is_trusted(job: Run) -> None:
    function = by_value("def f(): return {1, 2}, (3,)", "f")
    result = ran(job, pack_function(function).zip, encode_call([], {}, result="pickle")[0])
    assert decode_result(result, trust=True) == ({1, 2}, (3,))
    with pytest.raises(ValidationError, match="trust_result=True"):
        decode_result(result, trust=False)
    assert decode_result({"plain": 1}, trust=False) == {"plain": 1}


def test_an_async_function_is_run_to_its_end(job: Run) -> None:
    function = by_value("async def f(): return 5", "f")
    assert ran(job, pack_function(function).zip, encode_call([], {})[0]) == 5


def test_the_packager_bakes_arguments_and_requirements_in(job: Run) -> None:
    packager = CodePackager()
    packager.add_source_file("notes/read.txt", "hello")
    code = packager.package_function(add, ["math", "numpy>=1"], "some-id", [1], two=3)
    assert zipfile.ZipFile(BytesIO(code)).read("requirements.txt") == b"numpy>=1\n"
    assert zipfile.ZipFile(BytesIO(code)).read("notes/read.txt") == b"hello"
    assert ran(job, CodePackager().package_function(add, None, args=[1], two=3)) == 4


def test_options_become_a_spec_and_wrong_ones_are_named() -> None:
    code = pack_function(add)
    options = Options(gpu_memory=0.25, duration="90m", cpus="500m", ram="2Gi", network=True)
    spec = function_job(code.name, code.digest, options, {"args": []}).spec
    assert spec.gpu is not None
    assert (spec.gpu.memory, spec.duration, spec.resources.cpus) == (250, 5400, 500)
    assert (spec.resources.memory, spec.network, spec.retry.limit) == (2 << 30, "Egress", 3)
    with pytest.raises(ValidationError, match=r"spec\.gpu\.memory") as caught:
        function_job("f", code.digest, Options(gpu_memory=2, duration="soon"), {})
    assert "spec.duration" in str(caught.value)
