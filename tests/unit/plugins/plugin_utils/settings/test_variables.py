# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a host's variables, with their templates, vaults and files, to settings, with Ansible's own templar."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.template import Templar
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.plugin_utils.settings import variables as from_host
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.variables import (
    Reading,
    dtr_connection,
    read_host,
    trust_as_template,
)
from ansible_collections.dtr.cache.tests.unit.support.lookups import without_environment
from ansible_collections.dtr.cache.tests.unit.support.settings import CA, CACHE, GOOD

PASSWORD = VaultSecret(b"a password of the vault")


def template(text: str) -> t.Any:
    return trust_as_template(text)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    without_environment(monkeypatch)


def reading(unset: t.Collection[str] = (), **changes: t.Any) -> Reading:
    variables = host(unset, **changes)
    loader = DataLoader()
    loader.set_vault_secrets([("default", PASSWORD)])
    return read_host(variables, Templar(loader=loader, variables=variables), loader, ())


def host(unset: t.Collection[str] = (), **changes: t.Any) -> dict[str, t.Any]:
    given = {**GOOD, **{f"dtr_cache_{name}": value for name, value in changes.items()}}
    return {
        "inventory_hostname": "asia",
        "of_the_site": 8443,
        **{name: value for name, value in given.items() if name.removeprefix("dtr_cache_") not in unset},
    }


def test_variables_may_refer_to_others_and_to_those_that_have_their_default() -> None:
    read = reading(
        port=template("{{ of_the_site }}"),
        replicas=template("{{ dtr_cache_nodes | length }}"),
        environment={"TIMEOUT": template("{{ dtr_cache_timeout }}"), "URL": template("{{ dtr_cache_registry_url }}")},
    )
    assert read.problems == []
    assert (read.settings.port, read.settings.replicas) == (8443, 2)
    assert read.settings.environment == {"TIMEOUT": "300", "URL": GOOD["dtr_cache_registry_url"]}


def test_a_variable_that_is_undefined_is_one_problem_each() -> None:
    read = reading(name=template("{{ nobody }}"), port=template("{{ nothing.port }}"), blob_ttl="24")
    assert [problem.partition(":")[0] for problem in read.problems] == [
        "dtr_cache_name",
        "dtr_cache_port",
        "dtr_cache_blob_ttl",
    ]
    assert "nobody" in read.problems[0]


def test_who_needs_the_dtr_alone_does_not_need_the_secrets_of_a_cache() -> None:
    storage = {"s3": {"bucket": "b", "secretkey": template("{{ vault_of_the_cache }}")}}
    variables = host(storage=storage, registry_password=template("{{ vault_of_the_dtr }}"), blob_ttl="24")
    problems = read_host(variables, Templar(loader=DataLoader(), variables=variables), DataLoader(), ["dtr"]).problems
    assert [problem.partition(":")[0] for problem in problems] == ["dtr_cache_registry_password", "dtr_cache_blob_ttl"]


def test_who_needs_the_dtr_alone_does_not_need_the_files_of_a_cache(tmp_path: Path) -> None:
    """An inventory may name files that are made when the caches are described."""
    missing = {name: str(tmp_path / name) for name in ("certificate", "private_key", "ca_certificate", "upstream_cas")}
    for needs, problems in ((["dtr"], ["port", "registry_ca"]), (["dtr", "cache"], [*missing, "port", "registry_ca"])):
        variables = host(**missing, port="x", registry_ca=str(tmp_path / "registry_ca"))
        read = read_host(variables, Templar(loader=DataLoader(), variables=variables), DataLoader(), needs)
        found = [problem.partition(":")[0].removeprefix("dtr_cache_") for problem in read.problems]
        assert sorted(found) == sorted(problems)


@pytest.mark.parametrize(
    "written",
    ["hush{{Pw999", "{{ 'hush' | no_filter_of_this_name }}", "{{ hush }}", "{{ 'hush' ~ (1 / 0) }}", "{% hush %}"],
)
def test_a_secret_that_cannot_be_templated_is_not_shown(written: str) -> None:
    for name, value in (
        ("registry_password", template(written)),
        ("storage", {"s3": {"secretkey": template(written)}}),
    ):
        [problem] = reading(**{name: value}).problems
        assert problem.startswith(f"dtr_cache_{name}: cannot be templated")
        assert "hush" not in problem
        assert "Pw999" not in problem


@pytest.mark.parametrize("written", ["{{ 1 / 0 }}", "{{ 1 | no_filter_of_this_name }}", "{{ 1", "{% nothing %}"])
def test_whatever_a_template_raises_is_a_problem_of_its_variable(written: str) -> None:
    [problem] = reading(port=template(written)).problems
    assert problem.startswith("dtr_cache_port: ")
    assert written not in problem


@pytest.mark.parametrize("unset", [True, False])
def test_the_environment_says_what_no_variable_does(unset: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("registry_url", "registry_username", "registry_password")
    for variable, value in (("DTR_URL", "https://other"), ("DTR_USERNAME", "me"), ("DTR_PASSWORD", "hush")):
        monkeypatch.setenv(variable, value)
    settings = (reading(names) if unset else reading(**dict.fromkeys(names, " "))).settings
    assert (settings.registry_url, settings.registry_username, settings.registry_password) == (
        "https://other",
        "me",
        "hush",
    )
    assert reading().settings.registry_url == "https://dtr.example.org"


def test_the_ca_of_the_dtr_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert reading().settings.registry_ca == "fetch"
    (tmp_path / "ca.pem").write_text(CA.pem)
    monkeypatch.setenv("DTR_CA_PATH", str(tmp_path / "ca.pem"))
    assert reading().settings.registry_ca == CA.pem
    assert reading(registry_ca="system").settings.registry_ca == "system"
    monkeypatch.setenv("DTR_CA_PATH", "")
    assert reading().settings.registry_ca == "fetch"


def test_an_empty_environment_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DTR_URL", " ")
    variables = host(["registry_url"])
    loader = DataLoader()
    read = read_host(variables, Templar(loader=loader, variables=variables), loader, ("registry",))
    assert [problem.partition(" (or")[0] for problem in read.problems] == [
        "dtr_cache_registry_url: is required: the address of the DTR, such as https://dtr.example.org"
    ]


def test_what_a_template_omits_is_not_set() -> None:
    variables = host(timeout=template("{{ nothing | default(omit) }}"))
    loader = DataLoader()
    read = read_host(variables, Templar(loader=loader, variables=variables), loader, ())
    assert (read.problems, read.settings.timeout) == ([], 300)


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("nodes", ["worker-1", "{{ nothing | default(omit) }}"], ("worker-1",)),
        ("environment", {"A": "{{ nothing | default(omit) }}", "B": "b"}, {"B": "b"}),
        ("update_config", {"delay": "{{ omit }}", "order": "start-first"}, {"order": "start-first"}),
        ("storage", {"filesystem": {"maxthreads": "{{ omit }}"}}, {"filesystem": {}}),
    ],
)
def test_what_is_omitted_in_a_list_or_a_mapping_is_not_set(name: str, written: t.Any, meant: t.Any) -> None:
    variables = host(**{name: marked(written)})
    loader = DataLoader()
    read = read_host(variables, Templar(loader=loader, variables=variables), loader, ())
    assert (read.problems, getattr(read.settings, name)) == ([], meant)


def marked(value: t.Any) -> t.Any:
    """The same with each text as a template."""
    if isinstance(value, str):
        return template(value)
    if isinstance(value, list):
        return [marked(item) for item in value]
    return {key: marked(item) for key, item in value.items()}


def test_the_users_own_variables_are_ignored_unread() -> None:
    own = {"team_contact": "x", "team_mail": template("{{ nobody }}"), "regions": [], "verdicts": "x", "status": []}
    assert reading(ignore_variables="dtr_cache_team_*", **own).problems == []
    named = ["dtr_cache_team_contact", template("{{ 'dtr_cache_team_mail' }}")]
    assert reading(ignore_variables=named, **own).problems == []
    refused = reading(team_contact="x").problems
    assert refused == [
        "dtr_cache_team_contact: is no variable of dtr.cache. If it is your own, name it in dtr_cache_ignore_variables"
    ]


def test_vaulted_files_and_files_that_are_no_text(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(VaultLib().encrypt(CACHE.key_pem, PASSWORD))
    certificate = tmp_path / "cert.pem"
    certificate.write_bytes("Köln\n".encode("latin-1") + CACHE.pem.encode())
    read = reading(private_key=str(key), certificate=f" {certificate} ")
    assert read.problems == []
    assert (read.settings.private_key, read.settings.certificate) == (CACHE.key_pem, CACHE.pem)
    key.write_bytes(b"\x30\x82\x00\xff\xfe")
    [problem] = reading(private_key=str(key)).problems
    assert problem.startswith("dtr_cache_private_key: is not PEM; it looks like DER or PKCS#12")
    [problem] = reading(ca_certificate=str(tmp_path)).problems
    assert problem.startswith("dtr_cache_ca_certificate: ")
    [problem] = reading(ca_certificate=str(tmp_path / "none.pem")).problems
    assert "none.pem cannot be read on the control node: " in problem


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    [problem] = reading(ca_certificate=str(tmp_path / "pipe")).problems
    assert problem.endswith("pipe cannot be read on the control node: it is not a regular file")


def test_files_to_remove_are_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.touch()
    assert reading(source_files=[str(file), str(tmp_path / "gone")]).problems == []
    for wrong in (str(tmp_path), "/", "~", f"{tmp_path}/*", os.devnull):
        assert len(reading(source_files=wrong).problems) == 1, wrong


def test_the_fingerprint_follows_all_variables_and_files(tmp_path: Path) -> None:
    first = reading().fingerprint
    assert reading().fingerprint == first
    assert first != reading(port=8443).fingerprint != reading(port=8444).fingerprint
    file = tmp_path / "ca.pem"
    seen = {reading(ca_certificate=str(file)).fingerprint}
    file.write_text(CACHE.pem)
    seen.add(reading(ca_certificate=str(file)).fingerprint)
    file.write_text(CACHE.pem + CACHE.pem)
    seen.add(reading(ca_certificate=str(file)).fingerprint)
    assert len(seen) == 3


def test_a_fingerprint_says_nothing_in_another_run(monkeypatch: pytest.MonkeyPatch) -> None:
    first = reading().fingerprint
    monkeypatch.setattr(from_host, "_FINGERPRINT_KEY", os.urandom(32))
    assert reading().fingerprint != first


def test_the_connection_alone_needs_nothing_else_to_be_right() -> None:
    variables = host(registry_validate_certs=" No\n", port="wrong", private_key=template("{{ nobody }}"))
    loader = DataLoader()
    assert dtr_connection(variables, Templar(loader=loader, variables=variables), loader) == {
        "url": "https://dtr.example.org",
        "username": "admin",
        "password": "a password",
        "validate_certs": False,
    }


def test_what_is_wrong_with_the_connection_is_listed() -> None:
    variables = host(["registry_password"], registry_validate_certs="jes", registry_url=template("{{ nobody }}"))
    loader = DataLoader()
    with pytest.raises(Failure) as raised:
        dtr_connection(variables, Templar(loader=loader, variables=variables), loader)
    for name in ("registry_url", "registry_password", "registry_validate_certs"):
        assert raised.value.message.count(f"dtr_cache_{name}: ") == 1


@pytest.mark.parametrize(
    ("password", "read_as"),
    [("hush\n", "hush"), (" hush ", " hush "), ("12345", "12345"), ("pass: {word}", "pass: {word}")],
)
def test_a_password_is_what_was_given(password: t.Any, read_as: str) -> None:
    assert reading(registry_password=password).settings.registry_password == read_as
