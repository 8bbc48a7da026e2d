# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a diff shows of a file that somebody has edited, who may have put any secret there."""

from __future__ import annotations

import textwrap

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.adoption.former_file import shown_former

AFTER = textwrap.dedent("""\
    # Written by playbook dtr.cache.adopt.
    ---
    dtr_cache_name: region-asia
    dtr_cache_nodes:
      - asia-2
    dtr_cache_storage:
      s3:
        bucket: b
        secretkey: "{{ vault_dtr_cache_storage_s3_secretkey }}"
    # dtr_cache_private_key: "{{ vault_dtr_cache_private_key }}"
    """)
# No form of it is any other word of a file.
SECRET = "hunter"
SECRETS = {
    "plain": "dtr_cache_http_secret: hunter1",
    "on the next line": "dtr_cache_http_secret:\n  'hunter1'",
    "a block": "site:\n  db:\n    password: |\n      hunter1\n      hunter2",
    "folded": "vault_pw: >-\n  hunter1\n",
    "indented": "smtp_pass:\n    hunter2",
    "a list": "secretkey:\n- hunter1\n- {x: hunter2}",
    "a list of an own variable": "dtr_cache_environment: [A=hunter1]",
    "a mapping of an own variable": "dtr_cache_environment: {A: hunter1, hunter2: }",
    "a mapping in one line": "dtr_cache_storage: {s3: {bucket: b, secretkey: hunter1}}",
    "a structure as a text": 'dtr_cache_storage: \'{"s3": {"secretkey": "hunter1"}}\'',
    "in an address": "dtr_cache_registry_url: https://admin:hunter1@dtr.example.org",
    "in a public structure": "dtr_cache_resources: {password: hunter1}",
    "a vaulted text": "dtr_cache_private_key: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  hunter1",
    "an unsafe one": "pw: !unsafe 'hunter1'",
    "a tag of another tool": "dtr_cache_name: !mine {hunter1: hunter2}",
    "binary": "dtr_cache_name: !!binary aHVudGVyMQ==hunter",
    "a set": "dtr_cache_nodes: !!set {? hunter1, ? hunter2}",
    "a comment": "dtr_cache_port: 443 # hunter1\n# hunter2\n  # hunter3",
    "a comment in a list": "dtr_cache_nodes:\n  # hunter1\n  - asia-2 # hunter2",
    "an alias": "a: &x hunter1\ndtr_cache_name: *x",
    "an endless alias": "dtr_cache_name: &x [hunter1, *x]",
    "a key": "? |\n  hunter1\n: x",
    "a list as a key": "[hunter1]: x",
    "twice": "dtr_cache_name: region-asia\npassword: hunter1\npassword:\n  hunter2",
    "two documents": "a: hunter1\n---\nb: hunter2",
    "no YAML": "dtr_cache_private_key: |\n-----BEGIN KEY-----\nhunter1: [",
    "a wrong tab": "dtr_cache_name: x\n\tpassword: hunter1",
    "JSON": '{"dtr_cache_name": "region-asia", "password": "hunter1"}',
    "a list of all": "- hunter1",
    "a text alone": "$ANSIBLE_VAULT;1.1;AES256\nhunter1\n",
    "no printable text": "a: hunter1\x0c\nb: \u2028hunter2",
    "a time that is none": "dtr_cache_name: 2026-99-99 # hunter1",
}


@pytest.mark.parametrize("edited", SECRETS.values(), ids=SECRETS)
def test_no_secret_in_whatever_form(edited: str) -> None:
    for before in (edited, f"{AFTER}{edited}\n"):
        assert SECRET not in shown_former(before, AFTER)


def test_what_the_new_file_says_as_well_stays() -> None:
    assert shown_former(AFTER, AFTER) == AFTER
    assert shown_former("", AFTER) == shown_former("", "") == ""


@pytest.mark.parametrize(
    ("edited", "shown"),
    [
        ("dtr_cache_name: asia # why", "dtr_cache_name: asia"),
        ("dtr_cache_port: 8443", "dtr_cache_port: 8443"),
        ("dtr_cache_nodes: [asia-1, asia-2]", "dtr_cache_nodes:\n  - asia-1\n  - asia-2"),
        ("dtr_cache_replicas:\n", "dtr_cache_replicas: null"),
        ('dtr_cache_host: "{{ inventory_hostname }}"', "dtr_cache_host: '{{ inventory_hostname }}'"),
        ("dtr_cache_storage: {s3: {bucket: b, x: y}}", "dtr_cache_storage:\n  s3:\n    bucket: b\n    x: '***'"),
        ("ansible_host: 192.0.2.1", "ansible_host: '***'"),
    ],
)
def test_what_is_public_is_shown_as_the_new_file_has_it(edited: str, shown: str) -> None:
    assert shown_former(edited, AFTER) == f"{shown}\n"
