"""The agent beside the controller, for its own machine: its name, its command, how it is let in.
I/O: `<dataDir>/agent`. Used by `controller.wiring`; `runtime/embedded.py` keeps it running.
"""

from __future__ import annotations

import socket
import sys
from dataclasses import replace

from ..api.joining import Joined, worker_name
from .config import Config
from .platforms.base import Platform
from .platforms.swarm import SwarmPlatform
from .runtime.embedded import EmbeddedAgent, kept_token
from .security.setup import Security, dialled_here


class AgentBeside:
    """token: lets it in where it has no certificate."""

    def __init__(self, config: Config, platform: Platform) -> None:
        self._config = config
        self._platform = platform
        self._data = config.data_dir / "agent"
        self._data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.token = kept_token(self._data / "token")
        self._name = config.agent.name or worker_name(socket.gethostname())

    def reserve_node(self, security: Security) -> None:
        """Nobody but this agent may call this machine its own."""
        if isinstance(self._platform, SwarmPlatform) and security.identities is not None:
            own = self._name if self._config.agent.embedded else ""
            security.identities.reserve(self._platform.node_id, own)

    async def made(self, security: Security, facts: Joined, port: int) -> EmbeddedAgent:
        """The agent, to be run. facts: all but its name and whom it dials; port: of agents.

        StoreError where its identity cannot be kept.
        """
        config, data = self._config, self._data
        address = dialled_here(config.agents_listen, port)
        process = self._platform.name == "process"
        command = [
            sys.executable, "-m", "cumulus.chronos_bindings.agent.main",
            "--data", str(data),
            "--platform", "process" if process else "docker",
            "--partitioner", config.agent.partitioner,
            "--dataset-cache", str(config.agent.dataset_cache),
        ]  # fmt: skip
        if process:
            command += ["--process-root", str(config.data_dir / "units")]
        else:
            command += ["--image", config.image, "--endpoint", config.platform.endpoint]
        identity = data / "identity"
        known = replace(facts, worker=self._name, agents=address)
        if await security.give_own_agent(identity, known):
            command += ["--identity", str(identity)]
            return EmbeddedAgent(command, data / "lock", data / "agent.log")
        command += ["--controller", address, "--name", self._name]
        trusted = config.tls.ca or config.tls.cert
        if trusted is not None:
            command += ["--ca", str(trusted)]
        secret = {"CUMULUS_AGENT_TOKEN": self.token}  # never in argv
        return EmbeddedAgent(command, data / "lock", data / "agent.log", secret)
