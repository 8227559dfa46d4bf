"""What main() returns, and how it stands in the envelope."""

import json
import math
import time

import pytest
from run_job import Job


def test_the_envelope_has_the_keys_of_the_contract(job: Job) -> None:
    before = int(time.time())
    out = job.run("def main():\n    return {'your': 'result'}")
    found = out.envelope
    assert out.code == 0
    assert found["result"] == {"your": "result"}
    assert 0 <= found["execution_time"] < 60
    assert before <= found["timestamp"] <= time.time()
    assert isinstance(found["timestamp"], int)
    assert found["system_info"].pop("python_version").count(".") == 2
    assert found["system_info"] == {
        "job_id": "test-123",
        "chronos_partition": "partition-456",
        "gpu_device": "0",
    }


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ("None", None),
        ("(1, [2.5, True], {'a': None})", [1, [2.5, True], {"a": None}]),
        ("{1: 'a', None: 'b', 2.5: 'c'}", {"1": "a", "null": "b", "2.5": "c"}),
        ("'é \\u2028 \\n 😀 \\x00'", "é \u2028 \n 😀 \x00"),
        ("'\\ud800 \\\\ud800 😀'", "� \\ud800 😀"),
        ("10**400", 10**400),
        ("__import__('enum').IntEnum('E', 'A')(1)", 1),
        ("__import__('collections').OrderedDict(a=(1, 2))", {"a": [1, 2]}),
    ],
)
def test_what_json_holds_comes_back(job: Job, returned: str, expected: object) -> None:
    assert job.run(f"def main():\n    return {returned}").result == expected


def test_nan_and_infinities_become_null_and_are_named(job: Job) -> None:
    out = job.run("""
        def main():
            inf = float("inf")
            return {"loss": float("nan"), "all": [1.0, inf, -inf], "ok": 2.5}
    """)
    assert out.result == {"loss": None, "all": [1.0, None, None], "ok": 2.5}
    assert "result.loss, result.all[1], result.all[2]" in out.stderr


FAKE_ARRAYS = """
class Scalar:
    shape = ()
    def __init__(self, value): self.value = value
    def tolist(self): return self.value
    def item(self): return self.value
    def __hash__(self): return hash(self.value)
class Array:
    def __init__(self, *items): self.items, self.shape = items, (len(items),)
    def tolist(self): return list(self.items)
class Odd(Scalar):
    def tolist(self): return self
    def __str__(self): return "1.5"
class Huge:
    shape = (1 << 20, 1 << 20)
    def tolist(self): raise AssertionError("must not be unpacked")
"""


def test_whatever_follows_the_array_interface_becomes_numbers_and_lists(job: Job) -> None:
    out = job.run(
        FAKE_ARRAYS
        + "def main(): return {'n': Scalar(3), 'a': Array(1, float('nan')), Scalar(7): [Odd(0)]}"
    )
    assert out.result == {"n": 3, "a": [1, None], "7": [1.5]}


def test_numpy_values_become_json(job: Job) -> None:
    out = job.run("""
        import numpy as np
        def main():
            return {
                "i": np.int64(4), "f": np.float32(0.5), "b": np.bool_(True), "s": np.str_("x"),
                "m": np.arange(6).reshape(2, 3), "nan": np.array([1.0, np.nan]),
                "empty": np.zeros((0, 3)), "keys": {np.int64(1): "one"},
                "long": np.longdouble("1.5"), "zero_d": np.array(7),
            }
    """)
    assert out.result == {
        "i": 4, "f": 0.5, "b": True, "s": "x",
        "m": [[0, 1, 2], [3, 4, 5]], "nan": [1.0, None],
        "empty": [], "keys": {"1": "one"}, "long": 1.5, "zero_d": 7,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("returned", "parts"),
    [
        ("{'a': [0, {'b c': object()}]}", ["result.a[1]['b c'] is a object", "expected"]),
        ("{'s': {1, 2}}", ["result.s is a set", "sorted()"]),
        ("b'x'", ["result is a bytes", "decode()"]),
        ("(i for i in ())", ["result is a generator", "list()"]),
        ("{(1, 2): 3}", ["result has the key (1, 2)", "expected a string"]),
        ("1j", ["result is a complex"]),
        ("[10**5000]", ["result[0]", "too long"]),
        ("main", ["result is a function"]),
        ("{'a': [{1: 2, '1': 3}]}", ["result.a[0] has the keys 1 and '1'", "same in JSON"]),
        ("{None: 2, 'null': 3}", ["result has the keys None and 'null'", "expected strings"]),
        ("{'\\ud800': 2, '\\ud801': 3}", ["result has the keys '\\ud800' and '\\ud801'"]),
        ("{float('nan'): [set()]}", ["result has the key nan", "expected a string"]),
        ("[{float('inf'): 1}]", ["result[0] has the key inf", "expected a string"]),
        ("{10**5000: 1}", ["result has a key", "too long"]),
        ("__import__('numpy').clongdouble(1j)", ["result is a numpy.clongdouble"]),
        (
            "[__import__('numpy').datetime64(1, 'ns')]",
            ["result[0] is a numpy.datetime64", "astype"],
        ),
    ],
)
def test_what_json_cannot_hold_is_named_with_its_place(
    job: Job, returned: str, parts: list[str]
) -> None:
    kind, message = job.run(f"def main():\n    return {returned}").error
    assert kind == "NotSerializable"
    for part in parts:
        assert part in message


def test_a_result_that_contains_itself_is_refused(job: Job) -> None:
    kind, message = job.run("def main():\n    a = {}\n    a['x'] = [a]\n    return a").error
    assert (kind, message) == ("NotSerializable", "result.x[0] contains itself")


def test_a_value_that_stands_twice_is_no_cycle(job: Job) -> None:
    out = job.run("def main():\n    a = [float('nan')]\n    return [a, a]")
    assert out.result == [[None], [None]]


def test_a_deeply_nested_result_is_refused(job: Job) -> None:
    kind, message = job.run("""
        def main():
            value = []
            for _ in range(200_000):
                value = [value]
            return value
    """).error
    assert kind == "NotSerializable"
    assert "deep" in message


def test_a_result_is_as_deep_as_readers_of_json_go(job: Job) -> None:
    deep = "def main():\n    a = 1\n    for _ in range({}):\n        a = {{'x': a}}\n    return a"
    found = job.run(deep.format(500)).result
    for _ in range(500):
        found = found["x"]
    assert found == 1
    kind, message = job.run(deep.format(501)).error
    assert (kind, message) == ("NotSerializable", "the result is nested deeper than 500 levels")


def test_ten_megabytes_pass(job: Job) -> None:
    assert job.run("def main():\n    return 'x' * (10 << 20)").result == "x" * (10 << 20)


def test_a_result_at_the_limit_passes_and_one_byte_more_does_not(job: Job) -> None:
    limit = 64 << 20
    out = job.run(f"def main():\n    return 'x' * ({limit} - 2)")
    assert len(out.result) == limit - 2
    kind, message = job.run(f"def main():\n    return 'x' * ({limit} - 1)").error
    assert kind == "ResultTooLarge"
    assert "64 MiB" in message


def test_a_huge_array_is_refused_before_it_is_unpacked(job: Job) -> None:
    kind, message = job.run(FAKE_ARRAYS + "def main(): return {'w': Huge()}").error
    assert kind == "ResultTooLarge"
    assert f"result.w is an array of {1 << 40} elements" in message


def test_an_async_main_is_awaited(job: Job) -> None:
    out = job.run("""
        import asyncio
        async def main(x):
            await asyncio.sleep(0)
            return x + 1
    """)
    assert out.error[0] == "TypeError"
    job.args("[41]")
    assert job.run().result == 42


def test_floats_keep_every_digit(job: Job) -> None:
    value = math.pi * 1e-7
    assert job.run(f"def main():\n    return {value!r}").result == value


def test_the_envelope_is_one_line_of_ascii(job: Job) -> None:
    out = job.run("def main():\n    return 'ü\\r\\n\\x85\\u2029'")
    line = out.stdout[len(out.printed) :]
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert json.loads(line)["result"] == "ü\r\n\x85\u2029"
