# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""One rule, whichever variable something comes by; and numbers that are no names.

Each is refused with its variable, or accepted and means what is written.
"""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.dtr.cache.tests.unit.support.settings import only_problem, read

EXTRA, ENVIRONMENT = "config_extra", "environment"

# A folder that is not free, a secret that everybody would see, and numbers that are no names.
REFUSED: list[tuple[str, t.Any, str]] = [
    (
        ENVIRONMENT,
        {"REGISTRY_NOTIFICATIONS_ENDPOINTS": "[{headers: {Authorization: [a b]}}]"},
        "REGISTRY_NOTIFICATIONS_ENDPOINTS holds a credential",
    ),
    (ENVIRONMENT, {"A": "{{ nothing }}"}, "A: has {{, which begins a template of Swarm's"),
    *(
        ("volume", folder, f"{folder!r} is a folder of the system or the Engine")
        for folder in (
            *("/", "//", "/var", "/var/lib/", "/etc", "/usr/", "/proc/1", "/run", "/root", "/home", "/srv/../etc"),
            *("//etc//ssl", "/var/lib/docker", "/var/lib/docker/volumes", "/run/docker.sock", "/var/run/docker.sock"),
            "/var/run/../run/docker.sock",
        )
    ),
    ("volume", {"driver_opts": {"type": "none", "o": "bind", "device": "/etc"}}, "device: '/etc' is a folder of"),
    ("volume", {"driver_opts": {"type": "none", "o": "rw,rbind", "device": "/var/run/docker.sock"}}, "device: "),
    ("service_extra", {"hostname": "{{.Task.Address}}"}, "hostname: has {{, which begins a template of Swarm's"),
    # Numbers, switches and nothing are no names.
    *(
        (name, value, "to YAML")
        for name in (
            "name",
            "host",
            "stack_name",
            "node_label",
            "version",
            "image",
            "registry_username",
            "verify_account",
        )
        for value in (0o4711, 1e3, False)
    ),
    *(
        (name, value, "to YAML")
        for name in ("nodes", "former_names", "former_stack_names")
        for value in ([0o4711], ["a", 2.10], [None], [True], "[4711]", 4711)
    ),
    *(
        ("assignments", {"teams": ["a/b"], **given}, "to YAML")
        for given in (
            *({"accounts": 0o4711}, {"accounts": ["bob", 0o4711]}, {"orgs": [0x10]}, {"accounts": [None]}),
            *({"except": {"accounts": [0o4711]}}, {"except": {"orgs": 5}}),
        )
    ),
    ("assignments", '{"accounts": [4711]}', "accounts: 4711 is a number to YAML"),
    ("port", "0443", "'0443' is not a whole number from 1 to 65535"),
    ("volume", 4711, "is a number to YAML"),
    ("storage", {"s3": {"region": "r", "bucket": 1.10}}, "s3.bucket is a number to YAML"),
    (EXTRA, {"http": {"headers": {"X-R": [2.10]}}}, "http.headers.X-R.0 is a number to YAML"),
    (ENVIRONMENT, {"REGISTRY_LOG_FIELDS_RELEASE": "2.10"}, "log.fields.release is a number to YAML"),
]


@pytest.mark.parametrize(("name", "value", "problem"), REFUSED, ids=[f"{each[0]}-{each[1]!r:.60}" for each in REFUSED])
def test_it_is_refused_with_its_variable(name: str, value: t.Any, problem: str) -> None:
    found = only_problem(**{name: value})
    assert found.startswith(f"dtr_cache_{name}: ")
    assert problem in found


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("name", "4711", "4711"),
        ("name", "1e3", "1e3"),
        ("nodes", "4711, 0815", ("4711", "0815")),
        ("nodes", '["4711"]', ("4711",)),
        ("port", "443", 443),
        ("host", "Cache.Example.ORG.", "cache.example.org"),
        ("blob_ttl", "never", "never"),
        ("volume", "//srv//cache/", "/srv/cache"),
        ("volume", "/run/cache/../layers", "/run/layers"),
        ("storage", {"filesystem": {"rootdirectory": "/layers/"}}, {"filesystem": {"rootdirectory": "/layers/"}}),
        ("config_extra", {"http": {"draintimeout": "1m"}}, {"http": {"draintimeout": "1m"}}),
        ("config_extra", {"log": {"fields": {"timeout": 30}}}, {"log": {"fields": {"timeout": 30}}}),
        ("environment", {"REGISTRY_REDIS_READTIMEOUT": "10s"}, {"REGISTRY_REDIS_READTIMEOUT": "10s"}),
        ("environment", {"A": "{{.Node.Hostname}} $x ${y"}, {"A": "{{.Node.Hostname}} $x ${y"}),
    ],
)
def test_it_is_accepted_and_means_what_is_written(name: str, value: t.Any, meant: t.Any) -> None:
    settings, problems = read(**{name: value})
    assert problems == []
    assert getattr(settings, name) == meant


def test_a_host_in_any_letters_is_the_name_that_dns_has() -> None:
    settings, _problems = read(host="Bücher.Example.org.")
    assert settings.host == "xn--bcher-kva.example.org"


SYSTEM = "is a folder of the system or the Engine"
UNIT = "has no unit"
OWN = "belongs to the cache itself"
# What is put at a place of config.yml, and what is said of it; nothing where it is the registry's to judge.
PLACED: list[tuple[str, t.Any, str]] = [
    *(
        (path, value, f"{path}: {value!r} has no unit")
        for value in ("30", "0")
        for path in (
            *("http.draintimeout", "redis.dialtimeout", "redis.readtimeout", "redis.writetimeout"),
            *("redis.pool.idletimeout", "health.storagedriver.interval", "storage.maintenance.uploadpurging.age"),
            "storage.maintenance.uploadpurging.interval",
        )
    ),
    ("http.draintimeout", 30, UNIT),
    ("http.draintimeout", "30 s", "is not a duration"),
    ("http.draintimeout", "-30s", "is not a duration"),
    ("http.draintimeout", ["30s"], "http.draintimeout: must be text"),
    ("http.draintimeout", "1m", ""),
    ("health.tcp", [{"addr": "a:1", "timeout": 3}], f"health.tcp.0.timeout: '3' {UNIT}"),
    ("health.http", [{"uri": "a", "interval": "10"}], f"health.http.0.interval: '10' {UNIT}"),
    ("health.file", [{"file": "/a", "interval": 9}], f"health.file.0.interval: '9' {UNIT}"),
    ("notifications.endpoints", [{"timeout": 500}], f"notifications.endpoints.0.timeout: '500' {UNIT}"),
    ("notifications.endpoints", [{"name": "a"}, {"backoff": 1}], f"notifications.endpoints.1.backoff: '1' {UNIT}"),
    ("middleware.storage", [{"options": {"duration": 60}}], f"middleware.storage.0.options.duration: '60' {UNIT}"),
    ("storage.maintenance", {"uploadpurging": {"age": 168}}, f"maintenance.uploadpurging.age: '168' {UNIT}"),
    ("log.fields", {"timeout": 30}, ""),
    ("storage.filesystem.rootdirectory", "layers", "rootdirectory: 'layers' is not an absolute path"),
    ("storage.filesystem.rootdirectory", "../layers", "is not an absolute path"),
    ("storage.filesystem.rootdirectory", "/var/lib/..", SYSTEM),
    ("storage.filesystem.rootdirectory", "/etc/registry", SYSTEM),
    ("storage.filesystem.rootdirectory", "/var/run/docker.sock", SYSTEM),
    ("storage.filesystem.rootdirectory", "/layers", ""),
    ("storage.filesystem.maxthreads", "many", ""),
    ("storage.delete.enabled", False, "delete.enabled must stay true"),
    ("storage.delete", None, "delete.enabled must stay true"),
    ("storage.s3", {"regoin": "r"}, ""),
    ("storage.floppy", {}, ""),
    ("http.addr", ":80", f"http.addr {OWN}; set dtr_cache_port instead"),
    ("http.host", None, OWN),
    ("http", None, f"http would take the place of http.addr, which {OWN}"),
    ("http.tls", "", f"http.tls would take the place of http.tls.certificate, which {OWN}"),
    ("http.tls.letsencrypt.email", "a@b", f"http.tls.letsencrypt {OWN}"),
    ("middleware", [], OWN),
    ("middleware.registry", [], f"middleware.registry {OWN}"),
    ("middleware.storage", [{"name": "none"}], ""),
    ("auth.silly.realm", "x", f"auth {OWN}"),
    ("proxy.remoteurl", "https://a", f"proxy {OWN}"),
    ("version", "0.2", f"version {OWN}"),
    ("log.level", "loud", ""),
    ("http.tls.ciphersuites", ["SHINY"], ""),
    ("a_newer", {"a": 1}, ""),
]
# Where keys do not serve as a part of a variable's name.
BY_EXTRA_ALONE = ("a_newer", "http", "storage.delete")


def nested(path: str, value: t.Any) -> dict[str, t.Any]:
    for key in reversed(path.split(".")):
        value = {key: value}
    return t.cast("dict[str, t.Any]", value)


def doors(path: str, value: t.Any) -> t.Iterator[tuple[str, t.Any]]:
    """All variables that can put it there."""
    yield EXTRA, nested(path, value)
    yield EXTRA, json.dumps(nested(path, value))
    if path in BY_EXTRA_ALONE:
        return
    if path.startswith("storage."):
        yield "storage", nested(path, value)["storage"]
    text = value if isinstance(value, str) else json.dumps(value)
    yield ENVIRONMENT, {f"REGISTRY_{path.upper().replace('.', '_')}": text}


@pytest.mark.parametrize(
    ("path", "value", "problem"), PLACED, ids=[f"{path}={value!r:.50}" for path, value, _problem in PLACED]
)
def test_each_door_gives_the_same_verdict(path: str, value: t.Any, problem: str) -> None:
    for variable, given in doors(path, value):
        _settings, problems = read(**{variable: given})
        if not problem:
            assert problems == [], variable
            continue
        (found,) = problems
        assert found.startswith(f"dtr_cache_{variable}: {'REGISTRY_' if variable == ENVIRONMENT else ''}")
        assert problem.removeprefix("storage." if variable == "storage" else "") in found


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        # The result counts, and the variable that it comes from.
        (
            {
                "storage": {"filesystem": {"rootdirectory": "a"}},
                EXTRA: nested("storage.filesystem.rootdirectory", "/a"),
            },
            [],
        ),
        (
            {
                "storage": {"filesystem": {"rootdirectory": "/a"}},
                ENVIRONMENT: {"REGISTRY_STORAGE_FILESYSTEM": "{rootdirectory: b}"},
            },
            ["environment: REGISTRY_STORAGE_FILESYSTEM: storage.filesystem.rootdirectory: 'b' is not an absolute path"],
        ),
        (
            {EXTRA: {"http": {"draintimeout": "5"}}, ENVIRONMENT: {"REGISTRY_HTTP_DRAINTIMEOUT": "5s"}},
            [],
        ),
        # A whole section by the environment takes the place of that section.
        (
            {ENVIRONMENT: {"REGISTRY_HTTP": "{draintimeout: 5m}"}},
            ["environment: REGISTRY_HTTP: http would take the place of http.addr"],
        ),
        (
            {ENVIRONMENT: {"REGISTRY_STORAGE": "inmemory"}},
            ["environment: REGISTRY_STORAGE: storage.delete.enabled must stay"],
        ),
        # Exactly one backend, whoever names it.
        ({"storage": {"filesystem": {}, "inmemory": {}}}, ["storage: inmemory is a second backend beside filesystem"]),
        (
            {"storage": {"s3": {}}, EXTRA: {"storage": {"gcs": {}}}},
            ["config_extra: storage.gcs is a second backend beside s3"],
        ),
        (
            {EXTRA: {"storage": {"s3": {}}}, ENVIRONMENT: {"REGISTRY_STORAGE_FILESYSTEM_MAXTHREADS": "50"}},
            ["environment: REGISTRY_STORAGE_FILESYSTEM_MAXTHREADS: storage.filesystem is a second backend beside s3"],
        ),
        ({EXTRA: {"storage": {"s3": {}}}, ENVIRONMENT: {"REGISTRY_STORAGE_S3_BUCKET": "b"}}, []),
        (
            {EXTRA: {"storage": {"s3": {}}}, "volume": "data"},
            ["volume: is of use only with the storage backend filesystem"],
        ),
        (
            {ENVIRONMENT: {"REGISTRY_STORAGE_S3_SECRETKEY": "x"}},
            ["environment: REGISTRY_STORAGE_S3_SECRETKEY holds a credential"],
        ),
        # All of it at once.
        (
            {
                "storage": {"maintenance": {"uploadpurging": {"age": 1, "interval": 2}}},
                EXTRA: {"http": {"addr": "a", "draintimeout": 3}},
            },
            [
                "storage: maintenance.uploadpurging.age",
                "storage: maintenance.uploadpurging.interval",
                "config_extra: http.addr",
                "config_extra: http.draintimeout",
            ],
        ),
    ],
)
def test_they_are_judged_together(changes: dict[str, t.Any], problems: list[str]) -> None:
    found = read(**changes)[1]
    assert len(found) == len(problems), found
    assert all(each.startswith(f"dtr_cache_{problem}") for each, problem in zip(found, problems, strict=True)), found
