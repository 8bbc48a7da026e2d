# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad inputs: for each variable whatever is of another kind than what it takes."""

from __future__ import annotations

import datetime
import typing as t

# What must never be shown, wherever it stands.
SECRET = "Hunter2-M4rk3r"

TEXTS = (
    *("name", "host", "product", "version", "image", "registry_url", "registry_username", "registry_password"),
    *("registry_ca", "registry_ca_fingerprint", "certificate", "private_key", "ca_certificate", "blob_ttl"),
    *("http_secret", "publish_mode", "stack_name", "resolve_image", "docker_host", "client_bundle", "verify_image"),
    *("verify_repository", "verify_account", "render_to", "status_to", "backup_file", "logs_since", "adopt_to"),
    *("traffic_since", "confirm_removal", "client_trust_state", "registry_client_cert", "registry_client_key"),
    *("awx_organization", "awx_prefix", "awx_project_url", "awx_project_branch", "awx_project_credential"),
    *("awx_inventory", "awx_image", "awx_collection", "awx_state", "node_label"),
)
NUMBERS = (
    *("port", "public_port", "metrics_port", "replicas", "timeout", "keep_versions", "min_days", "warm_concurrency"),
    "max_resets",
)
SWITCHES = (
    *("registry_validate_certs", "with_registry_auth", "install_requirements", "assignments_exclusive"),
    *("remove_volume", "adopt_overwrite", "awx_certificate", "awx_schedules"),
)
LISTS = (
    *("nodes", "upstreams", "upstream_cas", "requirements", "warm_images", "warm_platforms", "source_files"),
    *("allowed_networks", "client_registries", "client_runtimes", "client_cas", "ignore_variables"),
    *("hosts", "serial", "former_stack_names", "former_names", "client_hosts", "firewall_hosts"),
    "awx_credentials",
)
MAPPINGS = (*("storage", "config_extra", "environment", "resources", "update_config", "assignments", "service_extra"),)

NO_VALUE: list[t.Any] = [
    SECRET.encode(),
    datetime.date(2026, 1, 31),
    datetime.datetime(2026, 1, 31, 12),
    object,
    float("nan"),
    float("inf"),
    f"{SECRET}\0",
    f"{SECRET}\udcff",
    {"a": f"{SECRET}\0"},
    {1: SECRET},
    {True: SECRET},
    {None: SECRET},
    [SECRET.encode()],
    "null",
    " ~ ",
    "NULL",
]
NO_TEXT: list[t.Any] = [
    {"a": SECRET},
    {},
    [SECRET],
    [],
    True,
    False,
    1.5,
    2.10,
    [[{"a": [SECRET]}]],
]
NO_LINE = ["a\nb", "a\r\nb", "a\tb", "a\x07b", "a\x1b[2Jb", "a\x7fb", "a\x85b", "a\u2028b", "a\u2029b"]
NO_NUMBER: list[t.Any] = [
    {"a": SECRET},
    [5],
    [],
    True,
    False,
    1.0,
    -1,
    10**30,
    "-1",
    "+5",
    "05",
    "1.0",
    "1e3",
    "0x1F",
    "1_000",
    "1 000",
    "1,000",
    "٣",
    "５",
    "²",
    "five",
    "5 s",
    "9" * 5000,
    "--5",
    "1\n2",
]
NO_SWITCH: list[t.Any] = [
    {"a": SECRET},
    [True],
    [],
    2,
    -1,
    1.0,
    "jes",
    "y",
    "n",
    "truee",
    "true false",
    "ｔｒｕｅ",
    "true,",
    "'true'",
    "none",
    "01",
    "enabled",
]
NO_LIST: list[t.Any] = [
    [[SECRET]],
    [{"a": [{}]}, SECRET.encode()],
    [True],
    [1.5],
    [f"{SECRET}\0"],
    ["a\nb"],
    ["a\x1bb"],
    [["a"], ["b"]],
    "[a",
    "[a]]",
    "- a\n  b: [",
    "{a: b",
    '["a", "b"',
    '["a" "b"]',
    "[&x a, *x]",
    "[0x1F]",
    "[1:30]",
    "[2026-01-31]",
    "[yes]",
    "[1e400]",
    '{"a": 1, "a": 2}',
    "[" * 5000,
]
NO_MAPPING: list[t.Any] = [
    ["a"],
    [["a", SECRET]],
    True,
    5,
    1.5,
    "[a, b]",
    "- a: b",
    "{",
    '{"a": "b"',
    "a: b: c",
    "a: [",
    "a: 'b",
    "a: !!python/object:os.system x",
    "a: !vault x",
    "a: &x 1\nb: *x",
    "a: 0x1F",
    "a: 010",
    "a: 1:30",
    "a: 1_000",
    "a: .inf",
    "a: 2026-01-31",
    '{"a": NaN}',
    '{"a": 1e5}',
    '{"a": 1, "a": 2}',
    "a: 1\na: 2",
    "{1: a}",
    "{true: a}",
    "? [a]\n: b",
    "a: \x07",
    '{"a": ' * 3000,
    {"a": {"b": {"c": {2: SECRET}}}},
    {"a": [{"b": SECRET.encode()}]},
    {"a": float("-inf")},
    {"a\0": 1},
]

TABLE: dict[str, list[t.Any]] = {
    **{name: [*NO_VALUE, *NO_TEXT, *NO_LINE] for name in TEXTS},
    **{name: [*NO_VALUE, *NO_NUMBER] for name in NUMBERS},
    **{name: [*NO_VALUE, *NO_SWITCH] for name in SWITCHES},
    **{name: [*NO_VALUE, *NO_LIST] for name in LISTS},
    **{name: [*NO_VALUE, *NO_MAPPING] for name in MAPPINGS},
    # It may be a name as well.
    "volume": [*NO_VALUE, *(value for value in NO_MAPPING if value != 5)],
}
