"""A worker's agent in a faulty fleet: the real plan for leases and the real file of their ends, on
machines that are played. No process, no tasks: `tick` does all that is due now.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace

from cumulus.api.frames import LeaseReport, LeaseWanted, NodeReport, Wanted
from cumulus.chronos_bindings.agent import lease_after as after
from cumulus.chronos_bindings.agent.deadlines import Deadlines
from cumulus.chronos_bindings.agent.keeper import CONTACT_KEPT, CONTACT_SHARE
from cumulus.chronos_bindings.agent.lease_plan import next_step
from cumulus.chronos_bindings.agent.lease_record import Record, Step, Verb, View, Wait
from cumulus.crd_like_specs.errors import Temporary
from cumulus.crd_like_specs.identity import parse_unit
from cumulus.crd_like_specs.lease import LeaseStatus
from cumulus.crd_like_specs.outputs import KeptOutputs
from make import worker
from simnet import EPOCH, Swarm, Time

MOST_STEPS = 30


class MemoryFile:
    """A path whose disk may be full; what `Deadlines` needs of one."""

    def __init__(self) -> None:
        self.content: bytes | None = None
        self.full = False

    def read_bytes(self) -> bytes:
        if self.content is None:
            raise FileNotFoundError
        return self.content

    def with_suffix(self, _: str) -> MemoryFile:
        aside = MemoryFile()
        aside.full = self.full
        return aside

    def write_text(self, text: str) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.content = text.encode()

    def replace(self, target: MemoryFile) -> None:
        target.content = self.content


class AgentClock:
    """Of a worker's machine. off: what its wall clock is wrong by."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self.off = 0.0

    def monotonic(self) -> float:
        return self._time.mono

    def wall(self) -> float:
        return self._time.mono + EPOCH + self.off

    async def sleep_until(self, deadline: float) -> None:
        raise NotImplementedError


class SimAgent:
    """boot: of its machine. `records` is None while no agent runs."""

    def __init__(self, name: str, swarm: Swarm, time: Time) -> None:
        self.name, self.node = name, f"node-{name}"
        self.clock = AgentClock(time)
        self.file = MemoryFile()
        self.folders: set[str] = set()
        self.outputs: dict[str, KeptOutputs] = {}
        self.boot = 1
        self.obeys = True
        self._swarm = swarm
        self.records: dict[str, Record] | None = None
        self.start()

    # Its life

    def start(self) -> None:
        """A new process takes up what the one before it left."""
        self._deadlines = Deadlines(self.file, self.clock, boot=f"b{self.boot}")  # type: ignore[arg-type]
        self.records = {record.name: record for record in self._deadlines.load()}
        self.since = self.clock.monotonic()
        self.contact_at = self._kept = self._deadlines.contact or self.clock.monotonic()
        self.wanted: dict[str, LeaseWanted] = {}
        self._saved_at: dict[str, float] = {}
        self.informed = self.contact = False
        for name in (*self.folders, *self._swarm.on(self.node)):
            self.records.setdefault(name, Record(name))

    def kill(self) -> None:
        self.records = None

    # What the controller says

    def hear(self, wanted: Wanted) -> None:
        assert self.records is not None
        self.wanted = {lease.name: lease for lease in wanted.leases}
        self.informed = self.contact = True
        for name in self.wanted:
            self.records.setdefault(name, Record(name))
        for name, record in self.records.items():
            lease = self.wanted.get(name)
            if lease is not None:
                now = self.clock
                self._set(after.wanted(record, lease, now.monotonic(), now.wall()))

    def heard(self, at: float) -> None:
        """The controller heard what was sent then."""
        assert self.records is not None
        self.contact_at = max(self.contact_at, at)
        waits = [r.stop_after for r in self.records.values() if r.stop_after]
        if waits and self.contact_at - self._kept >= min(CONTACT_KEPT, CONTACT_SHARE * min(waits)):
            self._kept = self.contact_at
            self._save()

    def report(self) -> NodeReport:
        assert self.records is not None
        of = worker(self.name, status={"boot_id": f"b{self.boot}"})
        leases = tuple(LeaseReport(n, self._seen(r)) for n, r in sorted(self.records.items()))
        return NodeReport(self.name, of.status, leases=leases)

    def _seen(self, record: Record) -> LeaseStatus:
        """With how its container ended, as the engine there says."""
        code = self._swarm.exits.get(record.name)
        said = {"exit_code": code, "outputs": self.outputs.get(record.name)}
        return record.status().model_copy(update=said)

    # What it does by itself

    def tick(self) -> None:
        """Every step of every lease that is due."""
        assert self.records is not None
        for name in self._swarm.on(self.node):
            self.records.setdefault(name, Record(name))
        for name, at in list(self._saved_at.items()):
            if self.clock.monotonic() >= at and name in self.records:
                del self._saved_at[name]
                self._note(name)
                self._set(after.saved(self.records[name], self.clock.monotonic()))
        for name in list(self.records):
            for _ in range(MOST_STEPS):
                answer = next_step(self.records[name], self._view(name))
                if isinstance(answer, Wait):
                    break
                if not self._do(name, answer):
                    break
            else:
                raise AssertionError(f"{name} never waits: {answer}")

    def _view(self, name: str) -> View:
        return View(
            mono=self.clock.monotonic(),
            wall=self.clock.wall(),
            wanted=self.wanted.get(name),
            informed=self.informed,
            contact=self.contact,
            contact_at=self.contact_at,
            running=self._runs(name),
            running_since=0.0,
        )

    def _do(self, name: str, step: Step) -> bool:
        """False once the lease is dropped."""
        assert self.records is not None
        now = self.clock.monotonic()
        self._set(after.began(self.records[name], step))
        record = self.records[name]
        if step.verb is Verb.DROP:
            self.folders.discard(name)
            self.outputs.pop(name, None)
            del self.records[name]
            self._save()
            return False
        try:
            self._set(self._done(record, step, now))
        except Temporary as e:
            self._set(after.missed(record, step, e, now))
        return True

    def _done(self, record: Record, step: Step, now: float) -> Record:
        """The record after the step; `Temporary` where it failed."""
        if step.verb is Verb.TERM and self.obeys:
            self._swarm.end(record.name, 143)
        if step.verb is Verb.KILL and self._runs(record.name):
            self._swarm.end(record.name, 137)
        does: dict[Verb, Callable[[], Record]] = {
            Verb.END: lambda: after.ended(record, step, now),
            Verb.STAGE: lambda: self._stage(record),
            Verb.PREPARE: lambda: replace(after.succeeded(record), env_ready=True),
            Verb.HOLD: lambda: self._hold(record, now),
            Verb.RENEW: lambda: after.renewed(record, record.partitions, 0),
            Verb.WARN: lambda: replace(record, warned=True),
            Verb.TERM: lambda: after.termed(record, now),
            Verb.KILL: lambda: after.killed(record, now),
            Verb.VERIFY: lambda: after.looked(record, now, gone=not self._runs(record.name)),
            Verb.WEIGH: lambda: after.weighed(record, 0, now),
            Verb.RELEASE: lambda: after.released(record),
            Verb.SAVE: lambda: self._save_left(record, now),
        }
        return does[step.verb]()

    def _save_left(self, record: Record, now: float) -> Record:
        """Every other unit leaves something, which takes its time; every other of those outputs."""
        seconds = zlib.crc32(record.name.encode()) % 8
        if seconds % 2:
            return after.saved(record)
        self._saved_at[record.name] = now + seconds
        return after.saving(record)

    def _note(self, name: str) -> None:
        """What it left is safe: that is on the disk before anybody is told."""
        key, parsed = zlib.crc32(name.encode()), parse_unit(name)
        if parsed and key % 4 == 0:
            digest = f"sha256:{key:064x}"
            self.outputs[name] = KeptOutputs(digest=digest, files=1, attempt=parsed[1])

    def _runs(self, name: str) -> bool:
        return name in self._swarm.on(self.node)

    def _stage(self, record: Record) -> Record:
        if self.file.full:
            raise Temporary("the disk is full", reason="StagingFailed")
        self.folders.add(record.name)
        return replace(after.succeeded(record), staged=True)

    def _hold(self, record: Record, now: float) -> Record:
        assert self.records is not None
        spec = self.wanted[record.name].spec
        for device in spec.devices:
            if self.held(device) + spec.memory_milli > 1000:
                raise Temporary("too little is free", reason="NoCapacity")
        partitions = tuple(f"{d}:{spec.memory_milli}" for d in spec.devices)
        held = after.held(after.succeeded(record), partitions, 0, now, self.clock.wall())
        if record.deadline is None:
            self._deadlines.save({**self.records, record.name: held}.values(), self.contact_at)
        return held

    def held(self, device: int) -> int:
        """Thousandths taken of it."""
        assert self.records is not None
        shares = (p.split(":") for r in self.records.values() for p in r.partitions)
        return sum(int(milli) for index, milli in shares if int(index) == device)

    def _set(self, record: Record) -> None:
        assert self.records is not None
        self.records[record.name] = record
        self._save()

    def _save(self) -> None:
        assert self.records is not None
        try:
            self._deadlines.save(self.records.values(), self.contact_at)
        except Temporary:
            return  # what is held has its end there already
