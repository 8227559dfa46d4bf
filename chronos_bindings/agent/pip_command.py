"""What pip is run with, in a container or here. Pure, except that `host_ca` looks for a file and
`needs_this_machine` for addresses.

Called by `pip_docker`, `pip_process` and `isolation`.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

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
_URLS: Final = tuple(
    name for name in _PASSED if name.endswith("_URL") or name.lower().startswith("http")
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


def needs_this_machine(agent: Mapping[str, str], own: Collection[str]) -> bool:
    """Whether an index or a proxy of the agent's environment is on this machine itself, or on one
    whose name leads nowhere now, which is as good as that. own: this machine's addresses. Blocks.
    """
    asked = environment(agent)
    urls = " ".join(asked[name] for name in _URLS if name in asked).split()
    return any(_may_be_on(url, own) for url in urls)


def _may_be_on(url: str, own: Collection[str]) -> bool:
    try:
        host = urlsplit(url if "//" in url else f"//{url}").hostname
        found = {str(address[0]) for *_, address in socket.getaddrinfo(host or "", None)}
    except (ValueError, OSError):
        return True
    return any(address in own or ip_address(address).is_loopback for address in found)


def certificates(bundle: str) -> dict[str, str]:
    """Makes pip, and what it builds with, trust this bundle."""
    return dict.fromkeys(_BUNDLE_VARIABLES, bundle)


def host_ca(agent: Mapping[str, str], bundles: tuple[str, ...] = _BUNDLES) -> Path | None:
    """CA bundle of this machine: what the environment names, else where systems keep it."""
    named = [agent[name] for name in _BUNDLE_VARIABLES if agent.get(name)]
    found = (Path(name) for name in (*named, *bundles))
    return next((path for path in found if path.is_absolute() and path.is_file()), None)
