"""The child: unpacks the code, calls main(), hands the result or the error to the parent.

Runs the job's code, so anything may have happened to this process by the time it reports: closed
files, forks, threads, handlers. Called by `supervise` right after the fork.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time

from . import report, signals
from .report import JobError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType, TracebackType

    from .settings import Settings

_MAIN = sys.modules["__main__"]  # kept: its place is taken by the job's main.py
PAUSED = 75
"""Exit code of a job that returned since it was to pause (EX_TEMPFAIL of sysexits.h)."""

_HERE = os.path.dirname(os.path.abspath(__file__))


def run(settings: Settings, pipe: int) -> None:
    """Runs the job and writes one frame to `pipe`. Returns when the process may end.

    Standard output is the parent's pump already. A process that the job forked and that comes back
    here ends silently: there is one result.
    """
    owner = os.getpid()
    signals.handle(owner)
    faulthandler.enable()  # a crash by signal says on stderr where it happened
    for stream in (sys.stdout, sys.stderr):
        # Live, line by line, although a pipe is no terminal. Streams of the interpreter are
        # TextIOWrapper, unless it was started without them.
        getattr(stream, "reconfigure", lambda **_: None)(line_buffering=True)
    started = time.monotonic()
    try:
        frame = _succeed(settings, started)
    except BaseException as e:  # noqa: BLE001 (the job's own: every end of it is reported)
        frame = _fail(e, time.monotonic() - started)
    if os.getpid() != owner:
        os._exit(0)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)  # the result is known: nothing to unwind any more
    _flush()
    try:
        while frame:
            frame = frame[os.write(pipe, frame) :]
    except OSError:
        pass  # the job closed descriptors that are not its own; the parent reports NoResult
    else:
        os.close(pipe)


def _succeed(settings: Settings, started: float) -> bytes:
    from . import frameworks, job_modules, requirements, unpack  # noqa: PLC0415 (after the fork)

    if settings.data_limit:
        _limit_data(settings.data_limit)
    code = unpack.unpack(os.path.join(settings.job_dir, "code.zip"), settings.work_dir)
    args, kwargs = _arguments(os.path.join(settings.job_dir, "args.json"))
    sys.path.insert(0, code)
    requirements.provide(settings.job_dir, settings.env_dir, settings.work_dir, code)
    job_modules.provide()
    _provide_secrets(settings)
    frameworks.limit(settings.gpu_fraction, settings.gpu_mib)
    os.chdir(code)
    sys.argv[:] = [os.path.join(code, "main.py")]
    result = _call(_load(code), args, kwargs)
    seconds = time.monotonic() - started
    if job_modules.saw_pause():
        words = "it saved its state, to go on from there"
        return report.failure("Paused", words, "", seconds, PAUSED)
    from . import values  # noqa: PLC0415 (after the job: it needs json)

    text, nulls = values.encode(result)
    if nulls:
        more = f" and {len(nulls) - 5} more" if len(nulls) > 5 else ""
        _say(f"cumulus: not a number or infinite, given as null: {', '.join(nulls[:5])}{more}\n")
    return report.success(text, seconds)


def _provide_secrets(settings: Settings) -> None:
    """Variables that the job alone has: the container's own environment can be looked at."""
    if not settings.secret_env:
        return
    import json  # noqa: PLC0415 (after the fork)

    for variable, name in json.loads(settings.secret_env).items():
        with open(os.path.join(settings.secrets_dir, name), encoding="utf-8") as file:
            os.environ[variable] = file.read().rstrip("\n")


def _limit_data(limit: int) -> None:
    import resource  # noqa: PLC0415 (rarely needed, and a job waits for each import)

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard not in (-1, resource.RLIM_INFINITY):
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _arguments(path: str) -> tuple[list[object], dict[str, object]]:
    """What main() is called with: a list positionally, an object by name; nothing without file."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return [], {}
    except (OSError, UnicodeDecodeError) as e:
        raise JobError("BadArguments", f"args.json cannot be read: {e}") from e
    import json  # noqa: PLC0415 (a job without arguments does without)

    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise JobError("BadArguments", f"args.json is not JSON: {e}") from e
    if isinstance(given, list):
        return given, {}
    if isinstance(given, dict):
        return [], given
    raise JobError("BadArguments", f"args.json holds {given!r:.50}: expected a list or an object")


def _load(folder: str) -> Callable[..., object]:
    """main() of main.py, imported as the module `main`."""
    if os.path.exists(os.path.join(folder, "main", "__init__.py")):
        raise JobError("NoMain", "code.zip has both main.py and a package main: rename the package")
    __import__("main")
    # Under both names: pickle finds its functions by the first, and processes that
    # multiprocessing spawns import again what stands under the second.
    module = sys.modules["__main__"] = sys.modules["main"]
    return _main_of(module)


def _main_of(module: ModuleType) -> Callable[..., object]:
    found: object = getattr(module, "main", None)
    if found is None:
        raise JobError("NoMain", "main.py has no function main()")
    if not callable(found):
        raise JobError("NoMain", f"main in main.py is {type(found).__name__}, not a function")
    return found


def _call(main: Callable[..., object], args: list[object], kwargs: dict[str, object]) -> object:
    result = main(*args, **kwargs)
    if type(result).__name__ == "coroutine":
        import asyncio  # noqa: PLC0415 (only `async def main()` needs it)

        return asyncio.run(result)  # type: ignore[arg-type]
    return result


def _fail(error: BaseException, seconds: float) -> bytes:
    """The frame of any end but a returned result."""
    if isinstance(error, SystemExit):
        return _exited(error.code, seconds)
    if isinstance(error, JobError):
        _say(f"cumulus: {error.message}\n")
        return report.failure(error.kind, error.message, "", seconds, 1)
    trace = _traceback(error)
    _say(report.clip(trace, report.TRACEBACK_LIMIT))
    if isinstance(error, signals.Terminated):
        kind, message, code = "Terminated", f"terminated by {error}", 128 + signal.SIGTERM
    elif isinstance(error, KeyboardInterrupt):
        kind, message, code = "KeyboardInterrupt", "interrupted", 128 + signal.SIGINT
    else:
        kind, message, code = type(error).__name__, _text(error), 1
    place = f"{type(error).__module__}:{type(error).__qualname__}"
    return report.failure(kind, message, trace, seconds, code, place, _fields(error))


def _exited(code: object, seconds: float) -> bytes:
    """sys.exit(): without code or with 0 it is a success without result."""
    if _is_zero(code):
        return report.success("null", seconds)
    if isinstance(code, int):
        number = code & 0xFF or 1
        return report.failure(
            "SystemExit", f"the job ended with exit code {number}", "", seconds, number
        )
    text = _text(code)
    _say(f"{text}\n")
    return report.failure("SystemExit", text, "", seconds, 1)


def _is_zero(code: object) -> bool:
    try:
        return code is None or bool(code == 0)
    except BaseException:  # noqa: BLE001 (the job's own __eq__)
        return False


def _say(text: str) -> None:
    """On stderr, whatever the job made of it; the envelope tells the same."""
    try:
        sys.stderr.write(text)
    except BaseException:  # noqa: BLE001, S110 (closed, None, or an object of the job's)
        pass


def _fields(error: BaseException) -> str:
    """What it holds beside its text, as JSON text."""
    from . import error_fields  # noqa: PLC0415 (only an error needs it)

    try:
        return error_fields.encode(error)
    except BaseException:  # noqa: BLE001 (the job's own attributes; the error is reported all the same)
        return ""


def _text(value: object) -> str:
    try:
        return str(value)
    except BaseException as e:  # noqa: BLE001 (the job's own __str__)
        return f"<{type(value).__name__} without text: {type(e).__name__}>"


def _traceback(error: BaseException) -> str:
    """As Python prints it, from the job's first own line on."""
    import traceback  # noqa: PLC0415 (only an error needs it)

    try:
        return "".join(
            traceback.format_exception(type(error), error, _own_part(error.__traceback__))
        )
    except BaseException as e:  # noqa: BLE001 (an error whose own methods fail is reported all the same)
        return f"{type(error).__name__} (its traceback cannot be printed: {type(e).__name__})\n"


def _own_part(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith((_HERE, "<frozen importlib")):
            return trace
        trace = trace.tb_next
    return None


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:  # noqa: BLE001, S110 (closed or replaced by the job)
            pass
