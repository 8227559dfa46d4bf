"""cumulusctl against a scripted server: what is printed where, and every exit code."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from cumulus.api.frames import LogStream
from cumulus.api.status import TABLE
from cumulus.crd_like_specs.codec import KINDS
from cumulus.crd_like_specs.errors import (
    ConflictError,
    CumulusError,
    ForbiddenError,
    NoWorkersError,
    Problem,
    UnauthenticatedError,
    UnschedulableError,
    ValidationError,
)
from cumulus.crd_like_specs.job import Phase
from cumulus.sdk.cli.cmd_run import arguments

from .ctl import Ctl
from .fake_server import FakeServer
from .fake_state import record

# apply


def test_apply_creates_configures_and_leaves_alone(ctl: Ctl) -> None:
    assert ctl("apply", ctl.file()) == 0
    assert ctl.out == "job/hello created\n"
    assert ctl("apply", "-f", ctl.file()) == 0
    assert ctl.out == "job/hello unchanged\n"
    assert ctl("apply", ctl.file(duration="2m")) == 0
    assert ctl.out == "job/hello configured, runs anew\n"


def test_apply_waits_with_states_and_logs_on_stderr_and_the_result_on_stdout(ctl: Ctl) -> None:
    assert ctl("apply", ctl.file(), "--wait") == 0
    assert ctl.out == '{"answer": 42}\n'
    assert ctl.err == (
        "job/hello created\njob/hello Pending\njob/hello Running\n"
        "line 0\nline 1\nline 2\njob/hello Succeeded\n"
    )


def test_a_finished_job_is_not_run_again_and_its_result_is_printed(
    ctl: Ctl, server: FakeServer
) -> None:
    assert ctl("apply", ctl.file(), "--wait") == 0
    assert ctl("apply", ctl.file(), "--wait") == 0
    assert ctl.out == '{"answer": 42}\n'
    assert "nothing runs again" in ctl.err
    assert "line 0" not in ctl.err
    assert server.called("Follow")[-1].no_logs


def test_a_changed_job_is_followed_from_its_new_attempt_on(ctl: Ctl, server: FakeServer) -> None:
    assert ctl("apply", ctl.file(), "--wait") == 0
    server.script.logs = {2: [record(2, 0, "second run\n")]}
    assert ctl("apply", ctl.file(duration="2m"), "--wait") == 0
    assert {follow.attempt for follow in server.called("Follow")[-2:]} == {2}
    assert "line 0" not in ctl.err
    assert ctl.err.count("second run") == 1


def test_a_job_that_raises_gives_its_error_traceback_and_code(ctl: Ctl, server: FakeServer) -> None:
    server.script.phase = Phase.FAILED
    server.script.status = {"exit_code": 1}
    error = {"error": "no luck", "error_type": "ValueError", "traceback": "Traceback: there\n"}
    server.script.envelope = json.dumps({"status": "error", **error}).encode()
    assert ctl("apply", ctl.file(), "--wait") == 1
    assert ctl.out == ""
    assert ctl.err.endswith(
        "Traceback: there\nerror: Job failed: ValueError: no luck (job hello)\n"
    )


def test_a_traceback_that_was_logged_is_not_told_twice(ctl: Ctl, server: FakeServer) -> None:
    server.script.phase = Phase.FAILED
    server.script.logs = {1: [record(1, 0, "Traceback: there\n", LogStream.STDERR)]}
    error = {"error": "no luck", "error_type": "ValueError", "traceback": "Traceback: there\n"}
    server.script.envelope = json.dumps({"status": "error", **error}).encode()
    assert ctl("apply", ctl.file(), "--wait") == 1
    assert ctl.err.count("Traceback: there") == 1


@pytest.mark.parametrize(
    ("phase", "status", "code"),
    [
        (Phase.FAILED, {"exit_code": 3}, 3),
        (Phase.FAILED, {"exit_code": 137, "reason": "OutOfMemory"}, 137),
        (Phase.FAILED, {"reason": "NoWorkers", "message": "No GPU workers available"}, 7),
        (Phase.FAILED, {"reason": "Unschedulable", "message": "0.5 is the largest"}, 7),
        (Phase.TIMED_OUT, {"message": "ran longer than 90s"}, 124),
        (Phase.CANCELLED, {"message": "was stopped on request"}, 143),
    ],
)
def test_the_exit_code_says_how_the_job_ended(
    ctl: Ctl, server: FakeServer, phase: Phase, status: dict[str, Any], code: int
) -> None:
    server.script.phase, server.script.status, server.script.envelope = phase, status, b""
    assert ctl("apply", ctl.file(), "--wait") == code
    assert ctl.out == ""
    said = [line for line in ctl.err.splitlines() if line.startswith("error: ")]
    assert str(status.get("message", "")) in said[-1]


def test_several_jobs_give_a_line_each(ctl: Ctl) -> None:
    assert ctl("apply", ctl.file("one"), ctl.file("two"), "--wait") == 0
    assert [json.loads(line) for line in ctl.out.splitlines()] == [
        {"job": "one", "phase": "Succeeded", "result": {"answer": 42}},
        {"job": "two", "phase": "Succeeded", "result": {"answer": 42}},
    ]
    assert "[two] line 2\n" in ctl.err


def test_waiting_longer_than_the_timeout_detaches_with_124(ctl: Ctl, server: FakeServer) -> None:
    server.never_ends = True
    assert ctl("apply", ctl.file(), "--wait", "--timeout", "0s") == 124
    assert "cumulusctl logs -f hello" in ctl.err
    assert not server.called("Cancel")


def test_dry_runs_change_nothing(ctl: Ctl, server: FakeServer) -> None:
    assert ctl("apply", ctl.file(), "--dry-run=client") == 0
    assert ctl.out == "job/hello valid (client dry run)\n"
    assert server.calls == []
    assert ctl("apply", ctl.file(), "--dry-run=server") == 0
    assert ctl.out == "job/hello created (server dry run)\n"
    assert server.objects == {}
    assert server.blobs == {}


def test_invalid_files_are_named_and_nothing_is_applied(ctl: Ctl, server: FakeServer) -> None:
    bad = ctl.file("bad", duration="soon")
    assert ctl("apply", ctl.file(), bad) == 2
    assert "bad.yaml:" in ctl.err
    assert server.calls == []
    assert ctl("apply", "missing.yaml") == 2
    assert "missing.yaml" in ctl.err
    assert ctl("apply") == 2
    assert "expected files" in ctl.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValidationError([Problem("is reserved", path="spec.env.CUMULUS_X")]), 2),
        (ConflictError("it is being deleted"), 5),
        (ForbiddenError("the role agent may not"), 6),
        (NoWorkersError(), 7),
        (UnschedulableError("1 is asked, 0.5 is the largest"), 7),
    ],
)
def test_what_the_server_refuses_ends_with_the_tables_code(
    ctl: Ctl, server: FakeServer, error: Any, code: int
) -> None:
    server.errors["Apply"] = error
    assert ctl("apply", ctl.file()) == code
    assert ctl.err.splitlines()[0] == f"error: {error.message}"
    assert ctl.out == ""


def test_no_server_is_code_3(ctl: Ctl) -> None:
    assert ctl.bare("--server", "127.0.0.1:1", "get", "jobs") == 3
    assert "cannot reach the controller at 127.0.0.1:1" in ctl.err


def test_a_controller_without_tls_is_asked_whether_it_speaks_it(
    ctl: Ctl, server: FakeServer
) -> None:
    assert ctl.bare("--server", f"https://{server.address}", "info") == 3
    where = f"cannot reach the controller at {server.address}"
    assert f"{where}: it does not answer in TLS: does it speak TLS?" in ctl.err


def test_a_name_that_nobody_knows_is_told_plainly(ctl: Ctl) -> None:
    assert ctl.bare("--server", "no-such-host.invalid:1", "info") == 3
    assert ctl.err.count("[") == ctl.err.count("]")
    assert "cannot reach the controller at no-such-host.invalid:1: " in ctl.err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("logs", "x", "--tail", "a"), "expected a whole number, got 'a'"),
        (("logs", "x", "--tail", "-1"), "expected at least 0"),
        (
            ("get", "jobs", "-o", "xml"),
            "'xml' is no format: expected wide, json, yaml, name, jsonpath=",
        ),
        (("run", ".", "--duration", "0"), "spec.duration: expected at least 1, got 0"),
        (("run", ".", "--name", "A_b"), "metadata.name: expected lower-case letters"),
    ],
)
def test_what_an_option_does_not_take_is_said_in_our_words(
    ctl: Ctl, args: tuple[str, ...], says: str
) -> None:
    assert ctl(*args) == 2
    assert says in ctl.err
    for word in ("Input should", "String should", "Value error"):
        assert word not in ctl.err


def test_help_names_every_exit_code(ctl: Ctl) -> None:
    assert ctl("--help") == 0
    for code in {row.exit for row in TABLE.values()} | {0, 70, 124, 130, 141, 143}:
        assert f" {code} " in " ".join(ctl.out.split())


# run


def test_run_submits_a_folder_and_prints_its_result(ctl: Ctl, server: FakeServer) -> None:
    (ctl.home / "My Job").mkdir()
    (ctl.home / "My Job" / "main.py").write_text("def main(n, who):\n    return n\n")
    args = ("--gpu", "0.25", "--duration", "5m", "-r", "numpy", "--arg", "n=3", "--arg", "who=me")
    assert ctl("run", "My Job", *args) == 0
    assert ctl.out == '{"answer": 42}\n'
    sent = server.called("Submit")[0].job
    assert sent.metadata.name.startswith("my-job-")
    assert sent.spec.gpu.memory == 0.25
    assert sent.spec.duration == "5m"
    assert list(sent.spec.requirements) == ["numpy"]
    assert json.loads(sent.spec.args_json) == {"n": 3, "who": "me"}


def test_run_reads_requirements_from_files_too(ctl: Ctl, server: FakeServer) -> None:
    inline = '# /// script\n# dependencies = ["rich"]\n# ///\ndef main():\n    pass\n'
    (ctl.home / "main.py").write_text(inline)
    (ctl.home / "needs.txt").write_text("numpy>=1.26\n")
    assert ctl("run", ".", "-r", "needs.txt", "-r", "main.py", "-r", "discord.py") == 0
    sent = server.called("Submit")[0].job
    assert list(sent.spec.requirements) == ["numpy>=1.26", "rich", "discord.py"]


def test_an_argument_that_is_no_json_is_text_however_it_begins() -> None:
    deep = "[" * 100_000
    assert arguments([f"a={deep}", "b=1e-4", "c=é=", "d="]) == {
        "a": deep, "b": 1e-4, "c": "é=", "d": "",
    }  # fmt: skip


@pytest.mark.parametrize("args", [("--gpu", "2"), ("--arg", "n"), ("--duration", "soon")])
def test_run_refuses_what_is_wrong_before_it_sends_anything(
    ctl: Ctl, server: FakeServer, args: tuple[str, ...]
) -> None:
    (ctl.home / "main.py").write_text("def main():\n    pass\n")
    assert ctl("run", ".", *args) == 2
    assert server.calls == []


# get, describe, why


def test_wait(ctl: Ctl) -> None:
    ctl("apply", ctl.file(), "--wait")
    assert ctl("wait", "hello", "--for=phase=Succeeded") == 0
    assert ctl("wait", "hello", "--for=phase=Failed") == 1
    assert ctl("wait", "nobody", "--for=delete") == 0
    assert ctl("wait", "nobody") == 4
    assert ctl("wait", "hello", "--for=delete", "--timeout=0s") == 124
    assert ctl("wait", "hello", "--for=tea") == 2


def test_cancel_and_delete(ctl: Ctl) -> None:
    ctl("apply", ctl.file(), "--wait")
    assert ctl("cancel", "hello", "nobody") == 4
    assert ctl.out == "job/hello had finished as Succeeded\n"
    assert ctl.err == "error: job 'nobody' not found\n"
    assert ctl("delete", "-f", ctl.file(), "--wait") == 0
    assert ctl.out == "job/hello deleted\n"
    assert ctl("delete") == 2


# config, info, and what can go wrong with the command itself


def test_contexts_choose_the_server(ctl: Ctl, server: FakeServer) -> None:
    token = ctl.home / "token"
    token.write_text("s3cret\n")
    assert ctl.bare("config", "get-contexts") == 0
    assert (ctl.out, "config set-context NAME" in ctl.err) == ("", True)
    args = ("--server", server.address, "--token-file", str(token))
    assert ctl.bare("config", "set-context", "lab", *args) == 0
    file = ctl.home / "config" / "cumulus" / "config.yaml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ctl.bare("config", "get-contexts") == 0
    assert ctl.out.splitlines()[1].split()[:3] == ["*", "lab", server.address]
    assert ctl.bare("info") == 0
    assert f"server:      {server.address}\n" in ctl.out
    assert ctl.err == "note: the process platform does not isolate\n"
    assert server.metadata[-1]["authorization"] == "Bearer s3cret"
    assert ctl("info") == 0  # --server given: the context's token is not for it
    assert "authorization" not in server.metadata[-1]
    assert ctl.bare("config", "use-context", "nowhere") == 4
    assert ctl.bare("--context", "nowhere", "info") == 4


def test_a_broken_config_is_told_with_every_problem(ctl: Ctl) -> None:
    file = ctl.home / "config" / "cumulus" / "config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("current: 1\ncontexts: {a: {sever: x}, b: {server: 'x y'}}\n")
    assert ctl.bare("info") == 2
    assert ctl.err.count("config.yaml: ") == 3


def test_usage_errors_are_code_2_and_similar_commands_are_named(ctl: Ctl) -> None:
    assert ctl.bare("aply") == 2
    assert "apply" in ctl.err
    assert ctl.bare("get") == 2
    assert ctl.bare("apply", "--dry-run=maybe", "x") == 2
    assert ctl.bare("--help") == 0
    assert "143 the job was cancelled" in " ".join(ctl.out.split())


def test_a_bug_is_one_line_and_a_file(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    from cumulus.sdk.cli import cmd_info

    def broken(*_args: object, **_options: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(cmd_info.session, "run", broken)
    assert ctl("info") == 70
    crash = ctl.home / "state" / "cumulus" / "crash.log"
    assert ctl.err == f"error: ZeroDivisionError: oh (a bug; the details are in {crash})\n"
    assert "ZeroDivisionError" in crash.read_text()
    assert stat.S_IMODE(crash.stat().st_mode) == 0o600


def test_code_that_cannot_be_packed_is_told_with_its_document(ctl: Ctl, server: FakeServer) -> None:
    (ctl.home / "empty").mkdir()
    path = Path(ctl.file(code={"path": "empty"}))
    assert ctl("apply", str(path)) == 2
    assert f"error: {path}:1: {ctl.home / 'empty'}: there is no main.py" in ctl.err
    assert server.calls == []


def test_schema_is_json_schema(ctl: Ctl) -> None:
    assert ctl.bare("schema", "job") == 0
    assert "spec" in json.loads(ctl.out)["properties"]
    assert ctl.bare("schema") == 0
    assert len(json.loads(ctl.out)["oneOf"]) == len(KINDS)


def test_stdin_is_a_file(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(ctl.file()).open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert ctl("apply", "-") == 0
    assert ctl.out == "job/hello created\n"


def test_contexts_are_listed_used_and_forgotten(ctl: Ctl) -> None:
    assert ctl.bare("config", "current-context") == 4
    assert "config use-context NAME" in ctl.err
    for name in ("lab", "home"):
        ctl.bare("config", "set-context", name, "--server", f"{name}:50051")
    assert ctl.bare("config", "current-context") == 0
    assert ctl.out == "lab\n"
    assert ctl.bare("config", "delete-context", "lab") == 0
    assert (ctl.out, ctl.err) == (
        "context lab deleted\n",
        "no context is in use now; there are: home\n",
    )
    assert ctl.bare("config", "delete-context", "lab") == 4
    assert ctl.err == "error: there is no context 'lab'; there are: home\n"
    assert ctl.bare("config", "get-contexts") == 0
    assert "home" in ctl.out
    assert "lab" not in ctl.out


@pytest.mark.parametrize(
    ("error", "code", "hint"),
    [
        (UnauthenticatedError("no token is given"), 6, "the token is --token-file's"),
        (ForbiddenError("the role viewer may not call Apply"), 6, "cumulusctl auth whoami"),
        (NoWorkersError(), 7, "cumulusctl get workers"),
        (UnschedulableError("asks for 9 GPUs"), 7, "cumulusctl plan FILE"),
        (ConflictError("job 'x' is being ended"), 5, ""),
    ],
)
def test_errors_say_what_to_do_next(
    ctl: Ctl, server: FakeServer, error: CumulusError, code: int, hint: str
) -> None:
    server.errors["Apply"] = error
    assert ctl("apply", ctl.file()) == code
    first, *more = ctl.err.splitlines()
    assert first == f"error: {error.message}"
    assert [hint in line for line in more] == ([True] if hint else [])


def test_where_nobody_listens_other_controllers_are_named(ctl: Ctl) -> None:
    assert ctl.bare("--server", "127.0.0.1:1", "get", "jobs") == 3
    assert "cumulusctl config get-contexts" in ctl.err.splitlines()[-1]
