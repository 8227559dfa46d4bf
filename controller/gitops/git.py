"""The `git` program, called with argument lists. I/O: processes.

Reading uses plumbing only, and nothing that the repository's own configuration could make it run:
no hooks, no filters, no file system monitor, no transport. Pulling runs with the user's own
configuration, because that is where its credentials are, but without hooks and prompts; git itself
refuses to do so in a repository of another user. What git says is shown without credentials.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ...crd_like_specs.errors import Temporary

READ_SECONDS: Final = 60.0
PULL_SECONDS: Final = 300.0

_ALWAYS: Final = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "submodule.recurse=false"),
    "--no-pager",
)
_READING: Final = (*("-c", "protocol.allow=never"), "--no-replace-objects", "--literal-pathspecs")
_PULLING: Final = (
    *("-c", "protocol.ext.allow=never"),
    *("-c", "gc.auto=0"),
    *("-c", "maintenance.auto=false"),
    *("-c", "credential.interactive=false"),
)
_PASSED_ON: Final = (
    "PATH", "HOME", "USER", "LOGNAME", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK", "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO", "SSL_CERT_FILE", "http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY",
)  # fmt: skip
"""All that git gets of the controller's own environment."""

_CREDENTIALS: Final = re.compile(r"(?<=://)[^/\s@]+@")


@dataclass(slots=True)
class Git:
    """Commands in one folder. `stop` ends the one that runs, and refuses all after it."""

    folder: Path
    _running: subprocess.Popen[bytes] | None = None
    _stopped: bool = field(default=False)

    def read(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Output of a plumbing command. Temporary with git's own words where it fails."""
        trusted = ("-c", "safe.directory=*")  # the owner's configuration can make it run nothing
        environment = {
            **_environment(("PATH",)),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_NO_LAZY_FETCH": "1",
        }
        return self._run((*trusted, *_READING, *arguments), environment, READ_SECONDS, stdin)

    def pull(self, *arguments: str) -> bytes:
        """Output of a command that may reach a remote and change the working copy."""
        environment = _environment(_PASSED_ON)
        environment.setdefault("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
        return self._run((*_PULLING, *arguments), environment, PULL_SECONDS, b"")

    def stop(self) -> None:
        """For a controller that stops; called from another thread."""
        self._stopped = True
        running = self._running
        if running is not None and running.poll() is None:
            _kill(running)

    def _run(
        self, arguments: Sequence[str], environment: dict[str, str], seconds: float, stdin: bytes
    ) -> bytes:
        if self._stopped:
            raise Temporary("the controller stops", reason="Stopping")
        try:
            running = subprocess.Popen(
                ["git", *_ALWAYS, *arguments],  # noqa: S607 (the one that the operator has in PATH)
                cwd=self.folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            missing = "git is not installed" if error.filename == "git" else str(error.strerror)
            text = f"{self.folder}: git cannot be started: {missing}"
            raise Temporary(text, reason="GitFailed") from error
        self._running = running
        with running:  # which waits for its end
            try:
                out, err = running.communicate(stdin, timeout=seconds)
            except subprocess.TimeoutExpired as error:
                _kill(running)
                text = f"{self.folder}: git {_verb(arguments)} took longer than {seconds:g} s"
                raise Temporary(text, reason="GitFailed") from error
            finally:
                self._running = None
        if running.returncode:
            words = (
                without_credentials(err.decode(errors="replace")) or f"exit {running.returncode}"
            )
            raise Temporary(f"{self.folder}: git {_verb(arguments)}: {words}", reason="GitFailed")
        return out


def without_credentials(text: str) -> str:
    """What git said, in one line and without user names and passwords of URLs."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = "; ".join(line for line in lines if not line.startswith("hint:"))
    shown = "".join(char if ord(char) >= 32 else " " for char in line)
    return _CREDENTIALS.sub("", shown)[:400]


def _environment(names: Sequence[str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {
        **kept,
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_ASKPASS": "true",
        "SSH_ASKPASS": "true",
    }


def _verb(arguments: Sequence[str]) -> str:
    """The command among the options before it, for messages."""
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        del rest[: 2 if rest[0] == "-c" else 1]
    return rest[0] if rest else ""


def _kill(process: subprocess.Popen[bytes]) -> None:
    """It and what it started; nothing where all of that has ended."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
