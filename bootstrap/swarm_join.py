# noqa: INP001 (a script beside scripts, no package)
"""Joins this machine's Docker Engine to the Swarm that its identity names; the Swarm's token is
read from the file, so that no command line shows it. Called by `worker_steps.sh`. Does I/O.

    swarm_join.py IDENTITY.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import docker
from cumulus.api.private_files import write_private
from docker.errors import APIError, DockerException


def join(identity: dict[str, str]) -> None:
    """Leaves first what was joined halfway. DockerException with the engine's reason."""
    client = docker.from_env()
    try:
        state = client.api.info()["Swarm"]["LocalNodeState"]
        if state != "inactive":
            client.swarm.leave(force=True)
        client.swarm.join(
            remote_addrs=[identity["swarm_manager"]], join_token=identity["swarm_join_token"]
        )
    finally:
        client.close()


def main(arguments: list[str]) -> int:
    """See the module docstring; 1 with a line where the engine or the manager refuses."""
    file = Path(arguments[0])
    try:
        identity = json.loads(file.read_text(encoding="utf-8"))
        join(identity)
        # It lets any machine in: no more of use here, so nothing to be found here.
        write_private(file, json.dumps({**identity, "swarm_join_token": ""}).encode())
    except (DockerException, OSError) as e:
        why = str(e.explanation) if isinstance(e, APIError) else str(e)
        sys.stderr.write(f"swarm: {why.splitlines()[0] if why else type(e).__name__}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
