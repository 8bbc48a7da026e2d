# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The DTR: its address, an administrator of it, and by what its certificate is trusted."""

from __future__ import annotations

import datetime
import typing as t

from ...module_utils.common.failure import Failure
from ...module_utils.http import tls
from ...module_utils.x509 import certificates, pem
from . import values
from .addresses import https_url
from .certificate import check_authority
from .model import ADDRESS, DTR, REGISTRY
from .reader import Reader

# What is read without everything else, to reach the DTR.
CONNECTION = (
    *("registry_url", "registry_username", "registry_password", "registry_client_cert", "registry_client_key"),
    "registry_validate_certs",
)


def read_connection(reader: Reader, needs: t.Collection[str], now: datetime.datetime) -> dict[str, t.Any]:
    """How the DTR is reached."""
    logs_in = bool({REGISTRY, DTR} & set(needs))
    url = read_url(reader, required=logs_in or ADDRESS in needs)
    client = _read_client_certificate(reader, now)
    is_given = client or any(reader.is_reported(name) for name in ("registry_client_cert", "registry_client_key"))
    username = reader.value("registry_username", _username, "")
    password = reader.value("registry_password", _password, "")
    # Of a pair, a half is a mistake. With a client certificate, none of it is needed.
    if logs_in and (username or password or not is_given):
        for name, value, meaning in (
            ("username", username, "an administrator of the DTR (or the environment's DTR_USERNAME)"),
            ("password", password, "its password or an access token (or the environment's DTR_PASSWORD)"),
        ):
            if not value and not reader.is_reported(f"registry_{name}"):
                reader.problem(f"registry_{name}", f"is required: {meaning}")
    return {
        "registry_url": url,
        "registry_username": username,
        "registry_password": password,
        "registry_client_certificate": client,
        "validate_certs": reader.switch("registry_validate_certs"),
    }


def _read_client_certificate(reader: Reader, now: datetime.datetime) -> str:
    """The certificate by which an administrator is known, with its key; empty where there is none, or it is wrong."""
    given = {name: reader.value(f"registry_{name}", values.block, "") for name in ("client_cert", "client_key")}
    if given["client_key"] and not given["client_cert"] and not reader.is_reported("registry_client_cert"):
        reader.problem("registry_client_key", "is set without dtr_cache_registry_client_cert, whose key it is")
    bundle = reader.certificates("registry_client_cert", given["client_cert"])
    if not bundle:
        return ""
    for fault in certificates.validity_faults(bundle[0], now):
        reader.problem("registry_client_cert", f"{certificates.name_of(bundle[0])} {fault}")
    # Its key may stand beside it.
    source = "client_key" if given["client_key"] else "client_cert"
    content = reader.pem(f"registry_{source}", given[source])
    if source == "client_cert" and content and not pem.has_key(content):
        if not reader.is_reported("registry_client_key"):
            reader.problem(
                "registry_client_key",
                "is required: the private key of dtr_cache_registry_client_cert, PEM text or a path (or the "
                "environment's DTR_CLIENT_KEY)",
            )
        return ""
    _key, text = reader.checked(f"registry_{source}", pem.private_key, content, (None, "")) if content else (None, "")
    if not text:
        return ""
    text = certificates.to_pem(bundle) + text
    try:
        tls.client_context(client_certificate=text, validate_certs=False)
    except Failure as failure:
        reader.problem(f"registry_{source}", failure.message.partition(": ")[2].rstrip("."))
        return ""
    return text


def read_url(reader: Reader, *, required: bool = False) -> str:
    """The DTR's address."""
    address = "the address of the DTR, such as https://dtr.example.org (or the environment's DTR_URL)"
    return str(reader.value("registry_url", https_url, "", address if required else ""))


def read_authority(reader: Reader, needs: t.Collection[str], now: datetime.datetime) -> dict[str, t.Any]:
    """The CA of the DTR, and its fingerprint."""
    authority = reader.value("registry_ca", values.block, "fetch")
    bundle = []
    if authority not in ("fetch", "system"):
        bundle = reader.certificates("registry_ca", authority)
        authority = certificates.to_pem(bundle)
        check_authority(reader, "registry_ca", bundle, needs, now)
    return {
        "registry_ca": authority,
        "registry_ca_fingerprint": _read_fingerprint(reader, authority, bundle),
    }


def _username(value: t.Any) -> str:
    text = values.line(value)
    if ":" in text:
        raise values.invalid("must not hold a colon, where basic authentication begins the password")
    return text


def _password(value: t.Any) -> str:
    """Blanks at its ends may belong to it."""
    values.line(value)
    return str(value)


def _read_fingerprint(reader: Reader, authority: str, bundle: t.Sequence[t.Any]) -> str | None:
    text = reader.text("registry_ca_fingerprint")
    if not text:
        return None
    if authority == "system":
        reader.problem(
            "registry_ca_fingerprint",
            "pins nothing with dtr_cache_registry_ca system, where any CA of the system's may have signed it; leave "
            "one of them out",
        )
        return None
    try:
        fingerprint = certificates.normalise_fingerprint(text)
    except Failure as failure:
        reader.problem("registry_ca_fingerprint", f"{failure.message} {failure.hint}")
        return None
    # Whoever gives the CA trusts all of it, such as an old and a new one together.
    if bundle and fingerprint not in map(certificates.fingerprint, bundle):
        reader.problem("registry_ca_fingerprint", "none of the certificates of dtr_cache_registry_ca has it")
    return fingerprint
