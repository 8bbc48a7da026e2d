# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's certificates: three authorities that know nothing of each other, and what they have signed.

DTR's authority signs the registry's certificate. The caches' root has an intermediate which signs those of the caches,
so that the order of a chain is a real thing. The Engines' authority signs servers and the client of the TCP sockets.

Everything is kept as long as it is valid for another 30 days, fits its names and belongs together.
"""

from __future__ import annotations

import datetime
import ipaddress
import typing as t
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .files import write_file
from .folders import Folders
from .topology import REGIONS, REGISTRY

KEEP = datetime.timedelta(days=30)
AUTHORITY_LIFETIME = datetime.timedelta(days=3650)
LEAF_LIFETIME = datetime.timedelta(days=397)
"""As long as public authorities give at most."""

Name = t.Union[str, ipaddress.IPv4Address]


@dataclass(frozen=True)
class Identity:
    """A certificate with its key, and with those of its issuers that have to be sent along."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    intermediates: tuple[x509.Certificate, ...] = ()

    def chain(self) -> bytes:
        """The certificate first, then each issuer after what it has issued; without the root."""
        return b"".join(_pem(certificate) for certificate in (self.certificate, *self.intermediates))

    def private_key(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


@dataclass(frozen=True)
class Files:
    """Where an identity lies."""

    certificate: Path
    private_key: Path


def dtr_ca(folders: Folders) -> Path:
    """The authority of the registry's certificate, as C(/ca) gives it out."""
    return folders.certs / "dtr-ca.pem"


def cache_ca(folders: Folders) -> Path:
    """The root above the caches' certificates: what clients have to trust."""
    return folders.certs / "cache-ca.pem"


def engine_ca(folders: Folders) -> Path:
    """The authority of the Engines' TCP sockets, for both directions."""
    return folders.certs / "engine-ca.pem"


def registry(folders: Folders) -> Files:
    return Files(folders.certs / "dtr.cert.pem", folders.certs / "dtr.key.pem")


def cache(folders: Folders, host: str) -> Files:
    return Files(folders.certs / f"{host}.cert.pem", folders.certs / f"{host}.key.pem")


def engine(folders: Folders, name: str) -> Files:
    """Of a manager's TCP socket by the manager's name; C(client) is the one for those who connect."""
    return Files(folders.certs / f"engine-{name}.cert.pem", folders.certs / f"engine-{name}.key.pem")


def fingerprint(path: Path) -> str:
    """The SHA-256 fingerprint of a file's first certificate, as C(AB:CD:…)."""
    return x509.load_pem_x509_certificate(path.read_bytes()).fingerprint(hashes.SHA256()).hex(":").upper()


def make_all(folders: Folders) -> bool:
    """Make or renew what is missing, ends soon or does not fit. Returns whether something was written."""
    changed = False

    def authority(name: str, subject: str, issuer: Identity | None = None) -> Identity:
        nonlocal changed
        files = Files(folders.certs / f"{name}.pem", folders.certs / f"{name}.key.pem")
        found = _load(files)
        if found is None or not _is_authority_fit(found.certificate, issuer):
            found = _issue(subject, issuer, authority=True)
            changed = _write(found, files)
        return found

    def leaf(files: Files, subject: str, names: Sequence[Name], issuer: Identity, *, client: bool = False) -> None:
        nonlocal changed
        found = _load(files)
        if found is None or not _is_leaf_fit(found, issuer, names):
            changed = _write(_issue(subject, issuer, names=names, client=client), files)

    dtr = authority("dtr-ca", "Lab DTR Root CA")
    leaf(registry(folders), REGISTRY.host_name, [REGISTRY.host_name, REGISTRY.address], dtr)

    root = authority("cache-ca", "Lab Content Cache Root CA")
    intermediate = authority("cache-intermediate", "Lab Content Cache Issuing CA", issuer=root)
    below = Identity(intermediate.certificate, intermediate.key, intermediates=(intermediate.certificate,))
    for region in REGIONS:
        leaf(cache(folders, region.cache_host), region.cache_host, [region.cache_host], below)

    engines = authority("engine-ca", "Lab Engine CA")
    for region in REGIONS:
        manager = region.manager
        leaf(engine(folders, manager.name), manager.host_name, [manager.host_name, manager.address], engines)
    leaf(engine(folders, "client"), "lab operator", [], engines, client=True)
    return changed


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(identity: Identity, files: Files) -> t.Literal[True]:
    # The key goes first: a kill between the two leaves a pair that does not match, and is made anew.
    write_file(files.private_key, identity.private_key(), 0o600)
    write_file(files.certificate, identity.chain(), 0o644)
    return True


def _load(files: Files) -> Identity | None:
    """The identity in these files; None when one is missing or damaged or the key does not match."""
    try:
        certificate, *rest = x509.load_pem_x509_certificates(files.certificate.read_bytes())
        key = serialization.load_pem_private_key(files.private_key.read_bytes(), password=None)
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        return None
    return Identity(certificate, key, tuple(rest))


def _is_fit(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if certificate.not_valid_after_utc - datetime.datetime.now(datetime.timezone.utc) < KEEP:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_authority_fit(certificate: x509.Certificate, issuer: Identity | None) -> bool:
    return _is_fit(certificate, issuer.certificate if issuer else certificate)


def _is_leaf_fit(identity: Identity, issuer: Identity, names: Sequence[Name]) -> bool:
    return (
        _is_fit(identity.certificate, issuer.certificate)
        and identity.intermediates == issuer.intermediates
        and _names_of(identity.certificate) == list(names)
    )


def _names_of(certificate: x509.Certificate) -> list[Name]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [general_name.value for general_name in extension.value]


def _issue(
    subject: str,
    issuer: Identity | None,
    *,
    authority: bool = False,
    client: bool = False,
    names: Sequence[Name] = (),
) -> Identity:
    """Make a key and a certificate for it; without an issuer it signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    signer = issuer.key if issuer else key
    lifetime = AUTHORITY_LIFETIME if authority else LEAF_LIFETIME
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A clock that is a little behind must not refuse a new certificate.
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + lifetime)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(_key_usage(authority), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not authority:
        purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    if names:
        general = [x509.DNSName(name) if isinstance(name, str) else x509.IPAddress(name) for name in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
    return Identity(builder.sign(signer, hashes.SHA256()), key, issuer.intermediates if issuer else ())


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
