"""Machines as an operator rents them, and the two scripts of `bootstrap/` at work on them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import bare
from ctl import wait_for
from netns import Lan, Machine
from system import IMAGE

BY_ITSELF = (  # what changes with no change that anyone made: copies, seeds, clocks
    *bare.TRACES, "etc/group-", "etc/gshadow-", "etc/passwd-", "etc/shadow-", "etc/subuid-",
    "etc/subgid-", "var/lib/systemd",
)  # fmt: skip
STEP = re.compile(r"^\S+ step (\S+): (?!done in )(.*)$")


@dataclass
class Run:
    """One run of a script. steps: those that were not already so; secrets: the tokens it was seen
    to show in the arguments of any process.
    """

    code: int = -1
    lines: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    seconds: float = 0.0
    shown: list[str] = field(default_factory=list)

    @property
    def last(self) -> str:
        """The last line, without its time."""
        return self.lines[-1].partition(" ")[2] if self.lines else ""

    def text(self) -> str:
        return "\n".join(self.lines)


class Rented:
    """A bare machine with a checkout on it; with systemd or with nothing of the kind."""

    def __init__(self, lan: Lan, name: str, folder: Path, *, systemd: bool = False) -> None:
        self.name = name
        self.shared = folder / "shared"
        self.shared.mkdir(parents=True, exist_ok=True)
        self.root = bare.unpack(folder / "root", *(("systemd-sysv", "dbus") if systemd else ()))
        for console in ("console-getty", "getty@tty1") if systemd else ():  # they are not its own
            (self.root / f"etc/systemd/system/{console}.service").symlink_to("/dev/null")
        self.machine = Machine(
            lan,
            name,
            folder,
            root=self.root,
            shared=[self.shared],
            env=bare.trust(),
            init="/sbin/init" if systemd else "",
        )
        self.address = self.machine.address
        self.run = self.machine.run
        if systemd:
            wait_for(lambda: self.systemd_says("running"), 60)

    def systemd_says(self, state: str) -> bool:
        """Of the whole machine."""
        said = self.run("systemctl", "is-system-running", check=False)
        return said.stdout.strip() == state

    def script(
        self,
        name: str,
        *arguments: str,
        token: str = "",
        stop: str = "",
        when: Callable[[], bool] | None = None,
        seconds: float = 600,
    ) -> Run:
        """Run it to its end, or SIGKILL its process group once the step `stop` begins and `when`
        holds (at once without it). token: given by --token; where it shows elsewhere is noted.
        """
        words = [f"{bare.CHECKOUT}/bootstrap/{name}", *arguments]
        if token:
            words += ["--token", token]
        run, begun = Run(), time.monotonic()
        process = self.machine.popen(
            *words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        watch = _killed_after(process, seconds)
        with process:
            assert process.stdout
            for line in process.stdout:
                run.lines.append(line.rstrip("\n"))
                step = STEP.match(line)
                if step and not step[2].endswith("already so") and "would do" not in step[2]:
                    run.steps.append(step[1])
                    run.shown += [
                        said for said in self.programs().values() if token and token in said
                    ]
                    if step[1] == stop:
                        if when is not None:
                            wait_for(lambda: when() or process.poll() is not None, 300)
                        os.killpg(process.pid, signal.SIGKILL)
                        break
            process.stdout.read()
        watch()
        run.code = process.returncode
        run.seconds = time.monotonic() - begun
        return run

    def programs(self) -> dict[str, str]:
        """Pid → arguments of each process on it."""
        found = {}
        for folder in self.machine.outside("/proc").iterdir():
            if folder.name.isdecimal():
                with contextlib.suppress(OSError):  # it has ended since
                    said = (folder / "cmdline").read_bytes()
                    found[folder.name] = said.replace(b"\0", b" ").decode(errors="replace")
        return found

    def state(self) -> dict[str, str]:
        """Of its disk: files, and packages with their versions."""
        return {**bare.tree(self.root, BY_ITSELF), **dict.fromkeys(self.packages(), "package")}

    def changed_since(self, before: dict[str, str]) -> dict[str, tuple[str | None, str | None]]:
        """What is another now: before and now."""
        now = self.state()
        keys = {*before, *now}
        return {k: (before.get(k), now.get(k)) for k in keys if before.get(k) != now.get(k)}

    def packages(self) -> set[str]:
        """Installed ones with their versions."""
        said = self.run("dpkg-query", "-W", "-f", "${Package} ${Version} ${Status}\\n").stdout
        return set(said.splitlines())


def _killed_after(process: subprocess.Popen[str], seconds: float) -> Callable[[], None]:
    """A script that hangs must not hang the tests."""
    timer = threading.Timer(seconds, lambda: os.killpg(process.pid, signal.SIGKILL))
    timer.start()
    return timer.cancel


class Office(Rented):
    """The controller's machine, with systemd."""

    def __init__(self, lan: Lan, folder: Path) -> None:
        super().__init__(lan, "office", folder, systemd=True)
        self.before = self.state()
        self.archive = self.shared / "job.tar"
        subprocess.run(["docker", "save", IMAGE, "-o", str(self.archive)], check=True)

    def set_up(self, *arguments: str) -> Run:
        return self.script("controller.sh", "--image-archive", str(self.archive), *arguments)

    def ctl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("cumulusctl", *arguments, check=check, timeout=180)

    def token(self, *arguments: str) -> str:
        return self.ctl("token", "create", *arguments).stdout.strip()

    def worker(self, name: str) -> str:
        """Its row of `get workers`, "" where there is none."""
        rows = self.ctl("get", "workers").stdout.splitlines()
        return next((row for row in rows if row.split()[0] == name), "")

    def port_closed(self, port: int, *, closed: bool) -> None:
        """Refuse it to everyone, as a firewall does."""
        rule = ("INPUT", "-p", "tcp", "--dport", str(port), "-j", "REJECT")
        self.run("iptables", "-w", "-I" if closed else "-D", *rule)
