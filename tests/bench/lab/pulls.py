# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast images come through a cache, against skopeo from the same cache, and cold against warm."""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from measure import PROJECT, Json, Measured, Row, expect, module

sys.path.insert(0, str(PROJECT / "tests" / "lab"))
from labkit import images
from labkit.folders import Folders

MEGABYTE = 10**6
# A layer that is large beside the bound of memory, and some that are pulled side by side with it.
LAYERS = (192 * MEGABYTE, *[32 * MEGABYTE] * 5)
SIZE = sum(LAYERS)
CONCURRENCY = 6
RUNS = 3
NAME = "engineering/bench:1.0"
MOST_MEMORY = 64


def benchmark(environment: t.Mapping[str, str]) -> t.Iterator[Row]:
    """Deploy a cache, push an image that nobody has seen, and pull it in all ways."""
    deploy(environment)
    status = json.loads(
        subprocess.run([str(PROJECT / "tests/lab/lab"), "status"], capture_output=True, check=True).stdout
    )
    # A process counts the memory of the one that started it as its own: here that must stay small.
    pushing = multiprocessing.get_context("fork").Process(target=push)
    pushing.start()
    pushing.join()
    expect("the end of the push", pushing.exitcode, 0)
    options = pull_options(status)
    cold = pulled(options, environment)
    expect("blobs that were there before a cold pull", cold.result["pulls"][0]["cached_before"], 0)
    own, foreign = [], []
    for _each in range(RUNS):
        own.append(pulled(options, environment))
        foreign.append(skopeo(status))
    warm = min(own, key=lambda run: run.seconds)
    expect("blobs that were there before a warm pull", warm.result["pulls"][0]["cached_before"], len(LAYERS) + 1)
    ratio = min(foreign) / warm.seconds
    yield Row(
        f"throughput of cache_pull, against skopeo copy to dir:, {CONCURRENCY} at a time",
        f"{ratio:.2f} times ({speed(warm.seconds)} against {speed(min(foreign))})",
        "at least 1 time",
        ratio >= 1,
    )
    yield Row(
        "a pull through a warmed cache, against a cold one",
        f"{warm.seconds / cold.seconds:.2f} times ({warm.seconds:.1f} s against {cold.seconds:.1f} s)",
        "less than 1 time",
        warm.seconds < cold.seconds,
    )
    memory = max(run.kilobytes for run in (cold, *own)) / 1024
    yield Row(
        f"peak memory of cache_pull with a layer of {LAYERS[0] // MEGABYTE} MB",
        f"{memory:.0f} MB",
        f"below {MOST_MEMORY} MB",
        memory < MOST_MEMORY,
        timed=False,
    )


def speed(seconds: float) -> str:
    return f"{SIZE / MEGABYTE / seconds:.0f} MB/s"


def deploy(environment: t.Mapping[str, str]) -> None:
    command = ["ansible-playbook", "-i", str(PROJECT / "inventory/lab"), "dtr.cache.deploy", "--limit", "region-asia"]
    result = subprocess.run(command, env=dict(environment), capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"dtr.cache.deploy ended with {result.returncode}: {result.stdout[-2000:]}")


def push() -> None:
    """An image of random layers. They are no archives, as nothing here unpacks them."""
    layers = [images.Blob(os.urandom(size), images.LAYER) for size in LAYERS]
    config = images.Blob(os.urandom(1000), images.CONFIG)
    manifest = {
        "schemaVersion": 2,
        "mediaType": images.MANIFEST,
        "config": config.descriptor(),
        "layers": [layer.descriptor() for layer in layers],
    }
    images.push(Folders.from_environment(), {NAME: images.Image(json.dumps(manifest).encode(), (config, *layers))})


def pull_options(status: Json) -> Json:
    return {
        "url": status["registry"]["url"],
        "username": "alice",
        "password": password(status),
        "ca_path": status["registry"]["ca_path"],
        "cache": "region-asia",
        "cache_ca_certificate": status["certificates"]["ca"],
        "images": [NAME],
        "concurrency": CONCURRENCY,
    }


def password(status: Json) -> str:
    return str(json.loads(Path(status["registry"]["passwords_path"]).read_text())["alice"])


def pulled(options: Json, environment: t.Mapping[str, str]) -> Measured:
    measured = module("cache_pull", options, environment)
    expect("images through the cache", [row["via_cache"] for row in measured.result["pulls"]], [True])
    return measured


def skopeo(status: Json) -> float:
    """Seconds of C(skopeo copy) as the same user, with the same trust, from the same cache."""
    host = status["registry"]["url"].partition("://")[2]
    with tempfile.TemporaryDirectory(prefix="dtr-cache-bench-") as folder:
        trusted = Path(folder, "ca.pem")
        trusted.write_bytes(
            b"".join(Path(path).read_bytes() for path in (status["registry"]["ca_path"], status["certificates"]["ca"]))
        )
        credentials = Path(folder, "auth.json")
        login = base64.b64encode(f"alice:{password(status)}".encode()).decode()
        credentials.write_text(json.dumps({"auths": {host: {"auth": login}}}))
        target = Path(folder, "image")
        command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--image-parallel-copies", str(CONCURRENCY)]
        command += ["--authfile", str(credentials), f"docker://{host}/{NAME}", f"dir:{target}"]
        start = time.perf_counter()
        subprocess.run(command, env={**os.environ, "SSL_CERT_FILE": str(trusted), "HOME": folder}, check=True)
        seconds = time.perf_counter() - start
        expect("bytes that skopeo got", sum(file.stat().st_size for file in target.iterdir()) > SIZE, True)
        shutil.rmtree(target)
    return seconds
