"""How often somebody may ask: token buckets that are told the time. Pure.

Used by `gate.py`. The libraries that know asyncio make callers wait instead of refusing them, or look
at a clock of their own.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

MOST: Final = 10_000
"""Callers that are remembered; the one that was heard of the longest ago goes first."""

LOCAL: Final = "local"
"""Whoever comes by a socket file."""


@dataclass(frozen=True, slots=True)
class RateLimits:
    """requests: a second, of one token, or of one address without tokens; burst: at once, after a
    pause; wrong_tokens: a minute, from one address. 0: any number.
    """

    requests: float = 500.0
    burst: int = 2000
    wrong_tokens: float = 30.0


class Buckets:
    """A bucket for each caller: `burst` at once, then `rate` a second. rate 0: any number. Times are
    seconds of a clock that never goes back.
    """

    def __init__(self, rate: float, burst: float, most: int = MOST) -> None:
        self._rate, self._burst, self._most = rate, float(burst), most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._left)

    def wait(self, key: str, now: float) -> float:
        """Seconds until this caller may ask again, 0.0 where it may now; nothing is taken."""
        if not self._rate:
            return 0.0
        return max(0.0, (1.0 - self._at(key, now)) / self._rate)

    def take(self, key: str, now: float) -> float:
        """The same, and where it may now that counts."""
        wait = self.wait(key, now)
        if self._rate and not wait:
            self._left[key] = (self._at(key, now) - 1.0, now)
            self._left.move_to_end(key)
            while len(self._left) > self._most:
                self._left.popitem(last=False)
        return wait

    def _at(self, key: str, now: float) -> float:
        left, then = self._left.get(key, (self._burst, now))
        return min(self._burst, left + max(0.0, now - then) * self._rate)


def address_of(peer: str) -> str:
    """The caller's address from gRPC's words for it, `ipv4:192.0.2.1:4711`."""
    kind, _, rest = unquote(peer).partition(":")
    if kind not in ("ipv4", "ipv6"):
        return LOCAL
    return rest.rpartition(":")[0].strip("[]").partition("%")[0]


def is_loopback(address: str) -> bool:
    """Whether it is one of this machine's own."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def block_of(address: str) -> str:
    """Whom an address stands for: of IPv6 everybody has at least 64 bits to choose from."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    mapped = found.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.ip_network((address, 64), strict=False))
