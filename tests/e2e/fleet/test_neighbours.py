"""No job reaches another job's container, whatever network they have and wherever they run; and
none acts as the machine that it runs on, or reaches its ports.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
from typing import Any

import pytest
from cluster import Cluster
from ctl import wait_for
from manifests import manifest

pytestmark = [pytest.mark.docker, pytest.mark.chronos]

PORT = 40404
NETWORKS = ("None", "Egress")

VICTIM = """
import socket, threading
def answer(udp):
    while True:
        data, peer = udp.recvfrom(64)
        udp.sendto(data, peer)
def main(port):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(('0.0.0.0', port))
    threading.Thread(target=answer, args=(udp,), daemon=True).start()
    tcp = socket.create_server(('0.0.0.0', port))
    print('at', socket.gethostbyname(socket.gethostname()), flush=True)
    while True:
        tcp.accept()
"""

INTRUDER = """
import socket, threading
def tcp(host, port):
    socket.create_connection((host, port), timeout=2).close()
def udp(host, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(2)
    s.sendto(b'?', (host, port))
    s.recvfrom(64)
def tries(how, host, port):
    try:
        how(host, port)
        return True
    except OSError:
        return False
def main(hosts, port):
    server = socket.create_server(('0.0.0.0', port + 1))
    own = socket.gethostbyname(socket.gethostname())
    assert tries(tcp, own, port + 1), 'the try itself must work'
    return [f'{how.__name__} {host}' for host in hosts if host != own
            for how in (tcp, udp) if tries(how, host, port)]
"""


OUTWARDS = (
    INTRUDER.partition("def main")[0]
    + """
def gateway():
    with open('/proc/net/route') as file:
        [found] = [line.split()[2] for line in file if line.split()[1] == '00000000']
    return socket.inet_ntoa(bytes.fromhex(found)[::-1])
def main(asked, port):
    ways = [*asked, (gateway(), port)]
    return [f'{host}:{number}' for host, number in ways if tries(tcp, host, number)]
"""
)


def job(name: str, main: str, worker: str, network: str, **args: Any) -> str:
    return manifest(
        name, main, network=network, nodeSelector={"hostname": worker}, args={"port": PORT, **args}
    )


def test_nobody_reaches_anothers_container(fleet: Cluster) -> None:
    victims = {f"victim-{network.lower()}": network for network in NETWORKS}
    for name, network in victims.items():
        assert fleet.apply(job(name, VICTIM, "n1", network)).returncode == 0
    hosts = []
    for name in victims:
        found = wait_for(lambda name=name: re.search(r"at (\S+)", fleet.logs(name)))
        hosts.append(found[1])
    intruders = {}
    for worker, network in itertools.product(fleet.workers, NETWORKS):
        name = f"intruder-{worker}-{network.lower()}"
        assert fleet.apply(job(name, INTRUDER, worker, network, hosts=hosts)).returncode == 0
        intruders[name] = (worker, network)
    reached = {name: fleet.client.result(name, timeout=60) for name in intruders}
    assert reached == {name: [] for name in intruders}, hosts
    for name in victims:
        fleet.ctl("cancel", name)
        fleet.wait_phase(name, "Cancelled")
    fleet.clean()


METADATA = "169.254.169.254"
"""Where clouds give a machine's credentials to whoever asks on it."""


def test_a_job_with_a_way_out_reaches_the_world_but_not_its_machine(fleet: Cluster) -> None:
    """Neither its ports, by any of its addresses, nor its credentials. A name server of its own is
    open to jobs, since that is asked from inside the container.
    """
    cloud, machine = fleet.manager.machine, fleet.workers["n1"].machine
    cloud.run("ip", "address", "add", f"{METADATA}/32", "dev", "lo")
    machine.run("ip", "route", "add", METADATA, "via", fleet.manager.address)
    served = ((cloud, METADATA, 80), (machine, "0.0.0.0", PORT), (machine, "0.0.0.0", 53))
    servers = [
        where.popen("python3", "-m", "http.server", str(port), "--bind", host, "-d", "/usr/share")
        for where, host, port in served
    ]
    try:
        links = [line.split() for line in machine.run("ip", "-4", "-o", "addr").stdout.splitlines()]
        own = [
            words[3].partition("/")[0]
            for words in links
            if not words[1].startswith(("lo", "cml-"))  # jobs' bridges come and go
        ]
        here = fleet.workers["n1"].address
        assert here in own
        closed = [(METADATA, 80), *((address, PORT) for address in own)]
        ask = ("curl", "--fail", "--silent", "--output", "/dev/null")
        for host, port in (*closed, (here, 53)):  # the machine itself may
            wait_for(
                lambda url=f"http://{host}:{port}": (
                    machine.run(*ask, url, check=False).returncode == 0
                )
            )
        reached = [(fleet.manager.address, 50051), (here, 53)]
        text = job("asks", OUTWARDS, "n1", "Egress", asked=[*closed, *reached])
        assert fleet.apply(text).returncode == 0
        assert fleet.client.result("asks", timeout=60) == [
            f"{host}:{port}" for host, port in reached
        ]
    finally:
        for server in servers:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
        machine.run("ip", "route", "del", METADATA)
        cloud.run("ip", "address", "del", f"{METADATA}/32", "dev", "lo")
