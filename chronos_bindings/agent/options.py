"""What `cumulus-agent` is told: arguments, and the token from the environment. Used by `main`."""

from __future__ import annotations

import argparse
import os
import re
import socket
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ...crd_like_specs.identity import NAME_PATTERN
from .stream import is_loopback

TOKEN_VARIABLE: Final = "CUMULUS_AGENT_TOKEN"  # noqa: S105 (the variable's name)


@dataclass(frozen=True)
class Options:
    """See `parse`. ca: PEM file of the controller's authority, None: no TLS. token: "" for none."""

    controller: str
    data: Path
    platform: Literal["docker", "process"]
    name: str
    process_root: Path
    partitioner: Literal["auto", "ledger", "chronos"]
    image: str
    endpoint: str
    labels: Mapping[str, str]
    ca: Path | None
    token: str
    log_format: Literal["text", "json"]
    log_level: str


def parse(argv: Sequence[str] | None, env: MutableMapping[str, str] = os.environ) -> Options:
    """Exits with 2 and one line that says what was expected. The token leaves the environment."""
    parser = argparse.ArgumentParser(
        prog="cumulus-agent",
        description="Holds leases, prepares jobs and enforces their ends on one worker.",
        epilog=f"The token is read from the environment: {TOKEN_VARIABLE}.",
    )
    add = parser.add_argument
    add("--controller", required=True, type=_address, metavar="HOST:PORT")
    add("--data", required=True, type=Path, metavar="DIR", help="folder of this agent alone")
    add("--platform", required=True, choices=("docker", "process"))
    add("--name", type=_name, help="of this worker (default: the host's name)")
    add("--process-root", type=Path, metavar="DIR", help="units of the process platform")
    add("--partitioner", default="auto", choices=("auto", "ledger", "chronos"))
    add("--image", default="cumulus-job:latest", help="with which isolation is checked")
    add("--endpoint", default="", metavar="URL", help="of the Docker Engine (default: local)")
    add("--label", action="append", default=[], type=_label, metavar="KEY=VALUE", dest="labels")
    add("--ca", type=Path, metavar="FILE", help="connect by TLS, trusting this authority (PEM)")
    add("--insecure", action="store_true", help="allow a token or another machine without TLS")
    add("--log-format", default="text", choices=("text", "json"))
    add("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    given = parser.parse_args(argv)
    if given.platform == "process" and given.process_root is None:
        parser.error("--platform process needs --process-root DIR")
    if given.ca is None and not is_loopback(given.controller) and not given.insecure:
        parser.error(
            f"{given.controller} is another machine: give --ca FILE, "
            "or --insecure to talk to it unencrypted"
        )
    return Options(
        controller=given.controller,
        data=given.data.absolute(),
        platform=given.platform,
        name=given.name or default_name(socket.gethostname()),
        process_root=(given.process_root or given.data / "units").absolute(),
        partitioner=given.partitioner,
        image=given.image,
        endpoint=given.endpoint,
        labels=dict(given.labels),
        ca=given.ca,
        token=env.pop(TOKEN_VARIABLE, ""),
        log_format=given.log_format,
        log_level=given.log_level,
    )


def default_name(hostname: str) -> str:
    """The host's name as a worker's: lower case, other characters as dashes."""
    return re.sub(r"[^a-z0-9]+", "-", hostname.lower()).strip("-")[:63].strip("-") or "worker"


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r}: expected HOST:PORT, such as 127.0.0.1:50051")
    return text


def _name(text: str) -> str:
    if not re.match(NAME_PATTERN, text):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected lower-case letters, digits and inner dashes, at most 63"
        )
    return text


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r}: expected KEY=VALUE")
    return key, value
