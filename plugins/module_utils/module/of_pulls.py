# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge between Ansible and the modules that pull through a cache as one of its accounts."""

from __future__ import annotations

import contextlib
import typing as t

from ..common.failure import Failure
from ..common.urls import Origin
from ..dtr.api import Account, Registry
from ..dtr.tokens import temporary_token
from ..http.transport import Transport
from ..pulling import pull
from ..pulling.distribution import Distribution
from .base import Module
from .of_dtr import secret_forms

_TRUST = ("ca_path", "ca_certificate", "validate_certs")
_REQUESTS = ("timeout", "retries", "concurrency")
_CREDENTIALS = ("username", "password", "client_cert", "client_key")
_NAMES = {"type": "list", "elements": "str", "default": []}


ACCOUNT_OF: dict[str, t.Any] = {
    "type": "dict",
    "options": {
        "accounts": _NAMES,
        "teams": _NAMES,
        "orgs": _NAMES,
        "everyone": {"type": "bool", "default": False},
    },
}
"""An option that declares accounts, as C(dtr_cache_assignments) does."""


def pull_argument_spec() -> dict[str, t.Any]:
    """The options of the doc fragment C(dtr.cache.pull)."""
    return {
        "cache": {"type": "str", "required": True},
        "cache_ca_certificate": {"type": "str"},
        "account": {"type": "str"},
        "account_of": ACCOUNT_OF,
    }


class Puller(t.NamedTuple):
    """Who pulls: the account's name, where it is known, and DTR's repositories as it sees them."""

    account: str | None
    distribution: Distribution


@contextlib.contextmanager
def pulling_account(module: Module, registry: Registry) -> t.Iterator[Puller]:
    """The account that the options name; for another one than C(username) with a token that is deleted at the end."""
    params = module.params
    credentials = {name: params[name] for name in _CREDENTIALS}
    account = params["account"] or an_account(registry, params["account_of"] or {})
    with contextlib.ExitStack() as stack:
        if account and account != params["username"] and not module.check_mode:
            token = stack.enter_context(temporary_token(registry, account, module.warn))
            module.no_log_values.update(secret_forms(account, token))
            # With a client certificate DTR would take the certificate's account.
            credentials = {"username": account, "password": token}
        transport = Transport(params["url"], **credentials, **{name: params[name] for name in (*_TRUST, *_REQUESTS)})
        name = account or params["username"]
        try:
            yield Puller(name, Distribution(transport, name))
        finally:
            for warning in transport.warnings:
                module.warn(warning)
            transport.close()


def why_elsewhere(
    registry: Registry,
    account: str | None,
    origins: t.Sequence[Origin],
    trouble: t.Callable[[], str | None] = lambda: None,
) -> str:
    """Why DTR does not send the account to the cache, as far as the account's setting and the cache tell."""
    if account is None:
        return "Check which cache the client certificate's account is assigned to."
    try:
        setting = registry.user_cache(account)
        return pull.likely_cause(account, setting, registry.content_caches(), origins, trouble)
    except Failure:
        return f"Check which cache account {account} is assigned to, with dtr.cache.cache_assignments_info."


def lost_cache(registry: Registry, account: str | None) -> str | None:
    """What to do where the account's cache is gone, or C(None) where it is not or that cannot be found out."""
    if account is None:
        return None
    try:
        setting = registry.user_cache(account)
        return pull.lost_cache(account, setting, registry.content_caches())
    except Failure:
        return None


def an_account(registry: Registry, declared: t.Mapping[str, t.Any]) -> str | None:
    """The first active account that a declaration covers, or C(None) where it covers everyone or nobody."""
    named = declared.get("accounts") or []
    teams, orgs = declared.get("teams") or [], declared.get("orgs") or []
    if named:
        return str(named[0])
    if declared.get("everyone") or not (teams or orgs):
        return None
    member = next((each for each in _members(registry, declared) if each.is_active and not each.is_org), None)
    if member is None:
        raise Failure(
            "NO_SUCH_USER",
            f"account_of: {', '.join((*teams, *orgs))} has no active account.",
            hint="Name an account to pull as.",
        )
    return member.name


def declared_accounts(registry: Registry, declared: t.Mapping[str, t.Any]) -> list[Account]:
    """All users that a declaration covers; one that is named need not exist."""
    if declared.get("everyone"):
        return list(registry.users())
    named = [Account(str(name)) for name in declared.get("accounts") or []]
    members = [each for each in _members(registry, declared) if not each.is_org]
    return list({each.name: each for each in (*named, *members)}.values())


def _members(registry: Registry, declared: t.Mapping[str, t.Any]) -> t.Iterator[Account]:
    for team in declared.get("teams") or []:
        if "/" in team:
            yield from registry.team_members(*team.split("/", 1)) or ()
    for org in declared.get("orgs") or []:
        yield from registry.org_members(org) or ()
