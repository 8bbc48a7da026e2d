# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long whole playbooks take: a region against one task and against stock modules, and twenty regions."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

import yaml
from measure import PROJECT, Json, Row

HERE = Path(__file__).resolve().parent
INVENTORY = PROJECT / "inventory" / "lab"

# The accounts of a region: one, and as many as an office has.
OFFICE = 50
REGIONS = 20
FORKS = ("--forks", "10")
# In turns, the faster of each: what disturbs a run can only make it slower.
RUNS = 2
# Where the goal is near what a run takes anyway, the median of more turns, after one that is not counted.
TURNS = 7


class Bench:
    """The lab, and playbooks that run on it."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = {**environment, "ANSIBLE_NOCOLOR": "1"}

    def play(self, playbook: str, *options: str, inventory: Path = INVENTORY, **variables: t.Any) -> float:
        """Seconds of a playbook that has to succeed."""
        seconds, _output = self._run(playbook, *options, inventory=inventory, **variables)
        return seconds

    def play_again(self, playbook: str, *options: str, inventory: Path = INVENTORY, **variables: t.Any) -> float:
        """Seconds of a playbook that has to succeed and to change nothing.

        Raises:
            RuntimeError: It changed something, and the figure would mean something else.
        """
        seconds, output = self._run(playbook, *options, inventory=inventory, **variables)
        if set(re.findall(r"changed=(\d+)", output)) != {"0"}:
            raise RuntimeError(f"{playbook} changed something: {output[-2000:]}")
        return seconds

    def _run(self, playbook: str, *options: str, inventory: Path, **variables: t.Any) -> tuple[float, str]:
        extra = self.folder / "extra.json"
        extra.write_text(json.dumps(variables))
        start = time.perf_counter()
        result = subprocess.run(
            ["ansible-playbook", "-i", str(inventory), playbook, "-e", f"@{extra}", *options],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        seconds = time.perf_counter() - start
        if result.returncode:
            raise RuntimeError(f"{playbook} ended with {result.returncode}: {result.stdout[-3000:]}")
        return seconds, result.stdout


def users(first: int, count: int) -> list[str]:
    """Accounts of the stand-in that may pull; every hundredth is inactive."""
    return [f"user{number:05d}" for number in range(first, first + count)]


def against_stock_modules(bench: Bench, accounts: list[str], what: str) -> Row:
    """A region in which nothing is to be done, against the same steps written with stock modules.

    Both have a cache of their own on the same node, and both end in a pull through it.
    """
    variables: Json = {"dtr_cache_assignments": {"accounts": accounts}}
    # An account pulls from one cache only.
    others: Json = {**variables, "dtr_cache_name": "region-stock"}
    only = ("--limit", "region-asia")
    ours, stock = [], []
    for _each in range(RUNS):
        bench.play("dtr.cache.deploy", *only, **variables)
        ours.append(bench.play_again("dtr.cache.deploy", *only, **variables))
        bench.play(str(HERE / "stock.yml"), *only, **others)
        stock.append(bench.play_again(str(HERE / "stock.yml"), *only, **others))
    ratio = min(ours) / min(stock)
    figures = f"{ratio:.2f} times ({min(ours):.1f} s against {min(stock):.1f} s)"
    return Row(f"{what}, nothing to do, against stock modules", figures, "at most 0.33 times", ratio <= 1 / 3)


def one_account(bench: Bench) -> Row:
    return against_stock_modules(bench, ["alice"], "a region of 1 account")


def office(bench: Bench) -> Row:
    return against_stock_modules(bench, ["alice", *users(1, OFFICE - 1)], f"a region of {OFFICE} accounts")


def against_one_question(bench: Bench) -> Row:
    """A region in which nothing is to be done, against a play of one task that asks the Engine of the same manager."""
    ask = bench.folder / "ask.yml"
    task = {"name": "Ask the Engine", "community.docker.docker_host_info": {}}
    ask.write_text(yaml.safe_dump([{"hosts": "dtr_caches", "gather_facts": False, "tasks": [task]}]))
    only = ("--limit", "region-asia")
    bench.play("dtr.cache.deploy", *only)
    ours, asked = [], []
    for _turn in range(1 + TURNS):
        ours.append(bench.play_again("dtr.cache.deploy", *only))
        asked.append(bench.play_again(str(ask), *only))
    mine, least = statistics.median(ours[1:]), statistics.median(asked[1:])
    figures = f"{mine / least:.2f} times ({mine:.2f} s against {least:.2f} s)"
    what = "dtr.cache.deploy of a region, nothing to do, against one docker_host_info"
    return Row(what, figures, "at most 1.5 times", mine <= 1.5 * least)


def fleet_of(bench: Bench, count: int) -> Path:
    """An inventory of so many hosts on the lab's two managers, each a stack, a cache and a few accounts of its own."""
    inventory = bench.folder / f"regions-{count}"
    inventory.mkdir()
    (inventory / "group_vars").symlink_to(INVENTORY / "group_vars")
    hosts = {}
    # So many of the seed's accounts may pull.
    accounts = min(10, 300 // count)
    for number in range(count):
        region, node = (("asia", "asia-2"), ("europe", "europe-1"))[number % 2]
        hosts[f"region-{number:03d}"] = {
            "ansible_host": f"{region}-1.lab.test",
            "dtr_cache_name": f"region-{number:03d}",
            "dtr_cache_host": f"cache-{region}.lab.test",
            "dtr_cache_port": 9100 + number,
            "dtr_cache_nodes": [node],
            "dtr_cache_stack_name": f"cache-{number:03d}",
            "dtr_cache_assignments": {"accounts": users(1 + accounts * number, accounts)},
        }
    fleet = yaml.safe_load((INVENTORY / "hosts.yml").read_text())
    fleet["dtr_caches"]["hosts"] = hosts
    (inventory / "hosts.yml").write_text(yaml.safe_dump(fleet))
    return inventory


def many_regions(bench: Bench) -> Row:
    """Twenty regions in which nothing is to be done, against one of them."""
    inventory = fleet_of(bench, REGIONS)
    bench.play("dtr.cache.deploy", *FORKS, inventory=inventory)
    only = ("--limit", "region-000")
    few = min(bench.play_again("dtr.cache.deploy", *FORKS, *only, inventory=inventory) for _ in "12")
    many = bench.play_again("dtr.cache.deploy", *FORKS, inventory=inventory)
    each = (many - few) / (REGIONS - 1)
    figures = f"{each:.2f} s ({many:.1f} s for {REGIONS}, {few:.1f} s for 1)"
    return Row(f"each further of {REGIONS} regions, {os.cpu_count()} cores", figures, "at most 0.5 s", each <= 0.5)


def benchmark(environment: dict[str, str]) -> t.Iterator[Row]:
    """All rows."""
    for measured in (against_one_question, one_account, office, many_regions):
        with tempfile.TemporaryDirectory(prefix="dtr-cache-bench-") as folder:
            yield measured(Bench(Path(folder), environment))
