"""The parts of the configuration that say where things listen, run and come from. Pure.

Those with subjects of their own are in the other `*_settings.py`; `config.py` puts them together.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from ..crd_like_specs.job import LONGEST
from ..crd_like_specs.units import Bytes, Seconds
from .config_section import Section, check_once

MAX_PORT = 65535
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


class PlatformConfig(Section):
    """type: where jobs run; endpoint: of the Docker Engine (ignored by `process`)."""

    type: Literal["swarm", "process"] = "process"
    endpoint: str = "unix:///var/run/docker.sock"


class ListenConfig(Section):
    """HOST:PORT of the listeners; port 0 takes any free one. agents: used with `tls.auto` only,
    port 50052 beside `grpc` where it is not given.
    """

    grpc: ListenAddress = "127.0.0.1:50051"
    http: ListenAddress = "127.0.0.1:8080"
    agents: ListenAddress | None = None


class AgentConfig(Section):
    """embedded: start an agent for this machine; partitioner: how it holds shares; dataset_cache:
    bytes that unpacked datasets may take there, 0 for half of the disk.
    """

    embedded: bool = True
    partitioner: Literal["auto", "chronos", "ledger"] = "auto"
    name: str = ""
    dataset_cache: Bytes = 0


class LogConfig(Section):
    """format: text for people, json a line each for machines."""

    format: Literal["text", "json"] = "text"
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class TlsConfig(Section):
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


class RegistryConfig(Section):
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


class RunnerConfig(Section):
    """The jobs of `/runner`. stale_after: how long they may run; network: whether they reach out."""

    stale_after: Seconds = Field(default=3600, ge=1, le=LONGEST)
    network: Literal["None", "Egress"] = "None"


def each_registry_once(entries: tuple[RegistryConfig, ...]) -> tuple[RegistryConfig, ...]:
    """For a list of them: no two of one server."""
    check_once((entry.server for entry in entries), "registries", "server")
    return entries
