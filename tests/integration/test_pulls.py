# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(dtr.cache.verify) and C(dtr.cache.warm) on a real cache: what its own log and DTR say they did."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import typing as t

import pytest
import requests
from labkit import images
from labkit.folders import Folders

from .breaking_proxy import breaking_proxy
from .conftest import PROJECT, Lab, Play, Run

REGION = ("--limit", "region-asia")
CACHE = "cache-asia.lab.test"
PROOFS = "engineering/proof"
LEFT_BEHIND = "dtr-cache-proof-20200102030405-ab12cd34"
OCI = "engineering/pulls:oci"
LARGE = "engineering/pulls:large"
LARGE_LAYER = 96 * 1024 * 1024
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
WARM: dict[str, t.Any] = {
    "dtr_cache_warm_images": ["engineering/app:1.0", {"repository": "engineering/app", "tags": "2.*"}],
    "dtr_cache_warm_platforms": "all",
}
# Reports the memory of the program that is run, and of nothing else: a process counts that of its parent as its own.
MEASURED = """
import json, os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
if os.fork() == 0:
    os.execv(sys.argv[1], sys.argv[1:])
_pid, status = os.wait()
print(json.dumps({"status": status, "kilobytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}))
"""


class Served(t.NamedTuple):
    """One answer with a blob, as the cache logs it."""

    digest: str
    hit: bool
    size: int
    status: int


class Region:
    """The deployed region."""

    def __init__(self, lab: Lab, play: Play) -> None:
        self.lab = lab
        self.play = play
        self._seen = 0

    def served(self) -> list[Served]:
        """What the cache sent since the last call; questions whether it has a blob do not count."""
        log = self.lab.inside("asia-1", "sh", "-c", "docker service logs --raw dtr-cache_cache 2>&1")
        lines = [line for line in log.splitlines() if '"blob served"' in line]
        new, self._seen = lines[self._seen :], len(lines)
        return [_served(line) for line in new if "http.request.method=GET" in line]

    def registry(self, path: str) -> t.Any:
        registry = self.lab.status["registry"]
        answer = requests.get(
            registry["url"] + path,
            auth=(registry["admin"]["username"], registry["admin"]["password"]),
            verify=registry["ca_path"],
            timeout=20,
        )
        return None if answer.status_code == 404 else answer.json()

    def tags(self) -> list[str]:
        return [tag["name"] for tag in self.registry(f"/api/v0/repositories/{PROOFS}/tags") or []]

    def pull(self, *names: str, env: dict[str, str] | None = None, **options: t.Any) -> dict[str, t.Any]:
        """The module's result, with C(kilobytes): run as alice, and unable to write a byte to any file."""
        status = self.lab.status
        given = {
            "url": status["registry"]["url"],
            "username": "alice",
            "password": self.lab.passwords["alice"],
            "ca_path": status["registry"]["ca_path"],
            "cache": "region-asia",
            "cache_ca_certificate": status["certificates"]["ca"],
            "images": list(names),
            **options,
        }
        script = str(PROJECT / "tests" / "bench" / "run_module.py")
        result = subprocess.run(
            [sys.executable, "-c", MEASURED, sys.executable, script],
            input=json.dumps({"module": "cache_pull", "options": given}),
            env={**os.environ, "PYTHONPATH": self.play.environment["ANSIBLE_COLLECTIONS_PATH"], **(env or {})},
            capture_output=True,
            text=True,
            check=True,
        )
        answer, measured = result.stdout.strip().splitlines()
        return {**json.loads(answer), "kilobytes": json.loads(measured)["kilobytes"]}


def _served(line: str) -> Served:
    fields = dict(re.findall(r'(\w+)="?([^" ]*)', line))
    return Served(fields["digest"], fields["cache"] == "hit", int(fields["bytes"]), int(fields["status"]))


@pytest.fixture(scope="module")
def region(lab: Lab, play: Play) -> Region:
    lab.clean()
    images.push(Folders.from_environment(), _own_images())
    run = play("dtr.cache.deploy", *REGION, dtr_cache_verify_image=None)
    assert run.code == 0, run.output
    return Region(lab, play)


def _own_images() -> dict[str, images.Image]:
    def image(manifest_type: str, config: images.Blob, layer: images.Blob) -> images.Image:
        described = {"config": config.descriptor(), "layers": [layer.descriptor()]}
        manifest = {"schemaVersion": 2, "mediaType": manifest_type, **described}
        return images.Image(json.dumps(manifest).encode(), (config, layer))

    chance = random.Random("pulls")
    small = images.Blob(chance.randbytes(1000), images.LAYER)
    return {
        f"{PROOFS}:{LEFT_BEHIND}": image(images.MANIFEST, images.Blob(b"{}", images.CONFIG), small),
        OCI: image(
            OCI_MANIFEST, images.Blob(b'{"oci": true}', OCI_CONFIG), images.Blob(chance.randbytes(100_000), OCI_LAYER)
        ),
        LARGE: image(
            images.MANIFEST,
            images.Blob(b'{"large": true}', images.CONFIG),
            images.Blob(chance.randbytes(LARGE_LAYER), images.LAYER),
        ),
    }


def verify(region: Region, *options: str, **variables: t.Any) -> Run:
    given = {"dtr_cache_verify_image": None, "dtr_cache_verify_repository": PROOFS, **variables}
    return region.play("dtr.cache.verify", *REGION, *options, **given)


def test_a_proof_is_a_miss_and_then_a_hit_and_leaves_nothing(region: Region) -> None:
    assert LEFT_BEHIND in region.tags()
    before = region.lab.snapshot()
    region.served()
    run = verify(region)
    assert run.code == 0, run.output
    assert run.total("changed") == 0
    cells = run.regions()["region-asia"]
    assert (cells["healthy"], cells["registered"], cells["result"]) == ("yes", "yes", "ok")
    assert re.fullmatch(r"miss in \d+ ms, hit in \d+ ms", cells["proof"])
    served = region.served()
    assert [answer.hit for answer in served] == [False, False, True, True]
    assert [answer.digest for answer in served[:2]] == [answer.digest for answer in served[2:]]
    assert region.tags() == [], "the tag of this proof, and that of one that was killed long ago"
    assert region.registry("/api/v0/api_tokens?username=alice") == []
    assert region.lab.snapshot() == before


def test_after_a_failure_nothing_is_left_either(region: Region) -> None:
    registry = region.lab.control.state()
    region.lab.control.set_state(registry["content_caches"], {})
    try:
        run = verify(region)
    finally:
        region.lab.control.set_state(registry["content_caches"], registry["settings"])
    assert run.code != 0
    assert "Account alice is not assigned to any cache" in run.output
    assert run.regions()["region-asia"]["result"].startswith("failed at: Pull through the cache")
    assert region.tags() == []
    assert region.registry("/api/v0/api_tokens?username=alice") == []


def test_a_verification_without_anything_to_pull_is_refused(region: Region) -> None:
    run = verify(region, dtr_cache_verify_repository=None)
    assert run.code != 0
    assert "no pull can prove that the cache serves; set dtr_cache_verify_image" in run.output


def test_warming_is_announced_done_and_then_already_done(region: Region) -> None:
    region.served()
    check = region.play("dtr.cache.warm", *REGION, "--check", "--diff", **WARM)
    assert check.code == 0, check.output
    assert region.served() == []
    region.lab.control.fault("delay", path=r"/v2/engineering/app/blobs/", method="GET", seconds=6, count=1)
    first = region.play("dtr.cache.warm", *REGION, **WARM)
    region.lab.control.remove_faults()
    assert first.code == 0, first.output
    came = region.served()
    assert len({answer.digest for answer in came}) == len(came) > 6, "what images share is read once"
    assert not any(answer.hit for answer in came)
    assert re.search(r"^cache_pull \(region-asia\): \d+ of \d+ blobs through the cache, ", first.output, re.MULTILINE)
    announced, done = check.regions()["region-asia"], first.regions()["region-asia"]
    assert announced["size"] == done["brought"] == f"{sum(answer.size for answer in came) / 10**6:.1f} MB"
    # Before, a cache that refuses everything may have nothing, or ask DTR before it serves what it has.
    assert (announced["already there"], announced["brought"]) == ("unknown", "unknown")
    assert done["already there"] == "0.0 MB"
    again = region.play("dtr.cache.warm", *REGION, **WARM)
    assert again.code == 0, again.output
    assert (check.total("changed"), first.total("changed"), again.total("changed")) == (1, 1, 0)
    assert again.regions()["region-asia"]["already there"] == done["brought"]
    assert [answer.hit for answer in region.served()] == [True] * len(came), "each is compared"


def test_a_tag_that_nothing_matches_fails_beside_the_rest(region: Region) -> None:
    names = ["engineering/app:1.0", {"repository": "engineering/app", "tags": "9.*"}]
    run = region.play("dtr.cache.warm", *REGION, dtr_cache_warm_images=names)
    assert run.code != 0
    assert "No tag of engineering/app matches 9.*" in run.output
    assert run.regions()["region-asia"]["result"] == "1 of 2 images failed"


def test_both_formats_and_the_chosen_platforms(region: Region) -> None:
    region.served()
    result = region.pull(OCI, "engineering/multi:1.0", platforms=["linux/arm64"])
    assert [row["via_cache"] for row in result["pulls"]] == [True, True], result
    wanted = {answer.digest for answer in region.served()}
    assert len(wanted) == sum(row["blobs"] for row in result["pulls"])
    both = region.pull("engineering/multi:1.0", platforms=["all"])["pulls"][0]
    assert both["blobs"] > result["pulls"][1]["blobs"]
    hits = [answer.hit for answer in region.served()]
    assert (both["blobs"], both["cached_before"]) == (len(hits), sum(hits)), "by the cache's own log"
    assert 0 < sum(hits) < len(hits)


def test_a_large_layer_needs_little_memory_and_no_disk(region: Region) -> None:
    result = region.pull(LARGE)
    assert result["pulls"][0]["via_cache"], result
    assert result["transferred"]["bytes"] > LARGE_LAYER
    assert result["kilobytes"] < 64 * 1024


def test_a_layer_goes_on_where_the_connection_broke(region: Region) -> None:
    region.served()
    with breaking_proxy(CACHE, after=LARGE_LAYER // 3, times=2) as proxy:
        result = region.pull(LARGE, env={"HTTPS_PROXY": proxy.url, "NO_PROXY": ""}, concurrency=1)
    assert proxy.cut == 2
    assert result["pulls"][0]["via_cache"], result
    assert json.dumps(result["warnings"]).count("the connection broke after") == 2
    answers = [answer for answer in region.served() if answer.status == 206]
    assert answers
    assert result["transferred"]["bytes"] < LARGE_LAYER * 1.1, "nothing was read twice"


def test_each_replica_is_warmed(region: Region) -> None:
    """The name of the cache has an address for each of its two nodes, and their storages are their own."""
    two: dict[str, t.Any] = {"dtr_cache_nodes": ["asia-2", "asia-3"], "dtr_cache_verify_image": None}
    deployed = region.play("dtr.cache.deploy", *REGION, **two)
    assert deployed.code == 0, deployed.output
    first = region.play("dtr.cache.warm", *REGION, **two, **WARM)
    assert first.code == 0, first.output
    assert first.total("changed") == 1
    log = region.lab.inside("asia-3", "sh", "-c", "docker logs $(docker ps -q --filter name=dtr-cache_cache) 2>&1")
    lines = [line for line in log.splitlines() if '"blob served"' in line and "http.request.method=GET" in line]
    sizes = {answer.digest: answer.size for answer in map(_served, lines)}
    assert f"{sum(sizes.values()) / 10**6:.1f} MB" == first.regions()["region-asia"]["size"], "what was empty has all"
    again = region.play("dtr.cache.warm", *REGION, **two, **WARM)
    assert again.code == 0, again.output
    assert again.total("changed") == 0
    assert again.regions()["region-asia"]["brought"] == "0.0 MB"


#: What DTR's documents leave open about pulls; manifests are documented to come from DTR itself.
BEHAVIOURS: list[dict[str, t.Any]] = [
    {"blob_redirect_status": 302},
    {"redirect_heads": True},
    {"redirect_config_blobs": False},
    {"signature_seconds": 5, "token_seconds": 5},
]


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: "-".join(behaviour))
def test_an_image_comes_through_whatever_dtr_does(region: Region, behaviour: dict[str, t.Any]) -> None:
    region.lab.control.behave(**behaviour)
    try:
        result = region.pull("engineering/multi:1.0", platforms=["all"])
    finally:
        region.lab.control.reset()
    assert not result.get("failed"), result
    assert result["pulls"][0]["via_cache"]
