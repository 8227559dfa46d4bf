"""What all workloads share, by small ones that go wrong in every way, and the settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from cumulus.image.workloads.harness import settings
from cumulus.image.workloads.harness.run import CheckFailedError, Run
from workload_kit import TINY, Workload

SCRIPT = """
'''Goes wrong.'''
import sys, signal, os, time
from harness import Run, main
def work(run):
    {body}
sys.exit(main(work, "io_process_9.py", __doc__))
"""


def made(tmp_path: Path, *body: str) -> Workload:
    file = tmp_path / "script.py"
    file.write_text(SCRIPT.format(body="\n    ".join(body)))
    return Workload(tmp_path, "io_process_9", file)


def test_a_failed_check_is_told_without_a_traceback(tmp_path: Path) -> None:
    done = made(tmp_path, "for _ in run.rounds():", "    run.check(run.done < 1, 'odd')").run(*TINY)
    assert (done.code, done.stats["ended"], done.stats["error"]) == (1, "failed", "round 1: odd")
    assert done.stats["rounds_done"] == 1
    assert done.stderr == ""
    assert done.last == done.stats


def test_any_other_error_is_told_with_its_traceback(tmp_path: Path) -> None:
    done = made(tmp_path, "raise ValueError('no good')").run()
    assert (done.code, done.stats["error"]) == (1, "ValueError: no good")
    assert "Traceback" in done.stderr
    assert "no good" in done.stderr


def test_a_swallowed_signal_ends_it_after_the_round(tmp_path: Path) -> None:
    body = [
        "for _ in run.rounds():",
        "    try:",
        "        os.kill(os.getpid(), signal.SIGTERM)",
        "        time.sleep(60)",
        "    except BaseException:",
        "        pass",
    ]
    done = made(tmp_path, *body).run(*TINY)
    assert (done.code, done.stats["ended"], done.stats["rounds_done"]) == (143, "terminated", 1)


def test_an_interrupt_has_its_own_exit_code(tmp_path: Path) -> None:
    done = made(tmp_path, "os.kill(os.getpid(), signal.SIGINT)", "time.sleep(60)").run()
    assert (done.code, done.stats["ended"]) == (130, "terminated")


def test_numbers_that_json_has_not_become_null(tmp_path: Path) -> None:
    done = made(tmp_path, "run.value('a', float('nan'))", "run.value('b', -float('inf'))").run()
    assert done.stats["values"] == {"a": None, "b": None}


def test_results_that_cannot_be_written_fail_it_and_still_stand_on_stdout(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = made(tmp_path, "pass").run("--results", str(tmp_path / "file"))
    assert done.code == 1
    assert done.stderr.startswith("io_process_9: the statistics cannot be written: ")
    assert done.stderr.count("\n") == 1
    assert done.last["ended"] == "complete"


def test_results_that_lead_to_a_folder_yet_to_be_made(tmp_path: Path) -> None:
    workload = made(tmp_path, "pass")
    workload.results.symlink_to(tmp_path / "work" / "results")
    assert workload.run().stats["ended"] == "complete"


@pytest.mark.parametrize(
    "wrong",
    [
        ("--seed", "-1"),
        ("--seed", "4294967296"),
        ("--scale", "0"),
        ("--scale", "nan"),
        ("--rounds", "0"),
        ("--rounds", "5-2"),
        ("--seconds", "soon"),
        ("--see", "1"),
        ("more",),
    ],
)
def test_wrong_arguments_are_refused(
    wrong: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        settings.parse("io_process_1", "About.", wrong, {})
    assert wrong[-1] in capsys.readouterr().err


def test_variables_are_checked_like_arguments_and_come_after_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    env = {"WORKLOAD_SEED": "5", "WORKLOAD_ROUNDS": "3-4", "WORKLOAD_SCALE": ""}
    given = settings.parse("gpu_process_1", "About.", ["--seed", "6"], env)
    assert (given.seed, given.rounds, given.scale, given.seconds) == (6, (3, 4), 1.0, 1200)
    with pytest.raises(SystemExit):
        settings.parse("io_process_1", "About.", [], {"WORKLOAD_SCALE": "much"})
    assert "'much': expected a number from 0.001 to 100" in capsys.readouterr().err


def test_sizes_follow_the_scale_and_are_noted(tmp_path: Path) -> None:
    runs = [Run(3, scale, (2, 9), tmp_path) for scale in (1.0, 0.01, 8.0)]
    whole, small, large = ([run.size("n", 100, 200) for _ in range(50)] for run in runs)
    assert min(whole) >= 100
    assert max(whole) <= 200
    assert max(small) <= 2
    assert all(abs(n / 8 - m) <= 0.6 for n, m in zip(large, whole, strict=True))
    assert runs[0].parameters["n"] == {"draws": 50, "least": min(whole), "most": max(whole)}
    assert runs[2].size("side", 100, 100, power=1 / 3) == 200
    assert runs[1].size("few", 1, 1, least=4) == 4
    assert 2 <= runs[0].planned <= 9


def test_choices_checks_and_results_are_noted(tmp_path: Path) -> None:
    run, other = (Run(3, 1.0, (2, 2), tmp_path) for _ in range(2))
    taken = [run.choice("kind", ("a", "b")) for _ in range(9)]
    assert run.parameters["kind"] == {kind: taken.count(kind) for kind in set(taken)}
    with pytest.raises(CheckFailedError, match="round 0: why"):
        run.check(0, "why")
    assert run.checks == 1
    run.result("a", 1)
    other.result("a1")
    assert run.checksum != other.checksum
