# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(firewall) on the cache's node: who reaches the port and who does not, by real connections from other nodes."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from labkit.nodes import first_process
from labkit.topology import node_named

from .conftest import LAB, Lab, Play, Run, until
from .machine import Machine
from .nodes import add_hosts

NODE, CLIENT, OTHER = "asia-2", "client", "asia-3"
CONTROL_NET, CLIENT_NET, OTHER_NET = "198.18.57.1/32", "198.18.57.41", "198.18.57.16/29"
LINK_LOCAL = "fe80::/10"
SCRIPT = "/usr/local/sbin/dtr-cache-firewall-443"
ROLE = [{"hosts": "cache_nodes", "gather_facts": False, "roles": ["dtr.cache.firewall"]}]
# What curl says of a server that answers in plain text.
NO_TLS = "000 35"
RULES = "iptables-save -t filter; ip6tables-save -t filter"

Limit = t.Callable[..., Run]


@pytest.fixture(scope="module")
def cache(lab: Lab, play: Play) -> Iterator[Lab]:
    """A lab with a cache on asia-2, published on this node itself."""
    lab.clean()
    run = play("dtr.cache.deploy", "--limit", "region-asia")
    assert run.code == 0, run.output
    _give_the_node_a_folder_of_its_own(lab)
    yield lab
    lab.inside(NODE, "umount", "/usr/local/sbin")
    lab.clean()


def _give_the_node_a_folder_of_its_own(lab: Lab) -> None:
    # The machine's /usr/local/sbin is the nodes' as well; this one is on the node's own disk and survives its restart.
    lab.inside(NODE, "sh", "-c", "mkdir -p /run/lab/sbin && mount --bind /run/lab/sbin /usr/local/sbin")


@pytest.fixture
def limit(cache: Lab, play: Play, tmp_path: Path) -> Iterator[Limit]:
    """Runs the role on asia-2 with a list of networks. No limit is left behind."""
    hosts = add_hosts(cache, tmp_path, "cache_nodes", [NODE])

    def run(networks: t.Sequence[str], *options: str, **variables: t.Any) -> Run:
        return play(ROLE, *hosts, "--diff", *options, dtr_cache_allowed_networks=networks, **variables)

    yield run
    if any("DTR-CACHE" in rule for rule in rules(cache)):
        assert run([]).code == 0


def reaches(lab: Lab, node: str, address: str = "198.18.57.22", port: int = 443) -> str:
    """What becomes of a request to the cache: C(200), or C(refused), or C(timeout)."""
    url = f"https://{address}:{port}/v2/"
    curl = f"curl -gsk --max-time 4 -o /dev/null -w '%{{http_code}}' '{url}' || echo \" $?\""
    said = lab.inside(node, "sh", "-c", curl)
    return {"000 7": "refused", "000 28": "timeout"}.get(said, said)


def rules(lab: Lab, node: str = NODE) -> list[str]:
    """The rules of both families without their counters."""
    return [line for line in lab.inside(node, "sh", "-c", RULES).splitlines() if line[:1] not in "#:"]


def test_only_the_allowed_networks_reach_the_port(cache: Lab, limit: Limit) -> None:
    untouched = rules(cache)
    assert reaches(cache, CLIENT) == reaches(cache, OTHER) == "200"

    announced = limit([OTHER_NET, CONTROL_NET], "--check")
    assert announced.code == 0, announced.output
    assert rules(cache) == untouched
    run = limit([OTHER_NET, CONTROL_NET])
    assert run.code == 0, run.output
    assert announced.changed_tasks() == run.changed_tasks()
    assert f"+-A DTR-CACHE-443 -s {OTHER_NET} -j RETURN" in run.output, "the difference is shown"
    assert (reaches(cache, CLIENT), reaches(cache, OTHER)) == ("refused", "200")

    limited = rules(cache)
    for again in (limit([OTHER_NET, CONTROL_NET]), limit([OTHER_NET, CONTROL_NET], "--check")):
        assert (again.code, again.total("changed")) == (0, 0), again.output
    assert rules(cache) == limited

    # Who is added is let in, and who is left out no longer is.
    assert limit([CLIENT_NET, CONTROL_NET]).code == 0
    assert (reaches(cache, CLIENT), reaches(cache, OTHER)) == ("200", "refused")

    announced = limit([], "--check")
    assert reaches(cache, OTHER) == "refused"
    run = limit([])
    assert announced.changed_tasks() == run.changed_tasks()
    assert rules(cache) == untouched
    assert reaches(cache, OTHER) == "200"
    assert cache.inside(NODE, "ls", "/usr/local/sbin") == ""
    assert limit([]).total("changed") == 0


def test_rules_that_somebody_removed_are_brought_back(cache: Lab, limit: Limit) -> None:
    def in_force() -> list[str]:
        # Whoever flushes the chain also takes the Engine's own rule out of it.
        return [rule for rule in rules(cache) if "DTR-CACHE" in rule]

    assert limit([OTHER_NET]).code == 0
    limited = in_force()
    for command in ("iptables -D DTR-CACHE-443 -s 198.18.57.16/29 -j RETURN", "iptables -F DOCKER-USER"):
        cache.inside(NODE, "sh", "-c", command)
        assert in_force() != limited
        run = limit([OTHER_NET])
        assert run.changed_tasks() == {"dtr.cache.firewall : Bring the rules into place"}
        assert in_force() == limited
        assert (reaches(cache, CLIENT), reaches(cache, OTHER)) == ("refused", "200")


def test_ipv6_is_limited_as_well(cache: Lab, limit: Limit) -> None:
    address = cache.inside(NODE, "sh", "-c", "ip -o -6 address show dev eth0 scope link").split()[3].partition("/")[0]
    by_ipv6 = f"[{address}%25eth0]"
    assert reaches(cache, CLIENT, by_ipv6) == "200"
    # Networks of one family only: nobody of the other is allowed.
    assert limit([CLIENT_NET]).code == 0
    assert reaches(cache, CLIENT, by_ipv6) == "refused"
    assert limit([LINK_LOCAL]).code == 0
    assert reaches(cache, CLIENT, by_ipv6) == "200"
    assert reaches(cache, CLIENT) == "refused"
    assert limit(["0.0.0.0/0", "::/0"]).code == 0
    assert limit(["0.0.0.0/0", "::/0"]).total("changed") == 0
    assert (reaches(cache, CLIENT), reaches(cache, CLIENT, by_ipv6)) == ("200", "200")


@pytest.fixture
def other_service(cache: Lab) -> Iterator[None]:
    """Another container on the node: its own port is the cache's, and it is published as 444."""
    image = cache.status["cache_image"]
    serve = ["docker", "run", "--rm", "-d", "--name", "other", "-p", "444:443", "--entrypoint", "/bin/sh", image]
    cache.inside(NODE, *serve, "-c", "mkdir /web; echo served >/web/index.html; exec httpd -f -p 443 -h /web")
    until(lambda: reaches(cache, NODE, "127.0.0.1", port=444) == NO_TLS, "the other service listens")
    yield
    cache.inside(NODE, "docker", "rm", "-f", "other")


def test_nothing_but_this_port_is_limited(cache: Lab, limit: Limit, play: Play, other_service: None) -> None:
    assert limit([CONTROL_NET]).code == 0
    assert reaches(cache, CLIENT) == "refused"
    assert cache.inside(CLIENT, "curl", "-s", "--max-time", "4", "http://198.18.57.22:444/") == "served"
    # The cache itself still reaches the DTR's port of the same number, and SSH, the Swarm and all else work.
    run = play("dtr.cache.deploy", "--limit", "region-asia")
    assert run.code == 0, run.output
    assert run.regions()["region-asia"]["result"] == "ok"


def test_the_port_that_was_called_counts_and_not_the_containers(cache: Lab, limit: Limit, other_service: None) -> None:
    assert reaches(cache, CLIENT, port=444) == NO_TLS
    assert limit([OTHER_NET], dtr_cache_port=444).code == 0
    assert (reaches(cache, CLIENT, port=444), reaches(cache, OTHER, port=444)) == ("refused", NO_TLS)
    assert reaches(cache, CLIENT) == "200", "another port is another limit"
    assert limit([], dtr_cache_port=444).code == 0
    assert reaches(cache, CLIENT, port=444) == NO_TLS


@pytest.fixture
def sleeping_init(cache: Lab) -> Iterator[int]:
    """The first process of asia-2, put to sleep: the node would end with its Engine, and so does not notice."""
    init = first_process(node_named(NODE))
    assert init is not None
    os.kill(init, signal.SIGSTOP)
    yield init
    if first_process(node_named(NODE)) == init:
        _start_the_node_anew(cache, init)


def _start_the_node_anew(lab: Lab, init: int) -> None:
    os.kill(init, signal.SIGKILL)
    subprocess.run([LAB, "up"], check=True, stdout=subprocess.DEVNULL)
    _give_the_node_a_folder_of_its_own(lab)


def test_a_restart_of_engine_or_node_keeps_the_limit(cache: Lab, limit: Limit, sleeping_init: int) -> None:
    assert limit([OTHER_NET]).code == 0
    cache.inside(NODE, "sh", "-c", "kill $(cat /run/docker.pid); while [ -e /run/docker.pid ]; do sleep 0.2; done")
    cache.inside(NODE, "sh", "-c", "setsid dockerd >>/run/lab/log/dockerd.log 2>&1 </dev/null &")
    _wait_for_the_cache(cache)
    assert (reaches(cache, CLIENT), reaches(cache, OTHER)) == ("refused", "200")
    assert limit([OTHER_NET]).total("changed") == 0

    _start_the_node_anew(cache, sleeping_init)
    _wait_for_the_cache(cache)
    assert not any("DTR-CACHE" in rule for rule in rules(cache)), "a new start begins with empty tables"
    # What the unit does at each start of the Engine, where there is systemd.
    cache.inside(NODE, SCRIPT, "apply")
    assert (reaches(cache, CLIENT), reaches(cache, OTHER)) == ("refused", "200")
    assert limit([OTHER_NET]).total("changed") == 0


# Of the overlay network, in the node's namespace and in those that the Engine keeps.
_REMOVE_VXLAN = """
for place in "" $(ls -d /run/docker/netns/* 2>/dev/null); do
  enter=${place:+nsenter --net=$place}
  $enter ip -o link show type vxlan | awk -F': ' '{ print $2 }' | cut -d@ -f1 | while read -r link; do
    $enter ip link delete "$link"
  done
done
true
"""


def _wait_for_the_cache(lab: Lab) -> None:
    deadline = time.monotonic() + 120
    while reaches(lab, OTHER) != "200":
        states = lab.inside("asia-1", "docker", "service", "ps", "--no-trunc", "dtr-cache_cache")
        assert time.monotonic() < deadline, f"the cache does not come back: {states}"
        # An Engine that is restarted sometimes stumbles over what it has left itself, for ever.
        if "error creating vxlan interface: file exists" in states.partition("\n")[2].partition("\n")[0]:
            lab.inside(NODE, "sh", "-c", _REMOVE_VXLAN)
        time.sleep(1)


def test_wrong_networks_are_told_at_once(cache: Lab, limit: Limit) -> None:
    run = limit(["198.18.57.41/24", "anywhere"])
    assert run.code != 0
    assert "'198.18.57.41/24' is not a network such as 198.51.100.0/24; did you mean 198.18.57.0/24?" in run.output
    assert "'anywhere' is not a network" in run.output
    assert reaches(cache, CLIENT) == "200"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.getbasetemp() / "machine")
    yield machine
    machine.stop()


@pytest.fixture
def limit_machine(machine: Machine, play: Play, tmp_path: Path) -> Limit:
    """Runs the role in the machine with systemd, firewalld and Docker."""
    playbook = tmp_path / "playbook.yml"
    playbook.write_text(yaml.safe_dump([{**ROLE[0], "hosts": "localhost"}]))

    def run(networks: t.Sequence[str], *options: str) -> Run:
        variables = json.dumps({"dtr_cache_allowed_networks": networks})
        command = shlex.join(["ansible-playbook", str(playbook), "-e", variables, *options])
        done = machine.run(command, play.environment)
        assert done.returncode == 0, done.stdout
        return Run(done.returncode, done.stdout)

    return run


def limits(machine: Machine) -> list[str]:
    """The rules of the limit that are in force. firewalld keeps those of INPUT in INPUT_direct if it uses iptables."""
    lines = machine.said(RULES).replace("INPUT_direct", "INPUT").splitlines()
    return sorted(line for line in lines if "DTR-CACHE-443" in line and line[0] == "-")


def test_systemd_brings_the_limit_back_before_the_engine_starts(machine: Machine, limit_machine: Limit) -> None:
    announced = limit_machine([OTHER_NET], "--check").changed_tasks()
    assert limits(machine) == []
    # A unit that is only announced cannot be enabled.
    assert limit_machine([OTHER_NET]).changed_tasks() - announced == {"dtr.cache.firewall : Enable the unit"}
    assert limit_machine([OTHER_NET]).total("changed") == 0
    limited = limits(machine)
    assert len(limited) == 9

    machine.said("iptables -F DOCKER-USER; iptables -F INPUT; ip6tables -F; systemctl restart docker")
    assert limits(machine) == limited
    machine.cut_the_power()
    assert limits(machine) == limited
    started = "systemctl show --value -p ActiveEnterTimestampMonotonic dtr-cache-firewall-443"
    assert int(machine.said(started)) < int(
        machine.said("systemctl show --value -p ExecMainStartTimestampMonotonic docker")
    )

    assert limit_machine([]).code == 0
    assert limits(machine) == []
    left = machine.said(
        "find /etc/systemd /usr/local/sbin -name 'dtr-cache*'; systemctl list-units --legend=no 'dtr-*'"
    )
    assert left == ""


@pytest.mark.parametrize("backend", ["nftables", "iptables"])
def test_firewalld_brings_the_limit_back(machine: Machine, limit_machine: Limit, backend: str) -> None:
    configure = f"sed -i s/^FirewallBackend=.*/FirewallBackend={backend}/ /etc/firewalld/firewalld.conf"
    machine.said(f"{configure} && systemctl restart firewalld docker")

    def direct() -> str:
        return machine.said("for what in chains rules; do firewall-cmd --permanent --direct --get-all-$what; done")

    if backend == "iptables":
        assert limit_machine([CLIENT_NET]).code == 0
    assert limit_machine([OTHER_NET]).code == 0
    limited = limits(machine)
    assert len(limited) == 9
    # Where firewalld leaves the tables alone it is not told anything: with rules of its own in them it would not.
    assert ("DTR-CACHE-443" in direct()) == (backend == "iptables")

    machine.said("firewall-cmd --reload")
    assert limits(machine) == limited
    machine.said("timeout 20 sh -c 'until iptables -C FORWARD -j DOCKER-USER 2>/dev/null; do sleep 0.2; done'")
    assert limits(machine) == limited
    assert limit_machine([OTHER_NET]).total("changed") == 0

    assert limit_machine([]).code == 0
    assert (limits(machine), direct()) == ([], "")
    machine.said("firewall-cmd --reload")
    assert limits(machine) == []
