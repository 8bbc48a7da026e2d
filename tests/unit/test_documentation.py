# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages say is what the code does: links, examples, the example inventory, licences and metadata."""

from __future__ import annotations

import collections
import functools
import json
import re
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.reports import REPORTS
from ansible_collections.dtr.cache.tests.unit.support import facts
from ansible_collections.dtr.cache.tests.unit.support.pages import (
    GUIDES,
    PAGES,
    PROJECT,
    README,
    broken_links,
    fenced,
    unknown_names,
    unknown_variables,
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    assert broken_links(page, page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "link", ["docs/nowhere.md", "#nothing", "docs/variables.md#nothing", "docs/nowhere.md#license", "![](docs/no.svg)"]
)
def test_a_link_that_leads_nowhere_is_found(link: str) -> None:
    target = link.removeprefix("![](").removesuffix(")")
    assert broken_links(README, f"## A heading\n\n[here]({target}) and [there](#a-heading)\n") == [target]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_what_is_called_like_a_part_of_the_collection_is_one(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert unknown_variables(text) == []
    assert unknown_names(text) == []


def test_a_name_that_nothing_has_is_found() -> None:
    text = (
        "`dtr_cache_nmae`, dtr_cache_name, `dtr_cache_registry_*`, dtr_cache_regstry_*, dtr_cache_serves, dtr_cache_x"
    )
    assert unknown_variables(text) == ["dtr_cache_nmae", "dtr_cache_regstry_*", "dtr_cache_x"]
    assert unknown_names("dtr.cache.deploy, dtr.cache.stack_plan, `dtr.cache.depoly`") == ["depoly"]


@pytest.mark.parametrize(
    ("guide", "fact", "source"),
    [
        ("support", "27 May 2022", "docs.mirantis.com/msr/2.8/"),
        ("support", "24 March 2027", "docs.mirantis.com/msr/2.9/"),
        ("support", "20 April 2024", "docs.mirantis.com/msr/3.0/"),
        ("support", "27 September 2025", "docs.mirantis.com/msr/3.1/"),
        ("support", "17 July 2026", "docs.mirantis.com/msr/4.0/"),
        ("moving-to-msr4", "Docker Compose", "/msr/latest/installation/msr-docker-install"),
        ("moving-to-msr4", "override_path = true", "containerd/blob/main/docs/hosts.md"),
        ("trust", "--custom-ca-cert-bundle", "/msr/2.8/cli-ref/reconfigure.html"),
        ("trust", "~/.docker/tls/dtr.example.org/ca.crt", "/ops/manage-images/sign-images.html"),
        ("availability", "(rw,root_squash,no_wdelay)", "/caches/high-availability.html"),
        ("availability", "The DTR's own CA is added", "/caches/cache-configuration/"),
        (
            "certificates",
            "secret msr-nginx-ca-cert",
            "/deploying-msr-cache-with-kube/prepare-the-cache-",
        ),
        ("security", "2377/tcp", "docs.docker.com/engine/swarm/"),
        ("security", "nothing has to be opened", "docs.docker.com/engine/network/packet-filtering-firewalls/"),
        ("how-it-works", "faster pushes", "docs.mirantis.com/msr/2.9/ops/msr-configure/caches.html"),
    ],
)
def test_a_fact_has_its_source_in_the_same_section(guide: str, fact: str, source: str) -> None:
    text = (GUIDES[0].parent / f"{guide}.md").read_text(encoding="utf-8")
    sections = re.split(r"^##+ ", text, flags=re.MULTILINE)
    assert [section for section in sections if fact in section and source in section]


def test_every_guide_is_reached_from_the_first_one() -> None:
    linked = re.findall(r"\]\(([a-z0-9-]+\.md)\)", (GUIDES[0].parent / "index.md").read_text(encoding="utf-8"))
    assert set(linked) == {path.name for path in GUIDES} - {"index.md"}


def test_the_first_screen_shows_what_the_demo_prints() -> None:
    shown = re.search(r"^`tests/demo` ends like this.*?```text\n(.*?)```", README.read_text(), re.MULTILINE | re.DOTALL)
    assert shown
    headings, *_rows = shown[1].splitlines()
    columns = re.split(r"\s{2,}", REPORTS["deployment"].lines([facts.host("region")], 200)[0])
    assert is_part(re.split(r"\s{2,}", headings), columns)
    demo = (PROJECT / "tests" / "demo").read_text()
    for name, value in re.findall(r"^(IMAGE|ACCOUNT)=(.*)$", demo, re.MULTILINE):
        demo = demo.replace(f"${name}", value)
    checks = re.findall(r'^ *check "(.*?)"', demo, re.MULTILINE)
    told = re.findall(r"^==> (.*)$", shown[1], re.MULTILINE)
    assert told
    assert checks[-len(told) :] == told
    assert shown[1].endswith(f"\n{len(checks)} passed, 0 failed\n")


def headings_of(text: str) -> list[list[str]]:
    """Those of the tables of reports in a text: what stands above a line of dashes."""
    return [re.split(r"\s{2,}", line) for line in re.findall(r"^(.+\S) *\n-+(?: +-+)+$", text, re.MULTILINE)]


def is_part(headings: list[str], columns: list[str]) -> bool:
    """Whether these are some of the columns, in their order; a table leaves out what it has no room for."""
    left = iter(columns)
    return all(heading in left for heading in headings)


def test_reports_on_pages_have_the_columns_of_the_code() -> None:
    host = facts.host("region")
    of_run = ("deployment", "verification", "warming", "assignment", "adoption")
    columns = [list(REPORTS[each].table([host]).rows[0]) for each in of_run]
    unknown: dict[str, t.Any] = collections.defaultdict(lambda: None, causes=[])
    columns += [list(REPORTS[each].shown(unknown, [], False)) for each in ("status", "diagnosis")]
    shown = [found for page in PAGES for text in fenced(page, "text") for found in headings_of(text)]
    shown = [found for found in shown if found[0] == "region"]
    assert len(shown) >= 4
    assert [found for found in shown if not any(is_part(found, each) for each in columns)] == []
    assert not is_part(["region", "result", "url"], columns[0])


def test_example_inventories_use_variables_that_exist() -> None:
    known = yaml.safe_load((PROJECT / "roles/settings/meta/argument_specs.yml").read_text())["argument_specs"]["main"]
    examples = [example for page in PAGES for example in fenced(page, "yaml")]
    folders = [PROJECT / "inventory" / "example", PROJECT / "docs" / "examples"]
    examples += [path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.yml")]
    used = {name for text in examples for name in re.findall(r"^ *(dtr_cache_[a-z_]+):", text, re.MULTILINE)}
    assert used
    assert used <= set(known["options"])


def test_the_example_fleet_has_three_regions_with_different_needs() -> None:
    hosts = yaml.safe_load((PROJECT / "inventory/example/hosts.yml").read_text())["dtr_caches"]["hosts"]
    assert len(hosts) == 3
    for host in hosts:
        assert (PROJECT / "inventory/example/host_vars" / f"{host}.yml").exists()


PLUGINS = {
    kind: sorted(path.stem for path in (PROJECT / "plugins" / folder).glob("*.py"))
    for kind, folder in (("module", "modules"), ("lookup", "lookup"), ("filter", "filter"))
}
KINDS: dict[str, t.Any] = {"str": str, "int": int, "float": (int, float), "bool": bool, "list": list, "dict": dict}


@functools.lru_cache
def documented(kind: str) -> dict[str, t.Any]:
    """Return the documentation of all plugins of a kind by their short names, as ansible-doc shows it."""
    names = [f"dtr.cache.{name}" for name in PLUGINS[kind]]
    finished = subprocess.run(["ansible-doc", "--json", "--type", kind, *names], capture_output=True, check=True)
    return {name.rpartition(".")[2]: found for name, found in json.loads(finished.stdout).items()}


@pytest.mark.parametrize("module", PLUGINS["module"])
def test_documented_action_groups(module: str) -> None:
    groups = yaml.safe_load((PROJECT / "meta/runtime.yml").read_text())["action_groups"]
    group = documented("module")[module]["doc"]["attributes"].get("action_group", {})
    assert group.get("membership", []) == [f"dtr.cache.{name}" for name in groups if module in groups[name]]
    assert all(f"group/{name}" in str(group["description"]) for name in group.get("membership", []))


def test_action_groups_have_modules_only() -> None:
    groups = yaml.safe_load((PROJECT / "meta/runtime.yml").read_text())["action_groups"]
    assert {name for group in groups.values() for name in group} <= set(PLUGINS["module"])


def without_sample(values: dict[str, t.Any] | None) -> t.Iterator[str]:
    """Yield the names of return values without a sample of their type, at any depth."""
    for name, value in (values or {}).items():
        if "sample" in value:
            yield from [name] * (not isinstance(value["sample"], KINDS[value["type"]]))
        elif "contains" in value:
            yield from (f"{name}.{each}" for each in without_sample(value["contains"]))
        else:
            yield name


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in PLUGINS.items() for name in names])
def test_return_values_have_samples(kind: str, name: str) -> None:
    assert list(without_sample(documented(kind)[name]["return"])) == []


def test_the_list_of_decisions_has_every_section() -> None:
    text = (PROJECT / "docs" / "decisions.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert re.findall(r"^- \[(.*)\]\(#.*\)$", text, re.MULTILINE) == headings
