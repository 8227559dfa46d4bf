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
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ..api.auth import Holder, Role
from ..api.viewer import PERMISSIONS
from ..crd_like_specs.errors import Problem, ValidationError
from ..crd_like_specs.identity import NAME_PATTERN
from ..crd_like_specs.job import LONGEST
from ..crd_like_specs.units import Bytes, Seconds
from ..crd_like_specs.wording import describe
from ..crd_like_specs.yaml_nodes import dotted
from .dataset_settings import DatasetsConfig
from .gitops.settings import SourceConfig
from .gitops.settings import each_once as each_source_once
from .image_settings import ImageName, ImagePattern, RuntimeName, SecretsConfig
from .jobrunner_settings import JobRunnerConfig, with_jobrunner
from .platforms.registries import Registries, Registry
from .tenancy_settings import ProjectConfigs, RateConfig

MAX_PORT = 65535
MIN_TOKEN = 16
_ROLES = tuple(role.value for role in Role)
AGENTS_PORT = 50052
HOST = re.compile(r"\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+")


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    known = HOST.fullmatch(host) and re.fullmatch(r"[0-9]{1,5}", port) and int(port) <= MAX_PORT
    if not known:
        raise PydanticCustomError(
            "address",
            "'{given}' is no address: expected HOST:PORT with a port up to 65535",
            {"given": text},
        )
    return text


def _host(text: str) -> str:
    if text and not HOST.fullmatch(text):
        raise PydanticCustomError(
            "host",
            "'{given}' is no host: expected a name or an address, without a port",
            {"given": text},
        )
    return text


def _registry(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if colon and port.isdecimal() and 0 < int(port) <= MAX_PORT:
        text_is_host = HOST.fullmatch(host)
    else:
        text_is_host = HOST.fullmatch(text)
    if not text_is_host or text != text.lower():
        raise PydanticCustomError(
            "registry",
            "'{given}' is no registry: expected HOST[:PORT] in lower case, as image names begin "
            "with it (docker.io for the default one), without a scheme or a path",
            {"given": text},
        )
    return text


ListenAddress = Annotated[str, AfterValidator(_address)]
RegistryServer = Annotated[str, AfterValidator(_registry)]
Host = Annotated[str, AfterValidator(_host)]


def default_data_dir() -> Path:
    """For root the system's place, for others their own."""
    if os.geteuid() == 0:
        return Path("/var/lib/cumulus")
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "cumulus"


class _Section(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )


class PlatformConfig(_Section):
    """type: where jobs run; endpoint: of the Docker Engine (ignored by `process`)."""

    type: Literal["swarm", "process"] = "process"
    endpoint: str = "unix:///var/run/docker.sock"


class ListenConfig(_Section):
    """HOST:PORT of the listeners; port 0 takes any free one. agents: used with `tls.auto` only,
    port 50052 beside `grpc` where it is not given.
    """

    grpc: ListenAddress = "127.0.0.1:50051"
    http: ListenAddress = "127.0.0.1:8080"
    agents: ListenAddress | None = None


class AgentConfig(_Section):
    """embedded: start an agent for this machine; partitioner: how it holds shares; dataset_cache:
    bytes that unpacked datasets may take there, 0 for half of the disk.
    """

    embedded: bool = True
    partitioner: Literal["auto", "chronos", "ledger"] = "auto"
    name: str = ""
    dataset_cache: Bytes = 0


class LogConfig(_Section):
    """format: text for people, json a line each for machines."""

    format: Literal["text", "json"] = "text"
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class TlsConfig(_Section):
    """auto: the controller is its own authority, and agents come with certificates of it. Or PEM
    files of the server's certificate and key, both or none; ca: what the embedded agent trusts
    (default: the certificate itself).
    """

    auto: bool = False
    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None

    @model_validator(mode="after")
    def _one_or_the_other(self) -> TlsConfig:
        if (self.cert is None) != (self.key is None):
            raise PydanticCustomError("tls", "expected both cert and key, or neither")
        if self.auto and (self.cert or self.ca):
            raise PydanticCustomError("tls", "expected either auto, or cert and key, not both")
        return self


class RegistryConfig(_Section):
    """A registry that workers may pull from. server: HOST[:PORT], `docker.io` for the default one;
    username and password_file: both, or none to pull anonymously.
    """

    server: RegistryServer
    username: str = Field(default="", max_length=256)
    password_file: Path | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> RegistryConfig:
        if bool(self.username) != (self.password_file is not None):
            raise PydanticCustomError(
                "registry", "expected both username and passwordFile, or neither"
            )
        return self


class RunnerConfig(_Section):
    """The jobs of `/runner`. stale_after: how long they may run; network: whether they reach out."""

    stale_after: Seconds = Field(default=3600, ge=1, le=LONGEST)
    network: Literal["None", "Egress"] = "None"


def _each_once(entries: tuple[RegistryConfig, ...]) -> tuple[RegistryConfig, ...]:
    servers = [entry.server for entry in entries]
    twice = sorted({server for server in servers if servers.count(server) > 1})
    if twice:
        raise PydanticCustomError(
            "registries",
            "{twice} is given more than once: expected one entry for each server",
            {"twice": ", ".join(twice)},
        )
    return entries


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
    registries: Annotated[tuple[RegistryConfig, ...], AfterValidator(_each_once)] = ()
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


def read_registries(entries: Sequence[RegistryConfig]) -> Registries:
    """With their passwords. ValidationError names every file that cannot be used."""
    found: list[Registry] = []
    problems: list[Problem] = []
    for number, entry in enumerate(entries):
        password = ""
        if entry.password_file is not None:
            try:
                password = _text(entry.password_file).rstrip("\r\n")
            except ValidationError as error:
                problems += error.problems
                continue
            if not password or "\n" in password:
                problems.append(
                    Problem(
                        f"expected the password of {entry.username}, in one line",
                        path=f"registries[{number}].passwordFile",
                        file=str(entry.password_file),
                    )
                )
        found.append(Registry(entry.server, entry.username, password))
    if problems:
        raise ValidationError(problems)
    return Registries(found)


def read_tokens(path: Path) -> dict[str, Holder]:
    """Token → who holds it, from lines `role:token` or `role:name:token`; comments and empty lines
    are passed over. ValidationError repeats nothing of a line.
    """
    tokens: dict[str, Holder] = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        role, *rest = (part.strip() for part in line.split(":"))
        name, token = rest[:-1], rest[-1] if rest else ""
        wrong = ""
        if len(name) > 1 or role not in _ROLES or len(token) < MIN_TOKEN:
            wrong = (
                "expected admin|submitter|viewer|agent, a colon, perhaps a name and a colon, "
                f"and at least {MIN_TOKEN} characters without colons"
            )
        elif name:
            wrong = _wrong_name(role, name[0])
        if not wrong and token in tokens:
            wrong = "this token stands further up already: expected each one once"
        if wrong:
            raise ValidationError([Problem(wrong, file=str(path), line=number)])
        tokens[token] = _holder(Role(role), name[0] if name else "")
    return tokens


def _wrong_name(role: str, text: str) -> str:
    """What is wrong with `name@project+permission`, "" where it is right."""
    name, *permissions = text.split("+")
    name, at, project = name.partition("@")
    if not re.fullmatch(NAME_PATTERN, name) or (at and not re.fullmatch(NAME_PATTERN, project)):
        return "expected a name of lower-case letters, digits and inner dashes"
    if set(permissions) - PERMISSIONS:
        return f"expected permissions of {', '.join(sorted(PERMISSIONS))}"
    if role == Role.AGENT.value and (at or permissions):
        return "expected an agent's name alone, which is its worker's"
    return ""


def _holder(role: Role, text: str) -> Holder:
    name, *permissions = text.split("+")
    name, _, project = name.partition("@")
    return Holder(role, name, project=project, permissions=frozenset(permissions))


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(_text(path))
    except yaml.YAMLError as error:
        raise ValidationError([Problem(f"is no YAML: {error}", file=str(path))]) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ValidationError([Problem("expected a mapping of settings", file=str(path))])
    return content


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValidationError(
            [Problem(f"cannot be read: {error.strerror}", file=str(path))]
        ) from error
    except UnicodeDecodeError as error:
        raise ValidationError([Problem(f"is no UTF-8 text: {error}", file=str(path))]) from error
