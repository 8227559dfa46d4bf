"""A platform in memory, on a clock that the test moves. For simulations and unit tests.

It keeps to the same contract suite as the real ones and never sleeps. A test makes things happen:

    fake = FakePlatform(clock.now)
    await fake.create(service)                  # runs at once, unless `hold_starts`
    fake.finish(service.name, exit_code=3)
    fake.fail_next("create", Temporary("…"), times=2)
    fake.fail_next("remove", Temporary("…"), after=True)   # done, but the answer is lost
    fake.node_down("node-1")                    # what runs there shows as Lost

and reads what happened from `created`, `removed` and `starts`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, replace

from ...crd_like_specs.errors import DriverError, NotFoundError, Permanent
from ..reconcile.actions import ServiceSpec
from ..reconcile.observed import ServiceSeen, ServiceState
from .base import LogFrame, NodeSeen
from .hints import Hints

NODE_RESTARTED = 255
"""Exit code of what ran on a node that went down and came back."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a unit does: its output, then its end. exit_code None: it runs until told otherwise."""

    exit_code: int | None = None
    output: tuple[tuple[str, bytes], ...] = ()


@dataclass(slots=True)
class _Unit:
    spec: ServiceSpec
    seen: ServiceSeen
    frames: list[LogFrame] = field(default_factory=list)


@dataclass(slots=True)
class _Fault:
    error: DriverError
    times: int
    after: bool


class FakePlatform:
    """now: POSIX seconds of the test's clock. images: reference → id of those that exist.
    programs: what a new unit does, by its spec; by default it runs until told to finish.
    """

    name = "fake"
    notices: tuple[str, ...] = ("The fake platform runs nothing.",)

    def __init__(
        self,
        now: Callable[[], float],
        *,
        nodes: Iterable[str] = ("node-1",),
        images: dict[str, str] | None = None,
        programs: Callable[[ServiceSpec], Program] = lambda _: Program(),
    ) -> None:
        self._now = now
        self._nodes = dict.fromkeys(nodes, True)
        self._images = {"cumulus-job:latest": "sha256:" + "0" * 64} if images is None else images
        self._programs = programs
        self._units: dict[str, _Unit] = {}
        self._foreign: set[str] = set()
        self._faults: dict[str, list[_Fault]] = {}
        self._hints = Hints()
        self.hold_starts = False
        self.created: list[ServiceSpec] = []
        self.removed: list[str] = []
        self.starts: Counter[str] = Counter()

    # The port

    async def start(self) -> None:
        """Nothing to prepare."""
        self._fail("start", after=False)

    async def close(self) -> None:
        """Units stay, so that a second "controller" may be given the same platform."""

    async def list_owned(self) -> list[ServiceSeen]:
        """Every unit, by name."""
        self._fail("list_owned", after=False)
        return [self._shown(self._units[name]) for name in sorted(self._units)]

    async def create(self, service: ServiceSpec) -> None:
        """See the protocol."""
        self._fail("create", after=False)
        self._refuse_foreign(service.name)
        if service.image not in self._images and service.image not in self._images.values():
            raise Permanent(
                f"image {service.image!r} is not on this platform", reason="ImageMissing"
            )
        if service.name not in self._units:
            self._add(service)
        self._fail("create", after=True)

    async def remove(self, name: str) -> None:
        """See the protocol; what runs is gone at once."""
        self._fail("remove", after=False)
        self._refuse_foreign(name)
        if self._units.pop(name, None) is not None:
            self.removed.append(name)
            self._hints.notify()
        self._fail("remove", after=True)

    async def logs(self, name: str) -> list[LogFrame]:
        """What was written so far."""
        self._fail("logs", after=False)
        self._refuse_foreign(name)
        if name not in self._units:
            raise NotFoundError(f"service {name} is gone, and its output with it")
        return list(self._units[name].frames)

    async def nodes(self) -> list[NodeSeen]:
        """Every node, by id."""
        self._fail("nodes", after=False)
        return [NodeSeen(node, node, up) for node, up in sorted(self._nodes.items())]

    async def remove_node(self, node_id: str) -> None:
        """See the protocol."""
        self._fail("remove_node", after=False)
        self._nodes.pop(node_id, None)
        self._hints.notify()

    async def image_id(self, reference: str) -> str:
        """Of an image given to the constructor, by reference or id."""
        self._fail("image_id", after=False)
        if reference in self._images.values():
            return reference
        if reference not in self._images:
            raise Permanent(f"image {reference!r} is not on this platform", reason="ImageMissing")
        return self._images[reference]

    async def python_of(self, reference: str) -> str:  # noqa: ARG002 (there is none in any image)
        """Not known."""
        return ""

    def changes(self) -> AsyncIterator[None]:
        """A hint after each change."""
        return self._hints.listen()

    # What a test makes happen

    def fail_next(
        self, verb: str, error: DriverError, times: int = 1, *, after: bool = False
    ) -> None:
        """The next `times` calls of `verb` raise `error`; after: once the work is done."""
        self._faults.setdefault(verb, []).append(_Fault(error, times, after))

    def begin(self, name: str) -> None:
        """Let a held start happen."""
        self._start(self._units[name])

    def write(self, name: str, data: bytes, stream: str = "stdout") -> None:
        """Output of a unit, now."""
        self._units[name].frames.append(LogFrame(stream, self._now(), data))

    def finish(
        self, name: str, exit_code: int = 0, *, message: str = "", out_of_memory: bool = False
    ) -> None:
        """End a running unit; ValueError where it does not run."""
        unit = self._units[name]
        if unit.seen.state is not ServiceState.RUNNING:
            raise ValueError(f"{name} is {unit.seen.state.value}, not Running")
        unit.seen = replace(
            unit.seen,
            state=ServiceState.FAILED if exit_code else ServiceState.COMPLETE,
            exit_code=exit_code,
            message=message,
            finished_at=self._now(),
            out_of_memory=out_of_memory,
        )
        self._hints.notify()

    def node_down(self, node_id: str) -> None:
        """What runs there shows as Lost; what would start there waits."""
        self._nodes[node_id] = False
        self._hints.notify()

    def node_up(self, node_id: str) -> None:
        """The node is back: what ran there has failed, what waited starts."""
        self._nodes[node_id] = True
        for name, unit in self._units.items():
            if unit.spec.node_id != node_id:
                continue
            if unit.seen.state is ServiceState.RUNNING:
                self.finish(name, NODE_RESTARTED)
            elif unit.seen.state is ServiceState.PENDING and not self.hold_starts:
                self._start(unit)
        self._hints.notify()

    def add_foreign(self, name: str) -> None:
        """A service of this name that somebody else made."""
        self._foreign.add(name)

    @property
    def running(self) -> set[str]:
        """Names of units whose process runs, seen or not."""
        return {n for n, u in self._units.items() if u.seen.state is ServiceState.RUNNING}

    def _add(self, service: ServiceSpec) -> None:
        seen = ServiceSeen(
            service.name,
            service.uid,
            service.attempt,
            ServiceState.PENDING,
            node_id=service.node_id,
        )
        unit = self._units[service.name] = _Unit(service, seen)
        self.created.append(service)
        if not self.hold_starts and self._nodes.get(service.node_id):
            self._start(unit)
        self._hints.notify()

    def _start(self, unit: _Unit) -> None:
        name = unit.spec.name
        self.starts[name] += 1
        unit.seen = replace(unit.seen, state=ServiceState.RUNNING, started_at=self._now())
        program = self._programs(unit.spec)
        for stream, data in program.output:
            self.write(name, data, stream)
        if program.exit_code is not None:
            self.finish(name, program.exit_code)
        self._hints.notify()

    def _shown(self, unit: _Unit) -> ServiceSeen:
        seen = unit.seen
        if seen.state is ServiceState.RUNNING and not self._nodes.get(seen.node_id):
            message = f"node {seen.node_id} is down"
            return replace(seen, state=ServiceState.LOST, message=message)
        return seen

    def _refuse_foreign(self, name: str) -> None:
        if name in self._foreign:
            raise Permanent(
                f"service {name} exists, but Cumulus did not make it: it is left alone",
                reason="NotOwned",
            )

    def _fail(self, verb: str, *, after: bool) -> None:
        for fault in self._faults.get(verb, ()):
            if fault.after == after and fault.times > 0:
                fault.times -= 1
                raise fault.error
