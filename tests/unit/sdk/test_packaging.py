"""Everything that a function may be made of: closures, decorators, classes, notebooks, modules that
use the SDK, arguments of types of one's own; and the same bytes for the same code.
"""

from __future__ import annotations

import functools
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cumulus.crd_like_specs.errors import ValidationError
from cumulus.sdk import CumulusClient, remote
from cumulus.sdk.functions import pickling
from cumulus.sdk.functions.code import FunctionCode, check_python, pack_function
from cumulus.sdk.functions.values import encode_call
from run_job import Job as Run

from .fake_server import FakeServer
from .packed import by_value, called, names

CELL_1 = "import math\nscale = 3\nclass Box:\n    factor = 2\n    def __init__(self, v): self.v = v"
CELL_2 = (
    "import functools\n"
    "def logged(f):\n"
    "    @functools.wraps(f)\n"
    "    def inner(*a, **k): return ['logged', f(*a, **k)]\n"
    "    return inner\n"
)
CELL_3 = (
    "@logged\n"
    "def work(n, *, root=math.sqrt, boxes=(Box(1), Box(2))):\n"
    "    return root(n) * scale * sum(b.v * b.factor for b in boxes)\n"
)


def test_cells_of_a_notebook_go_as_they_stand_together(job: Run) -> None:
    scope: dict[str, Any] = {"__name__": "__main__", "In": ["", "x"], "Out": {}}
    for number, cell in enumerate((CELL_1, CELL_2, CELL_3), 1):
        exec(compile(cell, f"/tmp/ipykernel_7/{number}.py", "exec"), scope)
    assert called(job, scope["work"], [16]) == ["logged", 4.0 * 3 * 6]


def test_partials_methods_and_callable_objects_are_functions_too(job: Run, folder: Path) -> None:
    (folder / "rates.py").write_text("RATE = 7\n")
    source = (
        "class Model:\n"
        "    def __init__(self, w): self.w = w\n"
        "    def __call__(self, x):\n"
        "        import rates\n"
        "        return self.predict(x) + rates.RATE\n"
        "    def predict(self, x): return self.w * x\n"
    )
    model = by_value(source, "Model")(3)
    assert called(job, model, [2]) == 13
    assert "rates.py" in names(pack_function(model).zip)
    assert called(job, model.predict, [5]) == 15
    assert called(job, functools.partial(by_value("def f(a, b): return a - b", "f"), 9), [4]) == 5


def test_arguments_bring_their_modules(job: Run, folder: Path) -> None:
    (folder / "shapes.py").write_text(
        "from dataclasses import dataclass\n@dataclass\nclass Square:\n    side: float\n"
        "    def area(self): return self.side ** 2\n"
    )
    shapes: Any = importlib.import_module("shapes")
    function = by_value("def area(shape): return shape.area()", "area")
    assert called(job, function, [shapes.Square(3)]) == 9
    code = pack_function(function)
    assert "shapes.py" not in names(code.zip)
    _call, pickled = encode_call([shapes.Square(3)], {})
    wider = code.with_modules_of(pickled)
    assert "shapes.py" in names(wider.zip)
    assert code.with_modules_of(pickled) is wider
    assert wider.with_modules_of(pickled) is wider


def test_a_file_that_makes_a_client_has_functions_that_run(
    job: Run, folder: Path, server: FakeServer
) -> None:
    (folder / "tasks.py").write_text(
        "from cumulus.sdk import CumulusClient, remote\n"
        "from helping import offset\n"
        f"client = CumulusClient('{server.address}')\n"
        "def helper(x): return x + offset()\n"
        "@remote(client, gpu_memory=None)\n"
        "def task(x): return helper(x) * 2\n"
        "@remote(client)\n"
        "def of_others(x): return task(x) + 1\n"
        "@remote(client)\n"
        "def of_the_client(): return client.list_jobs()\n"
    )
    (folder / "helping.py").write_text("def offset(): return 100\n")
    (folder / "above.py").write_text("import tasks\ndef run(x): return tasks.helper(x)\n")
    tasks: Any = importlib.import_module("tasks")
    above: Any = importlib.import_module("above")
    try:
        assert called(job, tasks.task.func, [1]) == 202
        assert called(job, tasks.of_others.func, [1]) == 203
        assert called(job, above.run, [1]) == 101
        with pytest.raises(AssertionError, match="inside a job, where there is no client"):
            called(job, tasks.of_the_client.func)
    finally:
        tasks.client.close()


def test_a_module_without_the_sdk_goes_by_reference(folder: Path) -> None:
    (folder / "plain.py").write_text("def f(x): return x\n")
    plain: Any = importlib.import_module("plain")
    code = pack_function(plain.f)
    assert code.python == ""
    assert not pickling.carries_bytecode(code.files["_cumulus_function.pkl"])


SCRIPT = """
import sys
from dataclasses import dataclass
from enum import Enum
sys.path.insert(0, {support!r})
from cumulus.sdk.functions.code import pack_function

class Kind(Enum):
    A = 1
    B = 2

@dataclass
class Point:
    x: int
    kind: Kind = Kind.A
    def moved(self, by: int) -> "Point":
        return Point(self.x + by, self.kind)

LIMITS = {{"low": 1, "high": 2}}

def train(n: int, start: Point = Point(1)) -> int:
    import json, math, os
    names = [one for one in ("a", "b") if one in LIMITS or one in {{"a", "b", "c"}}]
    return start.moved(n).x + len(names) + LIMITS["high"] + math.floor(1.5)

if __name__ == "__main__":
    print(pack_function(train).digest)
"""


def test_the_same_script_gives_the_same_zip_in_every_process(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(support=""))
    digests = {
        subprocess.run(
            [sys.executable, script],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
            umask=umask,
        ).stdout
        for seed, umask in (("1", 0o22), ("2", 0o77), ("3", 0))
    }
    assert len(digests) == 1
    assert digests.pop().startswith("sha256:")


def test_a_class_is_the_same_on_both_sides_and_comes_back_as_itself(job: Run) -> None:
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(
        "class P:\n    def __init__(self, x): self.x = x\n"
        "def same(p): return isinstance(p, P)\n"
        "def more(p): return P(p.x + 1)\n",
        scope,
    )
    kind = scope["P"]
    assert called(job, scope["same"], [kind(1)]) is True
    back = called(job, scope["more"], [kind(1)], result="pickle")
    assert type(back) is kind
    assert back.x == 2


def test_arguments_of_another_python_are_told_before_anything_is_sent() -> None:
    _call, pickled = encode_call([by_value("def f(): pass", "f")], {})
    code = FunctionCode(b"", "sha256:" + "0" * 64, "train", "")
    with pytest.raises(ValidationError, match=r"the arguments of 'train' hold bytecode"):
        check_python(code, "3.9", pickled)
    check_python(code, "", pickled)


def test_nothing_is_uploaded_for_the_wrong_python(server: FakeServer) -> None:
    server.python = "3.9"
    with (
        CumulusClient(server.address) as client,
        pytest.raises(ValidationError, match=r"but jobs run on Python 3\.9"),
    ):
        client.run(by_value("def f(): pass", "f"))
    assert server.called("Submit") == []
    assert server.called("PutBlob") == []


def test_equal_code_is_uploaded_once(server: FakeServer) -> None:
    with CumulusClient(server.address) as client:

        @remote(client, gpu_memory=None)
        def double(x: int) -> int:
            return 2 * x

        for number in range(3):
            double(number)
        assert [start.code_follows for start in server.called("Submit")] == [True, False, False]
        assert len(server.called("ServerInfo")) == 1
        server.blobs.clear()  # swept away
        double(4)
    assert [start.code_follows for start in server.called("Submit")][3:] == [False, True]
