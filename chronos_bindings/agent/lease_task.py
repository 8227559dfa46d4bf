"""One lease's life: asks the plan, does the step, notes the outcome, until it is dropped. I/O.

Made by `keeper`, one task per lease, so that a slow preparation of one delays no end of another.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from loguru import logger

from ...crd_like_specs.errors import DriverError, Temporary
from ...crd_like_specs.identity import parse_unit
from ...crd_like_specs.lease import LeaseMount
from . import lease_after as after
from .checkpoint_port import Keeping, NothingKept
from .image_ports import ImageGiver, NoImages
from .lease_plan import SETTLED, begins, limit, next_step
from .lease_record import Record, Step, Verb, View, Wait
from .pip_output import NotInstalled
from .ports import Clock, DeviceMemory, LocalRuntime, Preparer
from .shares import Shares
from .staging import Staging

_INTERRUPTIBLE: Final = frozenset({Verb.STAGE, Verb.PREPARE})


@dataclass(frozen=True)
class Tools:
    """What every lease's task works with. env_of: devices and thousandths of each → what the
    container must be given; mounts_of: folders of this machine among that. say: words for a unit
    that has no output of its own. memory: of the devices, None where nobody can tell. checkpoints:
    of all units.
    """

    runtime: LocalRuntime
    staging: Staging
    preparer: Preparer
    shares: Shares
    clock: Clock
    env_of: Callable[[tuple[int, ...], int], Mapping[str, str]]
    say: Callable[[str, str], None] = lambda _unit, _words: None
    mounts_of: Callable[[tuple[int, ...]], tuple[LeaseMount, ...]] = lambda _devices: ()
    images: ImageGiver = field(default_factory=NoImages)
    memory: DeviceMemory | None = None
    checkpoints: Keeping = field(default_factory=NothingKept)


class LeaseTask:
    """record: what is known of the lease, replaced at every change.

    view: the surroundings, asked for at every look. changed: told of each new record, urgently
    where someone waits for it. stopped: told that nothing of the unit runs. keep: writes the
    record's end to disk, `Temporary` where it cannot.
    """

    def __init__(
        self,
        record: Record,
        tools: Tools,
        *,
        view: Callable[[str], View],
        changed: Callable[[Record, Record], None],
        stopped: Callable[[str], None],
        keep: Callable[[Record], None],
    ) -> None:
        self.record = record
        self._tools = tools
        self._view = view
        self._changed = changed
        self._stopped = stopped
        self._keep = keep
        self._news = asyncio.Event()
        self._requirements: tuple[str, ...] = ()
        self._said = ""
        parsed = parse_unit(record.name)
        uid, attempt = parsed or ("", 0)
        self._log = logger.bind(job_id=uid, attempt=attempt, lease=record.name)

    def poke(self) -> None:
        """Something changed: look again."""
        self._news.set()

    def look(self) -> None:
        """The unit just started or ended: one that is being ended is verified at once."""
        if self.record.ending and not self.record.gone:
            self._set(replace(self.record, verify_at=self._now))
        self.poke()

    def wanted(self) -> None:
        """What is wanted may have changed."""
        view = self._view(self.record.name)
        if view.wanted is not None:
            self._set(after.wanted(self.record, view.wanted, view.mono, view.wall))
        self.poke()

    async def run(self) -> None:
        """Until the lease is dropped; cancelled when the agent stops."""
        while True:
            self._news.clear()
            answer = next_step(self.record, self._view(self.record.name))
            if isinstance(answer, Wait):
                await self._pause(answer.until)
                continue
            await self._take(answer)
            if answer.verb is Verb.DROP and not self.record.failures:
                return

    @property
    def _now(self) -> float:
        return self._tools.clock.monotonic()

    def _set(self, record: Record) -> None:
        old, self.record = self.record, record
        if old != record:
            self._changed(old, record)

    async def _take(self, step: Step) -> None:
        self._log.bind(step=step.verb.value, rule=step.rule).debug("lease step {}", step.verb.value)
        self._set(after.began(self.record, step))
        try:
            if step.verb in _INTERRUPTIBLE:
                await self._interruptible(step)
            else:
                await self._do(step)
        except DriverError as e:
            self._log.bind(step=step.verb.value, reason=e.reason).warning(
                "lease step {} failed: {}", step.verb.value, e.message
            )
            self._set(after.missed(self.record, step, e, self._now))
        except Exception as e:  # noqa: BLE001 (whatever went wrong, the lease's end must be kept)
            self._log.opt(exception=e).error("lease step {} broke", step.verb.value)
            error = Temporary(f"{type(e).__name__}: {e}", reason="AgentError")
            self._set(after.missed(self.record, step, error, self._now))

    async def _interruptible(self, step: Step) -> None:
        """Long steps give way when the lease must be ended."""
        work = asyncio.ensure_future(self._do(step))
        work.add_done_callback(lambda _: self._news.set())
        try:
            while not work.done():
                self._news.clear()
                if begins(self.record, self._view(self.record.name)) is not None:
                    return
                await self._pause(limit(self.record, self._view(self.record.name)))
            work.result()
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError, DriverError):
                await work

    async def _pause(self, until: float | None) -> None:
        """Until there is news, or that time has come."""
        if until is None:
            await self._news.wait()
            return
        if until <= self._now:
            await asyncio.sleep(0)
            return
        alarm = asyncio.ensure_future(self._tools.clock.sleep_until(until))
        # A cancelled one stays silent: were it heard, each look would cause the next, for ever.
        alarm.add_done_callback(lambda rung: None if rung.cancelled() else self._news.set())
        try:
            await self._news.wait()
        finally:
            alarm.cancel()

    async def _do(self, step: Step) -> None:
        if step.verb is Verb.END:
            self._set(after.ended(self.record, step, self._now))
            self._log.info("lease is being ended: {}", step.reason)
            return
        doing: dict[Verb, Callable[[], Awaitable[None]]] = {
            Verb.STAGE: self._stage,
            Verb.PREPARE: self._prepare,
            Verb.HOLD: self._hold,
            Verb.RENEW: self._renew,
            Verb.WARN: self._warn,
            Verb.TERM: self._term,
            Verb.KILL: self._kill,
            Verb.VERIFY: self._verify,
            Verb.WEIGH: self._weigh,
            Verb.RELEASE: self._release,
            Verb.SAVE: self._save,
            Verb.DROP: self._drop,
        }
        await doing[step.verb]()

    async def _stage(self) -> None:
        wanted = self._view(self.record.name).wanted
        if wanted is None:
            raise Temporary("it is not wanted any more", reason="StagingFailed")
        images = self._tools.images
        if self.record.deadline is None:
            image = await images.ensure(wanted.image, wanted.registry_auth)
        else:  # it was held before: its service has its image, whatever became of the name since
            image = await images.present(wanted.image)
        self._requirements = await self._tools.staging.stage(wanted, self._progress)
        self._tools.checkpoints.follow(wanted.name)
        done = replace(after.succeeded(self.record), staged=True, image=image)
        if not self._requirements:
            await self._tools.staging.link_env(done.name, None)
            done = replace(done, env_ready=True)
        self._set(done)

    def _progress(self, words: str) -> None:
        """What takes long gets on: where it really does, failures before that are forgotten."""
        if not self.record.ending:
            record = self.record if words == self._said else after.succeeded(self.record)
            self._said = words
            self._set(replace(record, message=words))

    async def _prepare(self) -> None:
        wanted = self._view(self.record.name).wanted
        image = self.record.image or (wanted.image if wanted else "")
        try:
            env = await self._tools.preparer.prepare(image, self._requirements)
        except NotInstalled as e:
            self._tools.say(self.record.name, e.output)
            raise
        await self._tools.staging.link_env(self.record.name, env)
        self._set(replace(after.succeeded(self.record), env_ready=True))

    async def _hold(self) -> None:
        view = self._view(self.record.name)
        if view.wanted is None:
            raise Temporary("it is not wanted any more", reason="LeaseFailed")
        spec, shares = view.wanted.spec, self._tools.shares
        deadline = self.record.deadline
        left = spec.duration if deadline is None else deadline - view.mono
        env = dict(self._tools.env_of(spec.devices, spec.memory_milli))
        taken = await shares.take(spec.devices, spec.memory_milli, left)
        mounts = self._tools.mounts_of(spec.devices)
        own = self._tools.staging.writable(self.record.name)
        mounts = (*mounts, *(LeaseMount(source=str(at), target=to) for at, to in own))
        record = replace(
            after.succeeded(self.record), backend=shares.backend, env=env, mounts=mounts
        )
        clock = self._tools.clock
        held = after.held(record, taken.ids, taken.epoch, clock.monotonic(), clock.wall())
        try:
            if deadline is None:  # no lease is held whose end the next agent would not know
                self._keep(held)
        except Temporary:
            await shares.release(taken.ids)
            raise
        self._set(held)
        self._log.bind(partitions=taken.ids, backend=shares.backend).info("lease is held")

    async def _renew(self) -> None:
        """Give the shares back and take them at once for the time that is left. Nobody else is given
        them in between: the controller keeps the books.
        """
        record, view, shares = self.record, self._view(self.record.name), self._tools.shares
        wanted, deadline = view.wanted, record.deadline
        if wanted is None or deadline is None:
            self._set(replace(record, renew=False))
            return
        await shares.release(record.partitions)
        self._set(after.renewed(record, (), record.epoch))
        spec = wanted.spec
        taken = await shares.take(spec.devices, spec.memory_milli, deadline - view.mono)
        self._set(after.renewed(self.record, taken.ids, taken.epoch))
        self._log.bind(partitions=taken.ids).info("lease is extended")

    async def _warn(self) -> None:
        record, view, clock = self.record, self._view(self.record.name), self._tools.clock
        if record.ending and record.notice and not self._tools.staging.is_pausable(record.name):
            record = replace(record, notice=0.0)  # it would not know what to do with the time
        if record.ending:
            ends = record.ending_at + (record.notice or record.grace)
            reason = record.ending
        else:
            ends, reason = record.deadline or view.mono, "LeaseEnds"
        left = max(0.0, ends - view.mono)
        self._set(replace(record, warned=True))
        await self._tools.staging.warn(
            record.name, reason=reason, ends_at=clock.wall() + left, seconds_left=round(left, 3)
        )
        if record.is_code and view.mono >= view.running_since + SETTLED:
            await self._tools.runtime.signal(record.name, signal.SIGUSR1)

    async def _term(self) -> None:
        await self._tools.runtime.signal(self.record.name, signal.SIGTERM)
        self._set(after.termed(self.record, self._now))

    async def _kill(self) -> None:
        await self._tools.runtime.kill(self.record.name)
        self._set(after.killed(self.record, self._now))

    async def _verify(self) -> None:
        gone = await self._tools.runtime.ensure_gone(self.record.name)
        if gone:
            self._stopped(self.record.name)
        self._set(after.looked(self.record, self._now, gone=gone))

    async def _weigh(self) -> None:
        memory = self._tools.memory
        weight = await memory.of_unit(self.record.name) if memory is not None else None
        self._set(after.weighed(self.record, weight, self._now))

    async def _release(self) -> None:
        if self.record.weight:
            self._log.warning("its devices still hold {} bytes of it", self.record.weight)
        await self._tools.shares.release(self.record.partitions)
        self._set(after.released(self.record))
        self._log.info("lease is over: {}", self.record.ending)

    async def _save(self) -> None:
        if self._tools.checkpoints.finish(self.record.name, self._saved):
            self._set(after.saving(self.record))
        else:
            self._set(after.saved(self.record))

    def _saved(self, message: str) -> None:
        """message: why it could not be, "" where it is safe."""
        self._set(after.saved(self.record, self._now, message))
        self.poke()

    async def _drop(self) -> None:
        self._tools.checkpoints.forget(self.record.name)
        await self._tools.staging.drop(self.record.name)
        self._set(after.succeeded(self.record))
