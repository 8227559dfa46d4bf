"""The entry point, and the one boundary where errors become messages and exit codes. I/O."""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path

from ... import __version__
from . import interrupts

EXIT_BUG = 70


def main() -> None:
    """`cumulusctl`."""
    interrupts.end_at_once()
    sys.exit(run(sys.argv[1:]))


def run(argv: list[str]) -> int:
    """Do what the arguments say; the exit code. Nothing is raised but what ends Python itself."""
    if argv == ["version"]:  # at the speed of Python itself
        sys.stdout.write(f"{__version__}\n")
        return 0
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC's own notes would stand among ours
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _command(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more at its end: give it somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as app.py has it
    except KeyboardInterrupt:
        return 130
    except Exception as e:  # noqa: BLE001 (the boundary: known errors speak for themselves, bugs are filed)
        return _failed(e)
    return code


def _command(argv: list[str]) -> int:
    import typer  # noqa: PLC0415 (an interrupt or error while it loads is handled here too)

    from .app import Commands, app  # noqa: PLC0415 (same)

    command = typer.main.get_command(app)
    assert isinstance(command, Commands)
    try:
        code = command.main(args=argv, prog_name="cumulusctl", standalone_mode=False)
    except typer.TyperException as e:
        return _usage(e)
    except typer.Abort:
        return 130
    return code if isinstance(code, int) else 0


def _usage(error: Exception) -> int:
    """A wrong command line."""
    from . import talk  # noqa: PLC0415 (see _command)

    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        talk.say(str(error.format_message()) if hasattr(error, "format_message") else str(error))
        return 2
    _reword(error)
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    talk.complain(text)
    if context is not None:
        talk.say(f"try: {context.command_path} --help")
    return 2


def _reword(error: Exception) -> None:
    """Typer gives pydantic's words for a value that an option does not take."""
    import pydantic  # noqa: PLC0415 (see _command)

    from ...crd_like_specs import wording  # noqa: PLC0415 (same)

    cause = error.__cause__
    if isinstance(cause, pydantic.ValidationError) and hasattr(error, "message"):
        error.message = wording.describe(cause.errors(include_url=False)[0])


def _failed(error: Exception) -> int:
    from ...api import status  # noqa: PLC0415 (see _command)
    from ...crd_like_specs.errors import CumulusError  # noqa: PLC0415 (same)
    from .. import outcome  # noqa: PLC0415 (same)
    from ..errors import JobError, WaitTimeoutError  # noqa: PLC0415 (same)
    from . import talk  # noqa: PLC0415 (same)

    if not isinstance(error, CumulusError):
        talk.complain(f"{type(error).__name__}: {error} (a bug; the details are in {_file(error)})")
        return EXIT_BUG
    if isinstance(error, JobError):
        if error.traceback:
            talk.say(error.traceback.rstrip())
        talk.complain(error.message)
        return max(1, outcome.exit_code(error.job))
    talk.complain(error.message)
    hint = _next(error)
    if hint:
        talk.say(hint)
    return (
        outcome.EXIT_TIMED_OUT if isinstance(error, WaitTimeoutError) else status.exit_code(error)
    )


def _next(error: Exception) -> str:
    """What to do about it, where the message alone does not say."""
    from ...crd_like_specs import errors  # noqa: PLC0415 (see _command)

    hints = {
        errors.UnauthenticatedError: "the token is --token-file's, CUMULUS_TOKEN_FILE's, "
        "CUMULUS_TOKEN's or the context's",
        errors.ForbiddenError: "cumulusctl auth whoami says who you are; an admin hands out other "
        "tokens: cumulusctl auth token create",
        errors.UnavailableError: "which controller is asked: cumulusctl config get-contexts; "
        "another one for this command: --context NAME or --server HOST:PORT",
        errors.UnschedulableError: "what there is: cumulusctl get workers -o wide; "
        "before an apply: cumulusctl plan FILE",
        errors.NoWorkersError: "which workers there are, and why not: cumulusctl get workers",
    }
    return next((text for kind, text in hints.items() if isinstance(error, kind)), "")


def _file(error: Exception) -> str:
    """Write down where an unexpected error came from (code positions, no values)."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    path = Path(state) / "cumulus" / "crash.log"
    text = "".join(traceback.format_exception(error))
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')}\n{text}\n")
    except OSError as e:
        return f"no file, since {path} cannot be written: {e.strerror}"
    return str(path)


if __name__ == "__main__":
    main()
