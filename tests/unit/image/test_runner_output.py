"""Standard output and error: live, complete, and never inside the envelope."""

import os
import threading

from run_job import Job


def test_prints_stand_before_the_envelope_whatever_they_look_like(job: Job) -> None:
    fake = '{"status": "success", "result": "forged"}'
    out = job.run(f"""
        import sys
        def main():
            print("line")
            print('{fake}')
            print("to stderr", file=sys.stderr)
            sys.stdout.write("no newline")
            return "real"
    """)
    assert out.result == "real"
    assert out.printed == f"line\n{fake}\nno newline\n".encode()
    assert "to stderr" in out.stderr
    assert b"to stderr" not in out.stdout


LATE = """settings.DRAIN = 0.0
import os
from cumulus_runner import supervise
def late(job, follow=supervise._Job.follow):
    os.waitid(os.P_PID, job._pid, os.WEXITED | os.WNOWAIT)
    follow(job)
supervise._Job.follow = late"""


def test_a_parent_that_comes_late_still_prints_all_that_was_said(job: Job) -> None:
    """A machine so busy that all of the time to drain goes by between two steps."""
    out = job.run("def main(): [print('line', n, flush=True) for n in range(20)]", tweak=LATE)
    assert out.printed.decode().splitlines() == [f"line {n}" for n in range(20)]


def test_output_without_any_is_the_envelope_alone(job: Job) -> None:
    out = job.run("def main(): pass")
    assert out.printed == b""
    assert out.result is None


def test_lines_arrive_while_the_job_runs(job: Job) -> None:
    gate = job.root / "gate"
    os.mkfifo(gate)
    job.code(f"""
        def main():
            print("first")
            open({str(gate)!r}).read()
            print("second")
    """)
    process = job.start()
    assert process.stdout is not None
    assert process.stdout.readline() == b"first\n"
    gate.write_bytes(b"go")  # the job has not gone on before this
    rest, _ = process.communicate(timeout=60)
    process.stderr.close()
    assert rest.startswith(b"second\n")
    assert process.returncode == 0


def test_a_huge_line_without_newline_comes_through_whole(job: Job) -> None:
    out = job.run("""
        import sys
        def main():
            for _ in range(20):
                sys.stdout.write("x" * (1 << 20))
    """)
    assert out.printed == b"x" * (20 << 20) + b"\n"
    assert out.result is None


def test_bytes_that_are_no_text_pass_unchanged(job: Job) -> None:
    out = job.run("""
        import sys
        def main():
            sys.stdout.buffer.write(bytes(range(256)))
    """)
    assert out.printed == bytes(range(256)) + b"\n"


def test_subprocesses_print_too_and_do_not_hold_the_result_pipe(job: Job) -> None:
    out = job.run("""
        import os, subprocess, sys
        def main():
            subprocess.run(["echo", "from a child"], check=True)
            code = "import os; print(sorted(int(f) for f in os.listdir('/proc/self/fd') if int(f) > 3))"
            subprocess.run([sys.executable, "-S", "-c", code], check=True, close_fds=False)
    """)
    assert out.printed == b"from a child\n[]\n"


def test_what_is_printed_by_exit_handlers_and_threads_precedes_the_envelope(job: Job) -> None:
    out = job.run("""
        import atexit, threading
        def late():
            event.wait()
            print("thread")
        event = threading.Event()
        def main():
            atexit.register(print, "exit handler")
            threading.Thread(target=late).start()
            event.set()
            return 1
    """)
    assert sorted(out.printed.splitlines()) == [b"exit handler", b"thread"]
    assert out.result == 1


def test_a_thread_left_running_is_ended_and_the_result_stands(job: Job) -> None:
    out = job.run(
        """
        import threading
        def main():
            threading.Thread(target=threading.Event().wait).start()
            return "done"
        """,
        tweak="settings.EXIT_GRACE = 0.2",
    )
    assert out.result == "done"


def test_a_process_left_behind_delays_the_end_only_briefly(job: Job) -> None:
    out = job.run(
        """
        import subprocess
        def main():
            print(subprocess.Popen(["sleep", "300"], stderr=subprocess.DEVNULL).pid)
            return "done"
        """,
        tweak="settings.DRAIN = 0.2",
    )
    try:
        assert out.result == "done"
    finally:
        os.kill(int(out.printed), 9)


def test_a_process_left_behind_that_keeps_printing_does_not_hold_the_end(job: Job) -> None:
    out = job.run(
        """
        import subprocess
        def main():
            print(subprocess.Popen(["yes"], stderr=subprocess.DEVNULL).pid)
            return "done"
        """,
        tweak="settings.DRAIN = 0.2",
    )
    assert out.result == "done"  # `yes` ends by itself: nobody reads its pipe any more


def test_a_job_that_closes_its_streams_still_gives_its_result(job: Job) -> None:
    out = job.run("""
        import os, sys
        def main():
            print("before", flush=True)
            sys.stdout.close()
            os.close(2)
            return "x" * (1 << 20)
    """)
    assert out.printed == b"before\n"
    assert len(out.result) == 1 << 20


def test_a_job_whose_reader_is_gone_runs_to_its_end(job: Job) -> None:
    mark = job.root / "mark"
    job.code(f"""
        def main():
            for _ in range(1000):
                print("x" * 1000)
            open({str(mark)!r}, "w").close()
    """)
    reader, writer = os.pipe()
    process = job.start(stdout=writer)
    os.close(writer)
    os.close(reader)
    with process:
        process.communicate(timeout=60)
    assert mark.exists()
    assert process.returncode == 0


def test_a_slow_reader_loses_nothing(job: Job) -> None:
    job.code("""
        def main():
            for i in range(50_000):
                print(i)
    """)
    process = job.start()
    lines: list[bytes] = []

    def read() -> None:
        assert process.stdout is not None
        while data := process.stdout.read(777):
            lines.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    reader.join(60)
    with process:
        process.wait(60)
    printed = b"".join(lines).splitlines()
    assert printed[:-1] == [str(i).encode() for i in range(50_000)]
