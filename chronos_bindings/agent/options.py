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

from ...api.identity_folder import read_identity
from ...api.joining import worker_name
from ...crd_like_specs.errors import ValidationError
from ...crd_like_specs.identity import NAME_PATTERN
from ...crd_like_specs.units import parse_bytes
from .stream import is_loopback

TOKEN_VARIABLE: Final = "CUMULUS_AGENT_TOKEN"  # noqa: S105 (the variable's name)


@dataclass(frozen=True)
class Options:
    """See `parse`. ca: PEM file of the controller's authority, None: no TLS. token: "" for none.

    identity: folder that `join` wrote, None: none. dataset_cache: bytes, 0 for half of the disk.
    """

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
    identity: Path | None
    token: str
    dataset_cache: int
    log_format: Literal["text", "json"]
    log_level: str


def parse(argv: Sequence[str] | None, env: MutableMapping[str, str] = os.environ) -> Options:
    """Exits with 2 and one line that says what was expected. The token leaves the environment."""
    parser = argparse.ArgumentParser(
        prog="cumulus-agent",
        description="Holds leases, prepares jobs and enforces their ends on one worker.",
        epilog="`cumulus-agent join` makes this machine a worker first; what it wrote is given with "
        f"--identity. A token is read from the environment: {TOKEN_VARIABLE}.",
    )
    add = parser.add_argument
    add("--controller", type=address, metavar="HOST:PORT", help="(default: the identity's)")
    add("--identity", type=Path, metavar="DIR", help="what `cumulus-agent join` wrote")
    add("--data", required=True, type=Path, metavar="DIR", help="folder of this agent alone")
    add("--platform", required=True, choices=("docker", "process"))
    add("--name", type=name_option, help="of this worker (default: the host's name)")
    add("--process-root", type=Path, metavar="DIR", help="units of the process platform")
    add("--partitioner", default="auto", choices=("auto", "ledger", "chronos"))
    add("--image", default="cumulus-job:latest", help="with which isolation is checked")
    add("--endpoint", default="", metavar="URL", help="of the Docker Engine (default: local)")
    add("--label", action="append", default=[], type=_label, metavar="KEY=VALUE", dest="labels")
    add("--ca", type=Path, metavar="FILE", help="connect by TLS, trusting this authority (PEM)")
    add("--insecure", action="store_true", help="allow a token or another machine without TLS")
    add(
        "--dataset-cache",
        default=0,
        type=_size,
        metavar="SIZE",
        help="that unpacked datasets may take, such as 200Gi (default: half of the disk)",
    )
    add("--log-format", default="text", choices=("text", "json"))
    add("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    given = parser.parse_args(argv)
    if given.identity is not None:
        _take_identity(parser, given)
    elif given.controller is None:
        parser.error("give --identity DIR, or --controller HOST:PORT")
    if given.platform == "process" and given.process_root is None:
        parser.error("--platform process needs --process-root DIR")
    unencrypted = given.ca is None and given.identity is None
    if unencrypted and not is_loopback(given.controller) and not given.insecure:
        parser.error(
            f"{given.controller} is another machine: give --ca FILE, "
            "or --insecure to talk to it unencrypted"
        )
    return Options(
        controller=given.controller,
        data=given.data.absolute(),
        platform=given.platform,
        name=given.name or worker_name(socket.gethostname()),
        process_root=(given.process_root or given.data / "units").absolute(),
        partitioner=given.partitioner,
        image=given.image,
        endpoint=given.endpoint,
        labels=dict(given.labels),
        ca=given.ca,
        identity=given.identity.absolute() if given.identity else None,
        token=env.pop(TOKEN_VARIABLE, ""),
        dataset_cache=given.dataset_cache,
        log_format=given.log_format,
        log_level=given.log_level,
    )


def _take_identity(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    if given.ca is not None:
        parser.error("--ca is in the identity: expected either --identity or --ca")
    try:
        identity = read_identity(given.identity)
    except ValidationError as e:
        parser.error(f"--identity {given.identity}: {e.message}")
    if given.name not in (None, identity.worker):
        parser.error(f"--name {given.name}: the identity is of worker {identity.worker}")
    given.name = identity.worker
    given.controller = given.controller or identity.agents


def address(text: str) -> str:
    """HOST:PORT; for argparse."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r}: expected HOST:PORT, such as 127.0.0.1:50051")
    return text


def name_option(text: str) -> str:
    """Name of a worker; for argparse."""
    if not re.match(NAME_PATTERN, text):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected lower-case letters, digits and inner dashes, at most 63"
        )
    return text


def _size(text: str) -> int:
    try:
        return parse_bytes(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(str(e)) from e


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r}: expected KEY=VALUE")
    return key, value
