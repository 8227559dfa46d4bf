"""What pip is run with, in a container or here. Pure, except that `host_ca` looks for a file.

Called by `pip_docker` and `pip_process`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

_PASSED: Final = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_RETRIES",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
_BUNDLE_VARIABLES: Final = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS
)


def arguments(python: str, site: str, requirements: tuple[str, ...]) -> list[str]:
    """The command. Requirements are arguments after `--`: in a file pip would replace `${NAME}`
    in them by the environment's values, and take lines as options.
    """
    options = [
        "--no-input",
        "--no-cache-dir",  # shared between jobs it would let one poison the other
        "--disable-pip-version-check",
        "--no-warn-script-location",
        "--progress-bar=off",
        f"--target={site}",
    ]
    return [python, "-m", "pip", "install", *options, "--", *requirements]


def environment(agent: Mapping[str, str]) -> dict[str, str]:
    """Which index to ask and how to reach it, from the agent's own environment."""
    return {name: agent[name] for name in _PASSED if agent.get(name)}


def certificates(bundle: str) -> dict[str, str]:
    """Makes pip, and what it builds with, trust this bundle."""
    return dict.fromkeys(_BUNDLE_VARIABLES, bundle)


def host_ca(agent: Mapping[str, str], bundles: tuple[str, ...] = _BUNDLES) -> Path | None:
    """CA bundle of this machine: what the environment names, else where systems keep it."""
    named = [agent[name] for name in _BUNDLE_VARIABLES if agent.get(name)]
    found = (Path(name) for name in (*named, *bundles))
    return next((path for path in found if path.is_absolute() and path.is_file()), None)
