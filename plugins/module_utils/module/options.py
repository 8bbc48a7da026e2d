# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that a module and its half on the control node share; without Docker's SDK, which only managers need."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import env_fallback

# The same options, defaults and environment variables as in community.docker.
ENGINE_ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "docker_host": {
        "type": "str",
        "default": "unix:///var/run/docker.sock",
        "fallback": (env_fallback, ["DOCKER_HOST"]),
        "aliases": ["docker_url"],
    },
    "tls": {"type": "bool", "default": False, "fallback": (env_fallback, ["DOCKER_TLS"])},
    "validate_certs": {
        "type": "bool",
        "default": False,
        "fallback": (env_fallback, ["DOCKER_TLS_VERIFY"]),
        "aliases": ["tls_verify"],
    },
    "ca_path": {"type": "path", "aliases": ["ca_cert", "tls_ca_cert", "cacert_path"]},
    "client_cert": {"type": "path", "aliases": ["tls_client_cert", "cert_path"]},
    "client_key": {"type": "path", "no_log": False, "aliases": ["tls_client_key", "key_path"]},
    "tls_hostname": {"type": "str", "fallback": (env_fallback, ["DOCKER_TLS_HOSTNAME"])},
    "api_version": {
        "type": "str",
        "default": "auto",
        "fallback": (env_fallback, ["DOCKER_API_VERSION"]),
        "aliases": ["docker_api_version"],
    },
    "engine_timeout": {"type": "int", "default": 60, "fallback": (env_fallback, ["DOCKER_TIMEOUT"])},
}

PREFLIGHT_ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "needs": {
        "type": "list",
        "elements": "str",
        "choices": [
            *("cache", "registry", "dtr", "certificate", "manager", "swarm", "address", "port", "trust"),
            *(
                "confirmation",
                "rotation",
                "verification",
                "warming",
                "backup",
                "restore",
                "registration",
                "assignment",
                "pull",
            ),
            "awx",
        ],
        "required": True,
    },
    "fail": {"type": "bool", "default": True},
    "together": {"type": "bool", "default": False},
    "ask_swarm": {"type": "str", "choices": ["always", "never", "to_complete", "to_plan"], "default": "always"},
    "nodes": {"type": "list", "elements": "str", "default": []},
    "port": {"type": "int"},
    "metrics_port": {"type": "int"},
    "publish_mode": {"type": "str"},
    "node_label": {"type": "str", "default": ""},
    "host": {"type": "str"},
    "former_stacks": {"type": "list", "elements": "str", "default": []},
    "stack_name": {"type": "str"},
    "image": {"type": "str"},
    "resolve_image": {"type": "str"},
    "with_registry_auth": {"type": "bool", "default": False},
    "replicas": {"type": "int", "default": 1},
    "reservations": {"type": "dict", "default": {}},
    "volume_driver": {"type": "str"},
    **ENGINE_ARGUMENT_SPEC,
}

_USERS: dict[str, dict[str, t.Any]] = {kind: {"type": "raw", "default": []} for kind in ("accounts", "teams", "orgs")}
USERS: dict[str, dict[str, t.Any]] = {
    **_USERS,
    "everyone": {"type": "bool", "default": False},
    "except": {"type": "dict", "options": _USERS},
}
"""Options that declare users, as C(dtr_cache_assignments) does. As another type a number would become a name."""
ASSIGNMENTS: dict[str, t.Any] = {
    "type": "list",
    "elements": "dict",
    "options": {"cache": {"type": "raw", "required": True}, **USERS},
}
