"""What agents and a controller say to each other in a faulty fleet, frame by frame, over wires that
are slow or cut. Each judges by itself whether the other is there.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from cumulus.api.frames import Heartbeat, LogBatch, LogStream, NodeReport, UnitRecord, Wanted
from cumulus.chronos_bindings.agent.stream import SILENCE_SECONDS
from cumulus.controller.runtime.agents import Agents
from cumulus.controller.runtime.logs import Logs
from cumulus.controller.runtime.session import Session
from simagent import SimAgent
from simnet import Swarm, Time, Wire
from simparts import ENVELOPE, ERROR


@dataclass
class Link:
    """One worker's agent and the controller, and what is under way between them."""

    up: Wire
    down: Wire
    session: Session | None = None  # the controller's side of it
    connected: bool = False  # the agent's side
    dial_at: float = 0.0
    beat_at: float = 0.0
    echo_at: float = 0.0
    last: NodeReport | None = None
    sent: set[str] = field(default_factory=set)


class Talk:
    """The part of a simulation that lets them talk."""

    rng: random.Random
    time: Time
    swarm: Swarm
    fleet: dict[str, SimAgent]
    server: Agents
    logs: Logs
    clock: Any

    async def _talk(self, name: str, link: Link) -> None:
        now, agent = self.time.mono, self.fleet[name]
        if agent.records is None:
            self._hang_up(link, told=self.swarm.nodes_[agent.node].up)
        elif not link.connected and now >= link.dial_at and not (link.up.cut or link.down.cut):
            link.session = await self.server.session(name, "peer")
            link.up.drop()
            link.down.drop()
            link.connected, link.last = True, None
            link.echo_at = link.beat_at = now
        if link.connected and agent.records is not None:
            self._say(agent, link)
        await self._controller_hears(name, link)
        self._controller_says(name, link)
        for frame in link.down.arrived():
            if link.connected and agent.records is not None:
                self._agent_hears(agent, link, frame)
        if link.connected and now - link.echo_at >= SILENCE_SECONDS:
            self._hang_up(link, told=True)
            agent.contact = False

    def _say(self, agent: SimAgent, link: Link) -> None:
        report = agent.report()
        if report != link.last:
            link.last = report
            link.up.send(report)
        if self.time.mono >= link.beat_at:
            link.beat_at = self.time.mono + 1.0
            link.up.send(Heartbeat(self.time.mono))

    async def _controller_hears(self, name: str, link: Link) -> None:
        session = link.session
        if session is None:
            if link.connected and not link.down.cut:  # a new controller knows nothing of it
                self._hang_up(link, told=False)
                self.fleet[name].contact = False
            return
        for frame in link.up.arrived():
            if isinstance(frame, Heartbeat):
                await session.on_heartbeat(frame)
                link.down.send(Heartbeat(self.clock.now(), frame.time))
            else:
                await session.on_state(frame)
        await self._send_logs(name, link, session)
        if session.silent:
            await session.close()
            link.session = None

    async def _send_logs(self, name: str, link: Link, session: Session) -> None:
        agent = self.fleet[name]
        if not link.connected or link.up.cut or link.down.cut or agent.records is None:
            return
        for unit in agent.wanted:
            code = self.swarm.exits.get(unit)
            if code is None or self.swarm.home[unit] != agent.node or self.logs.seen(unit).complete:
                continue
            records = [UnitRecord(0, LogStream.STDOUT, 1.0, b"hello\n")]
            if code in (0, 1):
                records.append(UnitRecord(1, LogStream.RESULT, 1.0, ERROR if code else ENVELOPE))
            await session.on_logs(LogBatch(unit, tuple(records), len(records)))

    def _controller_says(self, name: str, link: Link) -> None:
        if link.session is not None and link.session._dirty:
            link.session._dirty = False
            link.down.send(self.server.wanted(name))

    def _agent_hears(self, agent: SimAgent, link: Link, frame: Any) -> None:
        if isinstance(frame, Wanted):
            agent.hear(frame)
        else:
            link.echo_at = max(link.echo_at, frame.echo)
            agent.heard(frame.echo)

    def _hang_up(self, link: Link, *, told: bool) -> None:
        """The agent's end is gone. told: the controller's machine is told so, if a word can pass."""
        if link.connected:
            link.connected, link.dial_at = False, self.time.mono + self.rng.choice([0.5, 1, 3])
            link.up.drop()
            link.down.drop()
            if told and not link.up.cut and link.session is not None:
                link.session.end()
                self.server.left(link.session)
                link.session = None
