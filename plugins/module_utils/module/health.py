# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cache_health needs of DTR and of Ansible: a session, access tokens, accounts, and warnings."""

from __future__ import annotations

import contextlib
import functools
import typing as t

from ansible.module_utils.basic import missing_required_lib

from ..common.failure import Failure
from ..common.urls import origin_of
from ..dtr.account_reads import read_account_settings
from ..dtr.api import DtrApi
from ..dtr.assignments_plan import by_cache, partial_failure, without_vanished
from ..dtr.tokens import temporary_token
from ..health import options, pull_check
from ..health.endpoints import step_of
from ..health.examine import examine
from ..health.model import Cache, Dtr, Pulling, verdict
from ..http import tls
from ..http.base_url import normalise_url
from ..http.transport import Transport
from ..pulling.accounts import an_account, declared_accounts
from ..pulling.distribution import Distribution
from ..pulling.likely_cause import lost_cache, why_elsewhere
from ..x509 import certificates
from .base import Module
from .of_dtr import DtrSession

_CLIENT = ("client_cert", "client_key")
# Accounts whose settings are read at a time.
_CONCURRENCY = 16


def check_health(module: Module) -> dict[str, t.Any]:
    """Check all caches, and fail when one of them is not healthy."""
    params = module.params
    if certificates.CRYPTOGRAPHY_IMPORT_ERROR:
        raise Failure("MISSING_LIBRARY", missing_required_lib("cryptography"))
    options.check_options(params)
    with contextlib.ExitStack() as stack:
        registry = None
        if options.asks_dtr(params):
            # One answer in the time of a step; what is wrong with the connection, the probes say better than retries.
            once = {"timeout": step_of(params["timeout"]), "retries": 0, "concurrency": _CONCURRENCY}
            registry = stack.enter_context(DtrSession(module, **once))
        conditions = examine(
            [_cache_of(module, entry, registry, stack) for entry in params["caches"]],
            _dtr_of(params, registry) if params["url"] else None,
            min_days=params["min_days"],
            timeout=params["timeout"],
            wait=params["wait"],
        )
    rows = [condition.row() for condition in conditions]
    sentence = verdict(conditions)
    if sentence is not None:
        raise Failure("UNHEALTHY", sentence, healthy=False, caches=rows)
    return {"changed": False, "healthy": True, "caches": rows}


def _cache_of(
    module: Module, entry: t.Mapping[str, t.Any], registry: DtrApi | None, stack: contextlib.ExitStack
) -> Cache:
    cache = options.cache_of(module.params, entry)
    if registry is None:
        return cache
    dangling = None
    if module.params["check_accounts"] and entry["account_of"]:
        dangling = functools.partial(_dangling_accounts, registry, entry["account_of"])
    return cache._replace(pull=_pulling_of(module, entry, registry, stack), dangling=dangling)


def _dtr_of(params: t.Mapping[str, t.Any], registry: DtrApi | None) -> Dtr:
    """DTR, as the connection options describe it."""
    trust = options.trust_of(params)
    client = {name: params[name] for name in _CLIENT}
    content_caches = read_only = dangling = None
    if registry is not None:
        content_caches = registry.content_caches if params["check_registration"] else None
        read_only = registry.read_only if params["check_read_only"] else None
        # Where each cache's own accounts are known, nobody else's have to be read.
        everybody = params["check_accounts"] and not all(entry["account_of"] for entry in params["caches"])
        dangling = functools.partial(_dangling_accounts, registry) if everybody else None
    return Dtr(
        normalise_url(params["url"], allow_plain=True),
        tls.client_context(**trust) if params["validate_certs"] else None,
        options.anchors_of(trust),
        lambda: tls.client_context(validate_certs=False, **client),
        content_caches,
        read_only,
        dangling,
    )


def _dangling_accounts(registry: DtrApi, declared: t.Mapping[str, t.Any] | None = None) -> list[str]:
    """The active accounts whose cache is gone, of those that C(account_of) declares or of all.

    Raises:
        Failure: C(ACCOUNTS_FAILED) when an account's setting could not be read.
    """
    accounts = registry.users() if declared is None else declared_accounts(registry, declared)
    # An account that is assigned to a new cache meanwhile must not seem to have lost its cache: caches are read last.
    settings, failed = read_account_settings(registry, [each.name for each in accounts if each.is_active], _CONCURRENCY)
    failed = without_vanished(failed, ())
    if failed:
        raise partial_failure(failed, "read", {})
    found = t.cast("list[str]", by_cache(settings, registry.content_caches())["dangling"])
    if declared is None:
        return found
    # Of one that is named, it is not known yet whether it is active.
    return [name for name in found if (account := registry.account(name)) is None or account.is_active]


def _pulling_of(
    module: Module, entry: t.Mapping[str, t.Any], registry: DtrApi, stack: contextlib.ExitStack
) -> Pulling | None:
    """What asks the cache for a layer as a client does, when there is an image to ask for and an account to do so."""
    params = module.params
    account, image = entry["account"], entry["image"] or params["image"]
    if not image or not (account or any((entry["account_of"] or {}).values())):
        return None
    if module.check_mode and account != params["username"]:
        return None
    own = options.trust_of(entry)
    requests: dict[str, t.Any] = {"timeout": step_of(params["timeout"]), "retries": 0}
    trust = {"system_trust": False, **own} if any(own.values()) else {"system_trust": True, **options.trust_of(params)}
    login = _Login(module, registry, entry)
    ask = pull_check.Ask(
        image,
        lambda: login.account,
        lambda: login.distribution,
        lambda url: Transport(url, validate_certs=True, **trust, **requests),
        lambda: why_elsewhere(registry, login.name, [origin_of(entry["url"])]),
        lambda: lost_cache(registry, login.name),
    )
    return Pulling(functools.partial(login.log_in, stack), functools.partial(pull_check.check_pull, ask))


class _Login:
    """DTR's C(/v2) as the account that pulls from a cache, by an access token where that is not who asks."""

    distribution: Distribution

    def __init__(self, module: Module, registry: DtrApi, entry: t.Mapping[str, t.Any]) -> None:
        self._module = module
        self._registry = registry
        self._entry = entry
        self.name: str | None = None
        self.account = ""

    def log_in(self, stack: contextlib.ExitStack) -> None:
        """Make what pulling needs; it is removed when C(stack) ends."""
        params = self._module.params
        requests: dict[str, t.Any] = {"timeout": step_of(params["timeout"]), "retries": 0}
        credentials = {name: params[name] for name in ("username", "password", *_CLIENT)}
        account = self._entry["account"] or an_account(self._registry, self._entry["account_of"])
        if account and account != params["username"]:
            token = stack.enter_context(temporary_token(self._registry, account, self._module.warn))
            self._module.no_log_values.add(token)
            # With a client certificate DTR would take the certificate's account.
            credentials = {"username": account, "password": token}
        self.name = account or params["username"]
        self.account = self.name or "of the client certificate"
        trust = {name: params[name] for name in (*options.TRUST, "validate_certs")}
        self.distribution = Distribution(Transport(params["url"], **credentials, **trust, **requests), account)
