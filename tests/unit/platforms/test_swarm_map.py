"""What is posted to Swarm, and what its answers mean: tables from what Docker 20.10 showed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cumulus.chronos_bindings.agent import isolation
from cumulus.controller.platforms import swarm_map
from cumulus.controller.platforms.base import LogFrame
from cumulus.controller.platforms.swarm_events import concerns
from cumulus.controller.platforms.swarm_frames import parse_frames
from cumulus.controller.platforms.swarm_networks import EGRESS, EVERY, ISOLATED
from cumulus.controller.reconcile.actions import Mount, ServiceSpec
from cumulus.controller.reconcile.observed import ServiceState
from cumulus.crd_like_specs.errors import Temporary

UID = "0123456789abcdef" * 2
NAME = f"cumulus-{UID}-2"
IMAGE = "sha256:" + "a" * 64
STAMP = "2026-11-21T02:37:48.807123456Z"
POSIX = 1795228668.807123

CODE = ServiceSpec(
    name=NAME,
    uid=UID,
    attempt=2,
    job="hello",
    node_id="node1",
    worker="w",
    image="cumulus-job:latest",
    unit_dir="/staging/u",
    env={"JOB_ID": UID, "B": "x=y"},
    mounts=(Mount("/staging/u/job", "/job"), Mount("/staging/u/env", "/env")),
    cpus=1500,
    memory=64 << 20,
    pids=33,
    shm=8 << 20,
    stop_grace=2.5,
)


def container(spec: ServiceSpec) -> dict[str, Any]:
    found: dict[str, Any] = swarm_map.create_body(spec, IMAGE)["TaskTemplate"]["ContainerSpec"]
    return found


def mount(spec: ServiceSpec, target: str) -> dict[str, Any]:
    (found,) = [m for m in container(spec)["Mounts"] if m["Target"] == target]
    return dict(found)


def test_one_replica_that_is_never_restarted_by_swarm() -> None:
    body = swarm_map.create_body(CODE, IMAGE)
    assert body["Name"] == NAME
    assert body["Mode"] == {"Replicated": {"Replicas": 1}}
    assert body["EndpointSpec"] == {"Mode": "dnsrr"}
    template = body["TaskTemplate"]
    assert template["RestartPolicy"] == {"Condition": "none"}
    assert template["Placement"] == {"Constraints": ["node.id==node1"]}
    assert template["LogDriver"] == {"Name": "json-file", "Options": {"max-size": "256m"}}


def test_limits_are_whole_nanocores_bytes_and_pids_without_reservations() -> None:
    resources = swarm_map.create_body(CODE, IMAGE)["TaskTemplate"]["Resources"]
    limits = {"NanoCPUs": 1_500_000_000, "MemoryBytes": 64 << 20, "Pids": 33}
    assert resources == {"Limits": limits}


def test_service_and_container_bear_the_labels() -> None:
    labels = {
        "dev.cumulus.owned": "1",
        "dev.cumulus.uid": UID,
        "dev.cumulus.attempt": "2",
        "dev.cumulus.job": "hello",
    }
    assert swarm_map.create_body(CODE, IMAGE)["Labels"] == labels
    assert container(CODE)["Labels"] == {**labels, "dev.cumulus.folder": CODE.unit_dir}


@pytest.mark.parametrize(
    ("asked", "given"),
    [("", "1000:1000"), ("7", "7:7"), ("7:9", "7:9"), ("0", "0:0"), ("nobody", "nobody")],
)
def test_a_number_never_comes_without_its_group(asked: str, given: str) -> None:
    made = container(replace(CODE, user=asked))
    assert made["User"] == given
    assert made["CapabilityDrop"] == ["ALL"]


def test_the_container_has_no_power() -> None:
    made = container(CODE)
    assert made["Image"] == IMAGE
    assert made["User"] == "1000:1000"
    assert made["ReadOnly"] is True
    assert made["CapabilityDrop"] == ["ALL"]
    assert made["Init"] is True
    assert made["StopGracePeriod"] == 2_500_000_000
    assert made["Ulimits"] == [{"Name": "core", "Soft": 0, "Hard": 0}]


def test_a_cap_on_data_is_a_limit_of_the_container() -> None:
    assert {"Name": "data", "Soft": 9 << 20, "Hard": 9 << 20} in container(
        replace(CODE, data=9 << 20)
    )["Ulimits"]


def test_code_keeps_the_images_entry_point_and_a_command_replaces_it() -> None:
    assert "Command" not in container(CODE)
    assert "Args" not in container(CODE)
    assert container(replace(CODE, command=("echo", "a b")))["Command"] == ["echo", "a b"]


def test_environment_is_sorted_and_home_is_writable_unless_set() -> None:
    assert container(CODE)["Env"] == ["B=x=y", "HOME=/work", f"JOB_ID={UID}"]
    assert container(replace(CODE, env={"HOME": "/env"}))["Env"] == ["HOME=/env"]


def test_binds_are_read_only() -> None:
    for target, source in (("/job", "/staging/u/job"), ("/env", "/staging/u/env")):
        made = {"Type": "bind", "Source": source, "Target": target, "ReadOnly": True}
        assert mount(CODE, target) == made


def test_only_what_is_the_jobs_own_is_writable() -> None:
    kept = Mount("/staging/u/checkpoint", "/checkpoint", writable=True)
    made = mount(replace(CODE, mounts=(*CODE.mounts, kept)), "/checkpoint")
    assert (made["Source"], made["ReadOnly"]) == (kept.source, False)


def test_work_is_an_executable_volume_of_limited_size_named_like_the_unit() -> None:
    made = mount(CODE, "/work")
    assert (made["Type"], made["Source"]) == ("volume", NAME)
    options = made["VolumeOptions"]
    assert options["NoCopy"] is True
    assert options["Labels"]["dev.cumulus.owned"] == "1"
    assert options["DriverConfig"] == {
        "Name": "local",
        "Options": {
            "type": "tmpfs",
            "device": "tmpfs",
            "o": f"size={32 << 20},mode=1777,nosuid,nodev",
        },
    }


@pytest.mark.parametrize(("target", "size"), [("/tmp", 32 << 20), ("/dev/shm", 8 << 20)])
def test_tmpfs_of_limited_size(target: str, size: int) -> None:
    assert mount(CODE, target) == {
        "Type": "tmpfs",
        "Target": target,
        "TmpfsOptions": {"SizeBytes": size, "Mode": 0o1777},
    }


def test_isolated_jobs_get_the_network_and_a_name_server_that_answers_at_once() -> None:
    body = swarm_map.create_body(CODE, IMAGE)["TaskTemplate"]
    assert body["Networks"] == [{"Target": "cumulus-isolated"}]
    assert body["ContainerSpec"]["DNSConfig"]["Options"] == ["timeout:1", "attempts:1"]
    open_body = swarm_map.create_body(replace(CODE, isolated=False), IMAGE)["TaskTemplate"]
    assert open_body["Networks"] == [{"Target": "cumulus-egress"}]
    assert "DNSConfig" not in open_body["ContainerSpec"]


def test_a_network_that_would_not_isolate_is_told_apart() -> None:
    network = ISOLATED.network()
    assert ISOLATED.unfit(network) == ""
    assert ISOLATED.unfit({**network, "Internal": False}) == "Internal is False, not True"
    assert "ConfigFrom" in ISOLATED.unfit({**network, "ConfigFrom": {"Network": ""}})


def test_nodes_and_agents_configure_the_same_networks() -> None:
    """A controller's word for its own node is the agents' for theirs."""
    for network in EVERY:
        made = network.configuration()["Options"]
        assert made == isolation.options(network.bridge, outwards=network.outwards)
    assert ISOLATED.network()["Internal"]
    assert not EGRESS.network()["Internal"]


def service(name: str = NAME) -> dict[str, Any]:
    return {"ID": "s1", "Spec": {"Name": name, "Labels": {"dev.cumulus.owned": "1"}}}


def task(state: str, *, code: int | None = None, **more: Any) -> dict[str, Any]:
    status: dict[str, Any] = {"State": state, "Timestamp": STAMP, "Err": more.pop("err", "")}
    if code is not None:
        status["ContainerStatus"] = {"ContainerID": "c", "PID": 0, "ExitCode": code}
    made = {"NodeID": "node1", "DesiredState": "running", "CreatedAt": STAMP, "Status": status}
    return {**made, **more}


NO_IMAGE = "No such image: sha256:aaaa"
NO_NODE = "no suitable node (scheduling constraints not satisfied on 1 node)"
NO_BIND = "invalid mount config for type bind: bind source path does not exist: /nope"
NOT_FOUND = 'starting container failed: exec: "nope": executable file not found in $PATH'
S = ServiceState


@pytest.mark.parametrize(
    ("seen", "state", "code", "message"),
    [
        *((task(word), S.PENDING, None, "") for word in ("new", "allocated", "assigned")),
        *((task(word), S.PENDING, None, "") for word in ("accepted", "preparing", "starting")),
        (task("pending", err=NO_NODE, NodeID=""), S.PENDING, None, NO_NODE),
        (task("running", code=0), S.RUNNING, None, ""),
        (task("complete", code=0, DesiredState="shutdown"), S.COMPLETE, 0, ""),
        (task("complete"), S.COMPLETE, 0, ""),
        (task("failed", code=3, err="task: non-zero exit (3)"), S.FAILED, 3, ""),
        (task("failed", code=127, err=NOT_FOUND), S.FAILED, 127, NOT_FOUND),
        (task("failed", code=126, err="not executable"), S.FAILED, 126, "not executable"),
        (task("failed", code=128, err="unknown user"), S.FAILED, 128, "unknown user"),
        (task("failed", code=255, err="task: non-zero exit (255)"), S.FAILED, 255, ""),
        (task("failed", code=0, err="agent restarted"), S.FAILED, None, "agent restarted"),
        (task("failed", err="no container"), S.FAILED, None, "no container"),
        (task("shutdown", code=143), S.FAILED, 143, ""),
        (task("rejected", err=NO_IMAGE), S.REJECTED, None, NO_IMAGE),
        (task("rejected", err=NO_BIND), S.REJECTED, None, NO_BIND),
        (task("orphaned"), S.LOST, None, ""),
        (task("a state of a newer Docker"), S.LOST, None, ""),
    ],
)
def test_what_a_task_means(
    seen: dict[str, Any], state: ServiceState, code: int | None, message: str
) -> None:
    found = swarm_map.service_seen(service(), [seen])
    assert found is not None
    assert (found.state, found.exit_code, found.message) == (state, code, message)
    assert (found.name, found.uid, found.attempt) == (NAME, UID, 2)
    assert found.finished_at == (pytest.approx(POSIX) if state.ended else 0.0)
    assert not found.out_of_memory


def test_137_counts_as_out_of_memory() -> None:
    found = swarm_map.service_seen(service(), [task("failed", code=137)])
    assert found is not None
    assert found.out_of_memory


def test_a_service_without_a_task_is_pending() -> None:
    found = swarm_map.service_seen(service(), [])
    assert found is not None
    assert found.state is S.PENDING


@pytest.mark.parametrize("name", ["web", "cumulus-1-1", f"cumulus-{UID}-0", f"{NAME}x"])
def test_a_name_that_is_not_a_units_is_nobody(name: str) -> None:
    assert swarm_map.service_seen(service(name), [task("running")]) is None


@pytest.mark.parametrize("state", ["running", "starting", "assigned", "orphaned"])
def test_what_has_not_ended_on_a_node_that_is_down_is_lost(state: str) -> None:
    seen = task(state, DesiredState="shutdown")
    assert swarm_map.may_be_lost(seen)
    found = swarm_map.service_seen(service(), [seen], down={"node1"})
    assert found is not None
    assert found.state is S.LOST
    assert not found.state.ended


def test_what_had_ended_before_its_node_went_down_stays_ended() -> None:
    seen = task("complete", DesiredState="shutdown")
    assert not swarm_map.may_be_lost(seen)
    found = swarm_map.service_seen(service(), [seen], down={"node1"})
    assert found is not None
    assert found.state is S.COMPLETE


def test_a_task_being_stopped_on_a_living_node_still_runs() -> None:
    found = swarm_map.service_seen(service(), [task("running", DesiredState="shutdown")])
    assert found is not None
    assert found.state is S.RUNNING


def test_started_at_is_the_running_tasks_time_and_is_remembered_for_ended_ones() -> None:
    running = swarm_map.service_seen(service(), [task("running")])
    ended = swarm_map.service_seen(service(), [task("complete")], started_at=7.0)
    assert running is not None
    assert running.started_at == pytest.approx(POSIX)
    assert ended is not None
    assert ended.started_at == 7.0


def test_of_several_tasks_one_that_may_run_tells_before_ended_ones_then_the_newest() -> None:
    old = task("failed", code=3, CreatedAt="2026-11-21T01:00:00Z")
    new = task("complete", CreatedAt="2026-11-21T02:00:00Z")
    runs = task("running", CreatedAt="2026-11-21T00:00:00Z")
    assert swarm_map.current_task([new, old]) is new
    assert swarm_map.current_task([new, runs, old]) is runs


@pytest.mark.parametrize(
    ("state", "availability", "up", "down"),
    [
        ("ready", "active", True, False),
        ("ready", "drain", False, False),
        ("ready", "pause", False, False),
        ("down", "active", False, True),
        ("disconnected", "active", False, True),
        ("unknown", "active", False, False),
    ],
)
def test_nodes(state: str, availability: str, up: bool, down: bool) -> None:
    node = {
        "ID": "node1",
        "Spec": {"Availability": availability},
        "Description": {"Hostname": "gpu-7"},
        "Status": {"State": state, "Addr": "192.0.2.7"},
    }
    seen = swarm_map.node_seen(node)
    assert (seen.node_id, seen.name, seen.up, seen.address) == ("node1", "gpu-7", up, "192.0.2.7")
    assert swarm_map.is_down(node) is down


@pytest.mark.parametrize(
    ("text", "posix"),
    [
        (STAMP, POSIX),
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T01:00:00.5+01:00", 0.5),
        ("", 0.0),
        ("yesterday", 0.0),
    ],
)
def test_times(text: str, posix: float) -> None:
    assert swarm_map.parse_time(text) == pytest.approx(posix, abs=1e-5)


def frame(stream: int, data: bytes) -> bytes:
    payload = STAMP.encode() + b" " + data
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


def test_frames_keep_order_streams_and_bytes() -> None:
    body = (
        frame(1, b"one\n") + frame(2, b"two  words\n") + frame(1, b"") + frame(1, b"\xef\xbf\xbd")
    )
    time = pytest.approx(POSIX)
    assert list(parse_frames(body)) == [
        LogFrame("stdout", time, b"one\n"),
        LogFrame("stderr", time, b"two  words\n"),
        LogFrame("stdout", time, b""),
        LogFrame("stdout", time, b"\xef\xbf\xbd"),
    ]


def test_the_managers_own_words_are_no_output() -> None:
    words = b"Error grabbing logs: node abc is not available\n"
    torn = frame(1, b"one\n") + bytes([3, 0, 0, 0]) + len(words).to_bytes(4, "big") + words
    with pytest.raises(Temporary, match="node abc is not available"):
        list(parse_frames(torn))


@pytest.mark.parametrize("cut", [1, 7, 8, 9, 40])
def test_a_torn_last_frame_is_left_out(cut: int) -> None:
    whole = frame(1, b"one\n")
    assert len(list(parse_frames(whole + whole[:-1][:cut]))) == 1


OURS = {"Attributes": {"dev.cumulus.owned": "1"}}


@pytest.mark.parametrize(
    ("event", "wakes"),
    [
        ({"Type": "service", "Action": "create"}, True),
        ({"Type": "node", "Action": "update"}, True),
        ({"Type": "container", "Action": "die", "Actor": OURS}, True),
        ({"Type": "container", "Action": "exec_create", "Actor": OURS}, False),
        ({"Type": "container", "Action": "die", "Actor": {"Attributes": {}}}, False),
    ],
)
def test_events_that_wake(event: dict[str, Any], wakes: bool) -> None:
    assert concerns(event) is wakes
