"""Machines inside this machine: own network, mounts, processes and host name; the internet by NAT.

    with Lan() as lan:
        machine = Machine(lan, "worker", folder)            # this machine's root, private state
        bare = Machine(lan, "bare", folder, root=tree)      # another root altogether
        machine.run("docker", "info")
        machine.power_off(); machine.power_on()             # SIGKILL to everything on it

Needs root. What a test run that was killed left is removed by the next `Lan`.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from disks import is_gone, owner, sweep_disks

SUBNET = "10.89"  # a /24 of it for each Lan
PRIVATE = ("/var/lib/docker", "/var/lib/cumulus")  # where the root is this machine's
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Control groups of its own, which an init needs: below this machine's, and its whole view of them.
CGROUPS = """
set -e
for folder in /sys/fs/cgroup /sys/fs/cgroup/*; do
  [ -w "$folder/cgroup.procs" ] && [ ! -L "$folder" ] || continue
  mkdir -p "$folder/$1"
  for file in cpuset.cpus cpuset.mems; do
    [ ! -e "$folder/cgroup.clone_children" ] || [ ! -e "$folder/$file" ] ||
      cat "$folder/$file" >"$folder/$1/$file"
  done
  echo $$ >"$folder/$1/cgroup.procs"
done
shift
exec "$@"
"""

# Pid 1 is a shell, since it reaps what it inherits, or the root's own init. `$1` name, `$2` init or
# "", `$3` root or "", then pairs FROM TO.
INIT = """
set -e
mount --make-rprivate /
hostname "$1"
init=$2 root=$3; shift 3
if [ -n "$root" ]; then
  mount --bind "$root" "$root"
  cd "$root"
  mount --rbind /dev dev
  if [ -z "$init" ]; then
    mount --rbind /sys sys
  elif [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount --bind /sys sys; mount -t cgroup2 cgroup sys/fs/cgroup
  else
    mount --bind /sys sys; mount -t tmpfs tmpfs sys/fs/cgroup
    mkdir sys/fs/cgroup/systemd; mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
    for kind in $(awk '!/^#/ && $2 != 0 {print $1}' /proc/cgroups); do
      mkdir "sys/fs/cgroup/$kind"; mount -t cgroup -o "$kind" cgroup "sys/fs/cgroup/$kind"
    done
  fi
  mount -t proc proc proc; mount -t tmpfs tmpfs tmp
fi
mount -t tmpfs -o mode=755 tmpfs "$root/run"
while [ $# -gt 0 ]; do mkdir -p "$root$2"; mount --bind "$1" "$root$2"; shift 2; done
if [ -n "$root" ]; then
  pivot_root . . && umount -l .
else
  mount -t proc proc /proc
fi
mkdir -p /run/lock
echo ready
exec >/dev/null 2>&1
[ -z "$init" ] || exec env -i container=lxc PATH="$PATH" "$init"
while :; do sleep 1000000 & wait $!; done
"""


def command(*words: str, check: bool = True) -> str:
    """Run it on this machine; its output. AssertionError with what it said where it failed."""
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stderr.strip()}"
    return done.stdout


class Lan:
    """A bridge of its own with a /24. Machines on it reach each other and, by NAT, the world."""

    def __init__(self) -> None:
        _sweep()
        self.name, self.number = _new_bridge()
        self.gateway = f"{SUBNET}.{self.number}.1"
        self.machines: list[Machine] = []
        self._hosts = itertools.count(2)
        self.mtu = _mtu()
        command("ip", "link", "set", self.name, "alias", owner(os.getpid()))
        command("ip", "addr", "add", f"{self.gateway}/24", "dev", self.name)
        command("ip", "link", "set", self.name, "up")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        for rule in _rules(self.name, self.number):
            command("iptables", "-w", *rule("-I"))

    def address(self) -> str:
        """A free one."""
        return f"{SUBNET}.{self.number}.{next(self._hosts)}"

    def remove(self) -> None:
        """With all its machines; nothing where it is gone already."""
        for machine in self.machines:
            machine.remove()
        _remove_lan(self.name, self.number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class Machine:
    """A machine that runs from construction until `remove`.

    folder: where its private state is kept, one machine alone; stays on disk after `remove`.
    root: a tree that becomes `/`; without it the root is this machine's, with `/run`,
    `/var/lib/docker`, `/var/lib/cumulus` and `own` of its own. shared: paths of this machine that
    a `root` sees at the same place. env: what `run` and `popen` give to commands. init: a program
    of the `root` that is to be its first process, such as systemd.
    """

    def __init__(
        self,
        lan: Lan,
        name: str,
        folder: Path,
        *,
        root: Path | None = None,
        own: Sequence[str] = (),
        shared: Sequence[Path] = (),
        env: Mapping[str, str] | None = None,
        init: str = "",
    ) -> None:
        self.lan, self.name, self.root, self.first = lan, name, root, init
        self.env = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", **(env or {})}
        self.netns = f"{lan.name}-{name}"
        self.address = lan.address()
        self._link = f"{lan.name}-{self.address.rpartition('.')[2]}"
        self._binds = [(str(path), str(path)) for path in shared]
        if root is None:
            for path in (*PRIVATE, *own):
                private = folder / path.strip("/").replace("/", "-")
                private.mkdir(parents=True, exist_ok=True)
                self._binds.append((str(private), path))
        self._init: subprocess.Popen[str] | None = None
        self.pid = 0
        lan.machines.append(self)
        self._connect()
        self.power_on()

    def _connect(self) -> None:
        inside = ("ip", "-n", self.netns)
        command("ip", "netns", "add", self.netns)
        command(
            *("ip", "link", "add", self._link, "mtu", str(self.lan.mtu), "type", "veth", "peer"),
            *("name", "eth0", "mtu", str(self.lan.mtu), "netns", self.netns),
        )
        command("ip", "link", "set", self._link, "master", self.lan.name, "up")
        command(*inside, "link", "set", "lo", "up")
        command(*inside, "addr", "add", f"{self.address}/24", "dev", "eth0")
        command(*inside, "link", "set", "eth0", "up")
        command(*inside, "route", "add", "default", "via", self.lan.gateway)

    @property
    def up(self) -> bool:
        """Whether it has power."""
        return self._init is not None and self._init.poll() is None

    def power_on(self) -> None:
        """Boot it; `/run` is empty then, the rest as it was."""
        assert not self.up, f"{self.name} is up"
        if self.root is not None:
            for file in ("etc/resolv.conf", "etc/hosts"):
                (self.root / file).write_bytes(Path("/", file).read_bytes())
        words = [word for pair in self._binds for word in pair]
        apart = ("bash", "-c", CGROUPS, "cgroups", self.netns) if self.first else ()
        self._init = subprocess.Popen(
            [
                *("nsenter", f"--net=/run/netns/{self.netns}", *apart),
                *("unshare", "-m", "-u", "-p", *(("-C",) if apart else ()), "--fork"),
                *("--kill-child", "bash", "-c", INIT, "init"),
                *(self.name, self.first, str(self.root or ""), *words),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert self._init.stdout
        said = self._init.stdout.readline()
        assert said == "ready\n", said + self._init.stdout.read()
        me = self._init.pid
        self.pid = int(Path(f"/proc/{me}/task/{me}/children").read_text())

    def power_off(self) -> None:
        """SIGKILL to everything on it, containers too; returns when all are gone."""
        if self._init is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._init.wait()
            assert self._init.stdout
            self._init.stdout.close()
            self._init = None

    def unplug(self) -> None:
        """Take its cable out."""
        command("ip", "link", "set", self._link, "down")

    def plug(self) -> None:
        """Put its cable back in."""
        command("ip", "link", "set", self._link, "up")

    def remove(self) -> None:
        """Power off, and take its network away; nothing where that is done already."""
        self.power_off()
        command("ip", "link", "del", self._link, check=False)  # it outlives a netns somebody holds
        _remove_netns(self.netns)
        _remove_cgroups(self.netns)

    def outside(self, path: str) -> Path:
        """Where this machine finds a path of that one, such as a socket, while it is up."""
        return Path(f"/proc/{self.pid}/root{path}")

    def enter(self, *words: str) -> list[str]:
        """The command that runs `words` on it, from this machine."""
        assert self.up, f"{self.name} has no power"
        namespaces = ("-m", "-n", "-p", "-u", *(("-C",) if self.first else ()))
        return ["nsenter", "-t", str(self.pid), *namespaces, "--root", "--wd", *words]

    def popen(
        self, *words: str, env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[Any]:
        """Start a command in a process group of its own: `os.killpg(it.pid, …)` reaches all of it."""
        return subprocess.Popen(
            self.enter(*words),
            env={**self.env, **(env or {})},
            start_new_session=True,
            **{"stdin": subprocess.DEVNULL, **options},
        )

    def run(
        self,
        *words: str,
        check: bool = True,
        timeout: float = 60,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end. check: AssertionError with what it said where it failed.

        Past `timeout` seconds its whole process group is killed.
        """
        piped: dict[str, Any] = {} if stdin is None else {"stdin": subprocess.PIPE}
        process = self.popen(
            *words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **piped
        )
        with process:
            try:
                out, err = process.communicate(stdin, timeout=timeout)
            except BaseException:  # also Ctrl-C: what it started goes too
                os.killpg(process.pid, signal.SIGKILL)
                raise
        done = subprocess.CompletedProcess(words, process.returncode, out, err)
        assert not check or done.returncode == 0, (
            f"on {self.name}: {' '.join(words)}: exit {done.returncode}\n{out[-2000:]}{err[-4000:]}"
        )
        return done


# What is there on this machine for a Lan


def _new_bridge() -> tuple[str, int]:
    for number in range(256):
        name = f"ctest{number}"
        done = subprocess.run(
            ["ip", "link", "add", name, "type", "bridge"], capture_output=True, check=False
        )
        if done.returncode == 0:
            return name, number
        assert b"File exists" in done.stderr, f"no bridge can be made: {done.stderr!r}"
    msg = "256 bridges are in use"
    raise AssertionError(msg)


def _mtu() -> int:
    """Of the way to the world, so that nothing is too large for it."""
    found = re.search(r"\bdev (\S+)", command("ip", "-4", "route", "show", "default"))
    return int(Path(f"/sys/class/net/{found[1]}/mtu").read_text()) if found else 1500


def _rules(bridge: str, number: int) -> list[Callable[[str], tuple[str, ...]]]:
    """Each is a function from -I or -D to iptables' arguments."""
    away = ("-s", f"{SUBNET}.{number}.0/24", "!", "-o", bridge)
    return [
        lambda verb: ("-t", "nat", verb, "POSTROUTING", *away, "-j", "MASQUERADE"),
        lambda verb: (verb, "FORWARD", "-i", bridge, "-j", "ACCEPT"),
        lambda verb: (verb, "FORWARD", "-o", bridge, "-j", "ACCEPT"),
    ]


@contextlib.contextmanager
def _sweeping() -> Iterator[None]:
    with Path("/run/cumulus-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sweep() -> None:
    """Remove what test runs left that are gone."""
    with _sweeping():
        sweep_disks()
        for bridge in Path("/sys/class/net").glob("ctest[0-9]*"):
            if not (bridge / "bridge").exists():
                continue
            with contextlib.suppress(OSError):
                if is_gone((bridge / "ifalias").read_text()):
                    _remove_lan(bridge.name, int(bridge.name.removeprefix("ctest")))
        for link in Path("/sys/class/net").glob("ctest[0-9]*-*"):
            if not (link.parent / link.name.partition("-")[0]).exists():
                command("ip", "link", "del", link.name, check=False)


def _remove_lan(name: str, number: int) -> None:
    for netns in Path("/run/netns").glob(f"{name}-*"):
        _remove_netns(netns.name)
        _remove_cgroups(netns.name)
    for rule in _rules(name, number):
        command("iptables", "-w", *rule("-D"), check=False)
    for link in Path("/sys/class/net").glob(f"{name}-*"):
        command("ip", "link", "del", link.name, check=False)
    command("ip", "link", "del", name, check=False)


def _remove_netns(name: str) -> None:
    """The processes that are left in it first."""
    if not Path("/run/netns", name).exists():
        return
    deadline = time.monotonic() + 10
    while pids := command("ip", "netns", "pids", name, check=False).split():
        assert time.monotonic() < deadline, f"these do not die: {pids}"
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.02)
    command("ip", "netns", "del", name, check=False)


def _remove_cgroups(name: str) -> None:
    """Those of a machine with an init, once its processes are gone."""
    for top in [*Path("/sys/fs/cgroup").glob(f"*/{name}"), Path("/sys/fs/cgroup", name)]:
        if top.is_dir() and not top.is_symlink():
            for folder, _, _ in os.walk(top, topdown=False):
                Path(folder).rmdir()
