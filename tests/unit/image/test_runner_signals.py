"""Signals: forwarded to the job, and told in the envelope."""

import os
import signal
import subprocess
import time
from collections.abc import Callable

import pytest
from run_job import Job, finish

READY = b"ready\n"


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def started(job: Job) -> Start:
    """started(main): the job runs and has printed "ready"."""

    def start(main: str, tweak: str = "") -> "subprocess.Popen[bytes]":
        job.code(main)
        process = job.start(tweak)
        assert process.stdout is not None
        assert process.stdout.readline() == READY
        return process

    return start


def test_sigterm_unwinds_the_job_where_it_is(started: Start) -> None:
    process = started("""
        import time
        def main():
            try:
                print("ready")
                time.sleep(600)
            finally:
                print("saved")
    """)
    process.send_signal(signal.SIGTERM)
    out = finish(process, READY)
    assert out.code == 143
    assert out.error == ("Terminated", "terminated by SIGTERM")
    assert ", in main" in out.envelope["traceback"]
    assert out.printed == b"ready\nsaved\n"


def test_what_the_job_forks_dies_of_sigterm_wherever_it_is(job: Job) -> None:
    out = job.run("""
        import collections, multiprocessing, os
        from itertools import chain, repeat
        def busy(ready):  # the interpreter makes no step of its own while the deque is fed
            to = chain([ready], repeat(os.open("/dev/null", os.O_WRONLY)))
            collections.deque(map(os.write, to, repeat(b"!")), maxlen=0)
        def main():
            heard, ready = os.pipe()
            process = multiprocessing.get_context("fork").Process(target=busy, args=(ready,))
            process.start()
            os.read(heard, 1)
            process.terminate()
            process.join(20)
            code = process.exitcode
            process.kill()
            return code
    """)
    assert out.result == -signal.SIGTERM


def test_a_handler_of_the_jobs_own_is_its_childrens_too(job: Job) -> None:
    out = job.run("""
        import os, signal
        def status():
            blocked = signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ())
            return f"{getattr(signal.getsignal(signal.SIGTERM), '__name__', 'default')} {blocked}"
        def mine(*_):
            pass
        def forked():
            told, tell = os.pipe()
            if os.fork() == 0:
                os.write(tell, status().encode())
                os._exit(0)
            os.wait()
            return os.read(told, 100).decode()
        def main():
            before = [status(), forked()]
            signal.signal(signal.SIGTERM, mine)
            return before + [status(), forked()]
    """)
    assert out.result == ["terminate False", "default False", "mine False", "mine False"]


def test_sigterm_to_the_whole_group_does_not_break_into_finally(job: Job, started: Start) -> None:
    gate = job.root / "gate"
    os.mkfifo(gate)
    process = started(f"""
        import time
        def main():
            try:
                print("ready")
                time.sleep(600)
            finally:
                print("saving")
                open({str(gate)!r}).read()
                print("saved")
    """)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline() == b"saving\n"
    os.killpg(process.pid, signal.SIGTERM)
    gate.write_text("go on")
    out = finish(process, READY + b"saving\n")
    assert out.error[0] == "Terminated"
    assert out.printed == b"ready\nsaving\nsaved\n"


def test_a_job_with_its_own_handler_may_end_well(started: Start) -> None:
    process = started("""
        import signal
        def main():
            seen = []
            signal.signal(signal.SIGTERM, lambda *_: seen.append("term"))
            print("ready")
            while not seen:
                signal.pause()
            return seen
    """)
    process.send_signal(signal.SIGTERM)
    assert finish(process, READY).result == ["term"]


def test_sigint_is_a_keyboard_interrupt(started: Start) -> None:
    process = started("""
        import time
        def main():
            print("ready")
            time.sleep(600)
    """)
    process.send_signal(signal.SIGINT)
    out = finish(process, READY)
    assert out.code == 130
    assert out.error[0] == "KeyboardInterrupt"


def test_a_job_that_dies_of_the_signal_was_terminated_not_crashed(started: Start) -> None:
    process = started("""
        import signal, time
        def main():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            print("ready")
            time.sleep(600)
    """)
    process.send_signal(signal.SIGTERM)
    out = finish(process, READY)
    assert out.code == 143
    assert out.error == ("Terminated", "terminated by SIGTERM")


def test_the_warning_reaches_a_job_that_listens(started: Start) -> None:
    process = started("""
        import signal
        def main():
            seen = []
            signal.signal(signal.SIGUSR1, lambda *_: seen.append("warned"))
            print("ready")
            while not seen:
                signal.pause()
            return seen
    """)
    process.send_signal(signal.SIGUSR1)
    assert finish(process, READY).result == ["warned"]


def test_the_warning_does_not_harm_a_job_that_does_not_listen(job: Job, started: Start) -> None:
    gate = job.root / "gate"
    os.mkfifo(gate)
    process = started(f"""
        def main():
            print("ready")
            return open({str(gate)!r}).read()
    """)
    process.send_signal(signal.SIGUSR1)
    process.send_signal(signal.SIGUSR2)
    gate.write_text("went on")
    assert finish(process, READY).result == "went on"


def test_a_job_that_was_extended_has_its_whole_grace(job: Job, started: Start) -> None:
    job.settings["CUMULUS_DEADLINE"] = f"{time.time() - 3600:.3f}"
    process = started(
        """
        import signal, time
        class Stop(Exception): pass
        def stop(*_): raise Stop
        def main():
            signal.signal(signal.SIGTERM, stop)
            try:
                print("ready")
                time.sleep(600)
            except Stop:
                time.sleep(0.5)
                return "put away"
        """,
        tweak="settings.STOP_GRACE = 0.05",
    )
    process.send_signal(signal.SIGTERM)
    out = finish(process, READY)
    assert (out.code, out.result) == (0, "put away")


def test_at_the_leases_end_a_job_that_ignores_sigterm_is_killed_with_an_envelope(
    job: Job, started: Start
) -> None:
    job.settings["CUMULUS_DEADLINE"] = f"{time.time():.3f}"
    process = started(
        """
        import signal, time
        def main():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print("ready")
            time.sleep(600)
        """,
        tweak="settings.STOP_GRACE = 0.05",
    )
    process.send_signal(signal.SIGTERM)
    out = finish(process, READY)
    assert out.code == 143
    assert out.error == ("Terminated", "terminated by SIGTERM")
