# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates for caches, good and bad ones, from a root and an intermediate of their own."""

from __future__ import annotations

import dataclasses
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@dataclasses.dataclass(frozen=True)
class Issued:
    """A certificate with its key, and the chain as a cache presents it."""

    certificate: str
    chain: str
    private_key: ec.EllipticCurvePrivateKey

    @property
    def key(self) -> str:
        return self._key_pem(serialization.NoEncryption())

    def encrypted_key(self, passphrase: str) -> str:
        return self._key_pem(serialization.BestAvailableEncryption(passphrase.encode()))

    def _key_pem(self, encryption: serialization.KeySerializationEncryption) -> str:
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        return self.private_key.private_bytes(*form).decode()


class Authority:
    """A root, and an intermediate that signs what is asked for."""

    def __init__(self, prefix: str = "Test") -> None:
        self._names = root_name, intermediate_name = f"{prefix} root", f"{prefix} intermediate"
        self._root_key = ec.generate_private_key(ec.SECP256R1())
        self._key = ec.generate_private_key(ec.SECP256R1())
        root = self._sign(root_name, self._root_key, root_name, self._root_key, authority=True)
        self.root = _pem(root)
        self.intermediate = _pem(self._sign(intermediate_name, self._key, root_name, self._root_key, authority=True))

    def issue(
        self, host: str, *, begin: datetime.datetime | None = None, end: datetime.datetime | None = None
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _pem(self._sign(host, key, self._names[1], self._key, begin=begin, end=end))
        return Issued(certificate, certificate + self.intermediate, key)

    @staticmethod
    def _sign(
        subject: str,
        key: ec.EllipticCurvePrivateKey,
        issuer: str,
        issuer_key: ec.EllipticCurvePrivateKey,
        *,
        authority: bool = False,
        begin: datetime.datetime | None = None,
        end: datetime.datetime | None = None,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.timezone.utc)
        usage = {
            name: authority if "sign" in name else not authority
            for name in ("digital_signature", "key_cert_sign", "crl_sign")
        }
        unused = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
        usage["digital_signature"] = True
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin or (end or now) - 30 * DAY)
            .not_valid_after(end or now + 60 * DAY)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(**usage, **dict.fromkeys(unused, False), encipher_only=False, decipher_only=False),
                critical=True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        )
        if not authority:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False)
        return builder.sign(issuer_key, hashes.SHA256())
