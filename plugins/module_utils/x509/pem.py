# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read PEM as people and tools deliver it. What others get is written anew from what was read, never the text as given.

Environment variables, JSON and form fields turn line breaks into blanks or into a backslash and an n; editors add a
byte order mark; C(openssl) adds comments. Each such text is read alike here.
"""

from __future__ import annotations

import base64
import binascii
import re
import typing as t

from ..common.failure import Failure

try:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
except ImportError:  # certificates.CRYPTOGRAPHY_IMPORT_ERROR reports it
    pass

_BREAKS_AS_TEXT = re.compile(r"(?:\\+r)?\\+n|\\+r|\\+t")
_BLOCK = re.compile(r"-----BEGIN\s+([A-Z0-9 ]+?)\s*-----(.*?)-----END\s+\1\s*-----", re.DOTALL | re.IGNORECASE)
_EDGE = re.compile(r"-{2,}\s*(?:BEGIN|END)", re.IGNORECASE)
_CERTIFICATES = ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")
_BESIDE = re.compile(r"(.+ )?(PRIVATE KEY|PUBLIC KEY|PARAMETERS|CERTIFICATE REQUEST|CRL)")
_CONVERT = {"PKCS7": "openssl pkcs7 -print_certs -in FILE -out FILE.pem", "CMS": "openssl cms -in FILE -out FILE.pem"}


class Block(t.NamedTuple):
    """The label of a PEM block in upper case, and what is between its BEGIN and END lines."""

    label: str
    body: str


def has_pem(text: str) -> bool:
    """Tell PEM from a path."""
    return bool(_EDGE.search(text))


def blocks(content: str | bytes) -> list[Block]:
    """Find the blocks of a PEM text. Comments between them are left out.

    Raises:
        Failure: C(INVALID_PEM) when a BEGIN or END line is damaged or missing.
    """
    text = _BREAKS_AS_TEXT.sub("\n", _decoded(content))
    found = [Block(" ".join(label.upper().split()), body) for label, body in _BLOCK.findall(text)]
    if _EDGE.search(_BLOCK.sub("", text)):
        after = f" after block {len(found)}" if found else ""
        raise _invalid(f"The PEM text is cut off or damaged{after}: a BEGIN or END line is missing")
    return found


def certificate_blocks(content: str | bytes) -> list[bytes]:
    """Return the certificates of a PEM text in DER. A key, a request or a revocation list beside them is left out.

    Raises:
        Failure: C(INVALID_PEM) when there is no certificate, or something that may hold one in another form.
    """
    found = blocks(content)
    wrong = next((label for label, _body in found if label not in _CERTIFICATES and not _BESIDE.fullmatch(label)), None)
    if wrong:
        how = f"; {_CONVERT[wrong]} converts it" if wrong in _CONVERT else ""
        raise _invalid(f"The PEM text holds a {wrong}, which is no CERTIFICATE{how}")
    chosen = [each for each in found if each.label in _CERTIFICATES]
    if found and not chosen:
        raise _invalid(f"The PEM text holds a {found[0].label} and no CERTIFICATE")
    return [_certificate(each, number) for number, each in enumerate(chosen, start=1)]


def has_key(content: str | bytes) -> bool:
    """Tell whether a PEM text holds a private key."""
    return any(each.label.endswith("PRIVATE KEY") for each in blocks(content))


def private_key(content: str | bytes) -> tuple[t.Any, str]:
    """Return the one private key of a PEM text, and the text of it as C(openssl) writes it, whatever is beside it.

    It keeps its form, PKCS#8 or that of its kind, so that the text of one that C(openssl) wrote does not change.

    Raises:
        Failure: C(INVALID_PEM), with a clause that goes on after the key's name.
    """
    found = blocks(content)
    keys = [each for each in found if each.label.endswith("PRIVATE KEY")]
    if len(keys) > 1:
        raise _invalid("holds several private keys; give that of the certificate alone")
    if not keys:
        instead = f"it is a {found[0].label}" if found else "it has no BEGIN PRIVATE KEY line"
        raise _invalid(f"is not a private key in PEM: {instead}")
    label, body = keys[0]
    if label == "OPENSSH PRIVATE KEY":
        raise _invalid("is in the format of OpenSSH; convert a copy of it: ssh-keygen -p -m PKCS8 -f COPY")
    if label == "ENCRYPTED PRIVATE KEY" or "ENCRYPTED" in body:
        raise _invalid(
            "is encrypted, and nothing can ask for its passphrase. Decrypt it: openssl pkey -in KEY -out KEY.plain "
            "(and name that file in dtr_cache_source_files, so that it is removed at the end)"
        )
    form = serialization.PrivateFormat
    chosen = form.TraditionalOpenSSL if label in ("RSA PRIVATE KEY", "EC PRIVATE KEY") else form.PKCS8
    try:
        key = serialization.load_der_private_key(_der(body), password=None)
        text = key.private_bytes(serialization.Encoding.PEM, chosen, serialization.NoEncryption())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _invalid("is not a private key in PEM: it is cut off, changed, or of an unknown kind") from None
    return key, str(text.decode("ascii"))


def not_pem(content: bytes, *, is_key: bool) -> str:
    """Say what a file without a PEM block is, as a clause, and how it is converted."""
    if not content.strip():
        return "the file is empty"
    if content[:1] == b"\x30" and not content.isascii():
        what = "pkey -inform DER -in FILE -out FILE.pem" if is_key else "x509 -inform DER -in FILE -out FILE.pem"
        return (
            f"is not PEM; it looks like DER or PKCS#12: openssl {what} converts the former, openssl pkcs12 -in FILE "
            f"{'-nocerts -nodes' if is_key else '-nokeys'} -out FILE.pem the latter"
        )
    if is_base64(content.decode("latin-1")):
        return "is not PEM but base64; decode it first (base64 -d), or add its BEGIN and END lines"
    return "is not PEM: the file has no line that begins with -----BEGIN"


def is_base64(text: str) -> bool:
    """Tell base64 that is too long for a path."""
    return bool(re.fullmatch(r"[A-Za-z0-9+/=\s]{200,}", text))


def _decoded(content: str | bytes) -> str:
    if isinstance(content, str):
        return content
    # PEM itself is ASCII, in UTF-16 and UTF-32 as well.
    plain = content.replace(b"\0", b"")
    try:
        return plain.decode("utf-8")
    except UnicodeDecodeError:
        return plain.decode("latin-1")


def _certificate(block: Block, number: int) -> bytes:
    try:
        der = _der(block.body)
    except ValueError:
        raise _invalid(f"Certificate {number} of the PEM text cannot be read: it is not base64") from None
    # OpenSSL writes its own notes behind a TRUSTED CERTIFICATE.
    return _first_item(der) if block.label == "TRUSTED CERTIFICATE" else der


def _der(body: str) -> bytes:
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def _first_item(der: bytes) -> bytes:
    head, size = der[:2], der[1] if len(der) > 1 else 0
    if size >= 0x80:
        head = der[: 2 + (size & 0x7F)]
        size = int.from_bytes(head[2:], "big")
    return der[: len(head) + size]


def _invalid(sentence: str) -> Failure:
    return Failure("INVALID_PEM", f"{sentence}.")
