# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment whose settings come as texts, as a survey or a credential gives them, is the one that was declared.

What needs no Swarm of it is in C(registry/test_spellings.py).
"""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
import yaml

from .conftest import Lab, Play, Run

DEPLOY = ("dtr.cache.deploy", "--limit", "region-asia")

#: Settings of all types as an inventory declares them.
DECLARED: dict[str, t.Any] = {
    "dtr_cache_port": 9443,
    "dtr_cache_nodes": ["asia-2"],
    "dtr_cache_replicas": 1,
    "dtr_cache_volume": {"driver": "local", "driver_opts": {"type": "tmpfs", "device": "tmpfs"}},
    "dtr_cache_storage": {},
    "dtr_cache_environment": {"REGISTRY_LOG_LEVEL": "info", "WAIT": "2.10", "VERBOSE": True},
    "dtr_cache_resources": {"limits": {"cpus": "0.5", "memory": "512M"}},
    "dtr_cache_update_config": {"parallelism": 1, "delay": "6s"},
    "dtr_cache_config_extra": {"log": {"level": "info", "fields": {"site": "asia"}}},
    "dtr_cache_with_registry_auth": False,
    "dtr_cache_assignments": {"accounts": ["alice", "carol"], "everyone": False},
    "dtr_cache_assignments_exclusive": False,
    "dtr_cache_keep_versions": 2,
    "dtr_cache_verify_image": "engineering/app:1.0",
}


def as_text(write: t.Callable[[t.Any], str]) -> dict[str, t.Any]:
    """Every setting as a text with blanks around it."""
    return {
        name: f" {value}\n" if isinstance(value, str) else f"\n{write(value)} \n" for name, value in DECLARED.items()
    }


def block(value: t.Any) -> str:
    return yaml.safe_dump(value, default_flow_style=False, sort_keys=False).removesuffix("...\n")


SPELLINGS: dict[str, dict[str, t.Any]] = {
    "json": as_text(json.dumps),
    "yaml": as_text(block),
    "form": {
        **{name: str(value) for name, value in DECLARED.items() if isinstance(value, (str, int))},
        "dtr_cache_nodes": "asia-2, ",
        "dtr_cache_volume": json.dumps(DECLARED["dtr_cache_volume"]),
        "dtr_cache_storage": "",
        "dtr_cache_environment": block(DECLARED["dtr_cache_environment"]),
        "dtr_cache_resources": "{limits: {cpus: '0.5', memory: 512M}}",
        "dtr_cache_update_config": "parallelism: 1\ndelay: 6s\n",
        "dtr_cache_config_extra": json.dumps(DECLARED["dtr_cache_config_extra"], indent=2),
        "dtr_cache_assignments": "accounts: alice, carol\neveryone: 'no'\nteams: ''\n",
        # Questions that nobody answered.
        "dtr_cache_upstreams": "",
        "dtr_cache_upstream_cas": " ",
        "dtr_cache_http_secret": "",
        "dtr_cache_docker_host": "",
        "dtr_cache_client_bundle": "",
        "dtr_cache_verify_repository": "",
        "dtr_cache_source_files": "",
        "dtr_cache_stack_name": "\n",
    },
}


@pytest.fixture(scope="module")
def declared(lab: Lab, play: Play, tmp_path_factory: pytest.TempPathFactory) -> dict[str, t.Any]:
    """The deployment as it was declared."""
    lab.clean()
    folder = tmp_path_factory.mktemp("declared")
    run = play(*DEPLOY, **DECLARED, dtr_cache_render_to=str(folder))
    assert run.code == 0, run.output
    return {"state": lab.snapshot(), "files": rendered(folder)}


def rendered(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_it_is_the_same_deployment(
    declared: dict[str, t.Any], lab: Lab, play: Play, tmp_path: Path, spelling: str
) -> None:
    review = f" {tmp_path} "
    run: Run = play(*DEPLOY, **SPELLINGS[spelling], dtr_cache_render_to=review)
    assert run.code == 0, run.output
    assert lab.snapshot() == declared["state"], run.output
    assert rendered(tmp_path) == declared["files"]


def test_it_is_the_same_deployment_as_key_and_value_on_the_command_line(
    declared: dict[str, t.Any], lab: Lab, play: Play
) -> None:
    """All of them are texts then."""
    given = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in DECLARED.items()}
    given["dtr_cache_nodes"] = "asia-2"
    options = [word for name, value in given.items() for word in ("-e", f"{name}='{value}'")]
    run = play(*DEPLOY, *options)
    assert (run.code, run.total("changed")) == (0, 0), run.output
    assert lab.snapshot() == declared["state"]
