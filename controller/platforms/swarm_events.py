"""Docker's event stream as hints, from one thread that reconnects. Used by `swarm.py`.

A manager pushes creation and removal of services and the state of nodes; containers show only
on their own node, so here those of this node, which makes one-machine set-ups instant.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

import requests
import urllib3
from docker.errors import DockerException

from ...crd_like_specs.identity import LABEL_OWNED
from .swarm_engine import connect

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
_CONTAINER_ACTIONS: Final = frozenset({"start", "die", "oom", "destroy"})


class Events:
    """notify: called in the thread whenever something may have changed, and after each
    reconnection, since events may have been missed.
    """

    def __init__(self, endpoint: str, notify: Callable[[], None]) -> None:
        self._endpoint = endpoint
        self._notify = notify
        self._stop = threading.Event()
        self._guard = threading.Lock()
        self._stream: Any = None
        self._thread = threading.Thread(target=self._run, name="docker-events", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; blocks up to a second."""
        with self._guard:
            self._stop.set()
            if self._stream is not None:
                self._stream.close()
        self._thread.join(1.0)

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stop.is_set():
            try:
                self._listen()
                pause = FIRST_PAUSE
            except (DockerException, requests.RequestException, urllib3.exceptions.HTTPError):
                pause = min(pause * 2, LONGEST_PAUSE)
            except (OSError, ValueError):  # the socket was shut, or a line was torn in two
                pause = min(pause * 2, LONGEST_PAUSE)
            self._stop.wait(pause)

    def _listen(self) -> None:
        client = connect(self._endpoint)
        try:
            stream = client.events(decode=True, filters={"type": ["service", "node", "container"]})
            with self._guard:
                if self._stop.is_set():
                    stream.close()
                    return
                self._stream = stream
            self._notify()
            for event in stream:
                if concerns(event):
                    self._notify()
        finally:
            with self._guard:
                self._stream = None
            client.close()


def concerns(event: Mapping[str, Any]) -> bool:
    """True for what may change a listing: services, nodes, and our own containers' lives."""
    if event.get("Type") != "container":
        return True
    actor = event.get("Actor") or {}
    return event.get("Action") in _CONTAINER_ACTIONS and LABEL_OWNED in (
        actor.get("Attributes") or {}
    )
