"""Results beyond JSON: arrays without pickles, pickles only where trusted, and how large they may be."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from cumulus.crd_like_specs.errors import ValidationError
from cumulus.sdk.functions import shipped
from cumulus.sdk.functions.values import decode_result
from run_job import Job as Run

from .packed import by_value, called

ARRAYS = (
    "import numpy as np\n"
    "def f():\n"
    "    grid = np.arange(4, dtype=np.float16).reshape(2, 2)\n"
    "    return {'a': [grid, (1, 'x', None)], 2: np.float32(0.1), 'b': np.array(['é']), 'c': 2**70}"
)


def test_arrays_come_bit_by_bit_where_they_stood(job: Run) -> None:
    back = called(job, by_value(ARRAYS, "f"), result="arrays")
    grid, rest = back["a"]
    assert grid.dtype == np.float16
    assert grid.tolist() == [[0, 1], [2, 3]]
    assert rest == (1, "x", None)
    assert back[2].dtype == np.float32
    assert back[2] == np.float32(0.1)
    assert back["b"].tolist() == ["é"]
    assert back["c"] == 2**70


def test_numbers_that_json_has_no_word_for_come_back_beside_arrays(job: Run) -> None:
    source = (
        "import numpy as np\n"
        "def f():\n"
        "    inf = float('inf')\n"
        "    return {'loss': [float('nan'), -inf, -0.0, np.zeros(1)], np.int64(7): {inf: np.nan}}"
    )
    back = called(job, by_value(source, "f"), result="arrays")
    assert repr(back["loss"][:3]) == "[nan, -inf, -0.0]"
    assert repr(back[7]) == "{inf: nan}"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("np.ma.array([1, 2], mask=[0, 1])", r"MaskedArray would come back without its mask"),
        ("Table()", r"Table would come back without its columns: return its to_dict\(\)"),
    ],
)
def test_what_would_lose_a_part_as_an_array_is_refused(job: Run, value: str, said: str) -> None:
    table = "class Table:\n    shape, columns = (1, 1), ['a']\n"
    function = by_value(f"import numpy as np\n{table}def f(): return {value}", "f")
    with pytest.raises(AssertionError, match=said):
        called(job, function, result="arrays")


def test_arrays_of_objects_are_no_way_to_send_a_pickle(job: Run) -> None:
    function = by_value("import numpy as np\ndef f(): return np.array([object()])", "f")
    with pytest.raises(AssertionError, match="allow_pickle=False"):
        called(job, function, result="arrays")


def test_what_is_no_array_and_not_json_is_named(job: Run) -> None:
    with pytest.raises(AssertionError, match="a set: return sorted"):
        called(job, by_value("def f(): return [{1, 2}]", "f"), result="arrays")


def test_a_tensor_comes_as_an_array() -> None:
    class Tensor:
        """As torch's behaves: of a device, and part of a graph."""

        shape = (2,)

        def __init__(self, *, ready: bool = False) -> None:
            self.ready = ready

        def detach(self) -> Tensor:
            return self

        def cpu(self) -> Tensor:
            return Tensor(ready=True)

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            assert self.ready
            return np.array([1.5, 2.5])

    packed = {shipped.ARRAYS_MARK: shipped.packed({"w": Tensor()}, [0, 0])}
    assert decode_result(packed, trust=False)["w"].tolist() == [1.5, 2.5]


def test_what_is_too_large_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "MOST", 1000)
    monkeypatch.delenv("CUMULUS_OUTPUTS", raising=False)
    advice = r"takes 528 bytes: one may take 1000, and more only by way of the job's outputs"
    with pytest.raises(shipped.ResultTooLargeError, match=advice):
        shipped.packed([np.zeros(100), np.zeros(50)], [0, 0])


def test_arrays_need_numpy_here(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = {shipped.ARRAYS_MARK: shipped.packed(np.zeros(2), [0, 0])}
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(ValidationError, match="expected numpy to be installed here"):
        decode_result(packed, trust=False)
