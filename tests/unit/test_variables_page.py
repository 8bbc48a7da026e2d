# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/variables.md and the pages of the roles show of the variables is what the collection reads."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.read import IGNORED
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.reader import FILE
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.run import VARIABLES as OF_THE_PLAY
from ansible_collections.dtr.cache.tests.unit.support.settings import (
    CA,
    DEFAULTS,
    GOOD,
    OPTIONS,
    control_node,
    read_with,
)
from ansible_collections.dtr.cache.tests.unit.support.web import make_identity

PROJECT = Path(__file__).parents[2]
GROUPS = yaml.safe_load((PROJECT / "docs" / "variables.yml").read_text(encoding="utf-8"))
ENTRIES = {f"dtr_cache_{name}": entry for group in GROUPS for name, entry in group["variables"].items()}

# What Python's types YAML gives for the words by which the page calls a type.
TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("text", "path", "duration", "moment", "PEM text", "word", "share"), (str,)),
    **dict.fromkeys(("whole number", "number"), (int,)),
    "switch": (bool,),
    "list": (list,),
    "dictionary": (dict,),
}
CERTIFICATE = make_identity("cache", CA, addresses=["cache.example.org", "cache-asia.example.org"])
# One certificate for all names, so that the certificate of an example is not the difference that it makes.
PRESENTED = {"dtr_cache_certificate": CERTIFICATE.pem, "dtr_cache_private_key": CERTIFICATE.key_pem}
OPERATOR = make_identity("operator", CA)
SECRETS = {
    "inventory_dir": "/work/inventory",
    "inventory_hostname": "region-asia",
    "vault_dtr_cache_private_key": CERTIFICATE.key_pem,
    "vault_operator_key": OPERATOR.key_pem,
    "vault_s3_accesskey": "AKIAEXAMPLE",
    "vault_s3_secretkey": "asecretkey",
}
FILES = {
    "certs/ca.pem": CA.pem.encode(),
    "certs/operator.pem": OPERATOR.pem.encode(),
    "certs/region-asia.pem": CERTIFICATE.pem.encode(),
    "/root/region-asia.key.pem": CERTIFICATE.key_pem.encode(),
    "/work/inventory/../certs/ca.pem": CA.pem.encode(),
    "/work/inventory/../certs/region-asia.pem": CERTIFICATE.pem.encode(),
}
KINDS = {"bundles/ucp-bundle-admin.zip": FILE, "/root/region-asia.key.pem": FILE}
ROLES = sorted(path.name for path in (PROJECT / "roles").iterdir() if path.is_dir())
# Of which other values are about no single cache: Ansible reads them, or they are about names alone.
NOT_IN_SETTINGS = {*OF_THE_PLAY, IGNORED}


def kinds(entry: t.Mapping[str, t.Any]) -> tuple[type, ...]:
    words = re.split(r", | or ", entry["type"])
    return tuple(kind for word in words for kind in TYPES[word])


def filled(value: t.Any) -> t.Any:
    """The value with what Ansible would put in place of its templates."""
    if isinstance(value, dict):
        return {key: filled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item) for item in value]
    if not isinstance(value, str):
        return value
    return re.sub(r"{{ (\w+) }}", lambda match: SECRETS.get(match[1], "a secret of thirty-two characters"), value)


@pytest.mark.parametrize("name", ENTRIES)
def test_an_example_is_read_and_makes_a_difference(name: str) -> None:
    example = yaml.safe_load(ENTRIES[name]["example"])
    assert name in example
    assert isinstance(example[name], kinds(ENTRIES[name]))
    assert example[name] != DEFAULTS[name]
    node = control_node(FILES, KINDS)
    settings, problems = read_with({**PRESENTED, **filled(example)}, node=node)
    assert problems == []
    without, problems = read_with(
        {**PRESENTED, **filled({key: example[key] for key in {*example} - {name}})}, node=node
    )
    same = name in GOOD or name in NOT_IN_SETTINGS or problems
    assert same or settings != without


@pytest.mark.parametrize("name", ENTRIES)
def test_a_default_is_of_the_type(name: str) -> None:
    default = OPTIONS[name].get("default", DEFAULTS[name])
    is_template = isinstance(default, str) and "{{" in default
    assert default is None or is_template or isinstance(default, kinds(ENTRIES[name]))


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if "choices" in entry])
def test_each_choice_is_one_and_no_other(name: str) -> None:
    choices = ENTRIES[name]["choices"]
    # Each product line has versions of its own.
    rest = {**PRESENTED, "dtr_cache_version": None}
    assert [problem for each in choices for problem in read_with({**rest, name: each})[1]] == []
    (problem,) = read_with({**rest, name: "nonsense"})[1]
    assert all(choice in problem for choice in choices)


def test_what_needs_no_words_has_none() -> None:
    """A default in words hides the one that role settings has."""
    worded = {name for name, entry in ENTRIES.items() if "otherwise" in entry}
    assert all(DEFAULTS[name] in (None, [], {}) for name in worded)


def uses_of_roles(tasks: t.Any) -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    """The roles that tasks include, each with the variables that it gets."""
    for task in tasks:
        for section in ("block", "rescue", "always"):
            yield from uses_of_roles(task.get(section, []))
        if "ansible.builtin.include_role" in task:
            yield task["ansible.builtin.include_role"]["name"].removeprefix("dtr.cache."), task.get("vars", {})


def spec_of(role: str) -> dict[str, t.Any]:
    specs = yaml.safe_load((PROJECT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    return t.cast("dict[str, t.Any]", specs["argument_specs"]["main"])


@pytest.mark.parametrize("role", ROLES)
def test_the_example_of_a_role_gives_it_variables_that_it_uses_and_that_are_right(role: str) -> None:
    spec = spec_of(role)
    (play,) = yaml.safe_load(spec["examples"])
    uses = [
        *uses_of_roles(play.get("tasks", [])),
        *((name.removeprefix("dtr.cache."), {}) for name in play.get("roles", [])),
    ]
    assert role in {used for used, _variables in uses}
    for used, variables in uses:
        options = spec_of(used)["options"] if used in ROLES else {}
        assert [name for name in variables if name not in options] == []
        _settings, problems = read_with({**PRESENTED, **filled(variables)}, node=control_node(FILES, KINDS))
        assert problems == []
