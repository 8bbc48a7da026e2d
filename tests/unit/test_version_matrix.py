# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is promised of versions is what is tried: tests/versions.yml is the one place that states it."""

from __future__ import annotations

import re
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.dtr.cache.tests.lib import versions

PROJECT = Path(__file__).parents[2]
ROWS = versions.stated()["control_node"]
OLDEST = versions.combinations()[0]


def number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def read(name: str) -> t.Any:
    return yaml.safe_load((PROJECT / name).read_text(encoding="utf-8"))


def test_the_oldest_that_are_tried_are_the_oldest_that_are_promised() -> None:
    assert read("meta/runtime.yml")["requires_ansible"] == f">={OLDEST.core}.0"
    assert read("galaxy.yml")["dependencies"] == {"community.docker": f">={OLDEST.docker}.0"}
    for page in ("README.md", "docs/guides/support.md"):
        text = (PROJECT / page).read_text(encoding="utf-8")
        assert f"ansible-core {OLDEST.core} " in text.replace("\n", " "), page
        assert re.search(rf"`community.docker` {OLDEST.docker}(\.0)? ", text), page
    assert f"Python {OLDEST.python} or newer" in (PROJECT / "README.md").read_text(encoding="utf-8")
    for role in (PROJECT / "roles").iterdir():
        assert read(f"{role}/meta/main.yml")["galaxy_info"]["min_ansible_version"] == OLDEST.core, role.name
    environment = read("docs/examples/execution-environment/execution-environment.yml")
    assert environment["dependencies"]["ansible_core"]["package_pip"] == f"ansible-core>={OLDEST.core}"


def test_each_row_is_in_order() -> None:
    for ordered in ([row["ansible_core"] for row in ROWS], *(row["python"] for row in ROWS)):
        assert ordered == sorted(set(ordered), key=number)
    for row in ROWS:
        assert list(row["community_docker"]) == sorted(row["community_docker"], key=number)
    # The oldest community.docker with the newest ansible-core, and the other way round.
    assert OLDEST.docker in ROWS[-1]["community_docker"]
    assert set(ROWS[-1]["community_docker"]) <= set(ROWS[0]["community_docker"])


def test_the_workflow_tries_all() -> None:
    job = read(".github/workflows/checks.yml")["jobs"]["versions"]
    assert job["strategy"]["matrix"]["core"] == [row["ansible_core"] for row in ROWS]
    (python,) = [step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", "")]
    assert python.split() == sorted({version for row in ROWS for version in row["python"]}, key=number)


def test_managers() -> None:
    python = versions.stated()["python_on_managers"]
    assert f"\nOLDEST={python}\n" in (PROJECT / "tests" / "lib" / "oldest_python").read_text(encoding="utf-8")
    fragment = (PROJECT / "plugins" / "doc_fragments" / "engine.py").read_text(encoding="utf-8")
    assert f"python >= {python}, where the module runs" in fragment


def test_machines_of_the_tests() -> None:
    script = (PROJECT / "tests" / "lib" / "bootstrap.sh").read_text(encoding="utf-8")
    [machines] = re.findall(r'^TESTS_MACHINES="(.*)"$', script, re.MULTILINE)
    assert f"a fresh machine with {machines}," in (PROJECT / "README.md").read_text(encoding="utf-8").replace("\n", " ")
    jobs = read(".github/workflows/checks.yml")["jobs"].values()
    runners = {name for job in jobs for name in job["strategy"]["matrix"].get("machine", [job["runs-on"]])}
    assert runners == {machines.rpartition(" or ")[2].lower().replace(" ", "-")}


@pytest.mark.parametrize(("newest", "fits"), [("3.11", False), ("3.12", True)])
def test_a_machine_with_an_older_python_is_refused(newest: str, fits: bool, tmp_path: Path) -> None:
    """It has only the Pythons that the test makes."""
    for command in ("basename", "dirname", "grep", "sed", "sort", "tr"):
        (tmp_path / command).symlink_to(str(shutil.which(command)))
    for name in (f"python{newest}", "python3"):
        version = newest.replace(".", ", ")
        program = f"import sys; sys.version_info = ({version}); exec(sys.argv[2])"
        (tmp_path / name).write_text(f"#!/bin/sh\nexec {shutil.which('python3')} -c '{program}' \"$@\"\n")
        (tmp_path / name).chmod(0o755)
    finished = subprocess.run(
        [str(shutil.which("bash")), "-euo", "pipefail", "-c", ". tests/lib/bootstrap.sh; need_machine; echo fits"],
        cwd=PROJECT,
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.stdout == "fits\n" * fits
    refusal = "bash: needs Python 3.12 or newer, as Debian 13 or Ubuntu 24.04 and later releases have it; this is "
    assert finished.stderr.startswith(refusal) is not fits
    assert finished.stderr.count("\n") == (not fits)
