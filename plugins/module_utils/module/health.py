# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module cache_health: from its options to caches and DTR, the log-ins for pulls, and one result or one failure."""

from __future__ import annotations

import contextlib
import functools
import os
import typing as t

from ansible.module_utils.basic import missing_required_lib

from ..common.failure import Failure
from ..common.urls import origin_of
from ..dtr import images
from ..dtr.api import DtrApi, temporary_token
from ..dtr.assignments_apply import read_account_settings
from ..dtr.assignments_plan import by_cache, partial_failure, without_vanished
from ..health.examine import Cache, Dtr, cache_endpoint, dtr_endpoint, examine, verdict
from ..health.probe import step_of
from ..health.pull_check import PullCheck
from ..http import tls
from ..http.transport import Transport, basic_credentials, normalise_url
from ..pulling.accounts import an_account, declared_accounts
from ..pulling.cache_transport import transport_to
from ..pulling.distribution import Distribution
from ..pulling.likely_cause import misassigned
from ..x509 import certificates
from .base import Module
from .of_dtr import DtrSession

Entry = t.Mapping[str, t.Any]
_TRUST = ("ca_path", "ca_certificate")
_CLIENT = ("client_cert", "client_key", "client_certificate")
# Accounts whose settings are read at a time.
_CONCURRENCY = 16


def check_health(module: Module) -> dict[str, t.Any]:
    """Check all caches, and fail when one of them is not healthy."""
    params = module.params
    if certificates.CRYPTOGRAPHY_IMPORT_ERROR:
        raise Failure("MISSING_LIBRARY", missing_required_lib("cryptography"))
    asks_dtr = _asks_dtr(params)
    _check_options(params, asks_dtr=asks_dtr)
    with contextlib.ExitStack() as stack:
        dtr = None
        if asks_dtr:
            # One answer in the time of a step; the probes explain a broken connection better than retries.
            once = {"timeout": step_of(params["timeout"]), "retries": 0, "concurrency": _CONCURRENCY}
            dtr = stack.enter_context(DtrSession(module, **once))
        conditions = examine(
            [_cache_of(module, entry, dtr, stack) for entry in params["caches"]],
            _dtr_of(params, dtr) if params["url"] else None,
            timeout=params["timeout"],
            wait=params["wait"],
        )
    rows = [condition.row() for condition in conditions]
    sentence = verdict(conditions)
    if sentence is not None:
        raise Failure("UNHEALTHY", sentence, healthy=False, caches=rows)
    return {"changed": False, "healthy": True, "caches": rows}


def _asks_dtr(params: Entry) -> bool:
    """Return whether there is a DTR, and an account to ask it with."""
    return bool(params["url"] and any(params[name] for name in ("username", "client_cert", "client_certificate")))


def _check_options(params: Entry, *, asks_dtr: bool) -> None:
    """Check what the argument spec cannot say.

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
    for option, given in (("image", wanted), ("check_accounts", params["check_accounts"])):
        if given and not asks_dtr:
            raise Failure("INVALID_INPUT", f"{option}: it needs the DTR's url and an account to ask it with.")
    if params["timeout"] <= 0:
        raise Failure("INVALID_INPUT", f"timeout: {params['timeout']:g} is not a number of seconds above 0.")


def _cache_of(module: Module, entry: Entry, dtr: DtrApi | None, stack: contextlib.ExitStack) -> Cache:
    """Return a cache with the trust of its clients: its own CA, or the system's and DTR's.

    Raises:
        Failure: C(INVALID_INPUT).
    """
    own = _trust_of(entry)
    trust = own if any(own.values()) else _trust_of(module.params)
    try:
        context = tls.client_context(**trust)
    except Failure as failure:
        raise Failure("INVALID_INPUT", f"caches: {entry['name']}: {failure.message}") from None
    if not any(own.values()):
        context.load_default_certs()
    dangling = None
    if dtr is not None and module.params["check_accounts"] and entry["account_of"]:
        dangling = functools.partial(_dangling_accounts, dtr, entry["account_of"])
    endpoint = cache_endpoint(
        entry["url"],
        entry["port"],
        context,
        _anchors_of(trust),
        min_days=module.params["min_days"] if entry["min_days"] is None else entry["min_days"],
        certificate=_fingerprint_of(entry),
        replicas=entry["replicas"],
        places=entry["replica_addresses"],
        routed=entry["publish_mode"] == "ingress",
    )
    return Cache(
        entry["name"],
        endpoint,
        entry["port"],
        entry["published_ports"],
        entry["node_addresses"] or (),
        None if dtr is None else _pull_of(module, entry, dtr, stack),
        dangling,
    )


def _fingerprint_of(entry: Entry) -> str | None:
    """Return the fingerprint of the certificate that the cache should have.

    Raises:
        Failure: C(INVALID_INPUT).
    """
    text = entry["certificate"]
    try:
        if text and "-----BEGIN" in text:
            return certificates.fingerprint(certificates.load_certificates(text)[0])
        return certificates.normalise_fingerprint(text) if text else None
    except Failure as failure:
        raise Failure("INVALID_INPUT", f"caches: {entry['name']}: certificate: {failure.message}") from None


def _dtr_of(params: Entry, dtr: DtrApi | None) -> Dtr:
    """Return DTR, as the connection options describe it."""
    trust = _trust_of(params)
    client = {name: params[name] for name in _CLIENT}
    endpoint = dtr_endpoint(
        normalise_url(params["url"], allow_plain=True),
        tls.client_context(**trust) if params["validate_certs"] else None,
        _anchors_of(trust),
        min_days=params["min_days"],
        client_context=lambda: tls.client_context(validate_certs=False, **client),
    )
    if dtr is None:
        return Dtr(endpoint)
    # Where the accounts of each cache are known, no others have to be read.
    everybody = params["check_accounts"] and not all(entry["account_of"] for entry in params["caches"])
    return Dtr(
        endpoint,
        dtr.content_caches if params["check_registration"] else None,
        dtr.read_only if params["check_read_only"] else None,
        functools.partial(_dangling_accounts, dtr) if everybody else None,
    )


def _trust_of(params: Entry) -> dict[str, t.Any]:
    """Return the options that name a CA."""
    return {name: params[name] for name in _TRUST}


def _anchors_of(trust: Entry) -> list[t.Any]:
    """Return the CAs that were given as text or as one file, for messages; none where they are not known."""
    text = trust["ca_certificate"]
    path = trust["ca_path"] or ""
    try:
        if not text and os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        return list(certificates.load_certificates(text)) if text else []
    except (Failure, OSError):
        return []


def _pull_of(module: Module, entry: Entry, dtr: DtrApi, stack: contextlib.ExitStack) -> PullCheck | None:
    """Return the pull of an image as an account of the cache, where there are both."""
    params = module.params
    account, image = entry["account"], entry["image"] or params["image"]
    if not image or not (account or any((entry["account_of"] or {}).values())):
        return None
    if module.check_mode and account != params["username"]:
        return None
    own = _trust_of(entry)
    trust = {"system_trust": False, **own} if any(own.values()) else {"system_trust": True, **_trust_of(params)}
    requests: dict[str, t.Any] = {"timeout": step_of(params["timeout"]), "retries": 0}
    return PullCheck(
        image,
        lambda: _log_in(module, entry, dtr, stack),
        lambda url, address: transport_to(url, address, validate_certs=True, **trust, **requests),
        lambda name: misassigned(dtr, name, [origin_of(entry["url"])]),
    )


def _log_in(module: Module, entry: Entry, dtr: DtrApi, stack: contextlib.ExitStack) -> tuple[str | None, Distribution]:
    """Return DTR's C(/v2) as the account that pulls, with a temporary access token of another account than ours."""
    params = module.params
    credentials = {name: params[name] for name in ("username", "password", *_CLIENT)}
    account = entry["account"] or an_account(dtr, entry["account_of"])
    if account and account != params["username"]:
        token = stack.enter_context(temporary_token(dtr, account, module.warn))
        module.no_log_values.update({token, basic_credentials(account, token)})
        # With a client certificate DTR would take the certificate's account.
        credentials = {"username": account, "password": token}
    transport = Transport(
        params["url"],
        **credentials,
        **_trust_of(params),
        validate_certs=params["validate_certs"],
        timeout=step_of(params["timeout"]),
        retries=0,
    )
    return account or params["username"], Distribution(transport, account)


def _dangling_accounts(dtr: DtrApi, declared: Entry | None = None) -> list[str]:
    """Return the active accounts whose cache is gone, of those that C(account_of) declares or of all.

    Raises:
        Failure: C(ACCOUNTS_FAILED) when an account's setting could not be read.
    """
    accounts = dtr.users() if declared is None else declared_accounts(dtr, declared)
    # An account that is assigned to a new cache meanwhile must not seem to have lost its cache: caches are read last.
    settings, failed = read_account_settings(dtr, [each.name for each in accounts if each.is_active], _CONCURRENCY)
    failed = without_vanished(failed, ())
    if failed:
        raise partial_failure(failed, "read", {})
    found = t.cast("list[str]", by_cache(settings, dtr.content_caches())["dangling"])
    if declared is None:
        return found
    # Of one that is named, it is not known yet whether it is active.
    return [name for name in found if (account := dtr.account(name)) is None or account.is_active]
