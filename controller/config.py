"""The controller's configuration: one small YAML file, overridden by `CUMULUS_*` variables.

    platform: {type: swarm, endpoint: unix:///var/run/docker.sock}
    image: cumulus-job:latest
    runtimes: {torch: "cumulus-job:torch"}  # other images for code, by `spec.runtime`
    images: [alpine, "registry.example.org/**"]  # that jobs may bring; without it any
    secrets: {folder: /etc/cumulus/secrets}  # see controller/platforms/secret_values.py
    listen: {grpc: 127.0.0.1:50051, http: 127.0.0.1:8080}
    dataDir: /var/lib/cumulus
    agent: {embedded: true}
    registries:  # from where workers may pull images that this machine's engine lacks
    - {server: registry.example.org, username: cumulus, passwordFile: /etc/cumulus/registry}
    projects:  # limits, see controller/adr/0011-projects-and-quotas.md
    - {name: vision, maxRunning: 4, gpuHours: 2.5, datasetBytes: 50Gi}
    sources:  # folders of specs that are made so, see controller/gitops/README.md
    - {name: nightly, path: /srv/jobs, prune: true}

To be reached from other machines it needs TLS; with its own authority, workers can join it:

    listen: {grpc: 0.0.0.0:50051, http: 0.0.0.0:8080}  # agents: 0.0.0.0:50052
    advertise: gpu.example.org
    tls: {auto: true}

A nested field is overridden with two underscores: `CUMULUS_PLATFORM__TYPE=process`. Secrets
(tokens, keys) are named by file only. Every invalid entry is reported at once and nothing starts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import AfterValidator, Field
from pydantic.alias_generators import to_camel
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ..crd_like_specs.errors import Problem, ValidationError
from ..crd_like_specs.units import Bytes
from ..crd_like_specs.wording import describe
from ..crd_like_specs.yaml_nodes import dotted
from .basic_settings import (
    AgentConfig,
    Host,
    ListenConfig,
    LogConfig,
    PlatformConfig,
    RegistryConfig,
    RunnerConfig,
    TlsConfig,
    each_registry_once,
)
from .credential_files import text_of
from .dataset_settings import DatasetsConfig
from .gitops.settings import SourceConfig
from .gitops.settings import each_once as each_source_once
from .image_settings import ImageName, ImagePattern, RuntimeName, SecretsConfig
from .jobrunner_settings import JobRunnerConfig, with_jobrunner
from .tenancy_settings import ProjectConfigs, RateConfig

AGENTS_PORT = 50052


def default_data_dir() -> Path:
    """For root the system's place, for others their own."""
    if os.geteuid() == 0:
        return Path("/var/lib/cumulus")
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "cumulus"


class Config(BaseSettings):
    """See the module docstring. image_spool: bytes at most of images spooled for workers; a
    registry that is not listed is never asked. datasets: see dataset_settings.py. placement: the
    first worker with room, or the one on which the least is left over. advertise: HOST under which
    workers reach this machine.

    tokens_file: lines `role:token` or `role:name:token` (admin, submitter, viewer, agent), the name
    perhaps with its project and permissions, as `ann@vision+root`; submitters see the jobs of their
    project only, which is called like them where none is named, and without a name those of their
    own token; an agent with a name is that worker, which others beyond this machine have to be
    without `tls.auto`. With it and no such file there is one admin token, in `admin.token` of the
    data folder. projects: limits that are changed here and nowhere else; rates: of calls.
    """

    model_config = SettingsConfigDict(
        env_prefix="CUMULUS_",
        env_nested_delimiter="__",
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
    )

    platform: PlatformConfig = PlatformConfig()
    image: str = Field(default="cumulus-job:latest", min_length=1)
    runtimes: dict[RuntimeName, ImageName] = Field(default_factory=dict)
    images: tuple[ImagePattern, ...] | None = None
    secrets: SecretsConfig = SecretsConfig()
    image_spool: Bytes = Field(default=20 << 30, ge=1 << 30)
    registries: Annotated[tuple[RegistryConfig, ...], AfterValidator(each_registry_once)] = ()
    sources: Annotated[tuple[SourceConfig, ...], AfterValidator(each_source_once)] = ()
    datasets: DatasetsConfig = DatasetsConfig()
    placement: Literal["firstFit", "bestFit"] = "firstFit"
    listen: ListenConfig = ListenConfig()
    data_dir: Path = Field(default_factory=default_data_dir)
    agent: AgentConfig = AgentConfig()
    log: LogConfig = LogConfig()
    tls: TlsConfig = TlsConfig()
    advertise: Host = ""
    tokens_file: Path | None = None
    projects: ProjectConfigs = ()
    rates: RateConfig = RateConfig()
    jobrunner: JobRunnerConfig = JobRunnerConfig()
    runner: RunnerConfig = RunnerConfig()
    insecure: bool = False

    @property
    def agents_listen(self) -> str:
        """HOST:PORT where agents come: with certificates to a listener of their own."""
        if not self.tls.auto:
            return self.listen.grpc
        host, _, port = self.listen.grpc.rpartition(":")
        return self.listen.agents or f"{host}:{port if port == '0' else AGENTS_PORT}"

    @property
    def listeners(self) -> tuple[str, ...]:
        """HOST:PORT of every listener."""
        agents = (self.agents_listen,) if self.tls.auto else ()
        return (self.listen.grpc, self.listen.http, *agents)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment overrides the file, whose content comes by `init`."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings


def load_config(path: Path | None, overrides: Mapping[str, Any] | None = None) -> Config:
    """From a YAML file (None: defaults only) and the environment; `overrides` come last.

    ValidationError names every entry that is wrong, and what was expected there.
    """
    name = str(path) if path else "configuration"
    content = with_jobrunner(_read(path) if path else {}, os.environ)
    try:
        config = Config(**content)
    except pydantic.ValidationError as error:
        raise ValidationError(
            [
                Problem(describe(e), path=dotted(e["loc"]), file=name)
                for e in error.errors(include_url=False)
            ]
        ) from error
    return config.model_copy(update=dict(overrides or {}))


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(text_of(path))
    except yaml.YAMLError as error:
        raise ValidationError([Problem(f"is no YAML: {error}", file=str(path))]) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ValidationError([Problem("expected a mapping of settings", file=str(path))])
    return content
