from __future__ import annotations

import pytest
from cumulus.chronos_bindings.agent.pip_command import (
    arguments,
    environment,
    host_ca,
    needs_this_machine,
)
from cumulus.chronos_bindings.agent.pip_requirements import key, normalise, redact
from cumulus.crd_like_specs.errors import Permanent
from hypothesis import given
from hypothesis import strategies as st


def test_requirements_are_brought_to_one_form() -> None:
    lines = (
        "NumPy >= 1.26",
        "# a comment",
        "",
        "six",
        "six  # again",
        "Foo_Bar[b,a]==1; python_version>'3'",
    )
    expected = ('foo-bar[a,b]==1; python_version > "3"', "numpy>=1.26", "six")
    assert normalise(lines) == expected
    assert normalise(reversed(lines)) == expected


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("--index-url=https://x", "options"),
        ("-r other.txt", "options"),
        ("-e .", "options"),
        ("./wheel.whl", "expected a package"),
        ("/etc/passwd", "expected a package"),
        ("../x", "expected a package"),
        ("x @ file:///etc/passwd", "only https"),
        ("x @ git+https://host/x", "only https"),
        ("x @ https://me:secret@host/x.whl", "credentials"),
        ("x @ https://$TOKEN/x.whl", "'$'"),
        ("six --global-option=x", "expected a package"),
        ("six; --hash", "expected a package"),
        ("six\n--index-url=https://x", "control characters"),
        ("a" * 2001, "longer"),
    ],
)
def test_what_pip_could_take_for_something_else_is_refused(line: str, why: str) -> None:
    with pytest.raises(Permanent, match=why.replace("$", r"\$")) as caught:
        normalise(["six", line])
    assert caught.value.reason == "RequirementsFailed"
    assert "line 2" in caught.value.message
    assert "secret" not in caught.value.message


def test_every_bad_line_is_named() -> None:
    with pytest.raises(Permanent) as caught:
        normalise(["-x", "six", "!"])
    assert "line 1" in caught.value.message
    assert "line 3" in caught.value.message
    with pytest.raises(Permanent, match="more than 1000 lines"):
        normalise(["six"] * 1001)


@given(st.lists(st.text(max_size=40), max_size=5))
def test_whatever_passes_is_no_option_and_passes_again(lines: list[str]) -> None:
    try:
        passed = normalise(lines)
    except Permanent:
        return
    assert not any(line.startswith(("-", ".", "/")) or "\n" in line for line in passed)
    assert normalise(passed) == passed


def test_a_direct_address_is_allowed() -> None:
    assert normalise(["x@https://host/x-1.whl"])[0].replace(" ", "") == "x@https://host/x-1.whl"


def test_the_key_depends_on_image_and_requirements_alone() -> None:
    assert key("sha256:a", ("six",)) == key("sha256:a", ("six",))
    keys = {key("a", ("b", "c")), key("a", ("b\nc", "")), key("ab", ("c",)), key("a", ("b",))}
    assert len(keys) == 4


def test_credentials_are_taken_out_of_text() -> None:
    assert redact("at https://me:pw@host/x and http://host/y") == (
        "at https://****@host/x and http://host/y"
    )


def test_requirements_are_arguments_that_no_option_can_follow() -> None:
    words = arguments("python3", "/site", ("six",))
    assert words[:4] == ["python3", "-m", "pip", "install"]
    assert words[-2:] == ["--", "six"]


@pytest.mark.parametrize(
    ("agent", "needed"),
    [
        ({}, False),
        ({"PIP_INDEX_URL": "https://192.0.2.7/simple"}, False),
        ({"PIP_INDEX_URL": "https://192.0.2.9:3141/simple"}, True),
        ({"PIP_EXTRA_INDEX_URL": "http://192.0.2.7 http://[2001:db8::9]/"}, True),
        ({"https_proxy": "192.0.2.9:3128"}, True),
        ({"HTTP_PROXY": "http://user:word@localhost:3128"}, True),
        ({"PIP_INDEX_URL": "http://name.invalid/"}, True),
        ({"PIP_INDEX_URL": "http://[broken/"}, True),
        ({"NO_PROXY": "192.0.2.9", "PIP_TRUSTED_HOST": "192.0.2.9"}, False),
    ],
)
def test_an_index_on_the_machine_itself_is_known(agent: dict[str, str], needed: bool) -> None:
    assert needs_this_machine(agent, {"192.0.2.9", "2001:db8::9"}) is needed


def test_only_what_concerns_the_index_is_passed_on() -> None:
    agent = {"PIP_INDEX_URL": "u", "PIP_TARGET": "/", "TOKEN": "t", "HTTPS_PROXY": ""}
    assert environment(agent) == {"PIP_INDEX_URL": "u"}


def test_the_ca_bundle_is_the_one_named_else_the_systems(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("ca")
    named, system = folder / "named.pem", folder / "system.pem"
    system.touch()
    bundles = (str(folder / "none.pem"), str(system))
    assert host_ca({"PIP_CERT": str(named)}, bundles) == system, "a named one that is not there"
    named.touch()
    assert host_ca({"PIP_CERT": str(named)}, bundles) == named
    assert host_ca({"SSL_CERT_FILE": "relative.pem"}, ()) is None
