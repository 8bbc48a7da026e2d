# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""One set of settings in all its spellings is one deployment, byte for byte; any other spelling is a problem."""

from __future__ import annotations

import datetime
import json
import re
import typing as t

import hypothesis
import yaml
from ansible_collections.dtr.cache.plugins.plugin_utils.deployment import definition
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.model import Settings
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.values import SWITCHES
from ansible_collections.dtr.cache.tests.unit.support.settings import CA, CACHE, OPTIONS, control_node, read_with
from hypothesis import strategies as st

Strategy = st.SearchStrategy[t.Any]

PREFIX = "dtr_cache_"
NODE = control_node(
    {"/certs/cache.pem": b"a \xe4 comment\n" + CACHE.pem.encode(), "/certs/key.pem": CACHE.key_pem.encode()}
)
TEXTS: dict[str, list[str]] = {
    "name": ["region-asia", "r1"],
    "host": ["cache.example.org"],
    "product": ["dtr", "msr2", "msr3"],
    # Of no documented version, so it goes with each product.
    "version": ["of-ours-1"],
    "image": ["registry.example.org:5000/team/cache:1.0"],
    "registry_url": ["https://dtr.example.org:4443"],
    "publish_mode": ["ingress", "host"],
    "blob_ttl": ["24h", "90m"],
    "http_secret": ["s" * 40],
    "stack_name": ["asia"],
    "node_label": ["dtr.cache.asia"],
    "resolve_image": ["always", "changed", "never"],
    "docker_host": ["tcp://manager:2376", "tcp://127.0.0.1:2375", "unix:///var/run/docker.sock"],
    "verify_image": ["team/app:1.0"],
    "verify_account": ["alice"],
    "logs_since": ["2h"],
    "traffic_since": ["24h"],
    "confirm_removal": ["region-asia"],
    "render_to": ["review"],
    "client_trust_state": ["present", "absent"],
    "awx_state": ["present", "absent"],
}
NUMBERS = {
    "port": [443, 8443],
    "public_port": [443, 7443],
    "metrics_port": [5001],
    "replicas": [1, 2],
    "timeout": [60],
    "keep_versions": [0, 3],
    "min_days": [0],
}
SWITCH_NAMES = [
    *("registry_validate_certs", "with_registry_auth", "assignments_exclusive", "install_requirements"),
    *("adopt_overwrite", "remove_volume"),
]
LISTS: dict[str, list[list[str]]] = {
    "nodes": [["worker-1", "worker-2"], ["worker-1", "worker-2", "worker-3"]],
    "former_stack_names": [["asia-cache", "old.cache_1"]],
    "upstreams": [["https://asia.example.org", "https://[2001:db8::1]:8443"]],
    "requirements": [["python3-docker"]],
    "warm_platforms": [["linux/amd64", "linux/arm64"], ["all"]],
    "allowed_networks": [["10.0.0.0/8", "2001:db8::/32"]],
    "client_registries": [["[2001:db8::1]:8443", "dtr.example.org"]],
    "client_runtimes": [["docker", "containerd"], ["podman", "cri-o"]],
    "source_files": [["/gone/a.pem", "/gone/b.pem"]],
}
PEMS = {"certificate": ["/certs/cache.pem", CACHE.pem], "private_key": ["/certs/key.pem", CACHE.key_pem]}

blanks = st.sampled_from(["", " ", "\n", "\t ", "  \n"])
unset = st.sampled_from([None, "", " ", "\n\t"])
switches = {value: [text for text, meant in SWITCHES.items() if meant is value] for value in (True, False)}


def around(text: Strategy) -> Strategy:
    return st.builds(lambda before, value, behind: f"{before}{value}{behind}", blanks, text, blanks)


def spelled_text(value: str) -> Strategy:
    return st.just(value) | around(st.just(value))


def spelled_number(value: int) -> Strategy:
    return st.just(value) | around(st.just(value))


def spelled_switch(value: bool) -> Strategy:
    texts = st.sampled_from(switches[value])
    return st.just(value) | st.just(int(value)) | around(texts | texts.map(str.upper) | texts.map(str.title))


def spelled_list(value: list[str]) -> Strategy:
    """A list itself, and the texts that mean it."""
    listed: list[Strategy] = [
        st.tuples(*map(spelled_text, value)).map(list),
        st.sampled_from([",", ", ", "\n", " ,\n", "\n\n"]).map(lambda between: between.join(value)),
    ]
    return st.one_of(*listed, structured(st.just(value)))


def structured(value: Strategy) -> Strategy:
    """A list or a mapping as text."""
    dumps: list[t.Callable[[t.Any], str]] = [
        json.dumps,
        lambda data: json.dumps(data, indent=2),
        lambda data: yaml.safe_dump(data, sort_keys=False),
        lambda data: yaml.safe_dump(data, sort_keys=False, default_flow_style=True),
    ]
    return around(st.builds(lambda data, dump: dump(data).strip(), value, st.sampled_from(dumps)))


def spelled_mapping(parts: t.Mapping[str, Strategy]) -> Strategy:
    mapping = st.fixed_dictionaries(dict(parts))
    return mapping | structured(mapping)


MAPPINGS: dict[str, list[Strategy]] = {
    "storage": [
        spelled_mapping({"filesystem": st.just({"maxthreads": 50})}),
        spelled_mapping(
            {
                "s3": st.fixed_dictionaries(
                    {
                        **{key: spelled_text(key) for key in ("region", "bucket", "accesskey", "secretkey")},
                        "encrypt": st.just(True),
                        "keyid": unset,
                    }
                ),
                "redirect": st.just({"disable": False}),
            }
        ),
    ],
    "volume": [
        spelled_text("cache-data"),
        spelled_mapping(
            {
                "driver": spelled_text("local"),
                "driver_opts": st.just({"type": "nfs", "o": "addr=n,rw", "device": ":/x"}),
            }
        ),
    ],
    "config_extra": [spelled_mapping({"log": st.just({"level": "debug"})})],
    "environment": [spelled_mapping({"GODEBUG": st.just("x509=1"), "LIMIT": st.just(5) | st.just("5")})],
    "service_extra": [
        spelled_mapping(
            {
                "dns": spelled_list(["192.0.2.53", "2001:db8::53"]),
                "labels": st.sampled_from([{"team": "a"}, ["team=a"]]),
                "init": spelled_switch(False),
                "cap_drop": spelled_list(["NET_RAW"]),
                "deploy": st.fixed_dictionaries({"labels": st.just({"com.docker.ucp.access.label": "/x"})}),
            }
        )
    ],
    "resources": [spelled_mapping({"limits": st.fixed_dictionaries({"cpus": spelled_number(2)})})],
    "update_config": [
        spelled_mapping({"parallelism": spelled_number(2), "order": spelled_text("start-first")}),
        st.sampled_from([{}, "{}", " {} "]),
    ],
    "assignments": [
        spelled_mapping(
            {
                "accounts": spelled_list(["alice", "bob"]),
                "teams": spelled_list(["org/team"]),
                "orgs": unset,
                "everyone": spelled_switch(True),
            }
        )
    ],
    "warm_images": [
        st.one_of(
            st.just([{"repository": "team/app", "tags": ["1.*", "2.*"]}, "team/app:1"]),
            st.just([{"repository": " team/app\n", "tags": "1.*, 2.*"}, "team/app:1 "]),
            structured(st.just([{"repository": "team/app", "tags": ["1.*", "2.*"]}, "team/app:1"])),
        )
    ],
}


def spellings(name: str) -> list[Strategy]:
    """For each value of a variable that is tried here, all ways to write it."""
    if name in TEXTS:
        return [spelled_text(value) for value in TEXTS[name]]
    if name in NUMBERS:
        return [spelled_number(value) for value in NUMBERS[name]]
    if name in SWITCH_NAMES:
        return [spelled_switch(value) for value in (True, False)]
    if name in PEMS:
        return [around(st.sampled_from(PEMS[name]))]
    return [spelled_list(value) for value in LISTS[name]] if name in LISTS else MAPPINGS[name]


NAMES = [*TEXTS, *NUMBERS, *SWITCH_NAMES, *LISTS, *PEMS, *MAPPINGS]
REQUIRED = ("name", "host", "registry_url", "nodes", "certificate", "private_key")


@st.composite
def same_settings(draw: st.DrawFn) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Two spellings of the same settings."""
    both: tuple[dict[str, t.Any], dict[str, t.Any]] = ({}, {})
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=8).map(sorted)) + list(REQUIRED):
        value = draw(st.sampled_from(spellings(name)))
        for one in both:
            one[PREFIX + name] = draw(value)
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=8)):
        if PREFIX + name not in both[0]:
            both[1][PREFIX + name] = draw(unset)
    return both


def deployed(settings: Settings) -> tuple[str, list[definition.SwarmObject]]:
    objects = definition.swarm_objects(settings, CA.pem)
    return definition.stack_text(settings, objects), objects


@hypothesis.settings(max_examples=60, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(same_settings())
def test_all_spellings_are_the_same_deployment(both: tuple[dict[str, t.Any], dict[str, t.Any]]) -> None:
    (first, problems), (second, more_problems) = (
        read_with({f"{PREFIX}version": None, **one}, node=NODE) for one in both
    )
    # A volume needs the storage that it is for, and some storages have none; not every order leaves a port free.
    fit = re.compile("is of use only with|needs a node whose port")
    assert [each for each in problems if not fit.search(each)] == []
    assert problems == more_problems
    assert first == second
    assert deployed(first) == deployed(second)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["true ", "jes", "1.0", "{", "[", "- a", "a: b", "a: b: c", "\0", "\udcff", "*", "~", "/", "?", "@"]
    )
    | st.binary(max_size=3)
    | st.just(datetime.date(2026, 1, 31)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.integers() | st.booleans() | st.none(), inner, max_size=3)
    ),
    max_leaves=5,
)


def mixed(name: str) -> Strategy:
    """Anything, also at the known keys of a mapping."""
    keys = {
        "assignments": ["accounts", "everyone"],
        "storage": ["filesystem", "s3"],
        "resources": ["limits"],
        "service_extra": ["dns", "labels", "ulimits", "healthcheck"],
    }.get(name)
    return anything if keys is None else anything | st.dictionaries(st.sampled_from(keys), anything, max_size=2)


@hypothesis.settings(max_examples=200, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(st.sampled_from(sorted(OPTIONS)).flatmap(lambda name: st.tuples(st.just(name), mixed(name))))
def test_any_other_spelling_is_a_problem_of_its_variable(given: tuple[str, t.Any]) -> None:
    name, value = given
    settings, problems = read_with({name: value}, node=NODE)
    # What a volume or a certificate is for stands in other variables.
    others = {
        "dtr_cache_storage": "dtr_cache_volume",
        "dtr_cache_host": "dtr_cache_certificate",
        "dtr_cache_min_days": "dtr_cache_certificate",
    }
    assert all(problem.startswith((f"{name}: ", f"{others.get(name, name)}: ")) for problem in problems)
    if not problems:
        assert deployed(settings)[0]


@hypothesis.settings(max_examples=60, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(st.sampled_from(SWITCH_NAMES), anything)
def test_a_switch_is_exactly_true_or_false(name: str, value: t.Any) -> None:
    _settings, problems = read_with({PREFIX + name: value}, node=NODE)
    is_unset = value is None or (isinstance(value, str) and not value.strip())
    assert bool(problems) is (not is_unset and str(value).strip().lower() not in SWITCHES)


def test_only_variables_that_there_are_are_tried() -> None:
    assert {PREFIX + name for name in NAMES} <= set(OPTIONS)
