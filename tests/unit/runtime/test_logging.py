"""The controller's own log: fields by which lines are found, and no values of variables."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest
from cumulus.api.program_log import configure_logging
from loguru import logger


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    logger.remove()
    logger.add(sys.stderr)


def fail() -> None:
    password = "hunter" + "2"
    try:
        {}[len(password)]
    except KeyError as error:
        raise ValueError("it broke") from error


def test_text_lines_end_with_the_fields_that_are_set(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("text", "INFO")
    logger.bind(job="j1", worker="").info("{} -> {}", "Pending", "Running")
    logger.debug("not shown")
    logger.info("braces {stay}")
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("INFO    Pending -> Running  job=j1")
    assert second.endswith("INFO    braces {stay}")


def test_json_lines_are_one_object_each(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json", "DEBUG")
    logger.bind(job="j1", attempt=2, worker="").warning("two\nlines")
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["message"], line["job"], line["attempt"]) == (
        "WARNING",
        "two\nlines",
        "j1",
        2,
    )
    assert "worker" not in line


@pytest.mark.parametrize("style", ["text", "json"])
def test_tracebacks_show_where_but_not_what(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(style, "INFO")
    try:
        fail()
    except ValueError:
        logger.exception("failed")
    shown = capsys.readouterr().err
    assert "ValueError: it broke" in shown
    assert "in fail" in shown
    assert "hunter2" not in shown
