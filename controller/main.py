"""`cumulus-controller`: reads its configuration, and runs one controller until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from loguru import logger

from .. import __version__
from ..api.auth import check_exposure
from ..api.program_log import configure_logging
from ..crd_like_specs.errors import CumulusError, ValidationError
from .chosen_platform import choose
from .config import Config, default_data_dir, load_config
from .config import __doc__ as config_help
from .jobrunner_settings import take_over
from .wiring import Controller

EXIT_CONFIG = 2
EXIT_FAILED = 1
SIGNALS = """SIGTERM and SIGINT stop it: jobs go on, and are found again at the next start.
SIGHUP has the configuration read again: sources at once, the rest at the next start.
Exit codes: 0 stopped, 1 a part could not start, 2 the configuration is wrong."""


async def serve(config: Config, read: Callable[[], Config]) -> None:
    """One controller until SIGTERM or SIGINT; SIGHUP has the configuration read again."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    controller = Controller(config, await choose(config), read)
    loop.add_signal_handler(signal.SIGHUP, controller.reloading.ask)
    await controller.run(stop)


def main(arguments: list[str] | None = None) -> None:
    """Entry point; exits 2 where the configuration is wrong, 1 where a part cannot start."""
    parser = argparse.ArgumentParser(
        prog="cumulus-controller",
        description="Take jobs, plan them, run them on the configured platform. Without a "
        "configuration: as plain processes of this machine, gRPC on 127.0.0.1:50051, the "
        f"dashboard on http://127.0.0.1:8080/, data in {default_data_dir()}.",
        epilog=f"the configuration:\n\n{config_help}\n\n{SIGNALS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML; without it, see above")
    parser.add_argument(
        "--insecure", action="store_true", help="listen beyond loopback without TLS and tokens"
    )
    parser.add_argument("--version", action="version", version=__version__)
    given = parser.parse_args(arguments)
    read = partial(load_config, given.config, {"insecure": True} if given.insecure else None)
    try:
        config = read()
        check_exposure(
            config.listeners,
            tls=config.tls.auto or config.tls.cert is not None,
            tokens=config.tls.auto or config.tokens_file is not None or config.jobrunner.has_token,
            insecure=config.insecure,
        )
        configure_logging(config.log.format, config.log.level)
        for name in take_over(os.environ):
            logger.warning("{} says nothing here: workers tell what they have", name)
        config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(config, read))
    except ValidationError as error:
        for problem in error.problems:
            sys.stderr.write(f"cumulus-controller: {problem}\n")
        sys.exit(EXIT_CONFIG)
    except (CumulusError, OSError) as error:
        sys.stderr.write(f"cumulus-controller: {error}\n")
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
