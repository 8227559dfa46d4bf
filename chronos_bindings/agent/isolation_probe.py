"""Run inside a container: tries to reach what it must not. I/O; standard library only.

`isolation` gives this file's text to `python3 -c` with one argument, a JSON object:

    {"listen": port}                     be a peer that accepts connections and answers datagrams
    {"tcp": [[name, host, port], …], "udp": [[name, host, port], …], "names": [host, …]}

The second prints one line, {"reached": [words], "tried": count}. A refused connection counts as
reached: the refusal came from there.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

TIMEOUT = 1.0  # seconds for one address; what is dropped never answers
ANYWHERE = "0.0.0.0"  # noqa: S104 (the peer must be open to all for the check to mean anything)


def serve(port: int) -> None:
    """See the module docstring; never ends."""
    tcp = socket.create_server((ANYWHERE, port))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((ANYWHERE, port))
    threading.Thread(target=_answer, args=(udp,), daemon=True).start()
    print("listening", flush=True)  # noqa: T201 (stdout is how it speaks)
    while True:
        tcp.accept()[0].close()


def _answer(udp: socket.socket) -> None:
    while True:
        data, sender = udp.recvfrom(100)
        udp.sendto(data, sender)


def tcp_reaches(host: str, port: int) -> bool:
    """Whether a connection is accepted or refused there."""
    try:
        socket.create_connection((host, port), TIMEOUT).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


def udp_reaches(host: str, port: int) -> bool:
    """Whether a datagram is answered or refused there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(TIMEOUT)
        try:
            udp.connect((host, port))
            udp.send(b"cumulus")
            udp.recv(100)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return True


def resolves(name: str) -> bool:
    """Whether a name of the world outside is answered."""
    try:
        socket.getaddrinfo(name, 443)
    except OSError:
        return False
    return True


def has_ipv6() -> bool:
    """Whether an interface beside loopback has an IPv6 address."""
    try:
        with Path("/proc/net/if_inet6").open(encoding="ascii") as file:
            return any(line.split()[-1] != "lo" for line in file)
    except OSError:
        return False


def probe(wanted: dict[str, Any]) -> dict[str, Any]:
    """All at once, so that the whole takes as long as its slowest try."""
    tries: list[tuple[str, Callable[[], bool]]] = [("an IPv6 address of its own", has_ipv6)]
    tries += [
        (f"{what} (TCP {host}:{port})", partial(tcp_reaches, host, port))
        for what, host, port in wanted["tcp"]
    ]
    tries += [
        (f"{what} (UDP {host}:{port})", partial(udp_reaches, host, port))
        for what, host, port in wanted["udp"]
    ]
    tries += [(f"name service ({name})", partial(resolves, name)) for name in wanted["names"]]
    reached: list[str] = []

    def attempt(what: str, reaches: Callable[[], bool]) -> None:
        if reaches():
            reached.append(what)

    threads = [threading.Thread(target=attempt, args=one) for one in tries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"reached": sorted(reached), "tried": len(tries)}


def main() -> None:
    """See the module docstring."""
    wanted = json.loads(sys.argv[1])
    if "listen" in wanted:
        serve(wanted["listen"])
    print(json.dumps(probe(wanted)), flush=True)  # noqa: T201 (same)


if __name__ == "__main__":
    main()
