# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in C(docs/examples) and needs no Swarm, as a user runs it: checked, run, and run again without a change.

No warning may show. HashiCorp Vault is a stand-in of this file.
The examples that need a Swarm are in C(test_examples.py) beside this folder, on the lab.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .conftest import Registry, harness
from .playbook_runs import PROJECT, Ansible, Run, finished
from .vault_server import TOKEN, vault

EXAMPLES = PROJECT / "docs" / "examples"
PLAYBOOKS = ("own_ca.yml", "localhost.yml", "module_defaults.yml")
VAULT_PASSWORD = "vault-password-of-the-test"
PASSWORD = "a password or an access token of an administrator"
EMPTY_KEY = "  -----BEGIN PRIVATE KEY-----\n"


def test_an_inventory_with_each_kind_of_vault_and_the_playbooks_for_localhost(site: Site) -> None:
    with site.registry.nothing_is_written():
        check = site.run("--check", "--diff")
    assert_quiet(check)
    assert not list(site.certificates.glob("region-*")), "check mode issues no certificate"
    assert changes(check) > 0
    run, again = site.run(), site.run()
    for each in (run, again):
        assert_quiet(each)
    assert changes(again) == 0, again.output
    assert [name for name, _host in site.registry.caches()] == ["region-asia", "region-europe", "region-partner"]
    assert site.registry.settings() == {
        "alice": "region-asia",
        "bob": "region-europe",
        "carol": "region-partner",
        "heidi": "region-asia",
    }
    # That of Brazil comes from HashiCorp Vault.
    assert sorted(path.name for path in site.certificates.iterdir()) == [
        "ca.pem",
        "dtr-ca.pem",
        "region-asia.pem",
        "region-europe.pem",
    ]
    shown = "".join(each.output for each in (check, run, again))
    assert [secret for secret in site.secrets if secret in shown] == []


class Site:
    """A copy of the examples that was filled in as their comments say, and encrypted."""

    def __init__(self, registry: Registry, ansible: Ansible, vault_address: str) -> None:
        self.registry = registry
        self.ansible = ansible
        self.folder = ansible.folder / "site"
        self.certificates = self.folder / "certs"
        self.password_file = ansible.folder / "vault-password"
        self.password_file.write_text(VAULT_PASSWORD)
        self.keys = {name: new_key() for name in ("ca", "asia", "europe")}
        password = registry.connection["password"]
        self.secrets = [password, TOKEN, *(line for key in self.keys.values() for line in key.splitlines()[1:-1])]
        self.environment = {
            "DTR_URL": registry.standin.url,
            "DTR_USERNAME": "admin",
            "DTR_PASSWORD": password,
            "DTR_CA_PATH": str(registry.standin.ca),
            "VAULT_ADDR": vault_address,
            "VAULT_TOKEN": TOKEN,
        }
        for name in ("inventory", "playbooks"):
            shutil.copytree(EXAMPLES / name, self.folder / name)
        self.certificates.mkdir()
        shutil.copy(registry.standin.ca, self.certificates / "dtr-ca.pem")
        self._fill_in(password)
        self._encrypt()

    def _fill_in(self, password: str) -> None:
        for path in self.folder.rglob("*.yml"):
            text = path.read_text().replace("https://dtr.example.org", self.registry.standin.url)
            path.write_text(text.replace("# Where the system does not trust DTR's certificate: ca_path", "ca_path"))
        hidden = self.folder / "inventory" / "group_vars" / "all" / "vault.yml"
        hidden.write_text(hidden.read_text().replace(PASSWORD, password).replace(EMPTY_KEY, indented(self.keys["ca"])))
        hidden = self.folder / "inventory" / "host_vars" / "region-asia" / "vault.yml"
        hidden.write_text(hidden.read_text().replace(EMPTY_KEY, indented(self.keys["asia"])))

    def _encrypt(self) -> None:
        hidden = sorted(self.folder.rglob("vault.yml"))
        self._vault("encrypt", *map(str, hidden))
        assert [path for path in hidden if not path.read_text().startswith("$ANSIBLE_VAULT;")] == []
        with (self.folder / "inventory" / "host_vars" / "region-europe.yml").open("a") as variables:
            name = "dtr_cache_private_key"
            variables.write(self._vault("encrypt_string", "--stdin-name", name, stdin=self.keys["europe"]))

    def _vault(self, command: str, *arguments: str, stdin: str | None = None) -> str:
        result = subprocess.run(
            ["ansible-vault", command, "--vault-password-file", str(self.password_file), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=True,
        )
        return result.stdout

    def run(self, *options: str) -> Run:
        command = ["ansible-playbook", "-i", "inventory", "--vault-password-file", str(self.password_file)]
        process = subprocess.Popen(
            [*command, *(f"playbooks/{name}" for name in PLAYBOOKS), *options],
            cwd=self.folder,
            env={**self.ansible.environment, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return finished(process)


@pytest.fixture
def site(registry: Registry, ansible: Ansible, ca: harness.Issued, tmp_path: Path) -> t.Iterator[Site]:
    brazil = harness.issue(tmp_path, "cache-brazil", ca, "cache-brazil.example.org")
    secret = {
        "certificate": brazil.certificate_file.read_text(),
        "private_key": brazil.key_file.read_text(),
        "ca": ca.certificate_file.read_text(),
    }
    with vault({"dtr-cache/region-brazil": secret}) as address:
        yield Site(registry, ansible, address)


def new_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()


def indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


def changes(run: Run) -> int:
    return sum(map(int, re.findall(r"changed=(\d+)", run.stdout)))


def assert_quiet(run: Run) -> None:
    """It succeeded, and Ansible has nothing to warn of."""
    assert run.code == 0, run.output
    assert not re.search(r"WARNING|DEPRECAT", run.output), run.output
