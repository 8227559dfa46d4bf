"""One machine of a test cluster: its Docker Engine, what is on its disk, programs that run on it."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import docker
from ctl import wait_for
from cumulus.crd_like_specs.identity import LABEL_OWNED, LABEL_UID
from disks import mount_disk
from netns import Lan, Machine

ROOT = Path(__file__).resolve().parents[2]
SOCKET = "/run/docker.sock"
LOCKS = "/tmp/chronos_locks"
AGENT_DATA = "/var/lib/cumulus/agent"
DISK_BYTES = 6 << 30


class Program:
    """A program on a machine, killed and started again at will. words: its arguments."""

    def __init__(self, machine: Machine, name: str, folder: Path, words: Sequence[str]) -> None:
        self.machine, self.words = machine, list(words)
        self.log = folder / f"{name}.log"
        self.env: dict[str, str] = {}
        self._process: subprocess.Popen[Any] | None = None

    def start(self) -> None:
        assert not self.running, f"{self.words} runs"
        with self.log.open("ab") as log:
            self._process = self.machine.popen(*self.words, stdout=log, stderr=log, env=self.env)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def signal(self, signum: int) -> None:
        """To the program itself; what stands before it only waits for it."""
        assert self._process
        me = self._process.pid
        children = Path(f"/proc/{me}/task/{me}/children").read_text().split()
        for child in children:
            os.kill(int(child), signum)

    def kill9(self) -> None:
        if self.running:
            assert self._process
            self.signal(signal.SIGKILL)
            self._process.wait(10)

    def stop(self) -> None:
        if self.running:
            assert self._process
            self.signal(signal.SIGTERM)
            self._process.wait(30)

    def lost_power(self) -> None:
        """Its machine did."""
        if self._process is not None:
            self._process.wait(10)

    def said(self, last: int = 3000) -> str:
        return self.log.read_text()[-last:] if self.log.exists() else ""


class Node:
    """A machine with a Docker Engine. `docker` is its client; it is another after each power-on."""

    def __init__(self, lan: Lan, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.data = folder / "var-lib-cumulus"
        self.data.mkdir(parents=True)
        self._make_disk()
        (folder / "daemon.json").write_text("{}")
        self.machine = Machine(lan, name, folder, own=(LOCKS,), env=dict(os.environ))
        self.address = self.machine.address
        self.programs: list[Program] = []
        forget = ROOT / "bootstrap" / "forget_networks.sh"  # as the unit on a real machine
        self.engine = self.program(
            "dockerd", str(forget), "dockerd", "--config-file", f"{folder}/daemon.json"
        )
        self._client: docker.DockerClient | None = None

    def program(self, name: str, *words: str) -> Program:
        made = Program(self.machine, name, self.folder, words)
        self.programs.append(made)
        return made

    def _make_disk(self) -> None:
        """Its own for what Cumulus keeps, so that it can be filled; it takes what is written only."""
        disk = self.folder / "disk"
        with disk.open("wb") as file:
            file.truncate(DISK_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", disk], check=True)
        mount_disk(disk, self.data)

    # Power and engine

    def start_engine(self) -> None:
        self.engine.start()
        wait_for(self._answers, 60)

    def power_off(self) -> None:
        """SIGKILL to the engine, its containers, the agent, everything."""
        self.machine.power_off()
        for program in self.programs:
            program.lost_power()
        self._forget_client()

    def power_on(self) -> None:
        """Another boot, by its id too."""
        self.machine.power_on()
        boot = self.folder / "boot_id"
        boot.write_text(f"{uuid.uuid4()}\n")
        self.machine.run("mount", "--bind", str(boot), "/proc/sys/kernel/random/boot_id")
        self.start_engine()

    def remove(self) -> None:
        self.power_off()
        self.machine.remove()
        subprocess.run(["umount", self.data], check=True)
        subprocess.run(
            ["rm", "-rf", self.folder / "var-lib-docker", self.folder / "disk"], check=True
        )

    @property
    def url(self) -> str:
        return f"unix://{self.machine.outside(SOCKET)}"

    @property
    def docker(self) -> docker.DockerClient:
        if self._client is None:
            self._client = docker.DockerClient(base_url=self.url, version="auto")
        return self._client

    def _forget_client(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _answers(self) -> bool:
        """The engine answers"""
        assert self.engine.running, self.engine.said()
        if not self.machine.outside(SOCKET).exists():
            return False
        done = self.machine.run("docker", "version", check=False)
        return done.returncode == 0

    # Images

    def load(self, image: str) -> None:
        """From this machine's own engine."""
        save = subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE)
        with save, self.machine.popen("docker", "load", "-q", stdin=save.stdout) as load:
            assert load.wait(300) == 0, self.engine.said()

    def seed_images(self, other: Node) -> None:
        """The images of another node, before the first start: what is in layers never changes, so
        that their files are shared.
        """
        mine, theirs = self.folder / "var-lib-docker", other.folder / "var-lib-docker"
        assert not (mine / "image").exists(), f"{self.name} has images"
        subprocess.run(["cp", "-a", theirs / "image", mine], check=True)
        subprocess.run(["cp", "-al", theirs / "overlay2", mine], check=True)

    # What is left on it

    def containers(self) -> list[str]:
        """Of jobs, ended ones too."""
        rows = self.docker.api.containers(all=True, filters={"label": LABEL_UID})
        return [str(row["Names"]) for row in rows]

    def volumes(self) -> list[str]:
        found = self.docker.api.volumes(filters={"label": f"{LABEL_OWNED}=1"})["Volumes"]
        return [str(volume["Name"]) for volume in found or ()]

    @property
    def locks(self) -> Path:
        """Where Chronos keeps a file for each partition on this node."""
        return self.folder / LOCKS.strip("/").replace("/", "-")

    def partitions(self) -> list[str]:
        return [path.name for path in self.locks.glob("partition_*.lock")]

    def staged(self) -> list[str]:
        staging = self.data / "agent" / "staging"
        return [path.name for path in staging.iterdir()] if staging.exists() else []

    def left(self) -> dict[str, list[str]]:
        """Everything of jobs that is there."""
        found = {
            "containers": self.containers(),
            "volumes": self.volumes(),
            "partitions": self.partitions(),
            "staged": self.staged(),
        }
        return {kind: names for kind, names in found.items() if names}
