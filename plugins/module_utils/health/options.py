# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cache_health's options say: the caches and the DTR to check, and whom the clients of each trust."""

from __future__ import annotations

import functools
import os
import typing as t

from ..common.failure import Failure
from ..common.urls import origin_of
from ..dtr import images
from ..dtr.api import DtrApi
from ..http import tls
from ..http.transport import normalise_url
from ..x509 import certificates
from .dangling import dangling_accounts
from .model import Cache, Dtr

TRUST = ("ca_path", "ca_certificate")
CLIENT = ("client_cert", "client_key", "client_certificate")


def check_options(params: t.Mapping[str, t.Any]) -> None:
    """What the argument spec cannot say.

    Raises:
        Failure: C(INVALID_INPUT).
    """
    names = [entry["name"] for entry in params["caches"]]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise Failure("INVALID_INPUT", f"caches: {', '.join(double)} is there more than once.")
    for entry in params["caches"]:
        if origin_of(entry["url"]).scheme not in ("https", "http"):
            raise Failure("INVALID_INPUT", f"caches: {entry['url']} is not an https URL.")
    wanted = [image for image in (params["image"], *(entry["image"] for entry in params["caches"])) if image]
    for image in wanted:
        images.parse_name(image)
    if not asks_dtr(params):
        for option, given in (("image", wanted), ("check_accounts", params["check_accounts"])):
            if given:
                raise Failure("INVALID_INPUT", f"{option}: it needs the DTR's url and an account to ask it with.")
    if params["timeout"] <= 0:
        raise Failure("INVALID_INPUT", f"timeout: {params['timeout']:g} is not a number of seconds above 0.")


def asks_dtr(params: t.Mapping[str, t.Any]) -> bool:
    """Whether there is a DTR, and an account to ask it with."""
    return bool(params["url"] and any(params[name] for name in ("username", "client_cert", "client_certificate")))


def cache_of(params: t.Mapping[str, t.Any], entry: t.Mapping[str, t.Any]) -> Cache:
    """A cache with the trust of its clients: its own CA, or the system's and DTR's.

    Raises:
        Failure: C(INVALID_INPUT).
    """
    own = trust_of(entry)
    trust = own if any(own.values()) else trust_of(params)
    try:
        context = tls.client_context(**trust)
    except Failure as failure:
        raise Failure("INVALID_INPUT", f"caches: {entry['name']}: {failure.message}") from None
    if not any(own.values()):
        context.load_default_certs()
    return Cache(
        entry["name"],
        entry["url"],
        context,
        anchors_of(trust),
        entry["min_days"],
        certificate=_fingerprint_of(entry),
        port=entry["port"],
        published=entry["published_ports"],
        nodes=entry["node_addresses"] or (),
        replicas=entry["replicas"],
        replica_addresses=entry["replica_addresses"],
        routed=entry["publish_mode"] == "ingress",
    )


def dtr_of(params: t.Mapping[str, t.Any], dtr: DtrApi | None) -> Dtr:
    """DTR, as the connection options describe it."""
    trust = trust_of(params)
    client = {name: params[name] for name in CLIENT}
    content_caches = read_only = dangling = None
    if dtr is not None:
        content_caches = dtr.content_caches if params["check_registration"] else None
        read_only = dtr.read_only if params["check_read_only"] else None
        # Where each cache's own accounts are known, nobody else's have to be read.
        everybody = params["check_accounts"] and not all(entry["account_of"] for entry in params["caches"])
        dangling = functools.partial(dangling_accounts, dtr) if everybody else None
    return Dtr(
        normalise_url(params["url"], allow_plain=True),
        tls.client_context(**trust) if params["validate_certs"] else None,
        anchors_of(trust),
        lambda: tls.client_context(validate_certs=False, **client),
        content_caches,
        read_only,
        dangling,
    )


def trust_of(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The options that name a CA."""
    return {name: params[name] for name in TRUST}


def _fingerprint_of(entry: t.Mapping[str, t.Any]) -> str | None:
    """The fingerprint of the certificate that the cache should have.

    Raises:
        Failure: C(INVALID_INPUT).
    """
    text = entry["certificate"]
    if not text:
        return None
    try:
        if "-----BEGIN" in text:
            return certificates.fingerprint(certificates.load_certificates(text)[0])
        return certificates.normalise_fingerprint(text)
    except Failure as failure:
        raise Failure("INVALID_INPUT", f"caches: {entry['name']}: certificate: {failure.message}") from None


def anchors_of(trust: t.Mapping[str, t.Any]) -> list[t.Any]:
    """The CAs that were given as text or as one file, for messages; none where they are not known."""
    text = trust["ca_certificate"]
    path = trust["ca_path"] or ""
    try:
        if not text and os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        return list(certificates.load_certificates(text)) if text else []
    except (Failure, OSError):
        return []
