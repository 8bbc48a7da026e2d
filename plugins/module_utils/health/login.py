# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulling from a cache as one of its accounts: the login, and the pull that is checked with it."""

from __future__ import annotations

import contextlib
import functools
import typing as t

from ..common.urls import origin_of
from ..dtr.api import DtrApi, temporary_token
from ..http.transport import Transport, basic_credentials
from ..pulling.accounts import an_account
from ..pulling.cache_transport import transport_to
from ..pulling.distribution import Distribution
from ..pulling.likely_cause import misassigned
from . import pull_check
from .endpoints import step_of
from .model import Pulling
from .options import CLIENT, TRUST, trust_of


class Session(t.NamedTuple):
    """Where tokens are made, and who has to know of them.

    Args:
        dtr: DTR as the account that C(params) name.
        params: The options of the whole task.
        stack: Removes the tokens at its end.
        warn: Shows a warning to the user.
        hide: Keeps secrets out of the result.
    """

    dtr: DtrApi
    params: t.Mapping[str, t.Any]
    stack: contextlib.ExitStack
    warn: t.Callable[[str], None]
    hide: t.Callable[[t.Iterable[str]], None]


def pulling_of(session: Session, entry: t.Mapping[str, t.Any], *, check_mode: bool) -> Pulling | None:
    """What asks the cache for a layer as a client does, when there is an image to ask for and an account to do so."""
    params = session.params
    account, image = entry["account"], entry["image"] or params["image"]
    if not image or not (account or any((entry["account_of"] or {}).values())):
        return None
    if check_mode and account != params["username"]:
        return None
    own = trust_of(entry)
    requests: dict[str, t.Any] = {"timeout": step_of(params["timeout"]), "retries": 0}
    trust = {"system_trust": False, **own} if any(own.values()) else {"system_trust": True, **trust_of(params)}
    login = _Login(session, entry)
    ask = pull_check.Ask(
        image,
        lambda: login.account,
        lambda: login.distribution,
        lambda url, address: transport_to(url, address, validate_certs=True, **trust, **requests),
        lambda: misassigned(session.dtr, login.name, [origin_of(entry["url"])]),
    )
    return Pulling(login.log_in, functools.partial(pull_check.check_pull, ask))


class _Login:
    """DTR's C(/v2) as the account that pulls from a cache, by an access token where that is not who asks."""

    distribution: Distribution

    def __init__(self, session: Session, entry: t.Mapping[str, t.Any]) -> None:
        self._session = session
        self._entry = entry
        self.name: str | None = None
        self.account = ""

    def log_in(self) -> None:
        """Make what pulling needs; it is removed when the session ends."""
        dtr, params = self._session.dtr, self._session.params
        requests: dict[str, t.Any] = {"timeout": step_of(params["timeout"]), "retries": 0}
        credentials = {name: params[name] for name in ("username", "password", *CLIENT)}
        account = self._entry["account"] or an_account(dtr, self._entry["account_of"])
        if account and account != params["username"]:
            token = self._session.stack.enter_context(temporary_token(dtr, account, self._session.warn))
            self._session.hide({token, basic_credentials(account, token)})
            # With a client certificate DTR would take the certificate's account.
            credentials = {"username": account, "password": token}
        self.name = account or params["username"]
        self.account = self.name or "of the client certificate"
        trust = {name: params[name] for name in (*TRUST, "validate_certs")}
        self.distribution = Distribution(Transport(params["url"], **credentials, **trust, **requests), account)
