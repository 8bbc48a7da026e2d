# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes in the files of a service is shown as far as Docker gives it, and nothing secret of it."""

from __future__ import annotations

import base64
import json
import typing as t

import pytest
import yaml
from ansible_collections.dtr.cache.plugins.module_utils.swarm import planning
from ansible_collections.dtr.cache.plugins.module_utils.swarm.model import Moment, Swarm
from ansible_collections.dtr.cache.plugins.module_utils.swarm.planning import (
    FileDiff,
    WantedObject,
    _node_addresses,
    file_diffs,
)

CONFIG: dict[str, t.Any] = {
    "version": 0.1,
    "http": {"addr": ":443", "secret": "hush"},
    "storage": {"s3": {"secretkey": "hush"}},
    "blobttl": "24h",
}
OLD, NEW = "st_config.yml_1", "st_config.yml_2"
FACTS = {"subject": "CN=old", "issuer": "CN=ca", "not_before": "2026", "not_after": "2027", "fingerprint": "ab"}


def data(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def certificate(**changes: str) -> dict[str, str]:
    return {"dtr.cache.certificates": json.dumps([{**FACTS, **changes}])}


def swarm(kind: str, place: str, name: str, **spec: t.Any) -> Swarm:
    """A Swarm whose service has one file."""
    reference = {f"{kind[:-1].capitalize()}Name": name, "File": {"Name": place}}
    service = {"Spec": {"TaskTemplate": {"ContainerSpec": {kind.capitalize(): [reference]}}}}
    objects: dict[str, t.Any] = {"configs": {}, "secrets": {}}
    objects[kind][name] = {"Spec": {"Name": name, **spec}}
    return Swarm({}, {"cache": service}, [], networks={}, **objects)


def definition(kind: str, file: str, name: str) -> dict[str, t.Any]:
    return {
        "services": {"cache": {"image": "x", kind: [{"source": file, "target": file}]}},
        kind: {file: {"external": {"name": name}}},
    }


def config_diff(live: Swarm, text: str = yaml.safe_dump(CONFIG), kind: str = "configs") -> FileDiff:
    (found,) = file_diffs(live, definition(kind, "config.yml", NEW), {NEW: WantedObject({}, text)})
    assert (found.file, found.after_name) == ("config.yml", NEW)
    assert "hush" not in str(found)
    return found


def changed_lines(diff: FileDiff) -> tuple[list[str], list[str]]:
    before, after = diff.before.splitlines(), diff.after.splitlines()
    return [line for line in before if line not in after], [line for line in after if line not in before]


def test_a_config_is_compared_line_by_line_whatever_the_order_of_its_keys() -> None:
    live = dict(reversed({**CONFIG, "blobttl": "48h"}.items()))
    diff = config_diff(swarm("configs", "/config.yml", OLD, Data=data(yaml.safe_dump(live, sort_keys=False))))
    assert diff.before_name == OLD
    assert changed_lines(diff) == (["blobttl: 48h"], ["blobttl: 24h"])


def test_one_made_by_hand_has_another_place_and_other_secrets() -> None:
    live = {**CONFIG, "http": {"addr": ":443", "secret": "by hand hush"}}
    diff = config_diff(swarm("configs", "/etc/config.yml", "by-hand", Data=data(yaml.safe_dump(live))))
    assert changed_lines(diff) == (["  secret: (secret)"], ["  secret: (another secret)"])


def test_one_made_by_hand_may_be_called_anything() -> None:
    live = swarm("configs", "/etc/registry.conf", "by-hand", Data=data(yaml.safe_dump({**CONFIG, "blobttl": "48h"})))
    live.services["cache"]["Spec"]["TaskTemplate"]["ContainerSpec"]["Command"] = ["/start.sh", "/etc/registry.conf"]
    diff = config_diff(live)
    assert diff.before_name == "by-hand"
    assert changed_lines(diff) == (["blobttl: 48h"], ["blobttl: 24h"])


def test_a_new_service_has_all_of_it() -> None:
    diff = config_diff(Swarm({}, {}, [], {}, {}, {}))
    assert (diff.before_name, diff.before) == ("", "")
    assert yaml.safe_load(diff.after)["http"] == {"addr": ":443", "secret": "(secret)"}


@pytest.mark.parametrize("text", ["{", "- a list", "key", "\x00", "&a [*a, *a]"])
def test_what_is_no_configuration_is_not_shown(text: str) -> None:
    assert config_diff(swarm("configs", "/config.yml", OLD, Data=data(text))).before == planning.UNREADABLE


def test_of_a_secret_its_label_is_compared_where_it_has_one() -> None:
    label = {"dtr.cache.content": yaml.safe_dump({**CONFIG, "http": {"addr": ":80", "secret": "(secret)"}})}
    diff = config_diff(swarm("secrets", "config.yml", OLD, Labels=label), kind="secrets")
    assert changed_lines(diff) == (["  addr: :80"], ["  addr: :443"])
    assert config_diff(swarm("secrets", "config.yml", OLD), kind="secrets").before == planning.UNKNOWN


def test_where_only_secrets_differ_that_is_said() -> None:
    label = {"dtr.cache.content": yaml.safe_dump({**CONFIG, "http": {"addr": ":443", "secret": "(secret)"}})}
    diff = config_diff(swarm("secrets", "config.yml", OLD, Labels=label), kind="secrets")
    assert changed_lines(diff) == ([], [planning.SAME.strip()])


def test_without_yaml_on_the_manager_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "yaml", None)
    assert config_diff(swarm("configs", "/config.yml", OLD, Data=data("a: 1"))).before == planning.WITHOUT_YAML


@pytest.mark.parametrize(
    ("labels", "before"),
    [
        (certificate(), "subject: CN=old\nissuer: CN=ca\nnot_before: 2026\nnot_after: 2027\nfingerprint: ab\n"),
        ({}, planning.UNKNOWN),
        ({"dtr.cache.certificates": "["}, planning.UNKNOWN),
        ({"dtr.cache.certificates": '[{"subject": "x"}]'}, planning.UNKNOWN),
        ({"dtr.cache.certificates": "1"}, planning.UNKNOWN),
    ],
)
def test_certificates_are_compared_by_what_they_say(labels: dict[str, str], before: str) -> None:
    live = swarm("secrets", "cache.cert.pem", "old", Labels=labels)
    objects = {"new": WantedObject(certificate(subject="CN=new"))}
    (diff,) = file_diffs(live, definition("secrets", "cache.cert.pem", "new"), objects)
    assert (diff.before, diff.after.splitlines()[0]) == (before, "subject: CN=new")


def test_of_a_key_and_of_what_stays_nothing_is_shown() -> None:
    live = swarm("secrets", "cache.key.pem", "old")
    assert not file_diffs(live, definition("secrets", "cache.key.pem", "new"), {"new": WantedObject({})})
    live = swarm("secrets", "cache.cert.pem", "new")
    objects = {"new": WantedObject(certificate())}
    assert not file_diffs(live, definition("secrets", "cache.cert.pem", "new"), objects)
    assert not file_diffs(live, definition("secrets", "cache.cert.pem", "unknown"), {})


ANY = ".".join("0" * 4)


@pytest.mark.parametrize(
    ("node", "manager", "known"),
    [
        ("192.0.2.21", "192.0.2.21:2377", ["192.0.2.21"]),
        # What a manager calls itself.
        (ANY, "192.0.2.21:2377", ["192.0.2.21"]),
        ("127.0.0.1", "[2001:db8::1]:2377", ["2001:db8::1"]),
        ("192.0.2.22", "", ["192.0.2.22"]),
        ("", "", []),
    ],
)
def test_what_names_no_other_machine_is_left_out(node: str, manager: str, known: list[str]) -> None:
    status = {"Status": {"State": "ready", "Addr": node}, "ManagerStatus": {"Addr": manager} if manager else None}
    nodes = {"id": {"Description": {"Hostname": "n"}, **status}}
    assert _node_addresses(Moment({}, [], nodes)) == {"n": known}
