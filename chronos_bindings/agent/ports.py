"""What the agent's core needs of the machine it runs on. Protocols and plain values, no I/O.

Implemented by `runtime_docker`, `runtime_process`, `prepare`, `node_facts`, `stream` and `clock`;
tests give fakes. Units are named by `identity.unit_name`; a runtime shows and touches only what
bears our label. All failures are `Temporary` or `Permanent` of `crd_like_specs.errors`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from ...api.outputs import ArtifactKind
from ...crd_like_specs.worker import WorkerStatus


@dataclass(frozen=True, slots=True)
class UnitSeen:
    """One container or process group of ours on this machine, running or ended.

    exit_code: None while it runs or where it is unknown. Times are POSIX seconds, 0 where
    unknown. is_code: it runs our runner, which takes SIGUSR1 as a warning (an image of the
    user's would die of it). folder: the staging folder that it was started with, which tells
    whose it is; "" where it doesn't say.
    """

    name: str
    running: bool
    exit_code: int | None = None
    started_at: float = 0.0
    finished_at: float = 0.0
    is_code: bool = False
    folder: str = ""


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A piece of a unit's output as the runtime kept it.

    time: POSIX seconds as kept with the output (not of the reading), so that reading again gives
    equal frames; data: bytes as written, of any length, not cut at line ends.
    """

    stream: Literal["stdout", "stderr"]
    time: float
    data: bytes


class LocalRuntime(Protocol):
    """The units on this machine. Every verb may be done twice and at any time."""

    async def list_units(self) -> list[UnitSeen]:
        """Every unit that bears our label, ended ones too as long as the runtime keeps them.
        Where one unit has several containers, it is running if one of them is.
        """

    async def signal(self, unit: str, signum: int) -> None:
        """Send it to the unit's processes; no error where nothing runs."""

    async def kill(self, unit: str) -> None:
        """SIGKILL to everything of the unit; no error where nothing runs. Returns at once."""

    async def ensure_gone(self, unit: str) -> bool:
        """True where nothing of the unit runs, checked afresh. Kills nothing, waits for nothing."""

    def logs(self, unit: str) -> AsyncIterator[RawFrame]:
        """All output from its very beginning, in order, following until the unit has ended, and
        ending only with the last byte delivered. Reading again gives the same bytes with the
        same times in the same order. `Temporary` where reading broke off (read again from the
        beginning) and where there is no such unit yet; `NotFoundError` where it is gone for good.
        """

    async def tidy(self, kept: Collection[str]) -> None:
        """Delete what ended units left on this machine, but for units in `kept`."""

    def changes(self) -> AsyncIterator[str]:
        """Names of units that just started or ended. A hint to look; may miss and repeat. Endless;
        it reconnects by itself.
        """

    async def close(self) -> None:
        """Free connections and threads. Units run on."""


class DeviceMemory(Protocol):
    """What the devices hold of a unit, as their driver tells it."""

    async def of_unit(self, unit: str) -> int | None:
        """Bytes on all devices together, also of processes that are gone but whose memory is not
        free yet; None where nobody can tell. Never raises.
        """


class Preparer(Protocol):
    """Turns requirements into a cached folder of installed packages."""

    async def prepare(self, image: str, requirements: tuple[str, ...]) -> Path | None:
        """Absolute folder to be mounted at /env, built for this image; None where there are no
        requirements. The same (image, requirements) is built once, also when asked for twice at
        the same time. Safe to cancel.

        requirements: lines as in a requirements.txt, without comments and blanks.
        `Permanent(reason="RequirementsFailed", message=<tail of pip's output>)`, `Temporary`.
        """


class BlobSource(Protocol):
    """Where code zips come from."""

    async def fetch(self, digest: str, dest: Path) -> None:
        """Write the blob to `dest` (replaced atomically), checked against `sha256:<hex>`.

        Goes on where a break left it. `Permanent("BlobMissing" | "BlobCorrupt")`, `Temporary`.
        """


class ArtifactSource(Protocol):
    """Where what earlier attempts left comes from."""

    async def fetch(self, unit: str, digest: str, dest: Path) -> None:
        """As `BlobSource.fetch`; unit: the attempt that it is wanted for.

        `Permanent("CheckpointMissing")`, `Temporary`.
        """


class ArtifactSink(Protocol):
    """Where what an attempt leaves goes to."""

    async def send(
        self,
        unit: str,
        digest: str,
        path: Path,
        arrived: Callable[[int], None],
        kind: ArtifactKind,
    ) -> None:
        """Returns once it is kept for good. arrived: told the bytes sent so far, after each piece.

        Goes on where a break left it. `Permanent` where it is not taken, `Temporary`.
        """


class NodeFacts(Protocol):
    """What this machine is."""

    async def read(self) -> WorkerStatus:
        """node_id, platform, cpus, memory, images, network_isolation and conditions, read afresh.

        The core fills in devices, partitioner, staging_root, agent_version and last_heartbeat.
        """

    async def labels(self) -> Mapping[str, str]:
        """The worker's labels, matched by a job's `nodeSelector`."""

    def changes(self) -> AsyncIterator[None]:
        """A hint that `read` may give something new (an image came, isolation broke). Endless."""


class Clock(Protocol):
    """Time, so that tests need not wait for it."""

    def monotonic(self) -> float:
        """Seconds on a clock that only rises and is the same for every process of this boot."""

    def wall(self) -> float:
        """POSIX seconds."""

    async def sleep_until(self, deadline: float) -> None:
        """Return once `monotonic()` has reached the deadline."""
