"""The dashboard of a real controller in Chromium, on the process platform."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, browsing
from ctl import wait_for
from system import System

MAIN = """
import pathlib, sys, time

def main(go):
    for number in range(5):
        print("line", number, flush=True)
    print("<img src=x onerror=window.pwned=1><script>window.pwned=1</script>", flush=True)
    print("to stderr", file=sys.stderr, flush=True)
    while not pathlib.Path(go).exists():
        time.sleep(0.02)
    print("the last line", flush=True)
    return 1
"""


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with browsing(tmp_path) as one:
        yield one


def submit(process: System, name: str, go: Path, gpu: float, **spec: object) -> None:
    job = {
        "apiVersion": "cumulus.dev/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {"team": "<b>vision</b>"}},
        "spec": {
            "code": {"files": {"main.py": MAIN}},
            "args": [str(go)],
            "gpu": {"memory": gpu},
            "duration": "10m",
            **spec,
        },
    }
    applied = process.apply(json.dumps(job))
    assert applied.returncode == 0, applied.stderr


def test_a_lease_appears_runs_and_ends_with_its_lines_and_no_reload(
    process: System, browser: Browser, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{process.http}"
    browser.open(url)
    browser.see("#live", "live")
    go = tmp_path / "go"

    submit(process, "shown", go, 0.5)
    browser.see("#job-shown .pill.run", "Running")
    browser.see(".bar.now.run", "shown")
    submit(process, "behind", go, 1.0)
    browser.see("#job-behind .pill.wait", "Pending")
    browser.see(".bar.planned", "behind")
    assert browser.texts("#tiles b")[:2] == ["1", "1"]

    browser.see("#job-behind a").click()
    browser.see("#why", "fits there by")
    said = process.ctl("why", "behind").stdout
    shown = browser.texts("#why")[0]
    assert _lasting(shown) in _lasting(said)
    worker, ever, reason = browser.texts(".why tbody tr:first-child td")[:3]
    assert (worker in said, ever, _lasting(reason) in _lasting(said)) == (True, "yes", True)

    browser.see("#job-shown a").click()
    browser.see("#panel-title", "shown")
    browser.see("#log .stderr", "to stderr")
    wait_for(lambda: len(browser.texts("#log .stdout")) == 6)
    lines = browser.texts("#log .stdout span:last-child")
    assert lines[:5] == [f"line {number}" for number in range(5)]
    assert lines[5].startswith("<img src=x onerror")

    go.touch()
    browser.see("#log .stdout", "the last line")
    browser.see("#job-shown .pill.good", "Succeeded")
    browser.see(".bar.past.good", "shown")
    browser.see("#detail .pill.good", "Succeeded")
    browser.see("#job-behind .pill.good", "Succeeded")

    assert not browser.reloaded
    assert browser.run("return window.pwned") is None
    assert browser.all("#log img, #log script, #detail dd b") == []
    assert [address for address in browser.fetched() if not address.startswith(f"{url}/")] == []
    assert browser.complaints() == []


def test_the_page_goes_on_where_it_was_when_the_controller_comes_back(
    process: System, browser: Browser, tmp_path: Path
) -> None:
    browser.open(f"http://127.0.0.1:{process.http}")
    browser.see("#live", "live")
    process.stop()
    browser.see("#live.off", "reconnecting")
    process.start()
    browser.see("#live.on", "live")
    go = tmp_path / "go"
    go.touch()
    submit(process, "after", go, 0.5)
    browser.see("#job-after .pill.good", "Succeeded")
    browser.see(".bar.past.good", "after")
    assert not browser.reloaded


def _lasting(words: str) -> str:
    """Without what changes from second to second."""
    return re.sub(r"\(in [0-9dhms]+\)|by [0-9:]+ UTC", "", words)
