"""`cumulusctl` as a user has it, and what tests ask it again and again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cumulus.sdk import CumulusClient


def wait_for(what: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What it gives, once that is true; the last look is in the failure."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, (
            f"not within {seconds} s: {what.__doc__ or what}: {found!r}"
        )
        time.sleep(0.05)
    return found


class Ctl:
    """folder: where it runs; options: global ones, such as --server."""

    folder: Path
    options: tuple[str, ...]
    _opened: tuple[tuple[str, ...], CumulusClient] | None = None

    @property
    def client(self) -> CumulusClient:
        """For what is asked again and again: a program's start takes a busy machine seconds, in
        which leases end. It goes where `options` lead, and as whom they say.
        """
        if self._opened is not None and self._opened[0] != self.options:
            self.hang_up()
        if self._opened is None:
            given = dict(zip(self.options[::2], self.options[1::2], strict=True))
            file = given.get("--token-file")
            token = Path(file).read_text().strip() if file else None
            client = CumulusClient(given["--server"], token, ca=given.get("--ca"))
            self._opened = self.options, client
        return self._opened[1]

    def hang_up(self) -> None:
        """Close the client, if there is one."""
        if self._opened is not None:
            self._opened[1].close()
            self._opened = None

    def ctl(
        self, *arguments: str, timeout: float = 90, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=self.folder,
        )

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "cumulus.sdk.cli.main", *self.options, *arguments]

    def apply(
        self, text: str, *arguments: str, timeout: float = 90
    ) -> subprocess.CompletedProcess[str]:
        return self.ctl("apply", "-", *arguments, stdin=text, timeout=timeout)

    def logs(self, name: str, *arguments: str) -> str:
        """Log lines as a user sees them; what went wrong beside them is in the failure."""
        shown = self.ctl("logs", name, *arguments)
        assert shown.returncode == 0, shown.stderr
        assert not shown.stderr, shown.stderr
        return shown.stdout

    def job(self, name: str) -> dict[str, Any]:
        """As `cumulusctl get jobs -o json` shows it."""
        return self.client.get_job(name).to_dict()

    def phase(self, name: str) -> str:
        return str(self.job(name)["status"]["phase"])

    def wait_phase(self, name: str, *phases: str, seconds: float = 60) -> dict[str, Any]:
        found = wait_for(lambda: (j := self.job(name))["status"]["phase"] in phases and j, seconds)
        assert isinstance(found, dict)
        return found

    def leases(self) -> list[dict[str, Any]]:
        return [lease.to_dict() for lease in self.client.list("Lease")]
