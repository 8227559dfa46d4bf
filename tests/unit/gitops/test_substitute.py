"""Names in specs: from the list of the configuration, never from anywhere else."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from cumulus.controller.gitops.settings import SourceConfig
from cumulus.controller.gitops.substitute import substitute, wrong_name, wrong_value
from cumulus.crd_like_specs.errors import ValidationError
from source_kit import SourceKit


@pytest.mark.parametrize(
    ("text", "values", "made"),
    [
        ("a: ${X}", {"X": "1"}, "a: 1"),
        ("a: ${X:-2}", {"X": None}, "a: 2"),
        ("a: ${X:-2}", {"X": "1"}, "a: 1"),
        ("a: ${X:-}", {"X": None}, "a: "),
        ("a: ${X}", {"X": ""}, "a: "),
        ("a: $${X} $X ${x.y} ${1}", {"X": "1"}, "a: ${X} $X ${x.y} ${1}"),
        ("a: ${X}", {}, "a: ${X}"),
        ("${X}", {"X": "${X}"}, "${X}"),
    ],
)
def test_what_becomes_of_a_text(text: str, values: Mapping[str, str | None], made: str) -> None:
    assert substitute(text, values, "f.yaml") == (made, ())


def test_what_is_not_listed_or_has_no_value_is_told_with_its_place() -> None:
    _, problems = substitute("a: 1\nb: x${HOME}\n  c: ${X}", {"X": None}, "f.yaml")
    assert [(p.line, p.column) for p in problems] == [(2, 5), (3, 6)]
    assert "expected one of X" in problems[0].message
    assert "has no value" in problems[1].message


def test_what_grows_beyond_measure_is_refused() -> None:
    _, problems = substitute("${X}" * 3000, {"X": "y" * 4096}, "f.yaml")
    assert problems
    assert "larger than" in problems[0].message


@pytest.mark.parametrize(
    "name",
    ["API_TOKEN", "my_secret", "DB_PASSWORD", "AWS_SECRET_ACCESS_KEY", "APIKEY", "GITHUBTOKEN",
     "SSH_PRIVATE_KEY", "CUMULUS_TOKENS_FILE", "1X", "a-b", ""],
)  # fmt: skip
def test_names_that_no_file_may_use(name: str) -> None:
    assert wrong_name(name)


@pytest.mark.parametrize("name", ["REGION", "MODEL_DIR", "keyboard", "AUTHOR", "PASSAGE"])
def test_names_that_files_may_use(name: str) -> None:
    assert not wrong_name(name)


def test_values_are_one_line_and_not_repeated_in_errors() -> None:
    assert wrong_value("a\nb: c")
    assert wrong_value("x" * 5000)
    config = SourceConfig(name="x", path="/x", substitute_from=("REGION",))  # type: ignore[arg-type]
    with pytest.raises(ValidationError) as caught:
        config.values({"REGION": "hidden\nvalue"})
    assert "hidden" not in str(caught.value)
    assert config.values({"OTHER": "x"}) == {"REGION": None}


async def test_files_get_what_the_source_lists_only(folder: SourceKit) -> None:
    folder.environment = {"DISK": "fast", "HOME": "/root"}
    folder.restart(substitute={"SECONDS": "90"}, substituteFrom=["DISK", "SHELL_NAME"])
    folder.write(
        "a.yaml",
        "apiVersion: cumulus.dev/v1\nkind: Job\nmetadata: {name: one}\n"
        "spec:\n  code: {files: {main.py: 'def main(): return 1'}}\n"
        "  duration: ${SECONDS}\n  nodeSelector: {disk: '${DISK}'}\n"
        "  env: {SHELL: '${SHELL_NAME:-sh}', TEXT: '$${HOME}'}\n",
    )
    folder.jobs("b.yaml", "two", env={"X": "${HOME}"})
    found = await folder.settle()
    spec = folder.kit.records.find_job("one").spec
    assert (spec.duration, spec.node_selector) == (90, {"disk": "fast"})
    assert spec.env == {"SHELL": "sh", "TEXT": "${HOME}"}
    assert "${HOME} is not in this source's substitute" in folder.files()["b.yaml"].message
    assert found.spec.substitute == ("DISK", "SECONDS", "SHELL_NAME")
    assert "fast" not in found.model_dump_json(), "values are not shown"
