# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a relative path leads, whatever folder the playbook lies in."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.actions.paths import (
    control_path,
    control_path_of_host,
    vanishes_with_job,
)

CONTAINER = {"JOB_ID": "7", "AWX_PRIVATE_DATA_DIR": "/tmp/awx_7_x", "AWX_ISOLATED_DATA_DIR": "/runner/artifacts/7"}


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    found = {name: tmp_path / name for name in ("work", "inventory", "playbook")}
    for place in found.values():
        place.mkdir()
    monkeypatch.chdir(found["work"])
    return found


def test_the_working_directory_comes_first_then_the_inventory_then_the_playbook(places: dict[str, Path]) -> None:
    folders = (str(places["inventory"]), str(places["playbook"]))
    assert control_path("certs/x.pem", *folders) == str(places["work"] / "certs/x.pem"), "where it would be made"
    for name in ("playbook", "inventory", "work"):
        (places[name] / "certs").mkdir()
        (places[name] / "certs/x.pem").touch()
        assert control_path("certs/x.pem", *folders) == str(places[name] / "certs/x.pem")


def test_absolute_paths_and_unknown_folders(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    assert control_path("/srv/x.pem", str(places["inventory"])) == "/srv/x.pem"
    monkeypatch.setenv("HOME", "/home/operator")
    assert control_path("~/x.pem", None) == "/home/operator/x.pem"
    assert control_path_of_host("x.pem", {}) == str(places["work"] / "x.pem")


@pytest.mark.parametrize(
    ("path", "environment", "lost"),
    [
        ("/runner/project/caches.json", {}, False),
        ("/runner/project/caches.json", {"JOB_ID": "7", "AWX_PRIVATE_DATA_DIR": "/runner"}, True),
        ("/runner/../srv/caches.json", {"JOB_ID": "7", "AWX_PRIVATE_DATA_DIR": "/runner"}, False),
        ("/runners/caches.json", {"JOB_ID": "7", "AWX_PRIVATE_DATA_DIR": "/runner"}, False),
        # In a container, AWX's own name for the folder is that on the machine outside.
        ("/runner/project/caches.json", CONTAINER, True),
        ("/not-mounted/caches.json", CONTAINER, True),
        ("/proc/caches.json", CONTAINER, False),
    ],
)
def test_what_is_lost_with_a_job_of_awx(path: str, environment: dict[str, str], lost: bool) -> None:
    assert vanishes_with_job(path, environment) is lost
