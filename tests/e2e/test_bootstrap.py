"""controller.sh and worker.sh on bare Debian machines: the way that a worker takes, from nothing
to its jobs and back to nothing. The tests follow each other on the same two machines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import bare
import pytest
from ctl import wait_for
from netns import Lan
from rented import Office, Rented, Run

STEPS = [
    "base",
    "programs",
    "identity",
    "daemon",
    "packages",
    "chronos",
    "engine",
    "swarm",
    "agent",
]
LIMIT = 300  # seconds from bare to Ready, all broken off runs counted in
DATA = "var/lib/cumulus/worker"
ALIVE = (  # what changes on a worker by itself
    *bare.TRACES, "var/lib/docker", "var/lib/containerd", f"{DATA}/status.json", f"{DATA}/blobs",
    f"{DATA}/images", "root/.docker", "var/lib/misc", "opt/containerd",
)  # fmt: skip


@pytest.fixture(scope="module")
def lan() -> Iterator[Lan]:
    with Lan() as lan:
        yield lan


@pytest.fixture(scope="module")
def office(lan: Lan, tmp_path_factory: pytest.TempPathFactory) -> Office:
    """The worker's machine has no systemd, this one has."""
    office = Office(lan, tmp_path_factory.mktemp("office"))
    run = office.set_up()
    assert run.code == 0, run.text()
    return office


class Site:
    """The worker's machine, and what the tests before saw of it."""

    def __init__(self, machine: Rented) -> None:
        self.machine = machine
        self.before = machine.state()
        self.seconds = 0.0

    def worker(self, *arguments: str, token: str = "", **options: object) -> Run:
        run = self.machine.script("worker.sh", *arguments, token=token, **options)  # type: ignore[arg-type]
        assert run.shown == []
        return run


@pytest.fixture(scope="module")
def site(lan: Lan, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(Rented(lan, "gpu-1", tmp_path_factory.mktemp("gpu-1")))


def agent_status(site: Site) -> dict[str, object]:
    return dict(json.loads((site.machine.root / DATA / "status.json").read_text()))


def agents(site: Site) -> list[str]:
    """Pids of agents on the worker; Chronos' child is none."""
    running = site.machine.programs().items()
    return [pid for pid, said in running if "bin/cumulus-agent " in said]


def test_the_controller_is_set_up_once(office: Office) -> None:
    run = office.set_up()
    assert run.code == 0, run.text()
    assert run.steps == []
    assert "nothing had to be changed" in run.text()
    commands = [line for line in run.lines if "worker.sh --controller" in line]
    assert [f"--controller {office.address}:50051" in command for command in commands] == [True]
    config = office.root / "root/.config/cumulus/config.yaml"
    assert config.stat().st_mode & 0o777 == 0o600
    assert office.ctl("get", "jobs").returncode == 0


def test_the_controller_is_a_unit_that_comes_back(office: Office) -> None:
    units = ("docker", "cumulus-controller")
    assert office.run("systemctl", "is-enabled", *units).stdout.split() == ["enabled", "enabled"]
    office.run("systemctl", "kill", "--signal=KILL", "cumulus-controller")
    wait_for(lambda: office.ctl("get", "jobs", check=False).returncode == 3, 10)
    wait_for(lambda: office.ctl("get", "jobs", check=False).returncode == 0, 60)


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["--controller", "{office}:50051", "--dry-run"], 0, "9 steps would be done; nothing was changed"),
        (["--controller", "{office}:1"], 1, "port 1 of {office} (the controller) does not answer"),
        (["--controller", "nowhere"], 2, "--controller 'nowhere': expected HOST:PORT"),
        (["--controller", "{office}:50051", "--label", "a b"], 2, "--label 'a b': expected KEY=VALUE"),
        (["--controller", "{office}:50051", "--available-until", "1999-01-01"], 2, "is past"),
        (["--controller", "{office}:50051", "--dataset-cache", "much"], 2, "--dataset-cache 'much': expected a size"),
        (["--nonsense"], 2, "unknown argument '--nonsense'"),
        (["--uninstall"], 0, "nothing was installed here by worker.sh"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_in_a_line_and_changes_nothing(
    site: Site, office: Office, arguments: list[str], code: int, why: str
) -> None:
    run = site.worker(*(word.format(office=office.address) for word in arguments))
    assert run.code == code, run.text()
    assert why.format(office=office.address) in run.last
    assert site.machine.changed_since(site.before) == {}


def test_a_plain_container_is_refused_with_what_works(site: Site, office: Office) -> None:
    script = f"{bare.CHECKOUT}/bootstrap/worker.sh"
    without = ("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin")
    run = site.machine.run(
        *without, script, "--controller", f"{office.address}:50051", "--dry-run", check=False
    )
    assert run.returncode == 1
    assert "no CAP_SYS_ADMIN: a plain container?" in run.stderr
    assert "a VM instance, not a container" in run.stderr


def test_broken_off_at_every_step_it_goes_on(site: Site, office: Office) -> None:
    """And wrong tokens, and a closed port, are told in a line on the way."""
    there = ["--controller", f"{office.address}:50051", "--label", "zone=attic"]
    root = site.machine.root
    expired, token = office.token("--ttl", "1s"), office.token()
    used = office.token()
    office.run("/opt/cumulus/venv/bin/cumulus-agent", "join", "--controller", there[1],
               "--data", "/tmp/other", "--name", "other", env={"CUMULUS_JOIN_TOKEN": used})  # fmt: skip

    def killed(step: str, when: Callable[[], bool] | None = None) -> None:
        run = site.worker(*there, token=token, stop=step, when=when)
        assert run.steps[-1:] == [step], run.text()
        assert run.code == -9, run.text()
        site.seconds += run.seconds

    def refused(why: str, token: str) -> None:
        run = site.worker(*there, token=token)
        assert run.code == 1
        assert re.search(why, run.last), run.text()
        site.seconds += run.seconds

    killed("base")
    killed("programs")
    killed("programs", (root / "opt/cumulus/venv/bin/f2py").exists)
    killed("identity")
    refused("a join token is needed", "")
    refused("this is no join token", "cmlj1.nonsense")
    refused("the join token ended at", expired)
    refused("the join token is used up", used)
    office.port_closed(2377, closed=True)
    refused(r"port 2377 of \S+ \(the Swarm's manager\) does not answer", token)
    office.port_closed(2377, closed=False)
    killed("daemon")
    killed("packages")
    killed("packages", lambda: any((root / "var/lib/dpkg/updates").iterdir()))
    killed("chronos")
    killed("engine")
    killed("swarm")
    killed("agent")
    run = site.worker(*there, token=token)
    site.seconds += run.seconds
    assert run.code == 0, run.text()
    assert f"this machine is a worker of {there[1]}: ready" in run.text()
    assert any(line.endswith("shares are held by: chronos") for line in run.lines), run.text()
    assert "NetworkIsolated: yes" in run.text()


def test_the_controller_sees_it_and_runs_a_job_there(site: Site, office: Office) -> None:
    assert site.machine.name in office.worker("gpu-1")
    assert " Ready " in office.worker("gpu-1")
    shown = json.loads(office.ctl("get", "workers", "gpu-1", "-o", "json").stdout)
    assert shown["metadata"]["labels"]["zone"] == "attic"
    job = f"{bare.CHECKOUT}/crd_like_specs/examples/hello.yaml"
    done = office.ctl("apply", job, "--wait")
    assert json.loads(done.stdout.splitlines()[-1])["greeting"] == "hello, cumulus"


def test_the_supervisor_keeps_one_instance_and_a_short_log(site: Site) -> None:
    noisy = site.machine.root / "etc/cumulus/services/noisy"
    noisy.write_text("sh\n-c\nhead -c 12000000 /dev/zero | tr '\\0' x; exec sleep 1\n")
    log, older = (site.machine.root / f"var/log/cumulus/noisy.log{end}" for end in ("", ".1"))
    assert site.machine.run("cumulus-supervise", "start", "noisy").stderr == ""
    assert "runs already" in site.machine.run("cumulus-supervise", "start", "noisy").stderr
    supervisors = [
        said for said in site.machine.programs().values() if "supervise supervise noisy" in said
    ]
    assert len(supervisors) == 1
    wait_for(lambda: older.exists() and log.stat().st_size < 12_000_000, 30)
    wait_for(lambda: b"sh ended with 0; again in" in log.read_bytes()[-200:], 30)
    assert site.machine.run("cumulus-supervise", "stop", "noisy").returncode == 0
    assert site.machine.run("cumulus-supervise", "status", "noisy", check=False).returncode == 3
    assert not any(
        "noisy" in said or "/dev/zero" in said for said in site.machine.programs().values()
    )
    noisy.unlink()


def test_a_killed_supervisors_program_goes_on_under_the_next_one(site: Site) -> None:
    """And is stopped with it: its leases are held all the while."""
    (pid,) = agents(site)
    supervisor = site.machine.run("cat", "/run/cumulus/cumulus-agent.pid").stdout.strip()
    site.machine.run("kill", "-9", supervisor)
    site.machine.run("cumulus-supervise", "start", "cumulus-agent")
    log = site.machine.root / "var/log/cumulus/cumulus-agent.log"
    wait_for(lambda: f"goes on with pid {pid}" in log.read_text(), 10)
    assert agents(site) == [pid]
    site.machine.run("cumulus-supervise", "stop", "cumulus-agent")
    assert agents(site) == []
    site.machine.run("cumulus-supervise", "start", "cumulus-agent")
    lock = site.machine.root / DATA / "lock"
    wait_for(lambda: lock.read_text().strip() in agents(site), 60)
    wait_for(lambda: agent_status(site)["contact"], 60)


def test_all_that_took_less_than_five_minutes(site: Site) -> None:
    assert 0 < site.seconds < LIMIT


def test_run_again_it_changes_nothing(site: Site, office: Office) -> None:
    def state() -> object:
        info = json.loads(site.machine.run("docker", "info", "--format", "{{json .}}").stdout)
        engine = {key: info[key] for key in ("ID", "Swarm", "DefaultRuntime", "LoggingDriver")}
        pid = (site.machine.root / DATA / "lock").read_text()
        return bare.tree(site.machine.root, ALIVE), site.machine.packages(), engine, pid

    before = state()
    run = site.worker("--controller", f"{office.address}:50051")
    assert run.code == 0, run.text()
    assert run.steps == []
    assert "nothing had to be changed" in run.text()
    assert state() == before
    run = site.worker("--controller", f"{office.address}:50051", "--dry-run")
    assert "0 steps would be done" in run.last
    assert state() == before


def test_no_secret_is_left_in_logs(site: Site) -> None:
    identity = json.loads((site.machine.root / DATA / "identity/identity.json").read_text())
    logs = "".join(p.read_text() for p in (site.machine.root / "var/log/cumulus").iterdir())
    assert "step identity: done" in logs
    assert identity["swarm_join_token"] == ""  # used, and so forgotten
    assert "SWMTKN" not in logs
    assert not re.search(r"cmlj1\.[0-9a-f]{16}\.", logs)
    assert site.machine.run("stat", "-c", "%a", f"/{DATA}/identity/worker.key").stdout == "600\n"


def test_the_engine_listens_on_no_network_but_for_the_swarm(site: Site) -> None:
    """Requirement 14.6: remote connections are Swarm's own, by mutual TLS."""
    listening = site.machine.run("ss", "-Hltnp").stdout
    ports = {
        int(row.split()[3].rpartition(":")[2]) for row in listening.splitlines() if "dockerd" in row
    }
    assert ports == {7946}


def test_a_killed_agent_and_a_killed_machine_come_back(site: Site, office: Office) -> None:
    before = int((site.machine.root / DATA / "lock").read_text())
    site.machine.run("kill", "-9", str(before))
    wait_for(lambda: int((site.machine.root / DATA / "lock").read_text() or before) != before, 60)
    wait_for(lambda: agent_status(site)["contact"], 60)
    machine = site.machine.machine
    machine.power_off()
    wait_for(lambda: " Ready " not in office.worker("gpu-1"), 60)
    machine.power_on()
    site.machine.run("cumulus-supervise", "boot")
    wait_for(lambda: " Ready " in office.worker("gpu-1"), 60)


def test_a_worker_that_left_the_swarm_comes_back_by_a_new_token(site: Site, office: Office) -> None:
    there = ("--controller", f"{office.address}:50051")
    site.machine.run("docker", "swarm", "leave")
    run = site.worker(*there)
    assert run.code == 1
    assert "cumulusctl token create --worker gpu-1" in run.last
    run = site.worker(*there, token=office.token("--worker", "gpu-1"))
    assert run.code == 0, run.text()
    assert run.steps == ["identity", "swarm"]
    wait_for(lambda: " Ready " in office.worker("gpu-1"), 60)


def test_uninstalled_it_is_as_it_was(site: Site, office: Office) -> None:
    run = site.worker("--uninstall")
    assert run.code == 0, run.text()
    assert site.machine.changed_since(site.before) == {}
    assert [said for said in site.machine.programs().values() if "cumulus" in said] == []
    wait_for(lambda: " Ready " not in office.worker("gpu-1"), 60)
    assert not Path(site.machine.root / "tmp/chronos_locks").exists()


def test_the_controller_too(office: Office) -> None:
    run = office.script("controller.sh", "--uninstall", "--purge")
    assert run.code == 0, run.text()
    assert office.changed_since(office.before) == {}
