"""Private keys, requests for certificates, and what is compared of certificates. Pure but for random.

ECDSA on P-256 everywhere. Shared by the controller's authority and the agents; nothing that a
client of the API imports needs this module.
"""

from __future__ import annotations

import hashlib

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ..crd_like_specs.errors import ValidationError

Key = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey


def new_key() -> Key:
    """A key that nobody has seen."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: Key) -> bytes:
    """PKCS#8, unencrypted: the file's mode protects it."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def read_key(text: bytes) -> Key:
    """Of `key_pem`. ValidationError for anything else."""
    try:
        key = serialization.load_pem_private_key(text, None)
    except (ValueError, TypeError) as e:
        raise ValidationError("expected a PEM key that is not encrypted") from e
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValidationError("expected an ECDSA key")
    return key


def key_hash(public: object) -> str:
    """SHA-256 of an ECDSA public key as certificates carry it, in hex. ValidationError."""
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise ValidationError("expected an ECDSA key")
    raw = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(raw).hexdigest()


def request_pem(key: Key, worker: str) -> bytes:
    """A signed request for a certificate, PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, worker)])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def read_certificate(text: bytes) -> x509.Certificate:
    """The first certificate of a PEM text. ValidationError for anything else."""
    try:
        return x509.load_pem_x509_certificate(text)
    except ValueError as e:
        raise ValidationError("expected a PEM certificate") from e


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """The one certificate and nothing else."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether the authority's key signed it."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, in hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()
