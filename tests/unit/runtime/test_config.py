"""Configuration: a file, overridden by the environment, every problem at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cumulus.api.auth import Holder, Role
from cumulus.api.rates import RateLimits
from cumulus.api.tenancy import Quota
from cumulus.controller.config import load_config
from cumulus.controller.credential_files import read_tokens
from cumulus.controller.runtime.selectors import parse_selector
from cumulus.controller.tenancy_settings import quotas_of
from cumulus.crd_like_specs.errors import ValidationError


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_file_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(
        tmp_path / "c.yaml", "platform: {type: process}\ndataDir: /d\nlisten: {grpc: 127.0.0.1:1}\n"
    )
    monkeypatch.setenv("CUMULUS_PLATFORM__TYPE", "swarm")
    monkeypatch.setenv("CUMULUS_LISTEN__HTTP", "127.0.0.1:2")
    config = load_config(file)
    assert config.platform.type == "swarm"
    assert (config.listen.grpc, config.listen.http) == ("127.0.0.1:1", "127.0.0.1:2")
    assert config.data_dir == Path("/d")


def test_every_problem_at_once(tmp_path: Path) -> None:
    file = write(
        tmp_path / "c.yaml", "platform: {type: nomad}\nimage: ''\nlisten: {grpc: here}\nextra: 1\n"
    )
    with pytest.raises(ValidationError) as caught:
        load_config(file)
    assert {p.path for p in caught.value.problems} == {
        "platform.type",
        "image",
        "listen.grpc",
        "extra",
    }
    assert all(p.file == str(file) for p in caught.value.problems)
    told = {p.path: p.message for p in caught.value.problems}
    assert told["extra"] == "is no known field"
    assert told["platform.type"] == "expected 'swarm' or 'process', got 'nomad'"


@pytest.mark.parametrize("text", ["[1]", "a: [", "\x00"])
def test_no_mapping(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValidationError):
        load_config(write(tmp_path / "c.yaml", text))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")


@pytest.mark.parametrize("port", ["65536", "99999", "", "-1", "x"])
def test_ports_that_no_socket_takes(tmp_path: Path, port: str) -> None:
    file = write(tmp_path / "c.yaml", f'listen: {{http: "127.0.0.1:{port}"}}')
    with pytest.raises(ValidationError, match=r"listen.http: .*expected HOST:PORT"):
        load_config(file)


@pytest.mark.parametrize(
    ("text", "agents"),
    [
        ("", "127.0.0.1:50051"),  # without certificates agents come where clients do
        ("tls: {auto: true}", "127.0.0.1:50052"),
        ("tls: {auto: true}\nlisten: {grpc: 0.0.0.0:7}", "0.0.0.0:50052"),
        ("tls: {auto: true}\nlisten: {grpc: '[::1]:0'}", "[::1]:0"),
        ("tls: {auto: true}\nlisten: {agents: 10.0.0.1:9}", "10.0.0.1:9"),
    ],
)
def test_agents_come_with_certificates_to_a_listener_of_their_own(
    tmp_path: Path, text: str, agents: str
) -> None:
    config = load_config(write(tmp_path / "c.yaml", text))
    assert config.agents_listen == agents
    assert (agents in config.listeners) is (config.tls.auto or agents == config.listen.grpc)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tls: {cert: a}", "tls: .*both cert and key, or neither"),
        ("tls: {key: a}", "tls: .*both cert and key, or neither"),
        ("tls: {auto: true, cert: a, key: b}", "tls: .*either auto, or cert and key"),
        ("tls: {auto: true, ca: a}", "tls: .*either auto, or cert and key"),
        ("advertise: h:50051", "advertise: .*without a port"),
        ("advertise: 'a b'", "advertise: .*no host"),
        ("listen: {agents: here}", "listen.agents: .*expected HOST:PORT"),
    ],
)
def test_what_contradicts_itself(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        load_config(write(tmp_path / "c.yaml", text))


def test_a_tokens_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"gone: cannot be read: No such file"):
        read_tokens(tmp_path / "gone")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ValidationError, match=r"binary: is no UTF-8"):
        read_tokens(tmp_path / "binary")


def test_projects_and_permissions_stand_with_the_name(tmp_path: Path) -> None:
    lines = [
        f"submitter:ann@vision+root:{'a' * 16}",
        f"submitter:bob@vision:{'b' * 16}",
        f"admin:boss+root:{'c' * 16}",
    ]
    assert read_tokens(write(tmp_path / "t", "\n".join(lines))) == {
        "a" * 16: Holder(Role.SUBMITTER, "ann", project="vision", permissions=frozenset({"root"})),
        "b" * 16: Holder(Role.SUBMITTER, "bob", project="vision"),
        "c" * 16: Holder(Role.ADMIN, "boss", permissions=frozenset({"root"})),
    }


def test_projects_have_limits(tmp_path: Path) -> None:
    text = """
    projects:
    - {name: vision, maxRunning: 4, gpuHours: 2.5, datasetBytes: 50Gi}
    - {name: speech}
    rates: {requests: 10, wrongTokens: 5}
    """
    config = load_config(write(tmp_path / "c.yaml", text))
    assert quotas_of(config.projects) == {
        "vision": Quota(running=4, gpu=2500, dataset_bytes=50 << 30),
        "speech": Quota(),
    }
    assert config.rates.limits == RateLimits(requests=10, burst=2000, wrong_tokens=5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("projects: [{name: a}, {name: a}]", "a is given more than once"),
        ("projects: [{name: a, maxRunning: -1}]", "projects[0].maxRunning"),
        ("projects: [{name: A}]", "projects[0].name"),
        ("rates: {burst: 0}", "rates.burst"),
    ],
)
def test_wrong_limits_are_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)):
        load_config(write(tmp_path / "c.yaml", text))


def test_tokens(tmp_path: Path) -> None:
    lines = f"# comment\nadmin:{'a' * 16}\n\nagent:{'b' * 20}\nsubmitter:team-1:{'c' * 16}\n"
    assert read_tokens(write(tmp_path / "t", lines)) == {
        "a" * 16: Holder(Role.ADMIN),
        "b" * 20: Holder(Role.AGENT),
        "c" * 16: Holder(Role.SUBMITTER, "team-1"),
    }


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("root:" + "a" * 16, "expected admin|submitter|viewer|agent"),
        ("admin:short", "at least 16 characters"),
        ("admin", "at least 16 characters"),
        ("submitter:" + "n" * 20 + ":short", "at least 16 characters"),
        ("submitter:a:b:" + "c" * 16, "without colons"),
        ("submitter:Team:" + "c" * 16, "a name of lower-case letters"),
        ("submitter:ann@:" + "c" * 16, "a name of lower-case letters"),
        ("submitter:ann@a@b:" + "c" * 16, "a name of lower-case letters"),
        ("submitter:ann+boss:" + "c" * 16, "expected permissions of root"),
        ("agent:w1@vision:" + "c" * 16, "an agent's name alone"),
        ("submitter::" + "c" * 16, "a name of lower-case letters"),
        ("submitter:" + "d" * 16, "expected each one once"),
    ],
)
def test_a_wrong_token_is_named_by_its_line_alone(tmp_path: Path, bad: str, words: str) -> None:
    file = write(tmp_path / "t", f"agent:{'d' * 16}\n{bad}\n")
    with pytest.raises(ValidationError, match=re.escape(words)) as caught:
        read_tokens(file)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (str(file), 2)
    assert not any(part in problem.message for part in bad.split(":")[1:] if len(part) > 4)


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a==b", {"a": "c"}, False),
        ("a!=b", {}, True),
        ("a!=b", {"a": "b"}, False),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        ("!a", {}, True),
        ("a=b, c!=d", {"a": "b", "c": "d"}, False),
    ],
)
def test_selectors(text: str, labels: dict[str, str], matches: object) -> None:
    assert parse_selector(text)(labels) is matches


@pytest.mark.parametrize("text", ["a b", "=b", "!a=b", "a=b=c", "a>b"])
def test_bad_selectors(text: str) -> None:
    with pytest.raises(ValidationError, match="not understood"):
        parse_selector(text)


@pytest.mark.parametrize("text", ["a=b,", ",a", "a==b,,", "a,,b", ","])
def test_selectors_with_empty_terms(text: str) -> None:
    with pytest.raises(ValidationError, match="nothing before or behind a comma"):
        parse_selector(text)


def test_runtimes_and_allowed_images_are_checked(tmp_path: Path) -> None:
    good = 'runtimes: {torch: "job:torch"}\nimages: [alpine, "r.example.org/**"]\n'
    config = load_config(write(tmp_path / "c.yaml", good))
    assert (config.runtimes, config.images) == (
        {"torch": "job:torch"},
        ("alpine", "r.example.org/**"),
    )
    assert load_config(None).images is None
    bad = 'runtimes: {Torch: job, jax: "a b"}\nimages: ["https://x"]\n'
    with pytest.raises(ValidationError) as caught:
        load_config(write(tmp_path / "c.yaml", bad))
    told = [problem.path.split(".")[0] for problem in caught.value.problems]
    assert told == ["runtimes", "runtimes", "images[0]"]
