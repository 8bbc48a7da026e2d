# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad inputs: who pulls and what, the clients, the run itself, and what only together is wrong."""

from __future__ import annotations

import typing as t

from ansible_collections.dtr.cache.tests.unit.plugins.plugin_utils.settings.bad_inputs_kinds import SECRET

_IMAGES = [
    *("app:1", "/app:1", "team//app:1", "team/app:", "team/app:1:2", "Team/app:1", "team/App:1", "team/app:.1"),
    *("team/app:" + "t" * 129, "dtr.example.org/team/app:1", "https://dtr.example.org/team/app:1", "team/app:1 2"),
    *("team/app@sha256:123", "team/app@", "a/b/c:1", "team/app:ä", "../app:1", "team/..:1", "team/app:1\u200b"),
    f"admin:{SECRET}@dtr.example.org/team/app:1",
]
_KEY = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg" * 3

TABLE: dict[str, list[t.Any]] = {
    "name": [
        *("local", "LOCAL", " Local ", "a b", "-a", ".a", "..", "a/b", "a:b", "ä", "a" * 129, "a,b", "a;b", "a\u200bb"),
        *("<script>", "a'b", 'a"b', "$NAME", "a\\b", f"u:{SECRET}@x"),
    ],
    "registry_username": ["ad:min", "admin\n:", ":"],
    "registry_password": [1.5, f"{SECRET}\x07", f"{SECRET}\n{SECRET}", {"vault": SECRET}, [SECRET], True],
    "registry_ca_fingerprint": [
        *("ab" * 20, "ab" * 16, "ab" * 31, "ab" * 33, "zz" * 32, "SHA1:" + "ab" * 20, "sha512:" + "ab" * 64, "latest"),
        f"https://u:{SECRET}@x",
    ],
    "assignments": [
        {"account": ["alice"]},
        {"users": ["alice"]},
        {"Accounts": ["alice"]},
        {"accounts": {"alice": True}},
        {"accounts": [["alice"]]},
        {"accounts": [True]},
        {"accounts": [1.5]},
        {"accounts": ["al\nice"]},
        {"accounts": "[alice"},
        {"teams": ["team"]},
        {"teams": ["org/"]},
        {"teams": ["/team"]},
        {"teams": ["org/team/x"]},
        {"teams": [{"org": "x"}]},
        {"orgs": [{"name": "x"}]},
        {"everyone": "perhaps"},
        {"everyone": ["alice"]},
        {"everyone": 2},
        {"cache": "region-asia"},
        "alice, bob",
        ["alice", "bob"],
        f"accounts: [{SECRET}",
    ],
    "verify_image": [*_IMAGES, "team/app"],
    "verify_repository": [
        *("app", "team/", "/app", "team/app:1", "a/b/c", "Team/app", "team/ap p", "dtr.example.org/team/app", "team/ä"),
        *("team/app@sha256:" + "0" * 64, "team/..", f"u:{SECRET}@team/app"),
    ],
    "warm_images": [
        *([image] for image in _IMAGES if "," not in image),
        [{"repository": "team/app", "tag": "1"}],
        [{"tags": "1.*"}],
        [{"repository": ""}],
        [{"repository": "app", "tags": "1"}],
        [{"repository": "team/app:1"}],
        [{"repository": "team/app", "tags": {"a": 1}}],
        [{"repository": "team/app", "tags": [["1"]]}],
        [{"repository": "team/app", "tags": [1.10]}],
        [{"repository": ["team/app"]}],
        {"image": "team/app:1"},
        "- repository: team/app\n  tag: 1",
        "[{repository: team/app",
    ],
    "warm_platforms": [
        "linux",
        "linux/",
        "/amd64",
        "linux amd64",
        "linux/amd64/v8/x",
        ["linux/amd64", "x"],
        "ä/ö",
        "any",
    ],
    "warm_concurrency": [0, 129, "four", "4x"],
    "client_runtimes": ["podman", ["docker", "cri-o"], "Docker", "docker containerd", ["containerd", "containerd2"]],
    "client_trust_state": ["here", "Present", "present,absent", "latest"],
    "logs_since": [
        "yesterday",
        "2",
        "2 hours",
        "-2h",
        "2y",
        "2026-13-01T00:00:00Z",
        "12:00",
        "0x2h",
    ],
    "source_files": [
        "{files}/folder",
        "{files}/folder/",
        "{files}/",
        "{files}/*",
        "{files}/[ck]*.pem",
        "{files}/link.pem",
        "$HOME/key.pem",
        "/dev/null",
        "/",
        ".",
        "..",
        "{files}/folder/..",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----",
        [f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----"],
        _KEY,
        [_KEY],
        {"path": "{files}/empty.pem"},
        [{"path": "{files}/empty.pem"}],
    ],
    "render_to": ["{files}/empty.pem", "$HOME/review", "/dev/null", "{files}/empty.pem/"],
    "status_to": ["{files}/empty.pem", "$HOME/status", "/dev/null"],
    "backup_file": ["{files}/folder", "$HOME/backup.json", "/dev/null", "/", "backups/"],
    "ignore_variables": [["team_*"], ["*"], ["dtr_cache_port"], ["DTR_CACHE_*"], "port", {"dtr_cache_a": 1}],
    "requirements": [{"python3-docker": "latest"}, [["a"]], [True], ["a\nb"]],
}

# What only several variables together make wrong, and the variable that says it.
TOGETHER: list[tuple[str, dict[str, t.Any]]] = [
    ("replicas", {"replicas": 3, "publish_mode": "host"}),
    ("replicas", {"replicas": 2, "publish_mode": "host", "nodes": ["worker-1"]}),
    ("volume", {"volume": "cache-data", "storage": {"inmemory": {}}}),
    ("volume", {"volume": "/srv", "storage": {"s3": {"region": "eu", "bucket": "b"}}}),
    ("registry_ca_fingerprint", {"registry_ca": "system", "registry_ca_fingerprint": "ab" * 32}),
    ("registry_ca_fingerprint", {"registry_ca": "{files}/ca.pem", "registry_ca_fingerprint": "ab" * 32}),
    ("upstreams", {"upstreams": ["https://cache.example.org"]}),
    ("upstreams", {"upstreams": ["https://CACHE.example.org:443/", "https://other.example.org"]}),
    ("upstreams", {"upstreams": ["https://cache.example.org:8443"], "port": 8443}),
    ("host", {"registry_url": "https://cache.example.org"}),
    ("host", {"registry_url": "https://Cache.example.org.:8443/", "port": 8443}),
    ("config_extra", {"config_extra": {"storage": {"filesystem": {}}}, "storage": {"inmemory": {}}}),
    ("config_extra", {"config_extra": {"http": {"debug": {"addr": ":8443"}}}, "port": 8443}),
    ("environment", {"environment": {"REGISTRY_STORAGE_FILESYSTEM_MAXTHREADS": "9"}, "storage": {"inmemory": {}}}),
    *((name, {name: 1}) for name in ("blob_til", "portt", "hosts_", "registry_user", "teams", "nodes_")),
    ("nmae", {"nmae": SECRET}),
]
