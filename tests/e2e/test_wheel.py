"""A wheel has all that a controller serves: the dashboard's pages, styles and scripts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVES = """
import asyncio, re, sys
import httpx, cumulus
from prometheus_client import CollectorRegistry
from cumulus.api.overview import Board
from cumulus.api.frames import ServerInfo
from cumulus.api.web.app import build_app
from cumulus.api.web.probes import Probes

class Empty:
    def seen_by(self, viewer): return self
    def now(self): return 0.0
    def board(self): return Board(now=0.0)
    async def server_info(self): return ServerInfo("0", "process", "", 0, 0)

async def main():
    assert cumulus.__file__.startswith(sys.argv[1]), cumulus.__file__
    app = build_app(jobs=Empty(), blobs=Empty(), datasets=Empty(), numbers=Empty(), outputs=Empty(), templates=Empty(), overview=Empty(), probes=Probes(list, list), registry=CollectorRegistry())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://c") as browser:
        page = await browser.get("/")
        paths = set(re.findall('"(/ui/static/[^"]+[.][a-z]+)"', page.text))
        assert page.status_code == 200 and len(paths) >= 7, page.text
        base = next(iter(paths)).rsplit("/static/")[1].split("/")[0]
        for name in sys.argv[2:]:
            answer = await browser.get(f"/ui/static/{base}/{name}")
            assert answer.status_code == 200 and answer.content, name

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from what git knows, elsewhere: a build leaves files beside its source."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    command = [
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(built),
    ]
    subprocess.run([sys.executable, *command, str(source)], check=True)
    (found,) = built.glob("cumulus-*.whl")
    return found


def test_an_installed_wheel_serves_the_dashboard(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        content.extractall(tmp_path)
    static = ROOT / "api" / "web" / "static"
    wanted = [
        path.relative_to(static).as_posix()
        for path in static.rglob("*")
        if path.suffix in (".js", ".css", ".svg")
    ]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", SERVES, str(tmp_path), *wanted]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_wheel_has_the_licences_of_what_it_brings(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {
        "cumulus/api/web/static/vendor/htmx.LICENSE",
        "cumulus/api/web/static/vendor/uPlot.LICENSE",
    } <= {*names}
