# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a relative path leads, whatever folder the playbook lies in."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.actions.paths import control_path, control_path_of_host


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
