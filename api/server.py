"""The gRPC servers: which service is where, health, reflection and orderly end. I/O: network.

Without certificates for agents there is one listener with every service. With them, agents have
their own, since gRPC in Python cannot make a client's certificate optional on one port.
Built and started by `controller.listeners`; tests start it on free loopback ports.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from .auth import Tokens
from .datasets import DatasetsPort
from .gate import Gate
from .gen.cumulus.v1 import (
    agent_pb2,
    agent_pb2_grpc,
    cumulus_pb2,
    cumulus_pb2_grpc,
    datasets_pb2,
    datasets_pb2_grpc,
    join_pb2,
    join_pb2_grpc,
    outputs_pb2,
    outputs_pb2_grpc,
    templates_pb2,
    templates_pb2_grpc,
    tenancy_pb2,
    tenancy_pb2_grpc,
)
from .listener import Listener, TlsFiles
from .options import MAX_CODE_BYTES
from .outputs import OutputsPort
from .ports import (
    AgentsPort,
    ArtifactsPort,
    BlobsPort,
    GivenPort,
    IdentityPort,
    ImagesPort,
    JobsPort,
    JoinPort,
)
from .servicers.agent import AgentServicer
from .servicers.cumulus import CumulusServicer
from .servicers.datasets import DatasetsServicer
from .servicers.join import JoinServicer
from .servicers.outputs import OutputsServicer
from .servicers.templates import TemplatesServicer
from .servicers.tenancy import TenancyServicer
from .templates import TemplatesPort
from .tenancy import ProjectsPort

__all__ = [
    "AGENT",
    "CUMULUS",
    "DATASETS",
    "JOIN",
    "OUTPUTS",
    "TEMPLATES",
    "Fleet",
    "GrpcServer",
    "TlsFiles",
]

CUMULUS = cumulus_pb2.DESCRIPTOR.services_by_name["Cumulus"].full_name
AGENT = agent_pb2.DESCRIPTOR.services_by_name["Agent"].full_name
TEMPLATES = templates_pb2.DESCRIPTOR.services_by_name["Templates"].full_name
TENANCY = tenancy_pb2.DESCRIPTOR.services_by_name["Tenancy"].full_name
JOIN = join_pb2.DESCRIPTOR.services_by_name["Join"].full_name
OUTPUTS = outputs_pb2.DESCRIPTOR.services_by_name["Outputs"].full_name
DATASETS = datasets_pb2.DESCRIPTOR.services_by_name["Datasets"].full_name


@dataclass(frozen=True, slots=True)
class Fleet:
    """The agents' own listener. tls: its `clients` is the authority of the workers' certificates;
    identities: which of those speak for whom.
    """

    listen: str
    tls: TlsFiles
    identities: IdentityPort


class GrpcServer:
    """See the module docstring. listen: `host:port`, port 0 for a free one; tokens: of clients, and
    of agents where there is no `fleet`; gate: what looks at them, made here where it is not given;
    projects: None where none are kept; join: how machines become workers, None where they don't.

    It answers health checks with NOT_SERVING until `set_serving(True)`.
    """

    def __init__(
        self,
        *,
        jobs: JobsPort,
        blobs: BlobsPort,
        agents: AgentsPort,
        images: ImagesPort | None = None,
        artifacts: ArtifactsPort | None = None,
        outputs: OutputsPort | None = None,
        datasets: DatasetsPort | None = None,
        dataset_files: GivenPort | None = None,
        templates: TemplatesPort | None = None,
        listen: str,
        tls: TlsFiles | None = None,
        tokens: Tokens | None = None,
        gate: Gate | None = None,
        projects: ProjectsPort | None = None,
        fleet: Fleet | None = None,
        join: JoinPort | None = None,
        max_code: int = MAX_CODE_BYTES,
    ) -> None:
        gate = gate or Gate(tokens)
        self._clients = Listener(listen, tls, gate)
        # A worker's certificate is all that counts there: no token opens that door.
        self._agents = (
            Listener(fleet.listen, fleet.tls, Gate(None, audit=gate.audit)) if fleet else None
        )
        self.agents_port = 0
        """Where agents are to dial, once started."""
        published: Any = health  # its type stubs lack `aio`
        self._health = published.aio.HealthServicer()
        server = self._clients.server
        add_cumulus: Any = cumulus_pb2_grpc.add_CumulusServicer_to_server
        self._cumulus = CumulusServicer(jobs, blobs, join, tokens, projects, max_code=max_code)
        add_cumulus(self._cumulus, server)
        add_agent: Any = agent_pb2_grpc.add_AgentServicer_to_server
        identities = fleet.identities if fleet else None
        agent = AgentServicer(agents, blobs, images, identities, artifacts, dataset_files)
        add_agent(agent, self._agents.server if self._agents else server)
        services = [CUMULUS] if self._agents else [CUMULUS, AGENT]
        if outputs is not None:
            add_outputs: Any = outputs_pb2_grpc.add_OutputsServicer_to_server
            add_outputs(OutputsServicer(outputs), server)
            services.append(OUTPUTS)
        if templates is not None:
            add_templates: Any = templates_pb2_grpc.add_TemplatesServicer_to_server
            add_templates(TemplatesServicer(templates, self._cumulus.writes), server)
            services.append(TEMPLATES)
        if datasets is not None:
            add_datasets: Any = datasets_pb2_grpc.add_DatasetsServicer_to_server
            add_datasets(DatasetsServicer(datasets, self._cumulus.writes), server)
            services.append(DATASETS)
        if projects is not None:
            add_tenancy: Any = tenancy_pb2_grpc.add_TenancyServicer_to_server
            add_tenancy(TenancyServicer(projects, gate.audit, self._cumulus.writes), server)
            services.append(TENANCY)
        if join is not None:
            add_join: Any = join_pb2_grpc.add_JoinServicer_to_server
            add_join(JoinServicer(join), server)
            services.append(JOIN)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        health_name = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        reflection.enable_server_reflection(
            [*services, health_name, reflection.SERVICE_NAME], server
        )

    async def start(self) -> int:
        """Listen; gives the clients' port. UnavailableError where an address cannot be had."""
        await self.set_serving(serving=False)
        port = await self._clients.start()
        self.agents_port = await self._agents.start() if self._agents else port
        return port

    async def set_serving(self, *, serving: bool) -> None:
        """What health checks answer, for the whole server and each service."""
        answer = health_pb2.HealthCheckResponse
        status = answer.SERVING if serving else answer.NOT_SERVING
        for service in ("", CUMULUS, AGENT):
            await self._health.set(service, status)

    async def stop(self, grace: float = 5.0) -> None:
        """Say NOT_SERVING, end open streams with UNAVAILABLE, give calls `grace` seconds, and
        wait for writes under way, so that the store may be closed afterwards.
        """
        await self._health.enter_graceful_shutdown()
        listeners = [self._clients, *([self._agents] if self._agents else [])]
        await asyncio.gather(*(listener.stop(grace) for listener in listeners))
        await self._cumulus.settle()
