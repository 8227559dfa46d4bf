"""Registries that workers may pull from, and the credentials for each. Pure.

Made by `controller.chosen_platform` from the configuration. A registry that is not listed is not
asked: an image comes from the controller's engine, from the worker's own, or from one named here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from ...crd_like_specs.images import registry_of


@dataclass(frozen=True, slots=True)
class Registry:
    """server: `host[:port]`, `docker.io` for the default one. username: "" to pull anonymously."""

    server: str
    username: str = ""
    password: str = field(default="", repr=False)


class Registries:
    """At most one entry for each server."""

    def __init__(self, entries: Iterable[Registry] = ()) -> None:
        self._by_server = {entry.server: entry for entry in entries}

    @property
    def with_credentials(self) -> tuple[Registry, ...]:
        """Those that are asked for with a name and a password."""
        return tuple(entry for entry in self._by_server.values() if entry.username)

    def of(self, reference: str) -> Registry | None:
        """The registry that gives the image of this name, if one is listed."""
        return self._by_server.get(registry_of(reference))

    def auth(self, reference: str) -> str:
        """As `frames.LeaseWanted.registry_auth`: JSON, or "" where no registry is listed."""
        entry = self.of(reference)
        return credentials(entry) if entry is not None else ""

    def header(self, reference: str) -> str:
        """The same as the value of Docker's X-Registry-Auth."""
        found = self.auth(reference)
        return base64.urlsafe_b64encode(found.encode()).decode() if found else ""


def credentials(entry: Registry) -> str:
    """JSON as Docker Engines read it; `serveraddress` alone for anonymous pulls."""
    given = {"serveraddress": entry.server}
    if entry.username:
        given |= {"username": entry.username, "password": entry.password}
    return json.dumps(given)
