"""The packet filter rules that cut off the isolated bridges of this node. I/O (iptables).

Called by `isolation`. Docker's internal network alone leaves the node's own address, and so the
node's ports, open to its containers. A bridge exists only while a task uses it; rules name it by
its interface and so hold beforehand.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...crd_like_specs.errors import Permanent

_TIMEOUT: Final = 15.0  # seconds
_WAIT: Final = "5"  # seconds for the lock of the tables

METADATA: Final = {
    "iptables": ("169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32"),
    "ip6tables": ("fd00:ec2::254/128", "fd20:ce::254/128"),
}
"""Where clouds give a machine's own credentials to whoever asks on it, by tool."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Drop what matches. tool: `iptables` or `ip6tables`."""

    tool: str
    chain: str
    match: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    errors: str


Run = Callable[[Sequence[str]], Ran]


def rules(bridges: Iterable[str], *, ipv6: bool) -> tuple[Rule, ...]:
    """What has to be dropped for these bridges: to the node, through it and into them. Pure."""
    wanted = []
    for bridge in bridges:
        for tool, forward in _chains(ipv6=ipv6):
            wanted.append(Rule(tool, "INPUT", ("-i", bridge)))
            wanted.append(Rule(tool, forward, ("-i", bridge)))
            wanted.append(Rule(tool, forward, ("-o", bridge)))
    return tuple(wanted)


def apart(bridge: str, *, ipv6: bool) -> tuple[Rule, ...]:
    """What has to be dropped so that containers on this bridge don't reach each other. Pure."""
    match = ("-i", bridge, "-o", bridge)
    return tuple(Rule(tool, forward, match) for tool, forward in _chains(ipv6=ipv6))


def without_metadata(bridge: str, *, ipv6: bool) -> tuple[Rule, ...]:
    """What has to be dropped so that containers on this bridge, which have a way out, don't act as
    the machine that they run on. Its name servers may have the same addresses. Pure.
    """
    asks = ("-p", "tcp", "!", "--dport", "53")
    return tuple(
        Rule(tool, forward, ("-i", bridge, "-d", address, *asks))
        for tool, forward in _chains(ipv6=ipv6)
        for address in METADATA[tool]
    )


def without_node(bridge: str, *, ipv6: bool) -> tuple[Rule, ...]:
    """What has to be dropped so that containers on this bridge, which have a way out, reach no port
    of the machine that they run on, by whichever of its addresses. Its name server stays open: one
    that the machine runs for itself is asked from inside the container. So do answers to the
    machine, for an operator who looks at a job from there. Pure.
    """
    asks = ("-m", "conntrack", "!", "--ctstate", "RELATED,ESTABLISHED")
    return tuple(
        Rule(tool, "INPUT", ("-i", bridge, "-p", protocol, "!", "--dport", "53", *asks))
        for tool, _ in _chains(ipv6=ipv6)
        for protocol in ("tcp", "udp")
    )


def _chains(*, ipv6: bool) -> list[tuple[str, str]]:
    """Where what is forwarded is filtered: tool and chain."""
    chains = [("iptables", "DOCKER-USER")]  # the engine passes everything forwarded through it
    if ipv6:
        chains.append(("ip6tables", "FORWARD"))  # older engines have no chain of their own there
    return chains


def ensure(wanted: Iterable[Rule], run: Run | None = None) -> int:
    """Put missing rules before all others; how many were missing. Blocks.

    Raises Permanent(reason="NotRoot" | "NoFirewall") where they cannot be set.
    """
    run = run or command
    if os.geteuid() != 0:
        raise Permanent("firewall rules need root: run the agent as root", reason="NotRoot")
    return sum(_ensure(rule, run) for rule in wanted)


def _ensure(rule: Rule, run: Run) -> bool:
    body = (*rule.match, "-j", "DROP")
    if run((rule.tool, "-w", _WAIT, "-C", rule.chain, *body)).code == 0:
        return False
    added = run((rule.tool, "-w", _WAIT, "-I", rule.chain, "1", *body))
    if added.code != 0:
        words = " ".join((rule.tool, "-I", rule.chain, *body))
        raise Permanent(f"`{words}` failed: {added.errors}", reason="NoFirewall")
    return True


def remove(unwanted: Iterable[Rule], run: Run | None = None) -> None:
    """Take rules of `ensure` away again; those that are not there are left so. Blocks."""
    run = run or command
    for rule in unwanted:
        run((rule.tool, "-w", _WAIT, "-D", rule.chain, *rule.match, "-j", "DROP"))


def has_ipv6(proc: Path = Path("/proc")) -> bool:
    """Whether the kernel speaks IPv6 at all, so that there is something to filter."""
    return (proc / "net" / "if_inet6").exists()


def command(words: Sequence[str]) -> Ran:
    """Run it. A missing program is an exit code of 127, as in a shell."""
    try:
        done = subprocess.run(
            list(words),
            capture_output=True,
            timeout=_TIMEOUT,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except FileNotFoundError:
        return Ran(127, f"{words[0]} is not installed")
    except subprocess.TimeoutExpired:
        return Ran(124, f"it did not end within {_TIMEOUT:g} s")
    return Ran(done.returncode, done.stderr.decode(errors="replace").strip()[-500:])
