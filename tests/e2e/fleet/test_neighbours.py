"""No job reaches another job's container, whatever network they have and wherever they run; and
none acts as the machine that it runs on.
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
def main(hosts, port):
    return [f'tcp {host}' for host in hosts if tries(tcp, host, port)]
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


def test_a_job_with_a_way_out_gets_no_credentials_of_its_machine(fleet: Cluster) -> None:
    cloud, machine = fleet.manager.machine, fleet.workers["n1"].machine
    words = ("-m", "http.server", "80", "--bind", METADATA, "--directory", "/usr/share/doc")
    cloud.run("ip", "address", "add", f"{METADATA}/32", "dev", "lo")
    machine.run("ip", "route", "add", METADATA, "via", fleet.manager.address)
    server = cloud.popen("python3", *words)
    try:
        ask = ("curl", "--fail", "--silent", "--output", "/dev/null", f"http://{METADATA}")
        wait_for(lambda: machine.run(*ask, check=False).returncode == 0)  # the machine itself may
        for port, hosts, found in (
            (80, [METADATA], []),
            (50051, [fleet.manager.address], [f"tcp {fleet.manager.address}"]),
        ):
            args = {"port": port, "hosts": hosts}
            text = job(f"asks-{port}", OUTWARDS, "n1", "Egress", **args)
            assert fleet.apply(text).returncode == 0
            assert fleet.client.result(f"asks-{port}", timeout=60) == found
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        machine.run("ip", "route", "del", METADATA)
        cloud.run("ip", "address", "del", f"{METADATA}/32", "dev", "lo")
