# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each role that needs a Swarm or a node, used twice on one host with other C(vars).

For each of the forms there is a host of its own, which all lead to the same manager, so that none ends another one.
What a use did has the form and the use in its name. The other roles are in C(registry/test_twice.py).
"""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .conftest import INVENTORY, Lab, Play, Run
from .forms import FORMS, play_of, uses
from .nodes import add_hosts

Json = dict[str, t.Any]
Entries = t.Callable[[str], list[Json]]

NODE, HOST = "asia-2", "cache-asia.lab.test"
USES = ("first", "second")
#: What takes long is done in those that differ most.
FEW = tuple(form for form in ("loop", "roles", "delegate") if form in FORMS)
SWARM_CACHES = [(form, use) for form in FEW for use in USES]


def name_of(form: str, use: str) -> str:
    return f"{form}-{use}"


def port_of(form: str, use: str) -> int:
    return 9400 + 10 * list(FORMS).index(form) + USES.index(use)


class Roles:
    """Roles run on the lab, once for each entry, in each form."""

    def __init__(self, lab: Lab, play: Play, folder: Path) -> None:
        self.lab = lab
        self.play = play
        hosts = {form: {"ansible_host": "asia-1.lab.test"} for form in FORMS}
        self.inventory = folder / "forms.yml"
        self.inventory.write_text(yaml.safe_dump({"dtr_caches": {"hosts": hosts}}))
        hosts_file = yaml.safe_load(Path(INVENTORY, "hosts.yml").read_text())
        # Who delegates from localhost has the variables of a region there.
        self.variables = {
            **yaml.safe_load(Path(INVENTORY, "group_vars", "dtr_caches.yml").read_text()),
            "lab_state": hosts_file["dtr_caches"]["vars"]["lab_state"],
        }

    def run(
        self,
        role: str,
        entries: Entries,
        *,
        forms: t.Iterable[str] = FORMS,
        then: t.Sequence[Json] = (),
        **more: t.Any,
    ) -> Run:
        plays = []
        for form in forms:
            content = uses(form, f"dtr.cache.{role}", entries(form), manager="region-asia")
            if form == "delegate":
                content = {**content, "vars": self.variables}
            host = "localhost" if form == "delegate" else form
            plays.append(play_of(host, {**content, "post_tasks": list(then)}))
        return self.play(plays, "-i", str(self.inventory), **more)


@pytest.fixture(scope="module")
def roles(lab: Lab, play: Play, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roles]:
    lab.clean()
    yield Roles(lab, play, tmp_path_factory.mktemp("forms"))
    lab.clean()


def cache(form: str, use: str) -> Json:
    """The variables of a cache of its own."""
    name = name_of(form, use)
    return {
        "dtr_cache_name": name,
        "dtr_cache_host": HOST,
        "dtr_cache_port": port_of(form, use),
        "dtr_cache_nodes": [NODE],
        "dtr_cache_stack_name": name,
        "dtr_cache_assignments": {},
    }


def caches(form: str) -> list[Json]:
    return [cache(form, use) for use in USES]


def test_settings(roles: Roles) -> None:
    """The second is refused, though the first was not."""

    def entries(form: str) -> list[Json]:
        return [cache(form, "first"), {**cache(form, "second"), "dtr_cache_port": "none"}]

    for form in FORMS:
        # Each in a run of its own, since a play all of whose hosts failed is the last one.
        run = roles.run("settings", entries, forms=[form])
        assert run.code != 0, (form, run.output)
        assert f"The settings of {form}-second have 1 problem" in run.output, run.output
        assert "dtr_cache_port: 'none' is not a whole number" in run.output, run.output


def test_node_label(roles: Roles) -> None:
    """Of the same cache, which moves to another node."""
    labels = "{{range $key, $value := .Spec.Labels}}{{$key}}={{$value}}{{end}}"
    read = f"for node in asia-2 asia-3; do docker node inspect --format '$node {labels}' $node; done"
    then: list[Json] = [
        {
            "ansible.builtin.shell": {"cmd": f"{{% raw %}}{read}{{% endraw %}}".replace("'$node ", '"$node "\'')},
            "register": "read",
            "changed_when": False,
            "delegate_to": "region-asia",
        },
        {"ansible.builtin.debug": {"msg": "labels of {{ inventory_hostname }}: {{ read.stdout_lines }}"}},
    ]

    def entries(form: str) -> list[Json]:
        return [{**cache(form, "first"), "dtr_cache_nodes": [node]} for node in (NODE, "asia-3")]

    run = roles.run("node_label", entries, then=then)
    assert run.code == 0, run.output
    moved = "['asia-2 ', 'asia-3 dtr.cache=true']"
    hosts = ["localhost" if form == "delegate" else form for form in FORMS]
    assert [host for host in hosts if f"labels of {host}: {moved}" not in run.output] == [], run.output
    assert run.total("changed") == 2 * len(FORMS)


def test_config_secrets(roles: Roles) -> None:
    run = roles.run("config_secrets", caches)
    state = roles.lab.snapshot()["asia-1"]
    stacks = sorted(name_of(form, use) for form in FORMS for use in USES)
    assert sorted(name.partition("_")[0] for name in state["configs"]) == stacks, run.output
    assert sorted(name.partition("_")[0] for name in state["secrets"]) == sorted(stacks * 3), run.output
    assert run.code == 0, run.output


@pytest.fixture(scope="module")
def deployed(roles: Roles) -> Run:
    """Stacks of both uses."""
    # Where the cache of the test before has moved to.
    with contextlib.closing(roles.lab.engine("asia-1")) as client:
        node = client.nodes.get("asia-3")
        node.update({**node.attrs["Spec"], "Labels": {}})
    roles.lab.inside("asia-1", "docker", "node", "update", "--label-add", "dtr.cache=true", NODE)
    run = roles.run("config_secrets", caches, forms=FEW)
    assert run.code == 0, run.output
    return roles.run("stack", caches, forms=FEW)


def test_stack(roles: Roles, deployed: Run) -> None:
    with contextlib.closing(roles.lab.engine("asia-1")) as client:
        ports = {
            service.name: [port["PublishedPort"] for port in service.attrs["Spec"]["EndpointSpec"]["Ports"]]
            for service in client.services.list()
        }
    assert ports == {f"{name_of(*each)}_cache": [port_of(*each)] for each in SWARM_CACHES}, deployed.output
    assert deployed.code == 0, deployed.output


@pytest.fixture
def in_use(roles: Roles, deployed: Run) -> dict[str, str]:
    """Both caches are registered, each with an account; the account of each."""
    assert deployed.code == 0, deployed.output
    names = [name_of(*each) for each in SWARM_CACHES]
    pullers = {name: f"user{number:05d}" for number, name in enumerate(names, start=1)}
    roles.lab.control.set_state(
        [
            {"id": name_of(*each), "name": name_of(*each), "host": f"https://{HOST}:{port_of(*each)}"}
            for each in SWARM_CACHES
        ],
        {account: name for name, account in pullers.items()},
    )
    return pullers


def test_verification(roles: Roles, in_use: dict[str, str]) -> None:
    """By a pull through each of the caches."""

    def entries(form: str) -> list[Json]:
        return [
            {**each, "dtr_cache_assignments": {"accounts": [in_use[each["dtr_cache_name"]]]}} for each in caches(form)
        ]

    run = roles.run("verification", entries, forms=FEW)
    logs = {
        name: roles.lab.inside("asia-1", "sh", "-c", f"docker service logs --raw {name}_cache 2>&1") for name in in_use
    }
    assert [name for name, log in logs.items() if "blob served" not in log] == [], run.output
    assert run.code == 0, run.output


def test_observation(roles: Roles, in_use: dict[str, str]) -> None:
    """What is known at the end is of the second."""
    then = [{"ansible.builtin.debug": {"msg": "observed at last: {{ __dtr_cache_observed | to_json }}"}}]
    run = roles.run("observation", caches, forms=FEW, then=then, dtr_cache_verify_image="")
    assert run.code == 0, run.output
    observed = [line for line in run.output.splitlines() if "observed at last: " in line]
    assert len(observed) == len(FEW), run.output
    for form, line in zip(FEW, observed, strict=True):
        assert f":{port_of(form, 'second')}" in line
        assert "dtr-content-cache" in line, "the image of its service"


def test_removal(roles: Roles, deployed: Run) -> None:
    def entries(form: str) -> list[Json]:
        return [{**each, "dtr_cache_confirm_removal": each["dtr_cache_name"]} for each in caches(form)]

    run = roles.run("removal", entries, forms=FEW)
    state = roles.lab.snapshot()
    removed = [name_of(*each) for each in SWARM_CACHES]
    assert state["asia-1"]["services"] == {}, run.output
    left = {name.partition("_")[0] for name in (*state["asia-1"]["configs"], *state["asia-1"]["secrets"])}
    assert left & set(removed) == set(), run.output
    assert run.code == 0, run.output


@pytest.fixture
def without_rules(lab: Lab) -> Iterator[None]:
    """The node's own folder for what the role writes, and no rule left behind."""
    lab.inside(NODE, "sh", "-c", "mkdir -p /run/lab/twice && mount --bind /run/lab/twice /usr/local/sbin")
    yield
    for family in ("iptables", "ip6tables"):
        lab.inside(NODE, "sh", "-c", f"{family}-save | grep -v DTR-CACHE | {family}-restore")
    lab.inside(NODE, "sh", "-c", "umount /usr/local/sbin && rm -r /run/lab/twice")


def test_firewall(roles: Roles, without_rules: None, tmp_path: Path) -> None:
    """A limit for each of two ports."""
    networks = {
        name_of(form, use): f"198.51.100.{number}/32"
        for number, (form, use) in enumerate((form, use) for form in FORMS for use in USES)
    }

    def entries(form: str) -> list[Json]:
        return [
            {"dtr_cache_port": port_of(form, use), "dtr_cache_allowed_networks": [networks[name_of(form, use)]]}
            for use in USES
        ]

    hosts = add_hosts(roles.lab, tmp_path, "cache_nodes", [NODE])
    plays = []
    for form in FORMS:
        content = uses(form, "dtr.cache.firewall", entries(form), manager=NODE)
        plays.append(play_of("localhost" if form == "delegate" else NODE, content))
    run = roles.play(plays, *hosts)
    rules = roles.lab.inside(NODE, "iptables-save", "-t", "filter")
    limited = {
        name_of(form, use): f"-A DTR-CACHE-{port_of(form, use)} -s {networks[name_of(form, use)]} -j RETURN" in rules
        for form in FORMS
        for use in USES
    }
    assert limited == dict.fromkeys(networks, True), run.output
    assert run.code == 0, run.output
