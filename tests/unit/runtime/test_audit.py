"""The journal of calls: what is kept of it, for how long, and what repeats."""

from __future__ import annotations

from pathlib import Path

from cumulus.api.audited import Audited, AuditQuery
from cumulus.controller.runtime.audit import KEPT_SECONDS, KNOCKING, Audit
from cumulus.controller.runtime.clock import VirtualClock


def call(method: str = "Cumulus/Cancel", outcome: str = "allowed", **fields: str) -> Audited:
    return Audited("grpc", method, outcome, **fields)


def knock(address: str = "192.0.2.1") -> Audited:
    return call("Cumulus/Get", "refused", address=address, reason="UNAUTHENTICATED")


async def read(audit: Audit, **query: object) -> list[Audited]:
    return [line async for line in audit.read(AuditQuery(**query))]  # type: ignore[arg-type]


async def test_it_outlives_the_controller_and_ends_with_age(tmp_path: Path) -> None:
    clock = VirtualClock(1000.0)
    first = Audit(clock, tmp_path)
    for who in ("ann", "bob"):
        first.note(call(who=who, resource="train"))
        clock.advance(1)
    first.close()
    again = Audit(clock, tmp_path)
    assert [line.who for line in await read(again)] == ["ann", "bob"]
    assert [line.time for line in await read(again, who="bob")] == [1001.0]
    assert [line.who for line in await read(again, tail=1)] == ["bob"]
    clock.advance(KEPT_SECONDS)
    again._forget()
    assert await read(again) == []


async def test_it_is_bounded_by_number() -> None:
    audit = Audit(VirtualClock(0.0), kept=3)
    for who in "abcd":
        audit.note(call(who=who))
    assert [line.who for line in await read(audit)] == ["b", "c", "d"]


async def test_knocking_pushes_nothing_out() -> None:
    clock = VirtualClock(0.0)
    audit = Audit(clock, kept=10)
    audit.note(call(who="ann"))
    for _ in range(500):
        audit.note(knock())
        clock.advance(0.1)
    audit.note(knock("198.51.100.7"))
    assert [(line.who, line.address, line.repeated) for line in await read(audit)] == [
        ("ann", "", 0),
        ("", "192.0.2.1", 0),
        ("", "198.51.100.7", 0),
    ]
    clock.advance(60)
    told = await read(audit, outcome="refused")
    assert [(line.address, line.repeated) for line in told] == [
        ("192.0.2.1", 0),
        ("198.51.100.7", 0),
        ("192.0.2.1", 499),
    ]


async def test_many_that_knock_are_forgotten_with_their_number() -> None:
    audit = Audit(VirtualClock(0.0))
    for number in range(KNOCKING + 2):
        audit.note(knock(f"a{number}"))
        audit.note(knock(f"a{number}"))
    assert len(audit._refused) <= KNOCKING + 1
    assert any(line.repeated for line in await read(audit))
    audit.close()
    repeated = [line for line in await read(audit) if line.repeated]
    assert len(repeated) == KNOCKING + 2
