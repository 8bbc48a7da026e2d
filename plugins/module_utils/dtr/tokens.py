# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access tokens of other accounts, made for one task and deleted at its end, or by a later task after a kill."""

from __future__ import annotations

import contextlib
import datetime
import secrets
import typing as t

from ..common.failure import Failure
from .api import DtrApi
from .model import ListedToken

LABEL = "dtr.cache.cache_pull"
# Nobody knows the token of a run that was killed, so there is no hurry; but a run that lasts may still use its own.
_FORGOTTEN_AFTER = datetime.timedelta(hours=24)


@contextlib.contextmanager
def temporary_token(dtr: DtrApi, account: str, warn: t.Callable[[str], None]) -> t.Iterator[str]:
    """An access token of another account that is deleted again at the end, whatever happens in between.

    Tokens that earlier runs left behind are deleted first.
    """
    _delete_forgotten(dtr, account, warn)
    label = f"{LABEL} {secrets.token_hex(4)}"
    try:
        made = dtr.create_api_token(account, label)
    except Failure as failure:
        if failure.http_status == 404:
            raise Failure("NO_SUCH_USER", f"account: DTR has no user {account}.", http_status=404) from None
        raise
    try:
        yield made.token
    finally:
        try:
            dtr.delete_api_token(made.hashed_token)
        except Failure as failure:
            warn(f"The access token '{label}' of account {account} was not deleted: {failure.message}")


def forgotten(tokens: t.Iterable[ListedToken], now: datetime.datetime) -> list[ListedToken]:
    """The tokens that a run made which no longer lives."""
    return [
        token
        for token in tokens
        if token.label.startswith(f"{LABEL} ") and token.made_at and now - token.made_at > _FORGOTTEN_AFTER
    ]


def _delete_forgotten(dtr: DtrApi, account: str, warn: t.Callable[[str], None]) -> None:
    """What cannot be listed or deleted stays for the next run: the pull is what the task is about."""
    try:
        tokens, now = dtr.api_tokens(account)
        for token in forgotten(tokens, now):
            dtr.delete_api_token(token.hashed_token)
    except Failure as failure:
        if failure.http_status != 404:
            warn(f"Access tokens that killed runs left with account {account} could not be deleted: {failure.message}")
