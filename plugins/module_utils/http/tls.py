# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS as the options of a module describe it: contexts to connect with, and what a failed handshake means in words."""

from __future__ import annotations

import os
import ssl
import typing as t

from ..common.failure import Failure
from ..common.vocabulary import DTR_CA, FETCH_CA, word

# OpenSSL's X509_V_FLAG_PARTIAL_CHAIN; the ssl module names it only from Python 3.10 on.
_PARTIAL_CHAIN = getattr(ssl, "VERIFY_X509_PARTIAL_CHAIN", 0x80000)
_CA_FILE_SUFFIXES = (".pem", ".crt", ".cer")

# OpenSSL's X509_V_ERR_* numbers, from openssl/x509_vfy.h.
_NOT_YET_VALID = 9
_EXPIRED = 10
_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21)
_WRONG_NAME = (62, 64)


def client_context(
    *,
    ca_path: str | None = None,
    ca_certificate: str | None = None,
    client_cert: str | None = None,
    client_key: str | None = None,
    client_certificate: str | None = None,
    validate_certs: bool = True,
    verify_host: bool = True,
    system_trust: bool = False,
) -> ssl.SSLContext:
    """A context for connections to a server.

    A CA given here replaces the system's trust store, as C(--cacert) does in curl. Whatever is in the CA file counts as
    a trust anchor, also an intermediate CA or a self-signed server certificate, and certificates need not follow every
    rule of RFC 5280: both as in Docker Engine, because CAs made by early versions of DTR do not follow them all.

    Args:
        ca_path: A PEM file, or a folder with PEM files (C(*.pem), C(*.crt), C(*.cer) or OpenSSL's hashed names).
        ca_certificate: The same as PEM text.
        client_cert: A PEM file with the client's certificate and, without O(client_key), its key.
        client_key: A PEM file with the client's unencrypted key.
        client_certificate: Both as PEM text, in place of the files.
        validate_certs: Whether chain and host name are checked at all.
        verify_host: Whether the host name is checked together with the chain.
        system_trust: Whether the system's trust store counts as well.

    Raises:
        Failure: C(INVALID_INPUT) when one of the files cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Before verify_mode: a context that checks the host name refuses to check no certificate.
    context.check_hostname = validate_certs and verify_host
    if validate_certs:
        context.verify_flags |= _PARTIAL_CHAIN
        _load_authorities(context, ca_path, ca_certificate)
        if system_trust:
            context.load_default_certs()
    else:
        context.verify_mode = ssl.CERT_NONE
    if client_certificate:
        _load_client_text(context, client_certificate)
    elif client_cert:
        _load_client_files(context, client_cert, client_key)
    return context


def _load_authorities(context: ssl.SSLContext, ca_path: str | None, ca_certificate: str | None) -> None:
    if ca_certificate:
        try:
            context.load_verify_locations(cadata=ca_certificate)
        # What is beyond ASCII is of a wrong type to it.
        except (ssl.SSLError, ValueError, TypeError) as error:
            raise _unusable("ca_certificate", "the PEM text", error) from None
    elif ca_path:
        _load_ca_path(context, os.path.expanduser(ca_path))
    else:
        context.load_default_certs()


def _load_ca_path(context: ssl.SSLContext, path: str) -> None:
    if not os.path.isdir(path):
        _load_ca_file(context, path)
        return
    try:
        names = sorted(os.listdir(path))
        context.load_verify_locations(capath=path)
    except OSError as error:
        raise _unusable("ca_path", path, error) from None
    for name in names:
        # In /etc/docker/certs.d/HOST a client certificate ends with .cert, and only .crt files are CAs.
        if name.endswith(_CA_FILE_SUFFIXES):
            _load_ca_file(context, os.path.join(path, name))


def _load_ca_file(context: ssl.SSLContext, path: str) -> None:
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ValueError) as error:
        raise _unusable("ca_path", path, error) from None


def _load_client_text(context: ssl.SSLContext, text: str) -> None:
    """Load certificate and key from memory. Python takes them as a file only, and no key is written to a disk."""
    if not hasattr(os, "memfd_create"):
        raise _unusable("client_certificate", "the PEM text", ValueError("only Linux can load one without a file"))
    with open(os.memfd_create("client-certificate"), "wb") as memory:
        memory.write(text.encode("utf-8", "replace"))
        memory.flush()
        _load_chain(context, f"/proc/self/fd/{memory.fileno()}", None, "client_certificate", "the PEM text")


def _load_client_files(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    certificate = os.path.expanduser(certificate)
    key = os.path.expanduser(key) if key else None
    for option, path in (("client_cert", certificate), ("client_key", key)):
        # No system call takes a NUL in a path.
        if path and ("\0" in path or not os.access(path, os.R_OK)):
            raise _unusable(option, path, OSError("it does not exist or cannot be read"))
    _load_chain(context, certificate, key, "client_cert", certificate)


def _load_chain(context: ssl.SSLContext, certificate: str, key: str | None, option: str, shown: str) -> None:
    key_option = "client_key" if option == "client_cert" else option

    def refuse_passphrase() -> str:
        # Without a callback OpenSSL asks on the terminal, and the task would hang.
        place = shown if option != "client_cert" else key or certificate
        raise Failure("INVALID_INPUT", f"{key_option}: the key in {place} is encrypted with a passphrase.")

    try:
        context.load_cert_chain(certificate, key, password=refuse_passphrase)
    except ssl.SSLError as error:
        if "KEY_VALUES_MISMATCH" in str(error).upper():
            raise Failure(
                "INVALID_INPUT", f"{key_option}: the key does not belong to the certificate in {shown}."
            ) from None
        raise _unusable(option, shown, error) from None


def _unusable(option: str, path: str, error: Exception) -> Failure:
    if isinstance(error, ssl.SSLError):
        reason = "it holds no usable PEM certificate"
        if option in ("client_cert", "client_certificate"):
            reason = "it does not hold a usable PEM certificate and key"
    elif isinstance(error, OSError) and error.strerror:
        reason = error.strerror.lower()
    else:
        reason = str(error)
    return Failure("INVALID_INPUT", f"{option}: {path} cannot be used: {reason}.")


class Verdict(t.NamedTuple):
    """Why a handshake failed: a stable code, the reason as a clause after the server's name, and what to do."""

    code: str
    reason: str
    hint: str


def closed_by_peer(error: OSError) -> bool:
    """Whether a connection was closed or reset at the other end; it may still hold the reason, to be read."""
    if isinstance(error, (BrokenPipeError, ConnectionResetError)):
        return True
    # What older Pythons make of it. One with a reason of TLS is the reason itself.
    unnamed = isinstance(error, ssl.SSLError) and error.errno == ssl.SSL_ERROR_SYSCALL
    return unnamed and not getattr(error, "reason", None)


def explain(error: ssl.SSLError) -> Verdict | None:
    """A failed handshake in words, or C(None) when the connection only broke, which can happen to any."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_verification(error)
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) or closed_by_peer(error):
        return None
    text = str(error).upper().replace(" ", "_")
    if "CERTIFICATE_REQUIRED" in text or "HANDSHAKE_FAILURE" in text:
        return Verdict(
            "TLS_CLIENT_CERTIFICATE_REQUIRED",
            "requires a client certificate",
            f"Set {word('client certificate')}.",
        )
    if "ALERT_UNKNOWN_CA" in text or "ALERT_BAD_CERTIFICATE" in text:
        return Verdict(
            "TLS_CLIENT_CERTIFICATE_REFUSED",
            "does not accept the client certificate",
            "Use a certificate signed by the CA that the server trusts for its clients.",
        )
    if "WRONG_VERSION_NUMBER" in text or "HTTP_REQUEST" in text or "UNKNOWN_PROTOCOL" in text:
        return Verdict("TLS_NOT_SPOKEN", "does not speak TLS on this port", "Check scheme and port of the URL.")
    if "PROTOCOL_VERSION" in text or "UNSUPPORTED_PROTOCOL" in text:
        return Verdict("TLS_VERSION", "offers nothing newer than TLS 1.1", "Let the server offer TLS 1.2.")
    return Verdict("TLS_FAILED", f"broke the TLS handshake ({error.reason or error})", "Check the server's log.")


def _explain_verification(error: ssl.SSLCertVerificationError) -> Verdict:
    if error.verify_code in _UNKNOWN_AUTHORITY:
        return Verdict(
            "TLS_UNKNOWN_AUTHORITY",
            "has a certificate signed by an unknown authority",
            f"Set {word(DTR_CA)} to the CA that signed it{word(FETCH_CA)}.",
        )
    if error.verify_code == _EXPIRED:
        return Verdict(
            "TLS_EXPIRED",
            "has a certificate that has expired",
            "Renew the server's certificate, and check the clock of this machine.",
        )
    if error.verify_code == _NOT_YET_VALID:
        return Verdict("TLS_NOT_YET_VALID", "has a certificate that is not valid yet", "Check the clocks.")
    if error.verify_code in _WRONG_NAME:
        return Verdict(
            "TLS_HOST_MISMATCH",
            "has a certificate for another host name",
            "Use a host name that the certificate covers, or have the server's certificate cover this one.",
        )
    return Verdict(
        "TLS_FAILED",
        f"has a certificate that does not verify ({error.verify_message})",
        f"Set {word(DTR_CA)} to the CA that signed the server's certificate.",
    )
