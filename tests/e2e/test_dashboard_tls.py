"""The dashboard of a controller with TLS and tokens, in Chromium: whose jobs a submitter sees."""

from __future__ import annotations

import json
from pathlib import Path

from browser import ENTER, browsing
from tls_system import TlsSystem

HERS, ADMIN = "vision-token-0123456789", "admin-token-0123456789"
QUICK = "def main():\n    print('hello', flush=True)\n"


def submit(system: TlsSystem, folder: Path, name: str, token: str) -> None:
    file = folder / f"{name}.token"
    file.write_text(token)
    job = {
        "apiVersion": "cumulus.dev/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"code": {"files": {"main.py": QUICK}}, "duration": "1m"},
    }
    command = ("--token-file", str(file), "apply", "-", "--wait")
    done = system.ctl(*command, stdin=json.dumps(job))
    assert done.returncode == 0, done.stderr


def test_a_submitter_logs_in_and_sees_its_own_jobs(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"admin:boss:{ADMIN}\nsubmitter:vision:{HERS}\n")
    tokens.chmod(0o600)
    system = TlsSystem(tmp_path / "system", tokensFile=str(tokens))
    system.options = system.options[:-2]  # each job comes with a token of its own
    system.start()
    try:
        submit(system, tmp_path, "hers", HERS)
        submit(system, tmp_path, "other", ADMIN)
        with browsing(tmp_path, trusting=True) as browser:
            browser.open(f"https://127.0.0.1:{system.http}/ui/job/other")
            browser.see("#token").send_keys(HERS, ENTER)
            browser.see("[role=alert]", "not found")
            browser.see("#job-hers .pill.good", "Succeeded")
            assert browser.all("#job-other") == []
            assert browser.texts(".bar.past") == ["hers"]
            (cookie,) = browser.driver.get_cookies()
            assert (cookie["name"], cookie["secure"]) == ("__Host-cumulus", True)
            assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
            submit(system, tmp_path, "later", HERS)
            browser.see("#job-later .pill.good", "Succeeded")
            browser.see("#job-later a").click()
            browser.see("#log .stdout", "hello")
            assert browser.all("#job-other") == []
    finally:
        system.stop()
    said = system.log.read_text()
    assert HERS not in said
    assert ADMIN not in said
