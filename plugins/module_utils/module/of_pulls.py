# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules that pull through a cache as one of its accounts: their options, and the account that pulls."""

from __future__ import annotations

import contextlib
import typing as t

from ..dtr.api import DtrApi, temporary_token
from ..http.transport import Transport
from ..pulling.accounts import an_account
from ..pulling.distribution import Distribution
from .base import Module
from .of_dtr import secret_forms
from .options import USERS

_TRUST = ("ca_path", "ca_certificate", "validate_certs")
_REQUESTS = ("timeout", "retries", "concurrency")
_CREDENTIALS = ("username", "password", "client_cert", "client_key", "client_certificate")
ACCOUNT_OF: dict[str, t.Any] = {"type": "dict", "options": USERS}
"""An option that declares accounts, as C(dtr_cache_assignments) does."""


def pull_argument_spec() -> dict[str, t.Any]:
    """The options of the doc fragment C(dtr.cache.pull)."""
    return {
        "cache": {"type": "str", "required": True},
        "cache_ca_certificate": {"type": "str"},
        "account": {"type": "str"},
        "account_of": ACCOUNT_OF,
    }


class PullingAccount(t.NamedTuple):
    """Who pulls: its name, where it is known, and DTR's repositories as it sees them."""

    name: str | None
    distribution: Distribution


@contextlib.contextmanager
def pulling_account(module: Module, dtr: DtrApi) -> t.Iterator[PullingAccount]:
    """The account that the options name; for another one than C(username) with a token that is deleted at the end."""
    params = module.params
    credentials = {name: params[name] for name in _CREDENTIALS}
    account = params["account"] or an_account(dtr, params["account_of"] or {})
    with contextlib.ExitStack() as stack:
        if account and account != params["username"] and not module.check_mode:
            token = stack.enter_context(temporary_token(dtr, account, module.warn))
            module.no_log_values.update(secret_forms(account, token))
            # With a client certificate DTR would take the certificate's account.
            credentials = {"username": account, "password": token}
        transport = Transport(params["url"], **credentials, **{name: params[name] for name in (*_TRUST, *_REQUESTS)})
        name = account or params["username"]
        try:
            yield PullingAccount(name, Distribution(transport, name))
        finally:
            for warning in transport.warnings:
                module.warn(warning)
            transport.close()
