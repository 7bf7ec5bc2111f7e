"""Certificates for TLS: an authority of the fleet's own, servers and devices.

ECDSA on P-256: an ESP32 verifies such a signature in a fraction of the time RSA takes,
and in a fraction of the memory.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tilth.core.errors import InputError, MissingDependencyError
from tilth.fleet.clock import Clock, now_ms
from tilth.fleet.credentials import write_private
from tilth.fleet.wire import is_device

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

#: Validity, days. The authority outlives the devices (nobody wants to flash 85 of them
#: for a date); a server's certificate is renewed on one machine, so it may be shorter.
CA_DAYS, SERVER_DAYS, DEVICE_DAYS = 7300, 825, 3650

CA_CERTIFICATE, CA_KEY = "ca.pem", "ca.key"


def create_authority(
    folder: str | os.PathLike[str], name: str = "tilth fleet", *, clock: Clock = now_ms
) -> Path:
    """Make the fleet's certificate authority: ``ca.pem`` and ``ca.key``.

    Keep the key off the server: who has it can make certificates devices trust.

    Parameters
    ----------
    folder : path
        Where to write; made if absent.
    name : str
        Common name.
    clock : callable
        Gives utc ms.

    Returns
    -------
    Path
        The certificate.

    Raises
    ------
    InputError
        If there is one already.
    """
    x509, _ = _cryptography()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / CA_KEY).exists():
        raise InputError(
            f"{folder / CA_KEY} exists: another authority would make every device "
            "refuse the server. Move it away first if that is meant"
        )
    key = _new_key()
    subject = _named(name)
    builder = (
        _builder(subject, subject, key, CA_DAYS, clock)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(certificates=True), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
    )
    return _write(folder, "ca", builder, key, key)


def issue_server(
    folder: str | os.PathLike[str],
    hosts: Sequence[str],
    *,
    days: int = SERVER_DAYS,
    clock: Clock = now_ms,
) -> Path:
    """Make ``server.pem`` and ``server.key`` for the names and addresses of a server.

    Parameters
    ----------
    folder : path
        Where the authority lies.
    hosts : sequence of str
        Host names and IP addresses as devices use them.
    days : int
        Validity.
    clock : callable
        Gives utc ms.
    """
    x509, oid = _cryptography()
    if not hosts:
        raise InputError("a server's certificate names at least one host or address")
    names: list = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return _issue(
        Path(folder),
        "server",
        hosts[0],
        days,
        clock,
        oid.ExtendedKeyUsageOID.SERVER_AUTH,
        names,
    )


def issue_device(
    folder: str | os.PathLike[str],
    device: str,
    *,
    days: int = DEVICE_DAYS,
    clock: Clock = now_ms,
) -> Path:
    """Make ``<device>.pem`` and ``.key``, with which it logs in without a password."""
    _, oid = _cryptography()
    if not is_device(device):
        raise InputError(f"{device!r} is no device: 12 hexadecimal digits")
    usage = oid.ExtendedKeyUsageOID.CLIENT_AUTH
    return _issue(Path(folder), device, device, days, clock, usage, [])


def _issue(
    folder: Path,
    stem: str,
    name: str,
    days: int,
    clock: Clock,
    usage: x509.ObjectIdentifier,
    names: list,
) -> Path:
    """Sign a certificate with the authority in a folder."""
    x509, _ = _cryptography()
    ca, ca_key = _authority(folder)
    key = _new_key()
    builder = (
        _builder(_named(name), ca.subject, key, days, clock)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
            critical=False,
        )
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName(names), critical=False
        )
    return _write(folder, stem, builder, key, ca_key)


def _authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        certificate = x509.load_pem_x509_certificate(
            (folder / CA_CERTIFICATE).read_bytes()
        )
        key = load_pem_private_key((folder / CA_KEY).read_bytes(), None)
    except FileNotFoundError as error:
        raise InputError(
            f"no authority in {folder}: {error.filename} is missing. "
            "`create_authority` makes one"
        ) from None
    return certificate, key  # type: ignore[return-value]


def _cryptography():
    try:
        from cryptography import x509
        from cryptography.x509 import oid
    except ImportError as error:
        raise MissingDependencyError(
            "certificates need the library cryptography: pip install 'tilth[fleet]'"
        ) from error
    return x509, oid


def _new_key() -> ec.EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _named(name: str) -> x509.Name:
    x509, oid = _cryptography()
    return x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    days: int,
    clock: Clock,
) -> x509.CertificateBuilder:
    x509, _ = _cryptography()
    now = datetime.datetime.fromtimestamp(clock() / 1000, datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A day back: a device whose clock is slow still accepts it.
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _usage(*, certificates: bool) -> x509.KeyUsage:
    x509, _ = _cryptography()
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(
    folder: Path,
    stem: str,
    builder: x509.CertificateBuilder,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
) -> Path:
    from cryptography.hazmat.primitives import hashes, serialization

    certificate = builder.sign(signer, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / f"{stem}.pem"
    write_private(folder / f"{stem}.key", private.decode())
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path
