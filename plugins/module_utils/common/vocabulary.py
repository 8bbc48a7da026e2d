# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hints call the things that a user sets and runs.

Whoever runs a playbook or a role sets variables and knows no options of modules; whoever calls a module knows no
variables of roles. The action of a task says by an environment variable which of both it is, since that reaches a
module in Ansible's own process as well as one that is sent to a host.
"""

from __future__ import annotations

import os

CLIENT_TO_CACHE = "client->cache"
CACHE_TO_DTR = "cache->DTR"
CLIENT_TO_DTR = "client->DTR"
DTR_TO_CACHE = "DTR->cache"

EDGES = (CLIENT_TO_CACHE, CACHE_TO_DTR, CLIENT_TO_DTR, DTR_TO_CACHE)
"""In the order in which reports show them."""

MEASURED = (CLIENT_TO_CACHE, CACHE_TO_DTR, CLIENT_TO_DTR)
"""Those of which the time of an answer can be known."""


VARIABLE = "DTR_CACHE_WORDS"
ROLES = "roles"

DTR_CA = "DTR's CA"
FETCH_CA = "fetch DTR's CA"

# By the names that the code uses: in a task of a module, and in a role or a playbook.
_WORDS: dict[str, tuple[str, str]] = {
    "url": ("url", "dtr_cache_registry_url"),
    "credentials": ("username and password", "dtr_cache_registry_username and dtr_cache_registry_password"),
    "client certificate": (
        "client_cert and client_key",
        "dtr_cache_registry_client_cert and dtr_cache_registry_client_key",
    ),
    DTR_CA: ("ca_path or ca_certificate", "dtr_cache_registry_ca"),
    FETCH_CA: ("; dtr.cache.registry_ca_info fetches DTR's CA", " (fetch: from DTR itself)"),
    "CA of a cache": ("ca_path or ca_certificate of the cache in this task", "dtr_cache_ca_certificate"),
    "CA of the cache": ("cache_ca_certificate", "dtr_cache_ca_certificate"),
    "URL of the cache": ("the URL in this task", "dtr_cache_host and dtr_cache_port"),
    "public port": ("the URL in this task", "dtr_cache_public_port"),
    "min_days": ("min_days", "dtr_cache_min_days"),
    "image": ("image and an account of the cache", "dtr_cache_verify_image"),
    "proof": ("dtr.cache.cache_proof", "dtr_cache_verify_repository"),
    "pin": ("fingerprint", "dtr_cache_registry_ca_fingerprint"),
    "accounts": ("account_of", "dtr_cache_assignments"),
    "except": ("assignments.except", "dtr_cache_assignments.except"),
    "account": ("account", "dtr_cache_verify_account"),
    "register": ("dtr.cache.content_caches", "dtr.cache.deploy"),
    "assign": ("dtr.cache.cache_assignments", "dtr.cache.assign"),
    "see assignments": ("dtr.cache.cache_assignments_info", "dtr.cache.status"),
    "read the log": ("dtr.cache.cache_logs_info", "dtr.cache.diagnose"),
    "max_resets": ("max_resets", "dtr_cache_max_resets"),
    "adopt to": ("to", "dtr_cache_adopt_to"),
    "overwrite": ("overwrite: true", "dtr_cache_adopt_overwrite=true"),
    "wait": ("timeout", "dtr_cache_timeout"),
    "again": ("Run the task again", "Run the playbook again"),
    "more time": ("Raise timeout", "Run the playbook again"),
}


def word(name: str) -> str:
    """What the user calls it."""
    of_module, of_role = _WORDS[name]
    return of_role if os.environ.get(VARIABLE) == ROLES else of_module
