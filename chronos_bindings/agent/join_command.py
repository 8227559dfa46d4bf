"""`cumulus-agent join`: arguments, exit codes, what it says. Called by `main`.

    CUMULUS_JOIN_TOKEN=cmlj1.… cumulus-agent join --controller HOST:50051 --data DIR [--name NAME]

Writes DIR/identity (see `api/identity_folder.py`). Exit codes: 0 this machine is a worker, 2 bad
arguments or a folder that cannot be written, 6 refused, 7 the controller cannot be reached. The
token is in no argument, since others can read those.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ...api.joining import JoinToken, worker_name
from ...api.program_log import configure_logging
from ...crd_like_specs.errors import (
    ConflictError,
    CumulusError,
    ForbiddenError,
    UnauthenticatedError,
    ValidationError,
)
from .join import join
from .options import address, name_option

JOIN_TOKEN_VARIABLE: Final = "CUMULUS_JOIN_TOKEN"  # noqa: S105 (the variable's name)
IDENTITY: Final = "identity"

BAD, REFUSED, UNREACHED = 2, 6, 7

_REFUSALS: Final = (ConflictError, ForbiddenError, UnauthenticatedError)


@dataclass(frozen=True)
class JoinOptions:
    """What the command line said. folder: of the identity."""

    controller: str
    folder: Path
    name: str
    token: JoinToken = field(repr=False)


def main(arguments: Sequence[str]) -> int:
    """See the module docstring."""
    options = parse(arguments)
    configure_logging("text", "INFO")
    try:
        joined = asyncio.run(join(options.controller, options.folder, options.name, options.token))
    except CumulusError as e:
        _say(e.message)
        if isinstance(e, ValidationError):
            return BAD
        return REFUSED if isinstance(e, _REFUSALS) else UNREACHED
    except OSError as e:
        _say(f"{e.filename or options.folder}: {e.strerror}")
        return BAD
    sys.stdout.write(f"joined as worker {joined.worker}; its agent dials {joined.agents}\n")
    return 0


def parse(arguments: Sequence[str], env: MutableMapping[str, str] = os.environ) -> JoinOptions:
    """Exits with 2 and one line that says what was expected. The token leaves the environment."""
    parser = argparse.ArgumentParser(
        prog="cumulus-agent join",
        description="Makes this machine a worker of a controller.",
        epilog=f"The join token is read from --token-file, or the environment: "
        f"{JOIN_TOKEN_VARIABLE}. Exit codes: 2 bad arguments, 6 refused, 7 not reached.",
    )
    add = parser.add_argument
    add("--controller", required=True, type=address, metavar="HOST:PORT")
    add("--data", required=True, type=Path, metavar="DIR", help="folder of this agent alone")
    add("--name", type=name_option, help="of this worker (default: the host's name)")
    add("--token-file", type=Path, metavar="FILE", help="file with the join token")
    given = parser.parse_args(list(arguments))
    text = env.pop(JOIN_TOKEN_VARIABLE, "")
    try:
        if given.token_file is not None:
            text = given.token_file.read_text(encoding="ascii")
        if not text:
            parser.error(f"give the join token in {JOIN_TOKEN_VARIABLE} or with --token-file FILE")
        token = JoinToken.parse(text)
    except OSError as e:
        parser.error(f"--token-file {given.token_file}: {e.strerror}")
    except UnicodeDecodeError:
        parser.error(f"--token-file {given.token_file}: it is no text")
    except ValidationError as e:
        parser.error(e.message)
    return JoinOptions(
        controller=given.controller,
        folder=given.data.absolute() / IDENTITY,
        name=given.name or worker_name(socket.gethostname()),
        token=token,
    )


def _say(message: str) -> None:
    sys.stderr.write(f"cumulus-agent join: {message}\n")
