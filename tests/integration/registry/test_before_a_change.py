# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What DTR and the inventory say before anything is changed, and that deploy and assign come to the same accounts."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.dtr.api import DtrApi
from ansible_collections.dtr.cache.plugins.module_utils.http.transport import Transport
from ansible_collections.dtr.cache.plugins.module_utils.pulling.prerequisites import Findings, Wanted, registry_findings
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.cache import with_image_of_dtr
from ansible_collections.dtr.cache.tests.unit.support.settings import read

from ..forms import play_of
from .conftest import Json, Registry
from .playbook_runs import ASIA, EUROPE, WRONG_PASSWORD, Ansible, fleet
from .test_spellings import failure_of

BRAZIL = "https://cache-brazil.example.org:443"
CACHES = {"a1": ("region-asia", ASIA), "b1": ("region-brazil", BRAZIL), "e1": ("region-europe", EUROPE)}
# As dtr.cache.deploy assigns, region by region.
ROLE = [play_of("dtr_caches", {"roles": ["dtr.cache.assignments"]})]


@pytest.fixture
def three(registry: Registry) -> Registry:
    """Three caches, from which nobody pulls yet but one account in the wrong region."""
    registry.set_up(CACHES, {"carol": "a1"})
    return registry


def findings(registry: Registry, **wanted: t.Any) -> Findings:
    """What stands against a run, from the real server."""
    connection = {**registry.connection, **wanted.pop("connection", {})}
    with contextlib.closing(Transport(**connection, concurrency=4)) as transport:
        return registry_findings(DtrApi(transport), transport, Wanted("admin", **wanted))


CLAIMS: Json = {"accounts": ["alice"], "teams": ["engineering/backend"], "orgs": ["research"]}


@pytest.mark.parametrize("behaviour", [{}, {"enzi_unauthenticated": "redirected"}, {"unhealthy": "rethinkdb"}])
def test_a_sound_run_writes_nothing_and_finds_nothing(registry: Registry, behaviour: Json) -> None:
    registry.control.behave(**behaviour)
    with registry.nothing_is_written():
        found = findings(
            registry,
            registers=True,
            assignments=CLAIMS,
            asks_version=True,
            cache_image="docker/dtr-content-cache:2.7.4",
        )
    assert found == Findings([], [], "2.7.4", registered=[])


@pytest.mark.parametrize(
    ("product", "version", "image"),
    [
        ("dtr", "2.5.16", "docker/dtr-content-cache:2.5.16"),
        ("dtr", "2.6.12", "docker/dtr-content-cache:2.6.12"),
        ("dtr", "2.7.6", "docker/dtr-content-cache:2.7.6"),
        ("msr2", "2.8.2", "mirantis/dtr-content-cache:2.8.2"),
        ("msr2", "2.9.4", "mirantis/dtr-content-cache:2.9.4"),
        ("msr2", "2.10.0", "dtr_cache_image: no document of the vendor names"),
        ("msr3", "3.0.7", "registry.mirantis.com/msr/msr-content-cache:3.0.7"),
        ("msr3", "3.1.0", "registry.mirantis.com/msr/msr-content-cache:3.1.0"),
        ("msr3", None, "dtr_cache_version: the DTR does not say which version it has"),
    ],
)
def test_each_version_of_a_dtr_has_its_image_or_asks_for_it(
    registry: Registry, product: str, version: str | None, image: str
) -> None:
    registry.control.behave(**({"version": version} if version else {"states_version": False}))
    found = findings(registry, registers=True, asks_version=True)
    assert (found.problems, found.warnings) == ([], [])
    settings, problems = with_image_of_dtr(read(product=product, version=None)[0], found.version, [])
    assert " ".join([settings.image, *problems]).strip().startswith(image)


def test_a_cache_of_another_version_is_a_warning(registry: Registry) -> None:
    registry.control.behave(version="2.9.4")
    (warning,) = findings(registry, asks_version=True, cache_image="docker/dtr-content-cache:2.7.6").warnings
    assert warning.startswith("The cache has version 2.7.6 and its DTR has 2.9.4.")


@pytest.mark.parametrize("behaviour", [{}, {"enzi_unauthenticated": "redirected"}])
@pytest.mark.parametrize("hidden", [True, False], ids=["no settings", "with settings"])
def test_a_wrong_password_is_tried_once(registry: Registry, behaviour: Json, hidden: bool) -> None:
    registry.control.behave(**behaviour)
    if hidden:
        registry.control.fault("html", path="/meta/settings$", status=404)
    found = findings(registry, registers=True, assignments=CLAIMS, connection={"password": WRONG_PASSWORD})
    (problem,) = found.problems
    assert problem.startswith("dtr_cache_registry_password: GET https://")
    assert "401 Unauthorized" in problem
    assert WRONG_PASSWORD not in problem
    assert registry.control.count("GET", status=401) == 1


@pytest.mark.parametrize(
    ("action", "beginning"),
    [
        ("drop", "dtr_cache_registry_url: GET https://"),
        ("cut_json", "dtr_cache_registry_url: GET https://"),
        ("empty", "dtr_cache_registry_url: GET https://"),
    ],
)
def test_a_dtr_that_misbehaves_is_one_problem(registry: Registry, action: str, beginning: str) -> None:
    registry.control.fault(action, path="/(api|enzi)/")
    (problem,) = findings(registry, registers=True, assignments=CLAIMS, connection={"retries": 1}).problems
    assert problem.startswith(beginning)


def test_who_is_no_administrator_and_a_mode_that_takes_no_push(registry: Registry) -> None:
    registry.control.behave(read_only_registry=True)
    connection = {"username": "alice", "password": registry.standin.passwords["alice"]}
    found = findings(registry, registers=True, assignments=CLAIMS, connection=connection)
    assert [problem.partition(":")[0] for problem in found.problems] == ["dtr_cache_registry_username"]
    found = findings(registry, registers=True)
    assert found.problems == []
    assert [warning.partition(" ")[2] for warning in found.warnings] == [
        "is in its read-only mode: nobody can push to it."
    ]


def test_region_by_region_and_all_at_once_come_to_the_same_accounts(three: Registry, ansible: Ansible) -> None:
    claims: Json = {"brazil": {"teams": ["research/genomics"]}, "europe": {"orgs": ["engineering"]}}
    inventory = fleet(three, asia={"everyone": True}, **claims)
    twice = [*ROLE, *ROLE, {"ansible.builtin.import_playbook": "dtr.cache.assign"}]
    run = ansible.run(twice, inventory=inventory)
    assert run.code == 0, run.output
    held = three.settings()
    assert (held["alice"], held["carol"], held["erin"]) == ("region-europe", "region-europe", "region-brazil")
    assert held["grace"] == "region-asia"
    moved = [subject for what, subject, _detail in three.control.journal() if what in ("set", "unset")]
    assert len(moved) == len(set(moved)), "nobody is moved to and fro"

    # All at once, from the beginning.
    three.set_up(CACHES, {"carol": "a1"})
    run = ansible.run([{"ansible.builtin.import_playbook": "dtr.cache.assign"}, *ROLE], inventory=inventory)
    assert run.code == 0, run.output
    assert three.settings() == held

    # Whom a region that is left out claims stays with it.
    with three.nothing_is_written():
        run = ansible.run("dtr.cache.assign", "--limit", "manager-asia", inventory=inventory)
    assert run.code == 0, run.output


def test_what_is_wrong_with_several_regions_is_all_said_before_anything_is_written(
    three: Registry, ansible: Ansible
) -> None:
    inventory = fleet(
        three,
        asia={"accounts": ["alice", "nobody"], "everyone": True},
        brazil={"teams": ["engineering/none"], "everyone": True},
        europe={"accounts": ["alice"]},
    )
    with three.nothing_is_written():
        run = ansible.run("dtr.cache.assign", "--limit", "manager-asia,manager-brazil", inventory=inventory)
    asia, brazil = (failure_of(run, f"manager-{region}") for region in ("asia", "brazil"))
    for sentence in (
        "hosts manager-asia and manager-brazil both claim everyone;",
        "hosts manager-asia and manager-europe both claim account alice;",
        "dtr_cache_assignments: there is no account nobody",
    ):
        assert sentence in asia
    assert "dtr_cache_assignments: there is no team engineering/none" in brazil
    assert "have 3 problems" in asia
