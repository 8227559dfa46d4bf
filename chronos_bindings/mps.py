"""Whether NVIDIA's MPS daemon runs here and jobs can use it. I/O: it connects to its socket once.

Called by `hardware.find`. What is known of MPS, from NVIDIA's guide and from those who run it in
containers:

- Clients speak to the daemon's socket `control` in its pipe folder, then to a server that the
  daemon starts under the client's user id. One user's server serves at a time: others wait until
  its clients are gone. All jobs run as one user, so that they share one server.
- A daemon of root can start a server for any user, one of another user for itself only. A job
  that cannot use the daemon it finds fails ("805: MPS client failed to connect").
- The server inherits the user id of the client, so that the client's user must be able to reach
  the folder on the host as well.
- A container needs the pipe folder; connecting and writing to pipes works over a read-only mount,
  as that forbids changes to files and folders only. Drivers before 470 wanted the host's
  /dev/shm too, which jobs are not given.
- Limits are per client process, and need a device of compute capability 7.0 (Volta) and the
  driver of CUDA 11.5 (495). Devices split by MIG are left out.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..crd_like_specs.identity import MPS_PIPE_DIRS

LEAST_CAPABILITY: Final = (7, 0)
LEAST_DRIVER: Final = 495

_TIMEOUT: Final = 2.0  # seconds
_KINDS: Final = (socket.SOCK_SEQPACKET, socket.SOCK_STREAM)
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid


@dataclass(frozen=True, slots=True)
class Daemon:
    """pipe_dir: absolute folder where jobs can use it, "" where they cannot; why: the reason then,
    "" where no daemon runs at all.
    """

    pipe_dir: str = ""
    why: str = ""


def detect(
    uid: int, env: Mapping[str, str] = os.environ, allowed: Sequence[str] = MPS_PIPE_DIRS
) -> Daemon:
    """The daemon that jobs of this user may use. allowed: folders that containers may be given.

    env: the agent's; its CUDA_MPS_PIPE_DIRECTORY is looked at too, so that a daemon elsewhere is
    told of.
    """
    own = env.get("CUDA_MPS_PIPE_DIRECTORY", "")
    for folder in (*allowed, *([own] if own and own not in allowed else [])):
        owner = _owner(Path(folder) / "control")
        if owner is None:
            continue
        if folder not in allowed:
            return Daemon(why=f"its pipes are in {folder}, not in one of {', '.join(allowed)}")
        if owner not in (0, uid):
            return Daemon(why=f"its daemon runs as user {owner}: only root's can serve user {uid}")
        closed = _closed_to(uid, Path(folder))
        return Daemon(why=closed) if closed else Daemon(folder)
    return Daemon()


def unfit(driver: str, capability: tuple[int, int], *, mig: bool) -> str:
    """Why MPS caps no memory on such a device; "" where it does."""
    major = driver.partition(".")[0]
    if mig:
        return "the device is split by MIG, which Cumulus does not share by MPS"
    if capability < LEAST_CAPABILITY:
        known = ".".join(map(str, capability)) if any(capability) else "unknown"
        return f"its compute capability is {known}: MPS caps memory from 7.0 on"
    if not major.isdecimal() or int(major) < LEAST_DRIVER:
        return f"its driver is {driver or 'unknown'}: MPS caps memory from {LEAST_DRIVER} on"
    return ""


def _owner(control: Path) -> int | None:
    """User id of who answers on this socket; None where nobody does."""
    for kind in _KINDS:
        with socket.socket(socket.AF_UNIX, kind) as client:
            client.settimeout(_TIMEOUT)
            try:
                client.connect(str(control))
            except OSError as e:
                if e.errno == errno.EPROTOTYPE:
                    continue  # it is a socket of the other kind
                return None
            raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            return int(_CREDENTIALS.unpack(raw)[1])
    return None


def _closed_to(uid: int, folder: Path) -> str:
    """What keeps this user from the pipes on this host; "" where nothing does."""
    real = folder.resolve()
    for part in (*reversed(real.parents), real):
        if not _may(part, uid, stat.S_IXUSR, stat.S_IXOTH):
            return f"user {uid}, which jobs run as, may not enter {part}"
    if not _may(real / "control", uid, stat.S_IWUSR, stat.S_IWOTH):
        return f"user {uid}, which jobs run as, may not write to {real / 'control'}"
    return ""


def _may(path: Path, uid: int, own: int, others: int) -> bool:
    seen = path.stat()
    return uid == 0 or bool(seen.st_mode & (own if seen.st_uid == uid else others))
