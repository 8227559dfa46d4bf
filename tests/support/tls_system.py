"""A controller process with its own authority, and agents that join it as other machines would."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from cumulus.chronos_bindings.agent.join_command import JOIN_TOKEN_VARIABLE
from system import System, free_port

AGENT = (sys.executable, "-m", "cumulus.chronos_bindings.agent.main")


class TlsSystem(System):
    """On the process platform, with every listener on loopback. settings: over the others."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        super().__init__(folder, "process")
        self.data = folder / "data"
        self.agents = free_port()
        config = json.loads(self.config.read_text())
        config["listen"]["agents"] = f"127.0.0.1:{self.agents}"
        self.config.write_text(json.dumps({**config, "tls": {"auto": True}, **settings}))
        self.ca = self.data / "pki" / "ca.crt"
        admin = str(self.data / "admin.token")
        self.options = (*self.options, "--ca", str(self.ca), "--token-file", admin)

    def get(self, path: str) -> str | None:
        if not self.ca.exists():
            return None
        trust = ssl.create_default_context(cafile=self.ca)
        where = f"https://127.0.0.1:{self.http}{path}"
        try:
            with urllib.request.urlopen(where, timeout=5, context=trust) as answer:
                return str(answer.read().decode())
        except OSError:
            return None

    def token(self, *arguments: str) -> str:
        made = self.ctl("token", "create", *arguments)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def join(self, token: str, name: str) -> subprocess.CompletedProcess[str]:
        """`cumulus-agent join` on a machine of this name."""
        controller = ("--controller", f"127.0.0.1:{self.grpc}")
        return subprocess.run(
            [*AGENT, "join", *controller, "--data", str(self.folder / name), "--name", name],
            env={**os.environ, JOIN_TOKEN_VARIABLE: token},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def agent(self, name: str) -> subprocess.Popen[bytes]:
        """The agent of a machine that joined; its log is `<name>.log`."""
        data = self.folder / name
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [
                    *AGENT,
                    *("--identity", str(data / "identity"), "--data", str(data)),
                    *("--platform", "process", "--process-root", str(self.data / "units")),
                    *("--partitioner", "ledger"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def workers(self) -> dict[str, str]:
        """Whether each is ready, by name: the condition's status."""
        shown = self.ctl("get", "workers", "-o", "json")
        assert shown.returncode == 0, shown.stderr
        found = json.loads(shown.stdout or "[]")
        items = found if isinstance(found, list) else found.get("items", [found])
        return {
            item["metadata"]["name"]: next(
                (str(c["status"]) for c in item["status"]["conditions"] if c["type"] == "Ready"),
                "",
            )
            for item in items
        }
