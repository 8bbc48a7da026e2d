# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same setting written in another way: it means the same, or it is an error that names the variable.

By C(ansible-playbook), with hosts that need no Swarm. What Swarms have of it is in C(test_survey.py), on the lab.
"""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from ..forms import play_of
from .conftest import ACCOUNTS, Json, Registry, harness
from .playbook_runs import ASIA, EUROPE, LOCALLY, SENT, Ansible, Run, finished, fleet

EVERYBODY_PULLS_FROM_EUROPE = {"a1": ("region-asia", ASIA), "e1": ("region-europe", EUROPE)}
HELD = {"alice": "e1", "bob": "e1", "heidi": "e1"}
HELD_BY_NAME = dict.fromkeys(HELD, "region-europe")
NO_SWARM = {"dtr_cache_docker_host": "unix:///nonexistent/docker.sock"}


@pytest.fixture
def assigned(registry: Registry) -> Registry:
    """Two caches; all accounts that have one have the same."""
    registry.set_up(EVERYBODY_PULLS_FROM_EUROPE, HELD)
    return registry


def connection_of(registry: Registry) -> Json:
    return {
        "dtr_cache_registry_url": registry.standin.url,
        "dtr_cache_registry_username": "admin",
        "dtr_cache_registry_password": registry.connection["password"],
        "dtr_cache_registry_ca": str(registry.standin.ca),
    }


def region(**variables: t.Any) -> Json:
    """A region as its inventory declares it, on this machine, whose Swarm does not answer."""
    complete = {
        "dtr_cache_name": "region-asia",
        "dtr_cache_host": "cache-asia.example.org",
        "dtr_cache_nodes": ["asia-1"],
    }
    return {**LOCALLY, **NO_SWARM, **complete, **variables}


def regions(registry: Registry, **hosts: Json) -> Json:
    return {"dtr_caches": {"hosts": hosts, "vars": connection_of(registry)}}


def failure_of(run: Run, host: str) -> str:
    """What is said of the first task that failed on a host."""
    found = re.search(rf"^(?:fatal|failed): \[{re.escape(host)}(?: -> [^]]+)?\][^\n]*", run.stdout, re.MULTILINE)
    assert found, f"{host} did not fail: {run.output}"
    return found[0]


@contextlib.contextmanager
def foreign_dtr(folder: Path) -> t.Iterator[tuple[str, list[str]]]:
    """A server with a certificate of somebody else's CA; the headers C(Authorization) that reached it."""
    certificate = harness.issue(folder, "foreign", harness.issue(folder, "foreign-ca"))
    received: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.extend(self.headers.get_all("Authorization") or [])
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815

        def log_message(self, *_args: t.Any) -> None:
            """What counts is in C(received)."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certificate_file, certificate.key_file)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_true_is_true_with_blanks_around(registry: Registry, ansible: Ansible, tmp_path: Path) -> None:
    """A DTR that is not the one of the CA never gets the password."""
    spellings = {"blank": "true ", "newline": "true\n", "one": "1 ", "word": " Yes"}
    with foreign_dtr(tmp_path) as (url, received):
        hosts = {name: region(dtr_cache_registry_validate_certs=text) for name, text in spellings.items()}
        inventory = regions(registry, **hosts)
        inventory["dtr_caches"]["vars"]["dtr_cache_registry_url"] = url
        run = ansible.run([play_of("dtr_caches", {"roles": ["dtr.cache.registration"]})], inventory=inventory)
        typed = ansible.run(
            [play_of("blank", {"roles": ["dtr.cache.registration"]})],
            "-edtr_cache_registry_validate_certs='true '",
            inventory=inventory,
        )
    assert received == []
    assert (run.code != 0, typed.code != 0) == (True, True), run.output + typed.output
    for name in spellings:
        assert "certificate" in failure_of(run, name), run.output


@contextlib.contextmanager
def listener() -> t.Iterator[tuple[int, list[bytes]]]:
    """A server that says nothing; its port and how what reached it begins."""
    heard: list[bytes] = []
    with socket.create_server(("0.0.0.0", 0)) as server:

        def listen() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with server.accept()[0] as connection:
                        connection.settimeout(2)
                        heard.append(connection.recv(8))

        threading.Thread(target=listen, daemon=True).start()
        yield server.getsockname()[1], heard


def test_an_engine_in_the_network_is_spoken_to_by_tls_however_it_is_written(
    registry: Registry,
    ansible: Ansible,
) -> None:
    with listener() as (port, heard):
        # Both lead to this machine, and by neither of them is that plain.
        addresses = {
            "blank": f" tcp://0.0.0.0:{port}",
            "newline": f"tcp://0.0.0.0:{port}\n",
            "case": f"TCP://0.0.0.0:{port}",
            "userinfo": f"tcp://127.0.0.1@0.0.0.0:{port}",
            "password": f"tcp://localhost:2375@0.0.0.0:{port}",
        }
        hosts = {name: region(dtr_cache_docker_host=address) for name, address in addresses.items()}
        run = ansible.run(
            [play_of("dtr_caches", {"roles": ["dtr.cache.node_label"]})], inventory=regions(registry, **hosts)
        )
    # The record type of a TLS handshake.
    assert {first[:1] for first in heard} <= {b"\x16"}, heard
    for name in addresses:
        failure_of(run, name)
    for name in ("userinfo", "password"):
        assert "dtr_cache_docker_host: " in failure_of(run, name)


@pytest.mark.parametrize("spelling", ["true ", "True\n", " yes", 1])
def test_everyone_is_everyone(assigned: Registry, ansible: Ansible, spelling: t.Any) -> None:
    run = ansible.run("dtr.cache.assign", inventory=fleet(assigned, asia={"everyone": spelling}))
    assert run.code == 0, run.output
    held = assigned.settings()
    assert len(held) > ACCOUNTS
    assert set(held.values()) == {"region-asia"}


def test_what_is_neither_true_nor_false_resets_nobody(assigned: Registry, ansible: Ansible) -> None:
    spellings: list[t.Any] = ["jes", "perhaps", "2", "true false", 2, [True], {"all": True}]
    inventory = fleet(assigned, **{f"r{number}": {"everyone": text} for number, text in enumerate(spellings)})
    with assigned.nothing_is_written():
        run = ansible.run("dtr.cache.assign", inventory=inventory, dtr_cache_assignments_exclusive=True)
    assert run.code != 0, run.output
    for host in inventory["dtr_caches"]["hosts"]:
        said = failure_of(run, host)
        assert "dtr_cache_assignments" in said
        assert "everyone" in said
    for text in ("jes", "true ~"):
        with assigned.nothing_is_written():
            run = ansible.run(
                "dtr.cache.assign",
                inventory=fleet(assigned, asia={"accounts": ["alice"]}),
                dtr_cache_assignments_exclusive=text,
            )
        assert "dtr_cache_assignments_exclusive: " in failure_of(run, "manager-asia")


def test_assignments_as_a_survey_gives_them(assigned: Registry, ansible: Ansible) -> None:
    """A region for each way to write what it claims, with accounts of its own."""
    spellings = [
        '{"accounts": ["user00001", "user00002"]}',
        "accounts: [user00003, user00004]",
        "accounts:\n  - user00005\n  - user00006\n",
        '\n {"accounts": "user00007, user00008"} \n',
        '{"accounts": "user00009\\nuser00010\\n", "teams": "", "orgs": null, "everyone": ""}',
        '{"accounts": [" user00011 ", "user00012\\n"], "everyone": "false "}',
        "",
        "  \n",
        "{}",
    ]
    names = [f"region-r{number}" for number in range(len(spellings))]
    assigned.set_up({name: (name, f"https://{name}.example.org") for name in names}, {})
    claims: Json = {f"r{number}": text for number, text in enumerate(spellings)}
    inventory = fleet(assigned, **claims)
    run = ansible.run("dtr.cache.assign", inventory=inventory)
    assert run.code == 0, run.output
    assert assigned.settings() == {f"user{number:05d}": f"region-r{(number - 1) // 2}" for number in range(1, 13)}


def test_assignments_on_the_command_line(assigned: Registry, ansible: Ansible) -> None:
    """As C(key=value), and as YAML that is all the extra variables."""
    inventory = fleet(assigned, asia={})
    for given, account in (
        ('dtr_cache_assignments=\'{"accounts": ["alice"]}\'', "alice"),
        ("dtr_cache_assignments='accounts: bob'", "bob"),
        ("{dtr_cache_assignments: {accounts: heidi}}", "heidi"),
    ):
        run = ansible.run("dtr.cache.assign", "-e", given, inventory=inventory)
        assert run.code == 0, run.output
        assert assigned.settings()[account] == "region-asia", run.output


def test_a_text_that_is_no_mapping_is_named(assigned: Registry, ansible: Ansible) -> None:
    spellings: list[t.Any] = [
        "accounts",
        "[alice]",
        '["alice"]',
        "{accounts: [alice]",
        "accounts: 'alice",
        7,
        ["alice"],
    ]
    inventory = fleet(assigned, **{f"r{number}": text for number, text in enumerate(spellings)})
    with assigned.nothing_is_written():
        run = ansible.run("dtr.cache.assign", inventory=inventory)
    assert run.code != 0, run.output
    for host in inventory["dtr_caches"]["hosts"]:
        assert "dtr_cache_assignments: " in failure_of(run, host)
    assert "<class" not in run.output


STATISTICS = ("regions", "status", "assigned", "verified", "warmed", "verdicts")


def test_what_one_playbook_exports_may_come_into_the_next(assigned: Registry, ansible: Ansible) -> None:
    """A workflow gives the statistics of a job to the next one as extra variables."""
    exported = {f"dtr_cache_{name}": [{"region": "region-asia", "result": "ok"}] for name in STATISTICS}
    run = ansible.run("dtr.cache.assign", inventory=fleet(assigned, asia={"accounts": ["alice"]}), **exported)
    assert run.code == 0, run.output
    assert assigned.settings()["alice"] == "region-asia"


def test_the_environment_names_the_dtr(registry: Registry, ansible: Ansible) -> None:
    host = region(dtr_cache_registry_ca=str(registry.standin.ca))
    run = ansible.run(
        [play_of("dtr_caches", {"roles": ["dtr.cache.registration"]})],
        inventory={"dtr_caches": {"hosts": {"asia": host}}},
        env={
            "DTR_URL": registry.standin.url,
            "DTR_USERNAME": "admin",
            "DTR_PASSWORD": registry.connection["password"],
        },
    )
    assert run.code == 0, run.output
    assert registry.caches() == [("region-asia", "https://cache-asia.example.org:443")]


def test_variables_of_the_users_own(assigned: Registry, ansible: Ansible) -> None:
    inventory = fleet(assigned, asia={"accounts": ["alice"]})
    own = {"dtr_cache_contact": "somebody", "dtr_cache_our_site": 7, "dtr_cache_our_rack": "b"}
    with assigned.nothing_is_written():
        unknown = ansible.run("dtr.cache.assign", inventory=inventory, **own)
    assert unknown.code != 0
    assert "dtr_cache_ignore_variables" in unknown.stdout, "names the way out"
    for ignored in (["dtr_cache_contact", "dtr_cache_our_*"], "dtr_cache_contact, dtr_cache_our_*"):
        run = ansible.run("dtr.cache.assign", inventory=inventory, **own, dtr_cache_ignore_variables=ignored)
        assert run.code == 0, run.output
    mistyped = ansible.run(
        "dtr.cache.assign", inventory=inventory, dtr_cache_asignments={}, dtr_cache_ignore_variables=["dtr_cache_our_*"]
    )
    assert "dtr_cache_asignments: is no variable of dtr.cache" in mistyped.stdout


class Sources:
    """What somebody may name as sensitive files, by how it is written."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.key = harness.issue(folder, "sensitive").key_file.read_text()
        (folder / "folder").mkdir()
        self.files = [
            *(folder / name for name in ("a.pem", "b.pem", "folder/inside.pem", "listed.pem")),
            home / "at-home.pem",
        ]
        for file in self.files:
            file.write_text(self.key)
        (folder / "link").symlink_to(folder / "folder")
        self.refused: dict[str, t.Any] = {
            "folder": [str(folder / "folder")],
            "slash": [f"{folder}/folder/"],
            "home": ["~"],
            "home_file": ["~/"],
            "glob": [f"{folder}/*.pem"],
            "link": [str(folder / "link")],
            "pem": [self.key],
            "pem_text": self.key,
            "mapping": {"path": str(folder / "a.pem")},
            "beside": [str(folder / "a.pem"), str(folder / "folder")],
        }

    def all_there(self) -> bool:
        return all(file.is_file() for file in self.files)

    def is_shown(self, run: Run) -> bool:
        return any(line in run.output for line in self.key.splitlines()[1:-1])


@pytest.fixture
def sources(tmp_path: Path, ansible: Ansible) -> Sources:
    return Sources(tmp_path, ansible.home)


def test_only_files_are_removed(registry: Registry, ansible: Ansible, sources: Sources) -> None:
    hosts = {name: {**LOCALLY, "dtr_cache_source_files": value} for name, value in sources.refused.items()}
    inventory = {"dtr_caches": {"hosts": hosts}}
    run = ansible.run([play_of("dtr_caches", {"roles": ["dtr.cache.cleanup"]})], inventory=inventory)
    assert sources.all_there(), run.output
    assert not sources.is_shown(run)
    for name in sources.refused:
        assert "dtr_cache_source_files" in failure_of(run, name), run.output
    for spelling in (str(sources.files[0]), [f" {sources.files[1]}\n"], f"{sources.files[2]},\n{sources.files[3]}"):
        run = ansible.run(
            [play_of("localhost", {"vars": LOCALLY, "roles": ["dtr.cache.cleanup"]})], dtr_cache_source_files=spelling
        )
        assert run.code == 0, run.output
    assert [file.exists() for file in sources.files] == [False] * 4 + [True]


def test_what_was_refused_keeps_its_files(registry: Registry, ansible: Ansible, sources: Sources) -> None:
    """By every playbook that would have removed them at its end."""
    files = [str(file) for file in sources.files]
    inventory = regions(registry, asia=region(dtr_cache_port="no port", dtr_cache_source_files=files))
    for playbook in ("dtr.cache.deploy", "dtr.cache.rotate", "dtr.cache.remove"):
        run = ansible.run(playbook, inventory=inventory, dtr_cache_confirm_removal="region-asia")
        assert run.code != 0
        assert sources.all_there(), run.output
    nameless = regions(registry, asia={**LOCALLY, **NO_SWARM, "dtr_cache_source_files": files})
    run = ansible.run("dtr.cache.remove", inventory=nameless)
    assert run.code != 0
    assert sources.all_there(), run.output
    unconfirmed = regions(registry, asia=region(dtr_cache_source_files=files))
    run = ansible.run("dtr.cache.remove", inventory=unconfirmed)
    assert run.code != 0
    assert sources.all_there(), run.output


PLAYBOOKS = ("assign", "deploy", "diagnose", "remove", "rotate", "status", "verify", "warm")


def test_no_playbook_runs_by_a_strategy_that_it_cannot(registry: Registry, ansible: Ansible) -> None:
    inventory = regions(registry, asia=region(), europe=region(dtr_cache_name="region-europe"))
    registry.control.forget_requests()
    runs = {}
    for number, name in enumerate(PLAYBOOKS):
        # Each by one of the two.
        strategy = ("free", "host_pinned")[number % 2]
        started = ansible.start(f"dtr.cache.{name}", inventory=inventory, env={"ANSIBLE_STRATEGY": strategy})
        runs[name, strategy] = started
    observation = play_of("dtr_caches", {"strategy": "free", "roles": ["dtr.cache.observation"]})
    runs["observation", "free"] = ansible.start([observation], inventory=inventory)
    for (name, strategy), started in runs.items():
        run = finished(started)
        assert run.code != 0, (name, run.output)
        said = [line for line in run.output.splitlines() if "strategy" in line and strategy in line]
        assert said, (name, run.output)
        assert "changed=1" not in run.stdout
    assert not registry.control.requests()["counts"], "nothing is asked of the DTR"


def der(key: harness.Issued) -> bytes:
    return key.key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_whatever_is_given_is_an_error_that_names_its_variable(
    registry: Registry,
    ansible: Ansible,
    ca: harness.Issued,
    tmp_path: Path,
) -> None:
    own = harness.issue(tmp_path, "cache", ca)
    (tmp_path / "key.der").write_bytes(der(own))
    (tmp_path / "bundle.p12").write_bytes(
        pkcs12.serialize_key_and_certificates(b"cache", own.key, own.certificate, None, serialization.NoEncryption())
    )
    pair = {"dtr_cache_certificate": str(own.certificate_file), "dtr_cache_private_key": str(own.key_file)}
    cases: dict[str, tuple[str, Json]] = {
        "der_key": ("dtr_cache_private_key", {**pair, "dtr_cache_private_key": str(tmp_path / "key.der")}),
        "p12_key": ("dtr_cache_private_key", {**pair, "dtr_cache_private_key": str(tmp_path / "bundle.p12")}),
        "p12_certificate": ("dtr_cache_certificate", {**pair, "dtr_cache_certificate": str(tmp_path / "bundle.p12")}),
        "storage_key": ("dtr_cache_storage", {**pair, "dtr_cache_storage": {1: {"rootdirectory": "/data"}}}),
        "storage_two": ("dtr_cache_storage", {**pair, "dtr_cache_storage": {1: {}, "s3": {}}}),
        "assignments_key": ("dtr_cache_assignments", {**pair, "dtr_cache_assignments": {1: ["alice"]}}),
        "nul_address": ("dtr_cache_registry_url", {**pair, "dtr_cache_registry_url": "https://dtr\0.example.org"}),
        "nul_host": ("dtr_cache_host", {**pair, "dtr_cache_host": "cache\0.example.org"}),
        "nul_path": ("dtr_cache_certificate", {**pair, "dtr_cache_certificate": "cert\0.pem"}),
        "nul_engine": ("dtr_cache_docker_host", {**pair, "dtr_cache_docker_host": "tcp://127.0.0.1\0:2375"}),
        "list_of_names": ("dtr_cache_name", {**pair, "dtr_cache_name": ["region-asia"]}),
        "mapping_as_port": ("dtr_cache_port", {**pair, "dtr_cache_port": {"https": 443}}),
        "text_as_environment": ("dtr_cache_environment", {**pair, "dtr_cache_environment": "LEVEL"}),
    }
    hosts = {
        name: region(**{"dtr_cache_name": f"region-{name.replace('_', '-')}", "dtr_cache_host": "127.0.0.1", **given})
        for name, (_variable, given) in cases.items()
    }
    run = ansible.run("dtr.cache.deploy", "--forks", "2", inventory=regions(registry, **hosts))
    assert "Traceback" not in run.output
    for name, (variable, _given) in cases.items():
        assert re.search(rf"\b{variable}: ", failure_of(run, name)), failure_of(run, name)
    for words in ("codec", "surrogate", "sequence item", "embedded null", "<class", "expected str"):
        assert words not in run.output, words
    assert base64.b64encode(der(own)).decode()[:60] not in run.output


def test_a_comment_in_another_encoding_does_not_matter(
    registry: Registry,
    ansible: Ansible,
    ca: harness.Issued,
    tmp_path: Path,
) -> None:
    commented = tmp_path / "ca.pem"
    commented.write_bytes("Zertifizierungsstelle für Köln\n".encode("latin-1") + ca.certificate_file.read_bytes())
    inventory = regions(registry, asia=region())
    inventory["dtr_caches"]["vars"]["dtr_cache_registry_ca"] = str(commented)
    run = ansible.run([play_of("dtr_caches", {"roles": ["dtr.cache.registration"]})], inventory=inventory)
    assert run.code == 0, run.output
    assert registry.caches() == [("region-asia", "https://cache-asia.example.org:443")]


@pytest.mark.parametrize("way", [LOCALLY, SENT], ids=["in Ansible's process", "sent"])
def test_hints_are_in_the_words_of_whoever_runs_the_task(registry: Registry, ansible: Ansible, way: Json) -> None:
    """Who uses a role knows no option of a module, and who calls a module knows no variable."""
    wrong = {"dtr_cache_registry_password": "a-wrong-password"}
    options = {
        "url": registry.standin.url,
        "username": "admin",
        "password": "wrong",
        "ca_path": str(registry.standin.ca),
    }
    inventory = regions(registry, of_role=region(**way, **wrong), of_module=way)
    inventory["all"] = {"hosts": {"localhost": way}}
    asked = {"dtr.cache.content_caches_info": options, "delegate_to": "localhost", "ignore_errors": True}
    run = ansible.run(
        [play_of("of_module", {"tasks": [asked]}), play_of("of_role", {"roles": ["dtr.cache.registration"]})],
        inventory=inventory,
    )
    assert "Check dtr_cache_registry_username and dtr_cache_registry_password" in failure_of(run, "of_role")
    assert "Check username and password" in failure_of(run, "of_module")
