"""Every way a job can end badly, and how the envelope tells it."""

import pytest
from run_job import Job


def test_an_exception_gives_its_type_text_and_own_traceback(job: Job) -> None:
    out = job.run("""
        def inner():
            raise ValueError("bad é value")
        def main():
            print("before")
            inner()
    """)
    found = out.envelope
    assert out.code == 1
    assert (found["error_type"], found["error"]) == ("ValueError", "bad é value")
    lines = found["traceback"].splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "main.py" in lines[1]
    assert lines[-1] == "ValueError: bad é value"
    assert "cumulus_runner" not in found["traceback"]
    assert found["traceback"] in out.stderr
    assert out.printed == b"before\n"


@pytest.mark.parametrize(
    ("main", "kind", "part"),
    [
        ("def main(): return 1/0", "ZeroDivisionError", "division by zero"),
        ("def main(:", "SyntaxError", "invalid syntax"),
        ("raise RuntimeError('at import')", "RuntimeError", "at import"),
        ("import nothing_of_that_name", "ModuleNotFoundError", "nothing_of_that_name"),
        ("x = 1", "NoMain", "main.py has no function main()"),
        ("main = 3", "NoMain", "main in main.py is int, not a function"),
        ("def main(): raise MemoryError('no more')", "MemoryError", "no more"),
        ("def main(): main()", "RecursionError", "recursion"),
        ("def main(): raise KeyboardInterrupt", "KeyboardInterrupt", "interrupted"),
        ("def main(): raise GeneratorExit('x')", "GeneratorExit", "x"),
        ("def main(a): pass", "TypeError", "missing 1 required positional argument: 'a'"),
        ("class E(Exception):\n    def __str__(self): 1/0\ndef main(): raise E",
         "E", "E without text: ZeroDivisionError"),
    ],
)  # fmt: skip
def test_errors_are_named_as_python_names_them(job: Job, main: str, kind: str, part: str) -> None:
    out = job.run(main)
    found_kind, message = out.error
    assert found_kind == kind
    assert part in message


def test_halves_of_characters_become_whole_ones_wherever_they_stand(job: Job) -> None:
    """A file name that is no UTF-8, say, in an error about the file."""
    out = job.run("""
        import os
        def main():
            name = os.fsdecode(b"caf\\xe9.txt")
            error = OSError(f"what is {name}?")
            error.name = name
            raise error
    """)
    found = out.envelope
    assert b"\\ud" not in out.stdout
    assert found["error"] == "what is caf\ufffd.txt?"
    assert found["error_fields"] == {"args": [found["error"]], "name": "caf\ufffd.txt"}
    assert found["traceback"].endswith(f"OSError: {found['error']}\n")


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("raise Odd", ("Odd", "<Odd without text: SystemExit>")),
        ("sys.exit(Odd())", ("SystemExit", "<Odd without text: SystemExit>")),
        ("sys.exit(Unlike())", ("SystemExit", "unlike")),
        ("sys.stderr = None; raise ValueError('x')", ("ValueError", "x")),
        ("sys.stderr = Broken(); raise ValueError('x')", ("ValueError", "x")),
        ("sys.stderr = Broken(); sys.exit('x')", ("SystemExit", "x")),
    ],
)
def test_an_end_is_told_whatever_the_jobs_own_objects_do(
    job: Job, statement: str, error: tuple[str, str]
) -> None:
    out = job.run(f"""
        import sys
        class Odd(Exception):
            def __str__(self): sys.exit(7)
        class Unlike:
            def __eq__(self, other): raise RuntimeError
            def __str__(self): return "unlike"
        class Broken:
            def write(self, text): raise RuntimeError
            def flush(self): raise RuntimeError
        def main():
            {statement}
    """)
    assert out.error == error
    assert out.code == 1


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_result_stands_whatever_the_job_made_of_its_streams(job: Job, stream: str) -> None:
    out = job.run(f"""
        import sys
        class Broken:
            def write(self, text): raise RuntimeError
            def flush(self): raise RuntimeError
        def main():
            sys.{stream} = Broken()
            return [float("nan")]
    """)
    assert out.result == [None]


def test_an_exception_brings_what_json_holds_of_its_attributes(job: Job) -> None:
    out = job.run("""
        class OddError(Exception):
            def __init__(self, code, where):
                super().__init__(code, where)
                self.code, self.where = code, where
                self.open, self._own, self.nan = open, 1, float("nan")
                self.large, self.nested = "x" * 10_000, {"a": [1, (2, {"b": None})]}
        def main():
            raise OddError(3, "there")
    """)
    assert out.envelope["error_fields"] == {
        "args": [3, "there"],
        "code": 3,
        "where": "there",
        "nested": {"a": [1, [2, {"b": None}]]},
    }


@pytest.mark.parametrize(
    ("main", "fields"),
    [
        ("open('/no/such')", {"args": [2, "No such file or directory"], "errno": 2,
                              "strerror": "No such file or directory", "filename": "/no/such"}),
        ("raise ValueError", None),
        ("raise type('E', (Exception,), {'__dict__': property(lambda _: 1 / 0)})()", None),
        ("raise ValueError(object())", None),
    ],
)  # fmt: skip
def test_errors_that_hold_more_or_nothing(job: Job, main: str, fields: object) -> None:
    assert job.run(f"def main(): {main}").envelope.get("error_fields") == fields


def test_a_syntax_error_shows_the_line(job: Job) -> None:
    trace = job.run("def main():\n    return (").envelope["traceback"]
    assert 'main.py", line 2' in trace
    assert "return (" in trace


def test_long_messages_and_tracebacks_are_cut_in_the_middle(job: Job) -> None:
    found = job.run("def main(): raise ValueError('a' * 100_000 + 'z')").envelope
    assert len(found["error"]) < 10_000
    assert "characters left out" in found["error"]
    assert found["error"].endswith("z")
    assert len(found["traceback"]) < 70_000


@pytest.mark.parametrize(
    ("statement", "code", "message"),
    [
        ("sys.exit(3)", 3, "the job ended with exit code 3"),
        ("sys.exit(256)", 1, "the job ended with exit code 1"),
        ("sys.exit(-1)", 255, "the job ended with exit code 255"),
        ("sys.exit('some text')", 1, "some text"),
        ("raise SystemExit([1])", 1, "[1]"),
    ],
)
def test_sys_exit_with_a_code_is_an_error_with_that_code(
    job: Job, statement: str, code: int, message: str
) -> None:
    out = job.run(f"import sys\ndef main():\n    {statement}")
    assert out.error == ("SystemExit", message)
    assert out.code == code


@pytest.mark.parametrize("statement", ["sys.exit()", "sys.exit(0)", "raise SystemExit"])
def test_sys_exit_without_a_code_is_a_success_without_result(job: Job, statement: str) -> None:
    assert job.run(f"import sys\ndef main():\n    {statement}").result is None


@pytest.mark.parametrize(("given", "code"), [(0, 1), (7, 7)])
def test_a_process_that_ends_itself_gave_no_result(job: Job, given: int, code: int) -> None:
    out = job.run(f"import os\ndef main():\n    os._exit({given})")
    assert out.code == code
    assert out.error[0] == "NoResult"
    assert f"exit code {given}" in out.error[1]


@pytest.mark.parametrize(
    ("name", "number"), [("SIGSEGV", 11), ("SIGABRT", 6), ("SIGKILL", 9), ("SIGTERM", 15)]
)
def test_a_crash_names_the_signal(job: Job, name: str, number: int) -> None:
    out = job.run(f"""
        import os, signal
        def main():
            print("half a line", end="", flush=True)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.{name})
    """)
    assert out.code == 128 + number
    assert out.error == ("Crashed", f"the job crashed: killed by {name}")
    assert out.printed == b"half a line\n"


def test_a_real_segmentation_fault_says_where_on_stderr(job: Job) -> None:
    out = job.run("""
        import ctypes
        def main():
            ctypes.string_at(0)
    """)
    assert out.error[0] == "Crashed"
    assert "Segmentation fault" in out.stderr
    assert "main.py" in out.stderr


def test_a_memory_limit_ends_in_a_memory_error(job: Job) -> None:
    job.settings["CUMULUS_RLIMIT_DATA"] = str(256 << 20)
    out = job.run("def main(): return len(bytearray(512 << 20))")
    assert out.error[0] == "MemoryError"


def test_a_forked_process_that_comes_back_gives_no_second_result(job: Job) -> None:
    out = job.run("""
        import os
        def main():
            pid = os.fork()
            if pid:
                os.waitpid(pid, 0)
            return "parent" if pid else "child"
    """)
    assert out.result == "parent"
    assert out.printed == b""


def test_worker_processes_of_both_kinds_can_use_the_jobs_functions(job: Job) -> None:
    out = job.run("""
        import multiprocessing
        def double(x):
            return 2 * x
        def main():
            found = []
            for method in ("fork", "spawn"):
                with multiprocessing.get_context(method).Pool(2) as pool:
                    found.append(pool.map(double, [1, 2, 3]))
            return found
    """)
    assert out.result == [[2, 4, 6], [2, 4, 6]]
    assert "Terminated" not in out.stderr


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", "args.json is not JSON"),
        ("3", "args.json holds 3: expected a list or an object"),
    ],
)
def test_bad_arguments_are_named(job: Job, text: str, part: str) -> None:
    job.args(text)
    kind, message = job.run("def main(*a): return a").error
    assert kind == "BadArguments"
    assert part in message


def test_arguments_are_given_by_position_or_by_name(job: Job) -> None:
    job.args('[1, {"a": null}]')
    assert job.run("def main(x, y): return [y, x]").result == [{"a": None}, 1]
    job.args('{"y": 1, "x": 2}')
    assert job.run("def main(x, y): return [x, y]").result == [2, 1]


def test_the_job_finds_its_own_files_and_modules(job: Job) -> None:
    out = job.run(
        """
        import os, sys, helper, report
        def main():
            return [open("data.txt").read(), helper.NAME, report.NAME, sys.argv[1:],
                    os.getcwd() == os.path.dirname(os.path.abspath(__file__)), __name__]
        """,
        helper__py="NAME = 'helper'",
        report__py="NAME = 'not of the runner'",
        data__txt="data",
    )
    assert out.result == ["data", "helper", "not of the runner", [], True, "main"]


def test_a_package_called_main_is_refused_beside_main_py(job: Job) -> None:
    job.zip({"main.py": "def main(): return 1", "main/__init__.py": ""})
    assert job.run().error[0] == "NoMain"
    job.zip({"main.py": "def main(): return 1", "main/data.txt": ""})
    assert job.run().result == 1
