# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each role that needs no Swarm, used twice on one host with other C(vars), in every way that Ansible has for it.

What the second use did is read from the stand-in, from small caches that count who comes, and from files. A real
registry is behind the stand-in. The roles that need a Swarm are in C(test_roles_twice.py), on the lab.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import typing as t
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes

from ..forms import FORMS, play_of, uses
from .conftest import ACCOUNTS, Json, Registry, harness
from .playbook_runs import LOCALLY, Ansible, Run
from .served_image import CONTENT, IMAGE, push

from fake_cache import FakeCache, fake_cache  # isort: skip (conftest puts it into the path)

USES = ("first", "second")
#: Members of the organisation that owns the image: two for each form.
PULLERS = [f"user{number:05d}" for number in range(1, 1 + len(FORMS) * len(USES))]


class Fleet:
    """The stand-in, a small cache for each use of each form, and a host for each form."""

    def __init__(self, registry: Registry, caches: dict[str, FakeCache], ansible: Ansible) -> None:
        self.registry = registry
        self.caches = caches
        self.ansible = ansible

    @property
    def connection(self) -> Json:
        return {
            "dtr_cache_registry_url": self.registry.standin.url,
            "dtr_cache_registry_username": "admin",
            "dtr_cache_registry_password": self.registry.connection["password"],
            "dtr_cache_registry_ca": self.registry.standin.ca.read_text(),
            "dtr_cache_docker_host": "unix:///nonexistent/docker.sock",
        }

    def run(
        self,
        role: str,
        entries: t.Callable[[str], list[Json]],
        *,
        forms: t.Iterable[str] = FORMS,
        apart: bool = False,
        **more: t.Any,
    ) -> Run:
        """Use a role with what C(entries) gives for each form, each form on a host of its own.

        With C(apart), hosts have no variables that lead to a DTR: each use brings its own.
        """
        hosts: dict[str, Json] = {form: {**LOCALLY} for form in FORMS}
        # What does not go to where it is delegated to fails.
        hosts["delegate"] = {"ansible_host": "192.0.2.1", "ansible_timeout": 2}
        shared = {} if apart else self.connection
        inventory = {
            "dtr_caches": {"hosts": hosts, "vars": shared},
            "ungrouped": {"hosts": {"localhost": {**LOCALLY}}},
        }
        plays = [play_of(form, uses(form, f"dtr.cache.{role}", entries(form))) for form in forms]
        return self.ansible.run(plays, inventory=inventory, **more)


@pytest.fixture(scope="module")
def fleet(
    tmp_path_factory: pytest.TempPathFactory, ca: harness.Issued, admin_certificate: harness.Issued
) -> t.Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("twice")
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(harness.docker_registry(folder))
        push(upstream, IMAGE, CONTENT)
        standin = stack.enter_context(harness.running(folder, upstream, accounts=ACCOUNTS, ca=ca, client_ca=ca))
        certificate = harness.issue(folder, "cache", ca)
        caches = {
            name_of(form, use): stack.enter_context(fake_cache(standin.url, ca, certificate))
            for form in FORMS
            for use in USES
        }
        short = stack.enter_context(tempfile.TemporaryDirectory(prefix="dtr-"))
        yield Fleet(Registry(standin, admin_certificate), caches, Ansible(Path(short)))


@pytest.fixture
def registered(fleet: Fleet) -> Fleet:
    """All caches are registered, each with an account that pulls from it."""
    for cache in fleet.caches.values():
        cache.visits, cache.served, cache.kept = 0, [], {}
    fleet.registry.control.reset(data=True)
    fleet.registry.set_up(
        {name: (name, cache.url) for name, cache in fleet.caches.items()},
        dict(zip(PULLERS, fleet.caches, strict=True)),
    )
    return fleet


def name_of(form: str, use: str) -> str:
    return f"region-{form}-{use}"


def entries_of_caches(fleet: Fleet) -> t.Callable[[str], list[Json]]:
    """Variables that declare a form's caches, each with its account."""
    pullers = dict(zip(fleet.caches, PULLERS, strict=True))

    def entries(form: str) -> list[Json]:
        return [
            {
                "dtr_cache_name": name,
                "dtr_cache_host": "127.0.0.1",
                "dtr_cache_port": int(fleet.caches[name].url.rpartition(":")[2]),
                "dtr_cache_assignments": {"accounts": [pullers[name]]},
            }
            for name in (name_of(form, use) for use in USES)
        ]

    return entries


def test_registration(fleet: Fleet) -> None:
    """Two caches, and then the first again with another port."""
    fleet.registry.control.reset(data=True)

    def entries(form: str) -> list[Json]:
        return [
            {
                **fleet.connection,
                "dtr_cache_name": name_of(form, use),
                "dtr_cache_host": f"{form}-{use}.example.org",
                "dtr_cache_port": port,
            }
            for use, port in (("first", 8443), ("second", 9443), ("first", 9444))
        ]

    run = fleet.run("registration", entries, apart=True)
    assert fleet.registry.caches() == sorted(
        (name_of(form, use), f"https://{form}-{use}.example.org:{port}")
        for form in FORMS
        for use, port in (("first", 9444), ("second", 9443))
    ), run.output
    assert run.code == 0, run.output


def test_assignments(fleet: Fleet) -> None:
    names = [name_of(form, use) for form in FORMS for use in USES]
    fleet.registry.control.reset(data=True)
    fleet.registry.set_up({name: (name, f"https://{name}.example.org") for name in names}, {})
    run = fleet.run("assignments", entries_of_caches(fleet))
    assert fleet.registry.settings() == dict(zip(PULLERS, names, strict=True)), run.output
    assert run.code == 0, run.output


def test_assignments_after_another_role(fleet: Fleet) -> None:
    """What a role read of its own C(vars) is not what the next one has."""
    fleet.registry.control.reset(data=True)
    shared = {"dtr_cache_name": "region-asia", "dtr_cache_host": "cache-asia.example.org"}
    steps = [
        {"ansible.builtin.include_role": {"name": "dtr.cache.registration"}},
        {
            "ansible.builtin.include_role": {"name": "dtr.cache.assignments"},
            "vars": {"dtr_cache_assignments": {"accounts": ["heidi"]}},
        },
    ]
    play = play_of("localhost", {"tasks": steps, "vars": {**LOCALLY, **shared}})
    run = fleet.ansible.run([play], **fleet.connection)
    assert fleet.registry.settings() == {"heidi": "region-asia"}, run.output
    assert run.code == 0, run.output


def test_certificates(fleet: Fleet, ca: harness.Issued) -> None:
    """A CA that the second use pins otherwise is refused, though the first one has it already."""

    def entries(form: str) -> list[Json]:
        pins = (ca.certificate.fingerprint(hashes.SHA256()).hex(), "00" * 32)
        return [{"dtr_cache_registry_ca": "fetch", "dtr_cache_registry_ca_fingerprint": pin} for pin in pins]

    for form in FORMS:
        # Each in a run of its own, since a play all of whose hosts failed is the last one.
        run = fleet.run("certificates", entries, forms=[form])
        assert run.code != 0, (form, run.output)
        assert f"fatal: [{form}" in run.stdout, run.output
        assert "fingerprint" in run.stdout, run.output


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it has an /etc/docker of its own")
def test_client_trust(fleet: Fleet, ca: harness.Issued, admin_certificate: harness.Issued, tmp_path: Path) -> None:
    """Two DTRs with a CA each."""
    authorities = {use: harness.issue(tmp_path, use).certificate_file.read_text() for use in USES}
    trusted = tmp_path / "docker"
    trusted.mkdir()

    def entries(form: str) -> list[Json]:
        return [
            {
                "dtr_cache_registry_url": f"https://{form}-{use}.example.org",
                "dtr_cache_registry_ca": authorities[use],
                "dtr_cache_client_registries": [f"{form}-{use}.example.org"],
            }
            for use in USES
        ]

    # Those that differ most: what is done on a host takes long.
    forms = ("import", "loop", "roles", "delegate")
    run = fleet.run("client_trust", entries, forms=forms, env=with_etc_docker(trusted, tmp_path))
    written = {str(path.relative_to(trusted)): path.read_text() for path in trusted.rglob("*") if path.is_file()}
    assert {path: text.strip() for path, text in written.items()} == {
        f"certs.d/{form}-{use}.example.org/dtr-cache.registry-ca.crt": authorities[use].strip()
        for form in forms
        for use in USES
    }, run.output
    assert run.code == 0, run.output


def with_etc_docker(folder: Path, tmp_path: Path) -> dict[str, str]:
    """An environment in which playbooks find a folder as /etc/docker, and the machine keeps its own."""
    commands = tmp_path / "bin"
    commands.mkdir()
    real = shutil.which("ansible-playbook")
    # A new mount is seen by this process and what it starts alone.
    script = f"""#!/bin/sh
mkdir -p /etc/docker
exec unshare --mount --propagation private sh -c 'mount --bind "$0" /etc/docker && exec "$@"' '{folder}' '{real}' "$@"
"""
    (commands / "ansible-playbook").write_text(script)
    (commands / "ansible-playbook").chmod(0o755)
    return {"PATH": f"{commands}:{os.environ['PATH']}"}


def test_verification(registered: Fleet) -> None:
    """By a pull that the second cache has to serve as well."""
    fleet = registered
    run = fleet.run(
        "verification",
        entries_of_caches(fleet),
        dtr_cache_verify_image=IMAGE,
        dtr_cache_ca_certificate=str(fleet.registry.standin.ca),
    )
    pulled = {name: len(cache.kept) for name, cache in fleet.caches.items()}
    assert pulled == dict.fromkeys(fleet.caches, 2), run.output
    assert run.code == 0, run.output


def test_warming(registered: Fleet) -> None:
    fleet = registered
    run = fleet.run(
        "warming",
        entries_of_caches(fleet),
        dtr_cache_warm_images=[IMAGE],
        dtr_cache_ca_certificate=str(fleet.registry.standin.ca),
    )
    assert {name: len(cache.kept) for name, cache in fleet.caches.items()} == dict.fromkeys(fleet.caches, 2), run.output
    assert run.code == 0, run.output


def test_observation(registered: Fleet) -> None:
    """Without a Swarm that answers, the caches are observed all the same, and their registration and accounts."""
    fleet = registered
    entries = entries_of_caches(fleet)
    run = fleet.run(
        "observation",
        lambda form: [{**fleet.connection, **entry} for entry in entries(form)],
        apart=True,
        dtr_cache_ca_certificate=str(fleet.registry.standin.ca),
    )
    observed = {name for name, cache in fleet.caches.items() if cache.visits}
    assert observed == set(fleet.caches), run.output
    assert fleet.registry.control.count("GET", "content_caches", 200) >= len(fleet.caches), run.output
    assert run.code == 0, run.output


def test_cleanup(fleet: Fleet, tmp_path: Path) -> None:
    def file_of(form: str, use: str) -> Path:
        return tmp_path / f"{form}-{use}.pem"

    for form in FORMS:
        for use in (*USES, "kept"):
            file_of(form, use).write_text("a key")
    run = fleet.run("cleanup", lambda form: [{"dtr_cache_source_files": [str(file_of(form, use))]} for use in USES])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{form}-kept.pem" for form in FORMS), run.output
    assert run.code == 0, run.output
