"""Where the controller is and how to speak to it. PURE; called by `connection.py` and the CLI."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from ..crd_like_specs.errors import ValidationError

DEFAULT_PORT = 50051
DEFAULT_SERVER = f"127.0.0.1:{DEFAULT_PORT}"

_HOST: Final = re.compile(r"^[A-Za-z0-9._:%-]+$")
_SCHEMES: Final = {"": False, "http": False, "grpc": False, "https": True, "grpcs": True}


@dataclass(frozen=True, slots=True)
class Address:
    """host: name or IP address, without brackets; tls: encrypted, the server is verified."""

    host: str
    port: int = DEFAULT_PORT
    tls: bool = False

    @classmethod
    def parse(cls, text: str) -> Address:
        """`host`, `host:port`, `[::1]:port`, or one of them after `http://` or `https://`.

        ValidationError for anything else.
        """
        scheme, mark, rest = text.strip().partition("://")
        if not mark:
            scheme, rest = "", scheme
        tls = _SCHEMES.get(scheme.lower())
        try:
            parts = urlsplit(f"//{rest}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port, tls = None, None, None
        if (
            tls is None
            or not host
            or not _HOST.match(host)
            or parts.path not in ("", "/")
            or parts.username
            or parts.query
        ):
            raise ValidationError(
                f"{text!r} is no server address: expected HOST:PORT, such as {DEFAULT_SERVER}, "
                "or https://HOST:PORT"
            )
        return cls(host, port or DEFAULT_PORT, tls)

    @property
    def target(self) -> str:
        """As gRPC wants it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def local(self) -> bool:
        """Whether it can only be this machine."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
