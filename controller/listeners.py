"""What a controller listens with: gRPC for clients and agents, HTTP for the dashboard and probes.
I/O: sockets. Wired by `controller.wiring`.
"""

from __future__ import annotations

from loguru import logger
from prometheus_client import CollectorRegistry

from ..api.auth import is_loopback
from ..api.datasets import DatasetsPort
from ..api.numbers import NumbersPort
from ..api.outputs import OutputsPort
from ..api.ports import AgentsPort, ArtifactsPort, BlobsPort, GivenPort, ImagesPort, JobsPort
from ..api.server import GrpcServer
from ..api.templates import TemplatesPort
from ..api.tenancy import ProjectsPort
from ..api.web.app import build_app
from ..api.web.jobrunner.models import JobRunnerOptions
from ..api.web.probes import Probes
from ..api.web.runner.models import RunnerOptions
from ..api.web.server import HttpServer
from .config import Config
from .runtime.overview import Overview
from .security.setup import Security


class Listeners:
    """The parts that answer calls, behind the ports that they are given as."""

    def __init__(
        self,
        config: Config,
        security: Security,
        *,
        jobs: JobsPort,
        templates: TemplatesPort,
        blobs: BlobsPort,
        agents: AgentsPort,
        images: ImagesPort,
        artifacts: ArtifactsPort,
        datasets: DatasetsPort,
        dataset_files: GivenPort,
        outputs: OutputsPort,
        numbers: NumbersPort,
        overview: Overview,
        probes: Probes,
        registry: CollectorRegistry,
        projects: ProjectsPort,
    ) -> None:
        tls, tokens = security.tls, security.tokens
        self.ports = (0, 0)
        """Of clients and of agents, once started."""
        self._grpc = GrpcServer(
            jobs=jobs,
            templates=templates,
            blobs=blobs,
            agents=agents,
            images=images,
            artifacts=artifacts,
            datasets=datasets,
            dataset_files=dataset_files,
            outputs=outputs,
            listen=config.listen.grpc,
            tls=tls,
            tokens=tokens,
            gate=security.gate,
            projects=projects,
            fleet=security.fleet,
            join=security.join,
        )
        self._http = HttpServer(
            build_app(
                jobs=jobs,
                blobs=blobs,
                datasets=datasets,
                numbers=numbers,
                outputs=outputs,
                templates=templates,
                overview=overview,
                probes=probes,
                registry=registry,
                tokens=tokens,
                gate=security.gate,
                projects=projects,
                local=is_loopback(config.listen.http),
                runner=RunnerOptions(config.runner.stale_after, config.runner.network),
                jobrunner=JobRunnerOptions(
                    config.jobrunner.gpu_type,
                    config.jobrunner.max_time,
                    config.jobrunner.import_from,
                    config.jobrunner.mount,
                ),
            ),
            listen=config.listen.http,
            certificate=str(tls.certificate) if tls else None,
            key=str(tls.key) if tls else None,
        )

    async def start(self) -> None:
        """Listen. UnavailableError where an address cannot be had."""
        port = await self._grpc.start()
        self.ports = (port, self._grpc.agents_port)
        http_port = await self._http.start()
        logger.info("gRPC on port {}, agents on port {}, HTTP on port {}", *self.ports, http_port)

    async def welcome(self) -> None:
        """Health checks answer SERVING from now on."""
        await self._grpc.set_serving(serving=True)

    def renewed(self) -> None:
        """The server's certificate is a new one."""
        self._http.renewed()

    async def stop(self) -> None:
        """Calls have a second to end."""
        await self._grpc.stop(grace=1.0)
        await self._http.stop()
