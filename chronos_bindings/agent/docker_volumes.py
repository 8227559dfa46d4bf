"""The volumes that ended units leave on this node. I/O. Called by `runtime_docker`.

A unit's `/work` is a named volume; Swarm makes it with the container and never deletes it, and
only this node's own engine knows of it.
"""

from __future__ import annotations

from collections.abc import Collection

import docker
import docker.errors

from ...crd_like_specs.identity import LABEL_OWNED, parse_unit


def delete_left(client: docker.DockerClient, kept: Collection[str]) -> int:
    """Delete the volumes that no container uses, but for those of units in `kept`; how many.

    kept: units that may be about to start: an engine makes the volume first.
    """
    found = client.api.volumes(filters={"label": f"{LABEL_OWNED}=1", "dangling": True})
    deleted = 0
    for name in (str(volume["Name"]) for volume in found["Volumes"] or ()):
        if name in kept or parse_unit(name) is None:
            continue
        try:
            client.api.remove_volume(name)
            deleted += 1
        except docker.errors.APIError as e:
            if e.status_code not in (404, 409):  # gone, or in use again
                raise
    return deleted
