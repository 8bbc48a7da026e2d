# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The open points of the API: how this server decides them, each of which can be changed while it runs.

The numbers in the comments are the sections of the collection's fact sheet about DTR that leave the point open. The
defaults are what the documents make most likely.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing as t

Unset = t.Literal["unsets", "ignored", "refused"]


@dataclasses.dataclass(frozen=True)
class Behaviours:
    """One decision for each open point."""

    # Creating a content cache (1.3, 1.4, 10.2)
    duplicate_names: bool = True  # False: a name that is taken is refused with 400
    duplicate_hosts: bool = True  # False: a host that is taken is refused with 400
    create_status: t.Literal[200, 201] = 201  # 2.3's own API page lists both
    host_form: t.Literal["kept", "normalised", "https_only"] = (
        "kept"  # normalised: no default port, no slash at the end
    )

    # Listing and deleting content caches (1.1, 1.6, 10.3, 10.4, 10.10)
    lists_local: bool = False  # an element named "local" that was never created
    delete_missing: t.Literal[204, 404] = 204  # both are documented
    delete_clears_settings: bool = False  # False: the accounts' settings go on naming the cache that is gone

    # Account settings (2.1, 10.1): what each way to say "no cache" does
    empty_uuid: Unset = "unsets"  # {"contentCacheUUID": ""}
    null_uuid: Unset = "ignored"  # {"contentCacheUUID": null}
    omitted_uuid: Unset = "ignored"  # {}
    local_uuid: Unset = "refused"  # {"contentCacheUUID": "local"}
    unknown_uuid: t.Literal["refused", "accepted"] = "refused"
    unset_value: t.Literal["empty", "null", "missing", "local"] = "empty"  # what GET says of an account without a cache
    settings_key: t.Literal["ContentCacheUUID", "contentCacheUUID", "CONTENTCACHEUUID"] = "ContentCacheUUID"
    patch_answer: t.Literal["empty", "settings", "text"] = "empty"  # no body schema is documented
    organization_settings: bool = False  # True: an organisation's name is taken like a user's, not answered with 404

    # What an administrator is told of a user who may not use a repository: that there is none, or no level
    without_access: t.Literal["hidden", "empty"] = "hidden"

    # Account listings (2.2, 3.1, 10.7)
    paging_marker: t.Literal["body", "header", "both"] = "both"  # nextPageStart, X-Next-Page-Start
    page_limit: int = 0  # the longest page whatever limit is asked for; 0: none
    paging_stuck: bool = False  # the last page names itself as the next, for ever
    enzi_unauthenticated: t.Literal["refused", "redirected"] = "refused"  # 401, or 302 to the log-in page

    # Blobs by way of the account's cache (3.3, 10.5)
    blob_redirect_status: t.Literal[302, 307] = 307
    redirect_heads: bool = False
    redirect_config_blobs: bool = True
    redirect_manifests: bool = False
    signature_seconds: int = 1200
    token_seconds: int = 300

    # Blobs for an account whose setting names a cache that was deleted (1.6, 10.4): DTR serves them itself, redirects
    # to the address that the cache had (where none is known, as of an invented id: serves), or answers with an error
    cache_gone: t.Literal["served", "redirected", 404, 500] = "served"
    # Blobs while the account's cache does not answer (3.3, 10.5): the client is redirected all the same and fails, or
    # DTR notices it and serves them itself
    cache_down: t.Literal["redirected", "served"] = "redirected"

    # What DTR makes of a cache whose certificate it does not trust (11): nothing; it refuses to register it; it
    # registers it, and serves the blobs of its accounts itself, or answers them with an error. It trusts its own CA,
    # and `trusted_ca`.
    distrusted_cache: t.Literal["accepted", "refused", "bypassed", "failing"] = "accepted"
    trusted_ca: str = ""  # a PEM text
    # Whether a blob that does not exist is sent to the cache like any other (3.3), or looked for first
    redirect_missing: bool = True

    # The registry's state (4.1)
    version: str = "2.7.4"
    states_version: bool = True  # False: /admin/version is not there; no swagger has it (4.1, 5.4)
    read_only_registry: bool = False
    states_read_only: bool = True  # False: neither the settings nor the replicas say so, as in MSR 3 (11)
    unhealthy: str = ""  # the Error that /_ping and /health answer 503 with
    cluster_issues_on_top: bool = False  # current_issues as the prose has it, not within rethink_system_tables

    def changed(self, values: t.Mapping[str, t.Any]) -> Behaviours:
        """These behaviours with some replaced.

        Raises:
            ValueError: A name is unknown, or a value is not one of those possible; all such are named.
        """
        problems = []
        for name, value in values.items():
            if name not in _kinds():
                problems.append(f"there is no behaviour {name}")
            elif not _fits(value, _kinds()[name]):
                problems.append(f"{name} cannot be {value!r}, it is {_described(_kinds()[name])}")
        if problems:
            raise ValueError("; ".join(problems))
        return dataclasses.replace(self, **values)


@functools.cache
def _kinds() -> dict[str, t.Any]:
    return t.get_type_hints(Behaviours)


def _fits(value: t.Any, kind: t.Any) -> bool:
    if t.get_origin(kind) is t.Literal:
        return any(value == choice and type(value) is type(choice) for choice in t.get_args(kind))
    return type(value) is kind  # a boolean is no number here


def _described(kind: type | types.GenericAlias) -> str:
    if t.get_origin(kind) is t.Literal:
        return "one of " + ", ".join(repr(choice) for choice in t.get_args(kind))
    return f"of type {getattr(kind, '__name__', kind)}"
