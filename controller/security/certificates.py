"""Building and reading X.509 certificates. Pure but for random keys; used in this folder only.

Everything is ECDSA on P-256 with SHA-256. Times are POSIX seconds.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ...api.keys import Key, PublicKey, key_hash
from ...crd_like_specs.errors import ValidationError

DAY: Final = 86400.0
AUTHORITY_SECONDS: Final = 20 * 365 * DAY
SERVER_SECONDS: Final = 90 * DAY
WORKER_SECONDS: Final = 30 * DAY
BACKDATED_SECONDS: Final = 3600.0
"""Certificates begin so much earlier, since clocks of rented machines are often off."""

MAX_CSR_BYTES: Final = 16 << 10


@dataclass(frozen=True, slots=True)
class Subject:
    """What is read of a worker's certificate. worker: its CN; key: SHA-256 of its public key."""

    worker: str
    key: str


def new_authority(key: Key, now: float) -> x509.Certificate:
    """A certificate that signs end certificates and nothing else."""
    name = _name("cumulus authority")
    usage = _usage(key_cert_sign=True, crl_sign=True)
    return (
        _begin(name, name, key.public_key(), now, AUTHORITY_SECONDS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def server_certificate(
    key: Key, names: Iterable[str], by: tuple[Key, x509.Certificate], now: float
) -> x509.Certificate:
    """For a server that is reached under these host names and addresses."""
    subject = _name("cumulus controller")
    builder = _end(subject, key.public_key(), by, now, SERVER_SECONDS)
    alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return (
        builder.add_extension(alternatives, critical=False)
        .add_extension(usage, critical=False)
        .sign(by[0], hashes.SHA256())
    )


def worker_certificate(
    public: PublicKey, worker: str, by: tuple[Key, x509.Certificate], now: float
) -> x509.Certificate:
    """For a worker's agent, as a client only. Of a CSR nothing but the key is taken over."""
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return (
        _end(_name(worker), public, by, now, WORKER_SECONDS)
        .add_extension(usage, critical=False)
        .sign(by[0], hashes.SHA256())
    )


def key_of_csr(csr: bytes) -> PublicKey:
    """The key that asks for a certificate, proved to be held by whoever asks. ValidationError."""
    wrong = ValidationError("csr: expected a signed PEM request for an ECDSA key on P-256")
    if len(csr) > MAX_CSR_BYTES:
        raise wrong
    try:
        request = x509.load_pem_x509_csr(csr)
        public = request.public_key()
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise wrong
        if not isinstance(public.curve, ec.SECP256R1) or not request.is_signature_valid:
            raise wrong
    except (ValueError, InvalidSignature, x509.InvalidVersion) as e:
        raise wrong from e
    return public


@lru_cache(1024)
def subject(certificate: bytes) -> Subject:
    """Of a PEM certificate that TLS has verified already. ValidationError for anything else."""
    try:
        found = x509.load_pem_x509_certificate(certificate)
        (worker,) = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        public = found.public_key()
    except ValueError as e:
        raise ValidationError("the certificate is not one of a worker") from e
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise ValidationError("the certificate is not one of a worker")
    return Subject(str(worker.value), key_hash(public))


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """Host names and addresses that a server's certificate is for."""
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in found.get_values_for_type(x509.IPAddress)}
    return frozenset(found.get_values_for_type(x509.DNSName)) | addresses


def seconds_left(certificate: x509.Certificate, now: float) -> float:
    """Until it ends."""
    return certificate.not_valid_after_utc.timestamp() - now


def _end(
    subject: x509.Name,
    public: PublicKey,
    by: tuple[Key, x509.Certificate],
    now: float,
    life: float,
) -> x509.CertificateBuilder:
    issuer_key, issuer = by
    # No certificate outlives the one that vouches for it.
    life = min(life, seconds_left(issuer, now))
    return (
        _begin(subject, issuer.subject, public, now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )


def _begin(
    subject: x509.Name,
    issuer: x509.Name,
    public: PublicKey,
    now: float,
    life: float,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_time(now - BACKDATED_SECONDS))
        .not_valid_after(_time(now + life))
    )


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _time(when: float) -> datetime:
    return datetime.fromtimestamp(int(when), UTC)
