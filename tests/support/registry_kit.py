"""A real registry that asks for a password, on the loopback of a test's machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ctl import wait_for
from node import Node, Program

REGISTRY = "127.0.0.1:5000"
USERNAME = "cumulus"
PASSWORD = "pa55-of-the-registry"
_HTPASSWD = (
    "cumulus:$2y$05$hzr91v87J/GYjNu3xP.PQeGJNmly8.LmgcT.VC1WQSihIT2vZlJWG\n"  # of `htpasswd -B`
)


@contextmanager
def registry(node: Node, name: str, make: Callable[[], None]) -> Iterator[Program]:
    """It holds the image of this name; make: puts that on the node's engine, from where it goes."""
    (node.folder / "htpasswd").write_text(_HTPASSWD)
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(node.folder / "registry")}},
        "http": {"addr": REGISTRY},
        "auth": {"htpasswd": {"realm": "test", "path": str(node.folder / "htpasswd")}},
    }
    path = node.folder / "registry.yaml"
    path.write_text(json.dumps(config))
    program = node.program("registry", "docker-registry", "serve", str(path))
    program.start()
    make()

    def pushed() -> bool:
        """The registry takes the image"""
        assert program.running, program.said()
        login = {"username": USERNAME, "password": PASSWORD}
        said = node.docker.images.push(name, auth_config=login, stream=True, decode=True)
        return not any("error" in line for line in said)

    try:
        wait_for(pushed, 60)
        node.docker.images.remove(name)
        yield program
    finally:
        program.stop()
