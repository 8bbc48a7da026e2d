# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching DTR's certificate authority, and checking it, as the options of a module say."""

from __future__ import annotations

import datetime
import typing as t

from ansible.module_utils.basic import missing_required_lib

from ..common.failure import Failure
from ..common.vocabulary import word
from ..http.transport import normalise_url
from ..x509 import certificates
from .base import Module
from .of_dtr import DtrSession

_NO_CREDENTIALS: dict[str, t.Any] = dict.fromkeys(
    ("username", "password", "client_cert", "client_key", "client_certificate")
)


def fetch_authority(module: Module) -> dict[str, t.Any]:
    """Fetch, check, and describe."""
    if certificates.CRYPTOGRAPHY_IMPORT_ERROR:
        raise Failure("MISSING_LIBRARY", missing_required_lib("cryptography"))
    pin = module.params["fingerprint"]
    expected = certificates.normalise_fingerprint(pin) if pin else None
    text, trusted_by = _fetch(module)
    bundle = certificates.load_certificates(text)
    certificates.check_authorities(bundle, datetime.datetime.now(datetime.timezone.utc))
    if expected:
        certificates.check_pin(bundle, expected)
        trusted_by = "fingerprint"
    pem = certificates.to_pem(bundle)
    _check_connection(module, pem)
    described = [certificates.describe(certificate) for certificate in bundle]
    if trusted_by == "first_use":
        module.warn(
            f"Nothing verifies the CA of {module.params['url']}: it is trusted as it came. "
            f"Compare it, and pin it with {word('pin')}: {described[0]['fingerprint']}"
        )
    return {"pem": pem, "certificates": described, "trusted_by": trusted_by}


def given_authority(pem: str) -> dict[str, t.Any] | None:
    """The same of a CA that is there; C(None) for one that cannot be read."""
    try:
        described = [certificates.describe(each) for each in certificates.load_certificates(pem)]
    except Failure:
        return None
    return {"pem": pem, "trusted_by": "given", "certificates": described}


def _fetch(module: Module) -> tuple[str, str]:
    """What C(/ca) says, and what verifies it."""
    if module.params["validate_certs"]:
        named = module.params["ca_path"] or module.params["ca_certificate"]
        try:
            with DtrSession(module, **_NO_CREDENTIALS) as dtr:
                return dtr.ca(), "ca" if named else "system"
        except Failure as failure:
            if named or failure.code != "TLS_UNKNOWN_AUTHORITY":
                raise
    with DtrSession(module, **_NO_CREDENTIALS, validate_certs=False) as dtr:
        return dtr.ca(), "first_use"


def _check_connection(module: Module, pem: str) -> None:
    """Connect again, with nothing but the fetched bundle to trust.

    With C(validate_certs=false) only the chain counts: caches will trust this bundle, whatever else is accepted here.

    Raises:
        Failure: C(CA_DOES_NOT_FIT) when the bundle does not verify DTR's own certificate.
    """
    strict = module.params["validate_certs"]
    if not strict and normalise_url(module.params["url"], allow_plain=True).startswith("http:"):
        return
    trust = {"ca_path": None, "ca_certificate": pem, "validate_certs": True, "verify_host": strict}
    try:
        with DtrSession(module, **_NO_CREDENTIALS, **trust) as dtr:
            dtr.ca()
    except Failure as failure:
        if failure.code == "TLS_UNKNOWN_AUTHORITY":
            raise Failure(
                "CA_DOES_NOT_FIT",
                f"The CA that {failure.url} serves did not sign the certificate that the same server shows.",
                url=failure.url,
                hint="Ask who runs DTR for the CA, or find out who else answers at this address.",
            ) from None
        if strict or not failure.code.startswith("TLS_"):
            raise
