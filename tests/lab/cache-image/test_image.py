# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image's archive: how it is built, and that what is in it runs by itself. Needs root, for chroot."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import tarfile
import time
import typing as t
from pathlib import Path

import pytest
import requests
import yaml
from harness import ADDRESS, BUILD, free_port, wait_for

TAGS = ("2.7.4", "2.7.6")


def build(lab: Path, *tags: str) -> str:
    """Run the build for a lab's folder and return what it said."""
    environment = {**os.environ, "DTR_CACHE_LAB": str(lab)}
    return subprocess.run([BUILD, *tags], env=environment, check=True, capture_output=True, text=True).stderr


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    build(folder, *TAGS)
    return folder


@pytest.fixture(scope="module")
def image(lab: Path) -> dict[str, t.Any]:
    """The configuration of the archive's only image, with its manifest's entry under C(manifest)."""
    with tarfile.open(lab / "image" / "dtr-content-cache.tar") as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json") or pytest.fail("no manifest"))
        configuration = archive.extractfile(manifest["Config"]) or pytest.fail("no configuration")
        return {**json.load(configuration), "manifest": manifest}


@pytest.fixture
def root(lab: Path, image: dict[str, t.Any], tmp_path: Path) -> Path:
    """The image's file system, unpacked."""
    folder = tmp_path / "root"
    (layer,) = image["manifest"]["Layers"]
    with tarfile.open(lab / "image" / "dtr-content-cache.tar") as archive:
        content = archive.extractfile(layer) or pytest.fail("no layer")
        with tarfile.open(fileobj=content) as files:
            files.extractall(folder, filter="tar")
    return folder


def test_nothing_is_built_twice(lab: Path) -> None:
    archive = lab / "image" / "dtr-content-cache.tar"
    before = archive.stat().st_mtime_ns
    assert "up to date" in build(lab, *TAGS)
    assert archive.stat().st_mtime_ns == before


@pytest.mark.parametrize("command", [["/start.sh", "/config.yml"], ["bin/sh", "start.sh", "/config.yml"]])
def test_the_image_runs_by_itself(root: Path, command: list[str]) -> None:
    """Both documented commands: that of the Swarm stack, and that of the Kubernetes deployment."""
    port = free_port()
    configuration = {
        "version": 0.1,
        "storage": {"delete": {"enabled": True}, "filesystem": {"rootdirectory": "/var/lib/registry"}},
        "http": {"addr": f"{ADDRESS}:{port}"},
        "middleware": {
            "registry": [{"name": "downstream", "options": {"blobttl": "24h", "upstreams": ["https://dtr.lab.test"]}}]
        },
    }
    (root / "config.yml").write_text(yaml.safe_dump(configuration))
    process = subprocess.Popen(["chroot", root, *command], env={"PATH": os.environ["PATH"]}, stderr=subprocess.PIPE)
    try:
        # The script's shell is replaced, so that the container's first process is the registry and gets the signals.
        wait_for(lambda: os.readlink(f"/proc/{process.pid}/exe").endswith("/bin/registry"), "the registry runs")
        assert answer(f"http://{ADDRESS}:{port}/v2/_catalog") == {"repositories": []}
    finally:
        process.terminate()
        process.communicate(timeout=10)
    assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize(
    ("start", "ends", "status"), [("exec", True, -signal.SIGTERM), ("child", True, 0), ("deaf", False, None)]
)
def test_what_the_script_makes_of_a_signal(root: Path, start: str, ends: bool, status: int | None) -> None:
    """Not published of the vendor's: see start.sh."""
    port = free_port()
    configuration = {
        "version": 0.1,
        "storage": {"inmemory": {}},
        "http": {"addr": f"{ADDRESS}:{port}"},
    }
    (root / "config.yml").write_text(yaml.safe_dump(configuration))
    # A container has it; a shell gives it to what runs in the background.
    (root / "dev").mkdir()
    os.mknod(root / "dev" / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    environment = {"PATH": os.environ["PATH"], "CONTENT_CACHE_START": start}
    process = subprocess.Popen(
        ["chroot", root, "/start.sh", "/config.yml"], env=environment, start_new_session=True, stderr=subprocess.DEVNULL
    )
    try:
        assert answer(f"http://{ADDRESS}:{port}/v2/_catalog") == {"repositories": []}
        process.terminate()
        if ends:
            assert process.wait(10) == status
        else:
            time.sleep(1)
            assert process.poll() is None
            assert answer(f"http://{ADDRESS}:{port}/v2/_catalog") == {"repositories": []}
    finally:
        # As the end of a container takes all of its processes.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def answer(url: str) -> t.Any:
    """Return the JSON at an address as soon as somebody answers there."""
    end = time.monotonic() + 10
    while True:
        try:
            return requests.get(url, timeout=10).json()
        except requests.ConnectionError:
            assert time.monotonic() < end, f"nobody answers at {url}"
            time.sleep(0.05)
