"""A stream through fifty cut connections and two killed controllers: every line once, in order."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from cumulus.api.frames import Log
from cumulus.sdk import AsyncCumulusClient, Done
from cumulus.sdk.outcome import result_of
from cutting_proxy import CuttingProxy
from system import System

LINES = 100_000
GATES = (40_000, 88_000)
"""The job waits here until it is let on, which is right before the controller is killed: it prints
on, and at last ends, while nobody hears it."""

CUTS = 50
CUT_WITHIN = 2_000
"""Bytes after which an armed cut comes at the latest. The last gate opens when all cuts are armed,
so those not made yet find enough of the stream behind it, however far ahead the sender was."""
MAIN = """
import os, sys, time

def main(lines, gates):
    out = sys.stdout
    for number in range(lines):
        if str(number) in gates:
            out.flush()
            while not os.path.exists(gates[str(number)]):
                time.sleep(0.005)
        out.write(f"line {number}\\n")
    return {"printed": lines}
"""


def test_every_line_comes_once_and_in_order_and_the_result_after_them(
    process: System, tmp_path: Path
) -> None:
    gates = {number: tmp_path / f"gate-{number}" for number in GATES}
    job = {
        "metadata": {"name": "many-lines"},
        "spec": {
            "code": {"files": {"main.py": MAIN}},
            "args": {"lines": LINES, "gates": {str(n): str(p) for n, p in gates.items()}},
            "gpu": None,
            "duration": 300,
        },
    }
    chance = random.Random(7)
    # Some bytes after each of these lines was read, wherever the sender is by then.
    cut_at = set(chance.sample(range(GATES[-1]), CUTS))

    async def follow(proxy: CuttingProxy) -> tuple[list[bytes], Done]:
        text: list[bytes] = []
        seen = 0
        async with AsyncCumulusClient(proxy.address) as client:
            async for event in client.submit_and_stream(job):
                if isinstance(event, Done):
                    return text, event
                if not isinstance(event, Log):
                    continue
                text.append(event.record.data)
                before, seen = seen, seen + event.record.data.count(b"\n")
                for number in range(before, seen):
                    if number in cut_at:
                        proxy.cut_after(chance.randrange(CUT_WITHIN))
                for number in GATES:
                    if before < number <= seen:
                        gates[number].touch()
                        await asyncio.to_thread(restart)
        raise AssertionError("a job's stream ends with Done")

    def restart() -> None:
        process.kill9()
        process.start()

    with CuttingProxy(process.grpc) as proxy:
        text, done = asyncio.run(follow(proxy))
        assert proxy.cuts == CUTS
    assert b"".join(text).decode().splitlines() == [f"line {number}" for number in range(LINES)]
    assert result_of(done.job, done.envelope) == {"printed": LINES}
    assert done.job.status.attempt == 1
