"""The controller's own certificate authority, in `<dataDir>/pki`. I/O: that folder.

    ca.key, ca.crt   made at the first start; the key never leaves this folder
    server.pem       key and certificate of every TLS listener, in one file so that no reader
                     ever sees one of the two without the other

Made by `setup.py`. Times are POSIX seconds and always an argument.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cryptography import x509
from loguru import logger

from ...api import keys
from ...api.private_files import private_folder, write_private
from ...crd_like_specs.errors import StoreError, ValidationError
from . import certificates as made

_PUBLIC: Final = 0o644
_RENEW_AT: Final = 1 / 3
"""A server certificate is replaced when less than this part of its life is left."""


class Authority:
    """See the module docstring; open it by `Authority.open`."""

    def __init__(self, folder: Path, key: keys.Key, certificate: x509.Certificate) -> None:
        self._by = (key, certificate)
        self.path = folder / "ca.crt"
        self.certificate = keys.certificate_pem(certificate)
        self.fingerprint = keys.fingerprint(certificate)
        self.server_file = folder / "server.pem"

    @classmethod
    def open(cls, folder: Path, now: float) -> Authority:
        """The authority in the folder, made where there is none. StoreError where it is damaged:
        a new one would shut every worker and client out, so that nothing is made over it.
        """
        try:
            private_folder(folder)
            key_file, file = folder / "ca.key", folder / "ca.crt"
            if not file.exists():
                if not key_file.exists():
                    write_private(key_file, keys.key_pem(keys.new_key()))
                # Of a key that was there what it signed goes on being trusted.
                key = _key(key_file)
                write_private(file, keys.certificate_pem(made.new_authority(key, now)), _PUBLIC)
                logger.info("made an authority of its own: {}", file)
            found = cls(folder, *_read(key_file, file))
            key_file.chmod(0o600)
        except OSError as e:
            raise StoreError(f"the authority cannot be kept: {e.strerror}: {e.filename}") from e
        return found

    def ensure_server(self, names: Iterable[str], now: float) -> bool:
        """Have a server certificate for these names with much of its life left; whether it is new.

        StoreError where it cannot be written.
        """
        wanted = frozenset(names)
        if self._server_is_good(wanted, now):
            return False
        key = keys.new_key()
        certificate = made.server_certificate(key, sorted(wanted), self._by, now)
        try:
            write_private(self.server_file, keys.key_pem(key) + keys.certificate_pem(certificate))
        except OSError as e:
            raise StoreError(f"{self.server_file} cannot be written: {e.strerror}") from e
        logger.info("made a server certificate for {}", ", ".join(sorted(wanted)))
        return True

    def sign(self, public: keys.PublicKey, worker: str, now: float) -> bytes:
        """A certificate (PEM) with which this key's holder speaks as the worker, for 30 days."""
        return keys.certificate_pem(made.worker_certificate(public, worker, self._by, now))

    def is_ours(self, certificate: x509.Certificate) -> bool:
        """Whether this authority signed it."""
        return keys.issued_by(certificate, self._by[1])

    def _server_is_good(self, names: frozenset[str], now: float) -> bool:
        try:
            found = keys.read_certificate(self.server_file.read_bytes())
            left = made.seconds_left(found, now)
            return (
                self.is_ours(found)
                and made.names_of(found) == names
                and left > _RENEW_AT * made.SERVER_SECONDS
            )
        except (OSError, ValidationError, x509.ExtensionNotFound):
            return False


def _key(file: Path) -> keys.Key:
    try:
        return keys.read_key(file.read_bytes())
    except FileNotFoundError as e:
        raise StoreError(f"{file} is missing: {_hint(file)}") from e
    except ValidationError as e:
        raise StoreError(f"{file} is damaged: {_hint(file)}") from e


def _read(key_file: Path, file: Path) -> tuple[keys.Key, x509.Certificate]:
    key = _key(key_file)
    try:
        certificate = keys.read_certificate(file.read_bytes())
    except ValidationError as e:
        raise StoreError(f"{file} is damaged: {_hint(file)}") from e
    if keys.key_hash(key.public_key()) != keys.key_hash(certificate.public_key()):
        raise StoreError(f"{key_file} is not the key of {file.name}: {_hint(file)}")
    return key, certificate


def _hint(file: Path) -> str:
    where = file.parent
    return f"restore {where} from a backup, or delete it: then every worker must join anew"
