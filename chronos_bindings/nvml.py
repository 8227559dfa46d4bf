"""NVIDIA's devices as the driver tells, through a process that may hang or die. I/O.

Made by `hardware.find` at the agent's start, and read by `agent/usage.py` every few seconds. A
machine without NVIDIA's driver starts no process at all.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

CHILD: Final = (sys.executable, str(Path(__file__).with_name("nvml_child.py")))
TIMEOUT: Final = 20.0  # seconds; a driver without persistence wakes its GPUs up first
AGAIN: Final = 60.0  # seconds without a try after a failure

_SIGNS: Final = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"), Path("/dev/dxg"))
_PCI: Final = re.compile(r"([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Gpu:
    """One device, by NVML's order. memory, used: bytes, 0 and None where unknown; pci: such as
    `0000:65:00.0`; busy_milli: thousandths of the last sample, -1 where unknown; capability: of
    CUDA, (0, 0) where unknown; mig: it is split in hardware; processes: bytes by pid, None for a
    process of unknown memory, and None as a whole where no list can be had.
    """

    uuid: str
    name: str
    pci: str
    memory: int = 0
    used: int | None = None
    busy_milli: int = -1
    capability: tuple[int, int] = (0, 0)
    mig: bool = False
    processes: Mapping[int, int | None] | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """driver: its version, "" where unknown. error: why there is nothing, "" where all is well."""

    gpus: tuple[Gpu, ...] = ()
    driver: str = ""
    error: str = ""


def has_driver(signs: Sequence[Path] = _SIGNS) -> bool:
    """Whether it is worth to ask: NVIDIA's kernel module shows."""
    return any(sign.exists() for sign in signs)


@dataclass
class Nvml:
    """command: what answers (see `nvml_child`); now: seconds on a clock that only rises.

    `read` blocks, never raises and may be called from any thread.
    """

    command: Sequence[str] = CHILD
    timeout: float = TIMEOUT
    now: Callable[[], float] = time.monotonic
    _child: subprocess.Popen[bytes] | None = None
    _rest: bytes = b""
    _again: float = float("-inf")
    _error: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self) -> Snapshot:
        """What the driver tells now. After a failure nothing is tried for a minute."""
        with self._lock:
            if self.now() < self._again:
                return Snapshot(error=self._error)
            answer = self._ask()
            if "error" in answer:
                self._bury()
                self._error, self._again = str(answer["error"]), self.now() + AGAIN
                return Snapshot(error=self._error)
            gpus = tuple(_gpu(raw) for raw in answer["gpus"])
            return Snapshot(gpus, str(answer["driver"]))

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._bury()

    def _ask(self) -> dict[str, Any]:
        try:
            child = self._child = self._child or self._start()
            assert child.stdin is not None
            child.stdin.write(b"\n")
            child.stdin.flush()
        except BrokenPipeError:
            pass  # it ended with a last word, perhaps
        except OSError as e:
            return {"error": f"cannot start {self.command[0]}: {e.strerror or e}"}
        line = self._line()
        if line is None:
            return {"error": f"NVIDIA's driver did not answer within {self.timeout:g} s"}
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            return {"error": "NVIDIA's driver ended the process that asked it"}
        return found

    def _start(self) -> subprocess.Popen[bytes]:
        self._rest = b""
        return subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _line(self) -> bytes | None:
        """The next line, b"" at the end of all, None where it takes too long."""
        assert self._child is not None
        assert self._child.stdout is not None
        until = time.monotonic() + self.timeout
        fd = self._child.stdout.fileno()
        while b"\n" not in self._rest:
            if not select.select([fd], [], [], max(0.0, until - time.monotonic()))[0]:
                return None
            data = os.read(fd, 1 << 16)
            if not data:
                return b""
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _bury(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(1.0)  # one that the driver holds in the kernel is left to it


def pci_of(text: str) -> str:
    """NVML's `00000000:65:00.0` as the kernel's `0000:65:00.0`; "" where it is none."""
    match = _PCI.fullmatch(text.strip())
    if match is None:
        return ""
    domain, bus, device, function = (int(part, 16) for part in match.groups())
    return f"{domain:04x}:{bus:02x}:{device:02x}.{function:x}"


def _gpu(raw: Mapping[str, Any]) -> Gpu:
    listed, capability = raw["processes"], raw["capability"] or (0, 0)
    return Gpu(
        uuid=str(raw["uuid"]),
        name=str(raw["name"]),
        pci=pci_of(str(raw["pci"])),
        memory=raw["memory"] or 0,
        used=raw["used"],
        busy_milli=-1 if raw["busy_milli"] is None else raw["busy_milli"],
        capability=(int(capability[0]), int(capability[1])),
        mig=bool(raw["mig"]),
        processes=None if listed is None else {int(pid): used for pid, used in listed.items()},
    )
