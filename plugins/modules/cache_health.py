#!/usr/bin/python
# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cache_health
short_description: Judge whether content caches are healthy, edge by edge
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Looks at each cache as a Docker client meets it, at DTR, and through the cache at the cache's way to its upstream.
  - Every property is judged for itself, so that an expired certificate does not hide a wrong host name. Each failed
    check comes with what to do.
  - Fails when a cache is not healthy. The message names each such cache with its most likely cause.
  - All caches are looked at side by side, and there is a result after O(timeout) seconds in any case.
  - Connections to the caches go straight, without the environment's proxy.
options:
  caches:
    description: The caches to look at.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The cache's name in DTR.
        type: str
        required: true
      url:
        description: The URL at which clients reach it, such as V(https://cache-asia.example.com).
        type: str
        required: true
      ca_path:
        description:
          - File or folder with the CA that signed the cache's certificate.
          - Without it the system's trust store and DTR's CA are used, which is what a Docker client has that was not
            told of the cache.
        type: path
      ca_certificate:
        description: The same as O(caches[].ca_path) as PEM text.
        type: str
      min_days:
        description: The same as O(min_days) for this cache alone.
        type: int
      image:
        description: The same as O(image) for this cache alone.
        type: str
      certificate:
        description:
          - The certificate that the cache should have, as PEM text or by its SHA-256 fingerprint in any usual notation.
          - Replicas that still run with an older secret are found with it. Without it any certificate is right that
            clients accept.
        type: str
      published_ports:
        description:
          - The ports that the cache's stack publishes; an empty list says that there is no such stack.
          - Without it only the cache's answers are judged.
        type: list
        elements: int
      account:
        description:
          - An account that is assigned to this cache, to pull O(image) with. The administrator O(username) makes an
            access token for it, which is deleted before the task ends.
          - Without it, it is one of O(caches[].account_of). Without that, this cache is not asked for O(image).
        type: str
      account_of:
        description:
          - The accounts that should pull from this cache, with C(accounts), C(teams) (C(org/team)), C(orgs) and
            C(everyone), as O(dtr.cache.cache_pull#module:account_of). O(image) is pulled as the first of them.
          - With O(check_accounts), only these are looked at for this cache.
        type: dict
        suboptions:
          accounts:
            description: Accounts.
            type: list
            elements: str
            default: []
          teams:
            description: Teams, written C(org/team).
            type: list
            elements: str
            default: []
          orgs:
            description: Organisations.
            type: list
            elements: str
            default: []
          everyone:
            description: Whether every account should.
            type: bool
            default: false
  url:
    description:
      - Address of the DTR, such as V(https://dtr.example.org).
      - Without it only the caches are looked at.
      - The environment variable E(DTR_URL) is used when the option is not given.
    type: str
    required: false
  username:
    description:
      - Account to read the registered caches with; any will do. Without it registrations are not checked.
      - The environment variable E(DTR_USERNAME) is used when the option is not given.
    type: str
  image:
    description:
      - Image in DTR, such as V(engineering/app:1.0). With it each cache that has an O(caches[].account) is asked
        for the smallest layer, with DTR's signature as a Docker client has it. Only that tells a full disk and a
        refused signature.
      - A layer that the cache has already says nothing about its way to DTR; a pull of a new image does.
      - Caches are asked for it when nothing else is wrong. In check mode only those are whose O(caches[].account) is
        O(username), since the access token of another account would be a change in DTR.
    type: str
  check_accounts:
    description:
      - Whether no active account is assigned to a cache that is gone. O(username) has to be an administrator.
      - It costs DTR one request for each account, or for each of O(caches[].account_of) where that is given.
    type: bool
    default: false
  check_read_only:
    description:
      - Whether DTR's read-only mode counts as not healthy. Only an administrator is told of it.
    type: bool
    default: true
  wait:
    description: Look again until all caches are healthy, at the longest for O(timeout) seconds.
    type: bool
    default: false
  timeout:
    description:
      - Seconds for the whole task. One connection or answer gets at most 10 seconds of it, the answer for which a cache
        has to ask its upstream 20.
      - A request for an access token that is under way then, and those that delete the tokens that were made, are
        waited for.
    type: float
    default: 60
  min_days:
    description: A certificate that expires in fewer days than this is not healthy any more.
    type: int
    default: 14
  check_registration:
    description:
      - Whether the caches have to be registered in DTR under O(caches[].name) with O(caches[].url).
      - Switch it off for a cache that is about to be registered.
    type: bool
    default: true
extends_documentation_fragment:
  - dtr.cache.registry
  - dtr.cache.attributes
  - dtr.cache.attributes.info_module
requirements:
  - cryptography
"""

EXAMPLES = r"""
- name: Wait until the caches of both regions are healthy
  dtr.cache.cache_health:
    url: https://dtr.example.com
    username: admin
    password: "{{ dtr_admin_token }}"
    ca_path: /etc/ssl/certs/dtr-ca.pem
    wait: true
    timeout: 120
    caches:
      - name: region-asia
        url: https://cache-asia.example.com
        ca_path: /etc/ssl/certs/caches-ca.pem
      - name: region-europe
        url: https://cache-europe.example.com
        ca_path: /etc/ssl/certs/caches-ca.pem

- name: Look at a cache without DTR
  dtr.cache.cache_health:
    caches:
      - name: region-asia
        url: https://cache-asia.example.com
        ca_certificate: "{{ dtr_cache_ca_certificate }}"
    min_days: 30
"""

RETURN = r"""
healthy:
  description: Whether all caches are.
  returned: when the caches were looked at
  type: bool
caches:
  description: What was found at each cache, in the order of O(caches); also when the task failed.
  returned: when the caches were looked at
  type: list
  elements: dict
  contains:
    name: {description: The cache's name., type: str, sample: region-asia}
    url: {description: Its URL., type: str, sample: "https://cache-asia.example.com"}
    healthy: {description: Whether all checks are right., type: bool}
    serves:
      description:
        - Whether nothing was found at V(client->cache) that makes pulls fail. An early reminder that a certificate
          expires, a clock that is off, an unusual order of certificates or an older certificate do not.
      type: bool
    checks:
      description: Everything that was looked at. What could not be reached because of a failed check is missing.
      type: list
      elements: dict
      contains:
        edge:
          description: V(client->cache), V(cache->DTR) or V(client->DTR). The client is the machine of this task.
          type: str
        check:
          description:
            - V(name_resolution), V(tcp), V(tls), V(chain), V(host_name), V(validity), V(clock) (only when it is wrong),
              V(certificate) (O(caches[].certificate)), V(deployment) (O(caches[].published_ports)), V(api) (C(/v2/) of
              the cache, C(/_ping) of DTR), V(upstream), V(pull) (O(image)), V(registration), V(read_only),
              V(assignments) (O(check_accounts)), or V(finished) when there was no result in time.
          type: str
        ok: {description: Whether it is right., type: bool}
        detail: {description: What was seen., type: str}
        hint: {description: What to do about it., type: str}
    certificate:
      description: The cache's own certificate, V(null) when there was none to see.
      type: dict
      contains:
        subject: {description: RFC 4514 name., type: str}
        issuer: {description: RFC 4514 name of its issuer., type: str}
        not_before: {description: Beginning of its validity., type: str}
        not_after: {description: End of its validity., type: str}
        fingerprint: {description: SHA-256 fingerprint., type: str}
    days_left: {description: Days until the first certificate of the chain expires., type: int}
    seconds:
      description:
        - How long the first answer took on each edge, connection and handshake included, as a dictionary of
          V(client->cache), V(cache->DTR) and V(client->DTR). V(null) where there was none.
        - That of V(cache->DTR) is measured through the cache, so it holds the way from the client to the cache as well.
      type: dict
      sample: {"client->cache": 0.021, "cache->DTR": 0.034, "client->DTR": 0.012}
"""

import contextlib
import functools
import os
import typing as t

from ansible.module_utils.basic import env_fallback, missing_required_lib

from ..module_utils.common.failure import Failure
from ..module_utils.common.urls import origin_of
from ..module_utils.dtr import images
from ..module_utils.dtr.account_reads import read_account_settings
from ..module_utils.dtr.api import DtrApi
from ..module_utils.dtr.assignments_plan import by_cache, partial_failure, without_vanished
from ..module_utils.dtr.tokens import temporary_token
from ..module_utils.health import health, pull_check
from ..module_utils.http import tls
from ..module_utils.http.base_url import normalise_url
from ..module_utils.http.transport import Transport
from ..module_utils.module.base import Module
from ..module_utils.module.of_dtr import DtrModule, DtrSession
from ..module_utils.module.of_pulls import ACCOUNT_OF
from ..module_utils.pulling.accounts import an_account, declared_accounts
from ..module_utils.pulling.distribution import Distribution
from ..module_utils.pulling.likely_cause import lost_cache, why_elsewhere
from ..module_utils.x509 import certificates

CLIENT = ("client_cert", "client_key")
TRUST = ("ca_path", "ca_certificate")
# Accounts whose settings are read at a time.
CONCURRENCY = 16


ARGUMENT_SPEC: dict[str, t.Any] = {
    "caches": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "url": {"type": "str", "required": True},
            "ca_path": {"type": "path"},
            "ca_certificate": {"type": "str"},
            "min_days": {"type": "int"},
            "image": {"type": "str"},
            "certificate": {"type": "str"},
            "published_ports": {"type": "list", "elements": "int"},
            "account": {"type": "str"},
            "account_of": ACCOUNT_OF,
        },
        "mutually_exclusive": [TRUST],
    },
    "url": {"type": "str", "fallback": (env_fallback, ["DTR_URL"])},
    "image": {"type": "str"},
    "check_accounts": {"type": "bool", "default": False},
    "check_read_only": {"type": "bool", "default": True},
    "wait": {"type": "bool", "default": False},
    "timeout": {"type": "float", "default": 60},
    "min_days": {"type": "int", "default": 14},
    "check_registration": {"type": "bool", "default": True},
}


def examine(module: Module) -> dict[str, t.Any]:
    """Look at all caches, and fail when one of them is not healthy."""
    params = module.params
    if certificates.CRYPTOGRAPHY_IMPORT_ERROR:
        raise Failure("MISSING_LIBRARY", missing_required_lib("cryptography"))
    check_options(params)
    with contextlib.ExitStack() as stack:
        registry = registry_of(module, stack)
        conditions = health.examine(
            [cache_of(module, entry, registry, stack) for entry in params["caches"]],
            dtr_of(module, registry) if params["url"] else None,
            min_days=params["min_days"],
            timeout=params["timeout"],
            wait=params["wait"],
        )
    rows = [condition.row() for condition in conditions]
    verdict = health.verdict(conditions)
    if verdict is not None:
        raise Failure("UNHEALTHY", verdict, healthy=False, caches=rows)
    return {"changed": False, "healthy": True, "caches": rows}


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
    if not (params["url"] and (params["username"] or params["client_cert"])):
        for option, given in (("image", wanted), ("check_accounts", params["check_accounts"])):
            if given:
                raise Failure("INVALID_INPUT", f"{option}: it needs the DTR's url and an account to ask it with.")
    if params["timeout"] <= 0:
        raise Failure("INVALID_INPUT", f"timeout: {params['timeout']:g} is not a number of seconds above 0.")


def registry_of(module: Module, stack: contextlib.ExitStack) -> DtrApi | None:
    """DTR's API, when there is an account to ask it with."""
    params = module.params
    if not params["url"] or not (params["username"] or params["client_cert"]):
        return None
    # One answer in the time of a step; what is wrong with the connection, the probes say better than retries.
    options = {"timeout": step_of(params), "retries": 0, "concurrency": CONCURRENCY}
    return stack.enter_context(DtrSession(module, **options))


def cache_of(
    module: Module, entry: t.Mapping[str, t.Any], registry: DtrApi | None, stack: contextlib.ExitStack
) -> health.Cache:
    """A cache with the trust of its clients: its own CA, or the system's and DTR's."""
    params = module.params
    dangling = None
    if registry is not None and params["check_accounts"] and entry["account_of"]:
        dangling = functools.partial(dangling_accounts, registry, entry["account_of"])
    given = {name: entry[name] for name in TRUST}
    try:
        context = tls.client_context(**(given if any(given.values()) else {name: params[name] for name in TRUST}))
    except Failure as failure:
        raise Failure("INVALID_INPUT", f"caches: {entry['name']}: {failure.message}") from None
    if not any(given.values()):
        context.load_default_certs()
        given = {name: params[name] for name in TRUST}
    return health.Cache(
        entry["name"],
        entry["url"],
        context,
        anchors_of(given),
        entry["min_days"],
        certificate=fingerprint_of(entry),
        published=entry["published_ports"],
        pull=pull_of(module, entry, given, registry, stack) if registry else None,
        dangling=dangling,
    )


def fingerprint_of(entry: t.Mapping[str, t.Any]) -> str | None:
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


def pull_of(
    module: Module,
    entry: t.Mapping[str, t.Any],
    trust: t.Mapping[str, t.Any],
    registry: DtrApi,
    stack: contextlib.ExitStack,
) -> health.Pull | None:
    """What asks the cache for a layer as a client does, when there is an image to ask for and an account to do so."""
    params = module.params
    account, image = entry["account"], entry["image"] or params["image"]
    if not image or not (account or any((entry["account_of"] or {}).values())):
        return None
    if module.check_mode and account != params["username"]:
        return None
    options: dict[str, t.Any] = {"timeout": step_of(params), "retries": 0, "validate_certs": True}
    own = any(entry[name] for name in TRUST)
    puller = Puller(module, registry, entry)
    ask = pull_check.Ask(
        image,
        lambda: puller.account,
        lambda: puller.distribution,
        lambda url: Transport(url, system_trust=not own, **trust, **options),
        lambda: why_elsewhere(registry, puller.name, [origin_of(entry["url"])]),
        lambda: lost_cache(registry, puller.name),
    )
    return health.Pull(functools.partial(puller.log_in, stack), functools.partial(pull_check.look, ask))


class Puller:
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
        options: dict[str, t.Any] = {"timeout": step_of(params), "retries": 0}
        credentials = {name: params[name] for name in ("username", "password", *CLIENT)}
        account = self._entry["account"] or an_account(self._registry, self._entry["account_of"])
        if account and account != params["username"]:
            token = stack.enter_context(temporary_token(self._registry, account, self._module.warn))
            self._module.no_log_values.add(token)
            # With a client certificate DTR would take the certificate's account.
            credentials = {"username": account, "password": token}
        self.name = account or params["username"]
        self.account = self.name or "of the client certificate"
        trust = {name: params[name] for name in (*TRUST, "validate_certs")}
        self.distribution = Distribution(Transport(params["url"], **credentials, **trust, **options), account)


def step_of(params: t.Mapping[str, t.Any]) -> float:
    """Seconds for one answer."""
    return min(health.STEP_SECONDS, t.cast("float", params["timeout"]))


def dtr_of(module: Module, registry: DtrApi | None) -> health.Dtr:
    """DTR, as the connection options describe it."""
    params = module.params
    trust = {name: params[name] for name in TRUST}
    client = {name: params[name] for name in CLIENT}
    content_caches = read_only = dangling = None
    if registry is not None:
        content_caches = registry.content_caches if params["check_registration"] else None
        read_only = registry.read_only if params["check_read_only"] else None
        # Where each cache's own accounts are known, nobody else's have to be looked at.
        everybody = params["check_accounts"] and not all(entry["account_of"] for entry in params["caches"])
        dangling = functools.partial(dangling_accounts, registry) if everybody else None
    return health.Dtr(
        normalise_url(params["url"], allow_plain=True),
        tls.client_context(**trust) if params["validate_certs"] else None,
        anchors_of(trust),
        lambda: tls.client_context(validate_certs=False, **client),
        content_caches,
        read_only,
        dangling,
    )


def dangling_accounts(registry: DtrApi, declared: t.Mapping[str, t.Any] | None = None) -> list[str]:
    """The active accounts whose cache is gone, of those that C(account_of) declares or of all.

    Raises:
        Failure: C(ACCOUNTS_FAILED) when an account's setting could not be read.
    """
    accounts = registry.users() if declared is None else declared_accounts(registry, declared)
    # An account that is assigned to a new cache meanwhile is not to look as if its cache were gone: caches come last.
    settings, failed = read_account_settings(registry, [each.name for each in accounts if each.is_active], CONCURRENCY)
    failed = without_vanished(failed, ())
    if failed:
        raise partial_failure(failed, "read", {})
    found = t.cast("list[str]", by_cache(settings, registry.content_caches())["dangling"])
    if declared is None:
        return found
    # Of one that is named, nobody has said yet whether it is active.
    return [name for name in found if (account := registry.account(name)) is None or account.is_active]


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


MODULE = DtrModule(examine, ARGUMENT_SPEC, authenticated=False)


def main() -> None:
    """Entry point."""
    MODULE.run()


if __name__ == "__main__":
    main()
