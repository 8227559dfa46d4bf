"""The controller's own authority: what it keeps, what it signs, and what it refuses to make anew."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cumulus.api import keys
from cumulus.controller.config import load_config
from cumulus.controller.security.authority import Authority
from cumulus.controller.security.certificates import (
    DAY,
    SERVER_SECONDS,
    WORKER_SECONDS,
    key_of_csr,
    names_of,
    seconds_left,
    subject,
)
from cumulus.controller.security.setup import admin_token, server_names
from cumulus.crd_like_specs.errors import StoreError, ValidationError

NOW = 1_800_000_000.0


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def server_of(authority: Authority) -> x509.Certificate:
    return keys.read_certificate(authority.server_file.read_bytes())


def test_it_is_made_once_and_only_its_owner_reads_the_keys(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "pki"
    first = Authority.open(folder, NOW)
    first.ensure_server(["localhost"], NOW)
    assert mode(folder) == 0o700
    assert {p.name: mode(p) for p in folder.iterdir()} == {
        "ca.key": 0o600,
        "ca.crt": 0o644,
        "server.pem": 0o600,
    }
    again = Authority.open(folder, NOW + DAY)
    assert (again.certificate, again.fingerprint) == (first.certificate, first.fingerprint)
    assert len(first.fingerprint) == 64


def test_a_key_that_was_opened_to_others_is_closed_again(tmp_path: Path) -> None:
    Authority.open(tmp_path / "pki", NOW)
    (tmp_path / "pki" / "ca.key").chmod(0o644)
    (tmp_path / "pki").chmod(0o755)
    Authority.open(tmp_path / "pki", NOW)
    assert (mode(tmp_path / "pki" / "ca.key"), mode(tmp_path / "pki")) == (0o600, 0o700)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("ca.key", None),
        ("ca.key", b"nonsense"),
        ("ca.crt", b"nonsense"),
        ("ca.key", keys.key_pem(keys.new_key())),
    ],
)
def test_a_damaged_one_is_never_replaced(tmp_path: Path, file: str, content: bytes | None) -> None:
    folder = tmp_path / "pki"
    Authority.open(folder, NOW)
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(StoreError, match=r"restore .*/pki from a backup"):
        Authority.open(folder, NOW)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_broken_off_between_key_and_certificate_it_goes_on_with_the_key(tmp_path: Path) -> None:
    first = Authority.open(tmp_path, NOW)
    first.ensure_server(["localhost"], NOW)
    (tmp_path / "ca.crt").unlink()
    again = Authority.open(tmp_path, NOW + 1)
    assert again.is_ours(server_of(first))


def test_a_server_certificate_is_kept_until_its_names_or_time_change(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, NOW)
    names = ["localhost", "127.0.0.1", "::1", "gpu.example.org"]
    assert authority.ensure_server(names, NOW)
    assert not authority.ensure_server(names, NOW + 59 * DAY)
    assert names_of(server_of(authority)) == frozenset(names)
    assert authority.ensure_server(names, NOW + 61 * DAY)  # less than a third is left
    assert seconds_left(server_of(authority), NOW + 61 * DAY) == pytest.approx(
        SERVER_SECONDS, abs=2
    )
    assert authority.ensure_server(["localhost"], NOW + 61 * DAY)
    authority.server_file.write_bytes(b"half")
    assert authority.ensure_server(["localhost"], NOW + 61 * DAY)


def test_one_of_another_authority_is_replaced(tmp_path: Path) -> None:
    ours, other = (Authority.open(tmp_path / name, NOW) for name in "ab")
    other.ensure_server(["localhost"], NOW)
    ours.server_file.write_bytes(other.server_file.read_bytes())
    assert ours.ensure_server(["localhost"], NOW)


def test_a_worker_gets_its_name_and_nothing_that_it_asks_for(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, NOW)
    key = keys.new_key()
    greedy = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "admin")]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    csr = greedy.public_bytes(serialization.Encoding.PEM)
    text = authority.sign(key_of_csr(csr), "w1", NOW)
    made = keys.read_certificate(text)
    assert subject(text).worker == "w1"
    assert subject(text).key == keys.key_hash(key.public_key())
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    with pytest.raises(x509.ExtensionNotFound):
        names_of(made)
    assert seconds_left(made, NOW) == pytest.approx(WORKER_SECONDS, abs=2)


def test_openssl_agrees(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, NOW)
    authority.ensure_server(["localhost"], NOW)
    key = keys.new_key()
    (tmp_path / "w.crt").write_bytes(authority.sign(key.public_key(), "w1", NOW))
    at = ["-attime", str(int(NOW) + 60), "-x509_strict", "-CAfile", str(authority.path)]
    for purpose, file in (("sslserver", authority.server_file), ("sslclient", tmp_path / "w.crt")):
        subprocess.run(
            ["openssl", "verify", *at, "-purpose", purpose, str(file)],
            check=True,
            capture_output=True,
        )
    wrong = ["openssl", "verify", *at, "-purpose", "sslserver", str(tmp_path / "w.crt")]
    assert subprocess.run(wrong, check=False, capture_output=True).returncode != 0


@pytest.mark.parametrize(
    "csr",
    [
        b"",
        b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        b"x" * (20 << 10),
        keys.request_pem(keys.new_key(), "w1").replace(b"M", b"N", 1),
    ],
)
def test_requests_that_are_none(csr: bytes) -> None:
    with pytest.raises(ValidationError, match="ECDSA key on P-256"):
        key_of_csr(csr)


def test_a_request_for_a_key_that_is_not_held_is_none() -> None:
    mine, theirs = (keys.request_pem(keys.new_key(), "w1") for _ in range(2))
    one, other = (x509.load_pem_x509_csr(each) for each in (mine, theirs))
    forged = one.public_bytes(serialization.Encoding.DER).replace(
        one.tbs_certrequest_bytes, other.tbs_certrequest_bytes
    )
    csr = x509.load_der_x509_csr(forged).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(ValidationError, match="signed PEM request"):
        key_of_csr(csr)


def test_the_names_are_those_by_which_it_can_be_reached(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "listen: {grpc: 10.0.0.5:50051, http: gpu.local:8080}\n"
        "advertise: GPU.example.org\ntls: {auto: true}\n"
    )
    names = server_names(load_config(file))
    assert {"10.0.0.5", "gpu.local", "gpu.example.org", "localhost", "127.0.0.1", "::1"} <= names
    file.write_text("listen: {grpc: 0.0.0.0:50051}\ntls: {auto: true}\n")
    assert "0.0.0.0" not in server_names(load_config(file))


def test_the_admin_token_is_made_once(tmp_path: Path) -> None:
    first = admin_token(tmp_path / "admin.token")
    assert len(first) >= 40
    assert mode(tmp_path / "admin.token") == 0o600
    assert admin_token(tmp_path / "admin.token") == first
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="cannot be kept"):
        admin_token(tmp_path / "folder")
