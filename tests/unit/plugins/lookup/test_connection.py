# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""How DTR is reached, as the lookup gives it to those who call modules themselves."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleLookupError
from ansible_collections.dtr.cache.plugins.lookup import connection
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.variables import trust_as_template
from ansible_collections.dtr.cache.tests.unit.support.lookups import run_lookup, without_environment
from ansible_collections.dtr.cache.tests.unit.support.settings import CA, CACHE, GOOD

OPTIONS = {
    "url": "https://dtr.example.org",
    "username": "admin",
    "password": GOOD["dtr_cache_registry_password"],
    "validate_certs": True,
}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    without_environment(monkeypatch)


def look_up(*terms: str, unset: str = "", ca: str | None = None, **changes: t.Any) -> t.Any:
    """What the lookup gives for the good variables with some changed by their names without the prefix."""
    given = {**GOOD, **{f"dtr_cache_registry_{name}": value for name, value in changes.items()}}
    given.pop(f"dtr_cache_registry_{unset}", None)
    (options,) = run_lookup(connection, terms, given, **({} if ca is None else {"ca": ca}))
    return options


@pytest.mark.parametrize("terms", [(), ("dtr",)])
def test_options_of_the_modules(terms: tuple[str, ...]) -> None:
    assert look_up(*terms) == OPTIONS


@pytest.mark.parametrize(
    ("password", "exact"),
    [("s3cret\n", "s3cret"), ("\r\ns3cret\r\n", "s3cret"), ("  s3 cret ", "  s3 cret "), (" s3cret \n", " s3cret ")],
)
def test_only_line_breaks_go_from_the_password(password: str, exact: str) -> None:
    assert look_up(password=password)["password"] == exact


@pytest.mark.parametrize("password", ["s3\ncret", {"password": "s3cret"}])
def test_one_that_no_header_can_hold_is_an_error_that_does_not_show_it(password: t.Any) -> None:
    with pytest.raises(AnsibleLookupError, match="dtr_cache_registry_password: ") as error:
        look_up(password=password)
    assert "cret" not in str(error.value)


def test_templates_are_worked_out() -> None:
    given = look_up(
        password=trust_as_template("{{ 's3' ~ 'cret' }}"), url=trust_as_template("https://{{ 'dtr' }}.example.org")
    )
    assert (given["password"], given["url"]) == ("s3cret", "https://dtr.example.org")


@pytest.mark.parametrize(("value", "read"), [("no", False), (False, False), ("yes", True), (None, True), ("", True)])
def test_whether_certificates_are_checked(value: t.Any, read: bool) -> None:
    assert look_up(validate_certs=value)["validate_certs"] is read


@pytest.mark.parametrize("ca", [None, ""])
def test_no_ca_is_none(ca: str | None) -> None:
    assert look_up(ca=ca) == OPTIONS


def test_a_ca_is_one_of_the_options() -> None:
    assert look_up(ca=CA.pem) == {**OPTIONS, "ca_certificate": CA.pem}


@pytest.mark.parametrize(
    ("name", "value"),
    [("validate_certs", "maybe"), ("validate_certs", ["no"]), ("url", "ftp://dtr"), ("username", {"name": "admin"})],
)
def test_what_is_wrong_is_an_error_that_names_the_variable(name: str, value: t.Any) -> None:
    with pytest.raises(AnsibleLookupError) as error:
        look_up(**{name: value})
    assert str(error.value).startswith(f"The DTR cannot be reached: dtr_cache_registry_{name}: ")
    assert GOOD["dtr_cache_registry_password"] not in str(error.value)


@pytest.mark.parametrize("name", ["url", "username", "password"])
def test_what_is_missing_as_well(name: str) -> None:
    with pytest.raises(AnsibleLookupError, match=f"dtr_cache_registry_{name}: is required"):
        look_up(unset=name)


def test_what_the_environment_says_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DTR_PASSWORD", "of the environment")
    assert look_up(unset="password") == {**OPTIONS, "password": "of the environment"}


def test_a_client_certificate_stands_for_the_password(tmp_path: Path) -> None:
    certificate, key = CACHE.write(tmp_path, "admin")
    client = {"client_certificate": CACHE.pem + CACHE.key_pem}
    # As PEM texts, as paths, and both in one.
    for given in (
        {"client_cert": CACHE.pem, "client_key": CACHE.key_pem},
        {"client_cert": str(certificate), "client_key": str(key)},
        {"client_cert": CACHE.pem + CACHE.key_pem},
    ):
        assert look_up(username="", password="", **given) == {**OPTIONS, "username": "", "password": "", **client}
    assert look_up(client_cert=CACHE.pem, client_key=CACHE.key_pem) == {**OPTIONS, **client}
    with pytest.raises(AnsibleLookupError, match="dtr_cache_registry_password: is required"):
        look_up(unset="password", **given)


def test_what_else_is_wrong_does_not_matter() -> None:
    given = {**GOOD, "dtr_cache_port": "many", "dtr_cache_private_key": "/nowhere/key.pem", "dtr_cache_nmae": "x"}
    assert run_lookup(connection, (), given) == [OPTIONS]
