"""All leases of this worker: hands what is wanted and seen to each lease's task. I/O by its tools.

Made by `agent.Agent`; told by `stream` (what is wanted, whether there is contact) and by the
runtime's hints (which units changed). Everything here runs on the event loop.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from loguru import logger

from ...api.frames import LeaseReport, LeaseWanted, Wanted
from ...crd_like_specs.errors import DriverError, Temporary
from ...crd_like_specs.identity import parse_unit
from ...crd_like_specs.lease import LeaseState, LeaseStatus
from .deadlines import Deadlines
from .lease_record import Record, View
from .lease_task import LeaseTask, Tools
from .ports import UnitSeen

LOOK_SECONDS: Final = 5.0
"""Between looks at all units without any hint: the runtime's events may be missed."""

EPOCH_SECONDS: Final = 1.0

CONTACT_KEPT: Final = 5.0
CONTACT_SHARE: Final = 0.2
"""The last contact is written down every 5 s, or 0.2 of the shortest `stopAfterDisconnect`."""

_FORGET_AFTER: Final = 4096


class Keeper:
    """changed: told that the report changed, and whether someone waits for it. listed: told after
    every look at the units.
    """

    def __init__(
        self,
        tools: Tools,
        deadlines: Deadlines,
        *,
        changed: Callable[[bool], None],
        listed: Callable[[], None],
    ) -> None:
        self._tools = tools
        self._deadlines = deadlines
        self._report_changed = changed
        self._listed = listed
        self._leases: dict[str, LeaseTask] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._wanted: dict[str, LeaseWanted] = {}
        self._informed = False
        self._contact = False
        self._contact_at = tools.clock.monotonic()
        self._contact_kept = self._contact_at
        self._stuck: dict[str, int] = {}
        self._units: dict[str, UnitSeen] = {}
        self._since: dict[str, float] = {}
        self._dropped: OrderedDict[str, None] = OrderedDict()
        self._blind = False  # the last look failed: look again soon
        self._looked = False  # no look has worked yet: what runs here is not known
        self._stopping = False
        self._broken = asyncio.Event()

    async def start(self) -> None:
        """Take up what an agent before this one left: its deadlines, its folders, its units."""
        await self.refresh_units()
        known = {record.name: record for record in self._deadlines.load()}
        self._contact_at = self._contact_kept = self._deadlines.contact or self._contact_at
        for name in (*self._tools.staging.units(), *self._ours()):
            known.setdefault(name, Record(name))
        for record in known.values():
            self._begin(record)
        if known:
            logger.info("took up {} leases of an agent before this one", len(known))

    async def stop(self) -> None:
        """Units run on; their deadlines are on disk."""
        self._stopping = True
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def watch(self) -> None:
        """Look at all units and at the partitioner now and then, for ever."""
        clock = self._tools.clock
        look_at = clock.monotonic() + LOOK_SECONDS
        while True:
            await clock.sleep_until(clock.monotonic() + EPOCH_SECONDS)
            if await self._tools.shares.refresh():
                logger.warning("the partitioner lost what it held: taking it again")
                self._poke_all()
            if clock.monotonic() >= look_at or self._blind:
                look_at = clock.monotonic() + LOOK_SECONDS
                await self.refresh_units()
                await self._tidy()
                await self._weigh_stuck()

    async def broken(self) -> None:
        """Returns when a lease has nobody to end it any more: the agent must be started anew."""
        await self._broken.wait()

    # What the controller says

    def set_wanted(self, frame: Wanted) -> None:
        """The whole set: what is not listed is ended."""
        self._wanted = {}
        for lease in frame.leases:
            if parse_unit(lease.name) is None:
                logger.error("a lease named {!r} is ignored: no name of an attempt", lease.name)
            else:
                self._wanted[lease.name] = lease
        first, self._informed = not self._informed, True
        for name in self._wanted:
            if name not in self._leases:
                self._begin(Record(name))
        for lease_task in list(self._leases.values()):
            lease_task.wanted()
        if first:
            self._adopt_strays()

    @property
    def contact(self) -> bool:
        """Whether the controller can be heard now."""
        return self._contact

    def set_contact(self, *, contact: bool) -> None:
        """Whether the controller can be heard now."""
        self._contact = contact
        self._poke_all()

    def set_heard(self, at: float) -> None:
        """The controller heard what was sent at this moment (monotonic seconds)."""
        self._contact_at = max(self._contact_at, at)
        for task in self._leases.values():
            if task.record.saved_at:
                task.poke()  # it waits for that
        waits = [t.record.stop_after for t in self._leases.values() if t.record.stop_after]
        if waits and self._contact_at - self._contact_kept >= min(
            CONTACT_KEPT, CONTACT_SHARE * min(waits)
        ):
            # A later agent counts from what is written: were it too late, it would end too late.
            self._contact_kept = self._contact_at
            self._save()

    # What the runtime says

    async def refresh_units(self) -> None:
        """List all units afresh. An engine that does not answer leaves what was known."""
        try:
            units = await self._tools.runtime.list_units()
        except DriverError as e:
            logger.warning("units cannot be listed: {}", e.message)
            self._blind = True
            return
        self._blind = False
        if not self._looked:
            self._looked = True
            self._report_changed(False)
        old, self._units = self._units, {unit.name: unit for unit in units}
        mono, wall = self._tools.clock.monotonic(), self._tools.clock.wall()
        for unit in units:
            if unit.running and unit.name not in self._since:
                age = max(0.0, wall - unit.started_at) if unit.started_at else 0.0
                self._since[unit.name] = mono - age
        self._since = {name: t for name, t in self._since.items() if self.is_running(name)}
        if self._informed:
            self._adopt_strays()
        for name in old.keys() | self._units.keys():
            was = old.get(name)
            if name in self._leases and (was is None or was.running != self.is_running(name)):
                self._leases[name].look()
                self._report_changed(False)  # the platform tells of its end, unless it is cut off
        self._listed()

    async def _tidy(self) -> None:
        """Only once the controller said what is wanted: until then any unit may be about to start."""
        if not self._informed:
            return
        try:
            await self._tools.runtime.tidy(frozenset(self._leases))
        except DriverError as e:
            logger.warning("what ended units left cannot be deleted: {}", e.message)

    def is_running(self, name: str) -> bool:
        """As last seen."""
        unit = self._units.get(name)
        return unit is not None and unit.running

    def seen_units(self) -> list[str]:
        """Units that the runtime knew when it was last asked."""
        return list(self._units)

    def look(self, name: str) -> None:
        """The runtime hinted at this unit: verify it at once if it is being ended."""
        if name in self._leases:
            self._leases[name].look()

    def kept(self, name: str) -> None:
        """Something about what is kept of this unit is new."""
        if name in self._leases:
            self._leases[name].poke()
            self._report_changed(True)

    @property
    def looked(self) -> bool:
        """Whether the units here are known: the runtime has listed them since this agent began."""
        return self._looked

    @property
    def stuck(self) -> dict[str, int]:
        """Units that are gone → bytes that the devices hold of them all the same."""
        return dict(self._stuck)

    # What the controller is told

    def reports(self) -> tuple[LeaseReport, ...]:
        """Every lease, in the order of names, with how its unit ended."""
        return tuple(
            LeaseReport(name, self._status(task.record))
            for name, task in sorted(self._leases.items())
        )

    def _status(self, record: Record) -> LeaseStatus:
        unit, status = self._units.get(record.name), record.status()
        checkpoints = self._tools.checkpoints
        kept, trouble = checkpoints.last(record.name), checkpoints.trouble(record.name)
        left = checkpoints.outputs(record.name)
        if kept is not None or left is not None or trouble:
            message = status.message or trouble
            said = {"checkpoint": kept, "outputs": left, "message": message}
            status = status.model_copy(update=said)
        if unit is None or unit.exit_code is None:
            return status
        ended = {"exit_code": unit.exit_code, "finished_at": unit.finished_at}
        return status.model_copy(update=ended)

    # How

    def view(self, name: str) -> View:
        """The surroundings of one lease now."""
        clock = self._tools.clock
        return View(
            mono=clock.monotonic(),
            wall=clock.wall(),
            wanted=self._wanted.get(name),
            informed=self._informed,
            contact=self._contact,
            contact_at=self._contact_at,
            running=self.is_running(name),
            running_since=self._since.get(name, 0.0),
            epoch=self._tools.shares.epoch,
            excess=self._tools.checkpoints.excess(name),
        )

    def _adopt_strays(self) -> None:
        """Units of ours that run without a lease. Ours are those whose folder or end we had, or that
        name our folder; other agents' on the same engine bear the same label and are not touched.
        """
        for name in (*self._dropped, *self._ours()):
            if self.is_running(name) and name not in self._leases:
                self._begin(Record(name))

    def _ours(self) -> list[str]:
        """Running units that were started with a folder of this agent, or of one before it."""
        root = self._tools.staging.root
        return [
            name
            for name, unit in self._units.items()
            if unit.running and unit.folder == str(root / name)
        ]

    def _begin(self, record: Record) -> None:
        task = self._leases[record.name] = LeaseTask(
            record,
            self._tools,
            view=self.view,
            changed=self._record_changed,
            stopped=self._unit_stopped,
            keep=self._keep,
        )
        task.wanted()
        running = self._running[record.name] = asyncio.create_task(task.run())
        running.add_done_callback(lambda done: self._dropped_or_broken(record.name, done))
        self._report_changed(False)

    def _record_changed(self, old: Record, new: Record) -> None:
        if _to_keep(old) != _to_keep(new):
            self._save()
        if new.over and new.weight and not old.over:
            self._stuck[new.name] = new.weight
            self._report_changed(False)
        if old.status() != new.status():
            # PREPARING is passed through in milliseconds mostly; nobody waits for it.
            urgent = new.state not in (LeaseState.PENDING, LeaseState.PREPARING)
            self._report_changed(urgent)

    def _unit_stopped(self, name: str) -> None:
        unit = self._units.get(name)
        if unit is not None and unit.running:
            self._units[name] = replace(unit, running=False)
            self._since.pop(name, None)

    def _dropped_or_broken(self, name: str, done: asyncio.Task[None]) -> None:
        if self._stopping or done.cancelled():
            return
        if (error := done.exception()) is not None:
            logger.bind(lease=name).opt(exception=error).error(
                "a lease's task broke: taken up anew"
            )
            self._begin(self._leases[name].record)
            return
        del self._leases[name], self._running[name]
        self._dropped[name] = None
        self._dropped.move_to_end(name)
        while len(self._dropped) > _FORGET_AFTER:
            self._dropped.popitem(last=False)
        self._save()
        if name in self._wanted:  # listed again while it was taken down
            self._begin(Record(name))
        self._report_changed(True)

    def _keep(self, record: Record) -> None:
        """Write all ends down, this one as it is to be."""
        records = {name: task.record for name, task in self._leases.items()}
        self._deadlines.save({**records, record.name: record}.values(), self._contact_at)

    def _save(self) -> None:
        """What is held has its end on disk already; of the rest a failing disk may miss some."""
        records = [task.record for task in self._leases.values()]
        try:
            self._deadlines.save(records, self._contact_at)
        except Temporary as e:
            logger.error("{}", e.message)

    async def _weigh_stuck(self) -> None:
        memory = self._tools.memory
        for name in list(self._stuck):
            weight = await memory.of_unit(name) if memory is not None else None
            if weight:
                self._stuck[name] = weight
            else:
                del self._stuck[name]
                self._report_changed(False)

    def _poke_all(self) -> None:
        for task in self._leases.values():
            task.poke()


def _to_keep(record: Record) -> tuple[float | None, float, float, float]:
    """What of a record is on disk."""
    return (record.deadline, record.duration, record.stop_after, record.ended_at)
