# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no document says of DTR and its caches, in every position: what is said of a cache is true in all of them.

A cache that is well is never called unhealthy; of one that is broken it is said, or that it is not known. The caches
are small ones, and a real registry is behind the stand-in. What is about Docker's signals is on the lab.
"""

from __future__ import annotations

import itertools
import json
import re
import typing as t
from pathlib import Path

import pytest

from .conftest import Json, Registry, harness
from .playbook_runs import LOCALLY, Ansible, fleet, rows
from .served_image import IMAGE

from fake_cache import FakeCache, fake_cache  # isort: skip (conftest puts it into the path)

BOTH = (False, True)
UPSTREAM, PULL, REDIRECT = ("cache->DTR", "upstream"), ("cache->DTR", "pull"), ("DTR->cache", "redirect")
Verdict = dict[tuple[str, str], bool | None]


class Position(t.NamedTuple):
    """How a cache and DTR decide what is open.

    Args:
        authorises: The cache asks DTR before it serves what it has.
        judges: The cache refuses by itself what is not signed.
        looks_first: DTR sends nobody to a cache for a blob that does not exist.
    """

    authorises: bool
    judges: bool
    looks_first: bool

    def __str__(self) -> str:
        return "+".join(name for name, is_so in self._asdict().items() if is_so) or "usual"


POSITIONS = [Position(*each) for each in itertools.product(BOTH, BOTH, BOTH)]


@pytest.fixture
def registry(_with_image: Registry) -> Registry:
    _with_image.control.reset(data=True)
    return _with_image


@pytest.fixture(scope="module")
def strange_ca(tmp_path_factory: pytest.TempPathFactory) -> harness.Issued:
    """A CA that DTR does not know."""
    return harness.issue(tmp_path_factory.mktemp("strange"), "strange-ca")


@pytest.fixture
def cache(registry: Registry, ca: harness.Issued, strange_ca: harness.Issued, tmp_path: Path) -> t.Iterator[FakeCache]:
    """A cache of which DTR does not know the CA, and to which bob is assigned."""
    with fake_cache(registry.standin.url, ca, harness.issue(tmp_path, "cache", strange_ca)) as running:
        registry.set_up({"1": ("region-asia", running.url)}, {"bob": "1"})
        yield running


def take(position: Position, registry: Registry, cache: FakeCache) -> None:
    cache.authorises, cache.judges = position.authorises, position.judges
    registry.control.behave(redirect_missing=not position.looks_first)


def look(registry: Registry, cache: FakeCache, strange_ca: harness.Issued, image: str | None = IMAGE) -> Json:
    entry = {
        "name": "region-asia",
        "url": cache.url,
        "account": "bob",
        "ca_certificate": strange_ca.certificate_file.read_text(),
    }
    return registry.run("cache_health", caches=[entry], image=image, timeout=10, retries=None)


def verdict(result: Json) -> Verdict:
    """What is said of the edges beyond the client's, and everything that failed."""
    (row,) = result["caches"]
    checks = {(check["edge"], check["check"]): check["ok"] for check in row["checks"]}
    return {key: ok for key, ok in checks.items() if key in (UPSTREAM, PULL, REDIRECT) or ok is False}


def pull(registry: Registry, strange_ca: harness.Issued, **options: t.Any) -> Json:
    trust = strange_ca.certificate_file.read_text()
    common = {"cache": "region-asia", "account": "bob", "images": [IMAGE], "retries": 1, "timeout": 5}
    return registry.run("cache_pull", cache_ca_certificate=trust, **{**common, **options})


def region_of(registry: Registry, cache: FakeCache, strange_ca: harness.Issued) -> Json:
    """An inventory of the cache's region, whose Swarm cannot be read."""
    inventory = fleet(registry, asia={"accounts": ["bob"]})
    inventory["dtr_caches"]["hosts"]["manager-asia"].update(
        LOCALLY,
        dtr_cache_host="127.0.0.1",
        dtr_cache_port=int(cache.url.rpartition(":")[2]),
        dtr_cache_ca_certificate=strange_ca.certificate_file.read_text(),
        dtr_cache_docker_host="unix:///none",
    )
    return inventory


@pytest.mark.parametrize("position", POSITIONS, ids=str)
def test_health_in_every_position(
    registry: Registry, cache: FakeCache, strange_ca: harness.Issued, position: Position
) -> None:
    take(position, registry, cache)
    not_asked = None if position.looks_first else True

    # A cache that is well, cold and warm.
    for _each in ("cold", "warm"):
        well = look(registry, cache, strange_ca)
        assert well["healthy"], well["msg"]
        assert verdict(well) == {UPSTREAM: not_asked, REDIRECT: True, PULL: True}
    unasked = look(registry, cache, strange_ca, image=None)
    assert (unasked["healthy"], verdict(unasked)) == (True, {UPSTREAM: None})
    (told,) = [check for check in unasked["caches"][0]["checks"] if check["check"] == "upstream"]
    assert "or the cache does without asking DTR" in told["detail"]
    assert "asked with DTR's signature, the cache has to go to DTR" in told["hint"]

    # The same cache without a way to DTR, with all layers at hand.
    cache.reaches = False
    broken = look(registry, cache, strange_ca)
    if position.judges and position.looks_first:
        # Nothing shows it: it refuses by itself what is not signed, and nothing makes it ask.
        assert (broken["healthy"], verdict(broken)) == (True, {UPSTREAM: None, REDIRECT: True, PULL: True})
    else:
        assert broken["failed"]
        assert verdict(broken)[UPSTREAM] is False
    assert verdict(look(registry, cache, strange_ca, image=None))[UPSTREAM] is (None if position.judges else False)

    # And without any layer: in every position it is found.
    cache.kept.clear()
    empty = look(registry, cache, strange_ca)
    assert empty["failed"]
    assert set(verdict(empty).items()) & {(UPSTREAM, False), (PULL, False)}
    assert True not in (verdict(empty).get(UPSTREAM), verdict(empty).get(PULL))


@pytest.mark.parametrize("position", POSITIONS[::2], ids=str)
def test_warming_in_every_position(
    registry: Registry, cache: FakeCache, strange_ca: harness.Issued, position: Position
) -> None:
    take(position, registry, cache)
    known = not position.authorises

    def before(result: Json) -> t.Any:
        assert not result.get("failed"), result
        (row,) = result["pulls"]
        return row["cached_before"]

    foretold = pull(registry, strange_ca, check=True, account="admin")
    assert (before(foretold), foretold["changed"]) == (None, True), "it refuses everything, whatever it has"
    first = pull(registry, strange_ca)
    assert (before(first), first["changed"]) == (0 if known else None, known)
    assert first["transferred"]["blobs"] == 2
    again = pull(registry, strange_ca)
    assert (before(again), again["changed"]) == (2 if known else None, False)
    assert again["transferred"]["blobs"] == 2, "only what was read is known to be right"
    assert before(pull(registry, strange_ca, check=True, account="admin")) == (2 if known else None)


@pytest.mark.parametrize(("refused", "healthy"), [("", "0"), ("/api/", None), ("content_caches", "1")])
def test_what_an_unavailable_dtr_does_not_say_is_not_known(
    registry: Registry,
    cache: FakeCache,
    strange_ca: harness.Issued,
    ansible: Ansible,
    tmp_path: Path,
    refused: str,
    healthy: str | None,
) -> None:
    """It is no no: not in the table, not in the file, and no metric for an alert."""
    registry.control.fault("status", status=503, path=refused)
    run = ansible.run(
        "dtr.cache.status", inventory=region_of(registry, cache, strange_ca), dtr_cache_status_to=str(tmp_path)
    )
    assert run.code == 2, run.output
    headings, cells = rows(run)
    row = dict(zip(headings, cells, strict=True))
    assert (row["state"], row["accounts"], row["registered"]) == ("unhealthy", "?", "?"), run.output
    report = json.loads((tmp_path / "status.json").read_text())
    (region,), (dtr,) = report["regions"], report["registries"]
    assert {name: region[name] for name in ("registered", "dangling", "accounts", "elsewhere")} == dict.fromkeys(
        ("registered", "dangling", "accounts", "elsewhere")
    )
    assert region["serves"]
    assert (dtr["dangling"], dtr["undeclared"]) == (None, None)
    metrics = dict(re.findall(r"^(dtr_cache_\w+)\S* (\S+)$", (tmp_path / "status.prom").read_text(), re.MULTILINE))
    assert metrics.get("dtr_cache_registry_healthy") == healthy
    assert metrics["dtr_cache_registry_well"] == "0"
    unknown = ("registered", "accounts", "dangling_accounts", "registry_dangling_accounts", "registry_lost_caches")
    assert not metrics.keys() & {f"dtr_cache_{name}" for name in unknown}


def test_what_is_damaged_is_not_already_there(
    registry: Registry, cache: FakeCache, strange_ca: harness.Issued, ansible: Ansible
) -> None:
    """Its name and its size are right."""
    inventory = region_of(registry, cache, strange_ca)

    def warm() -> tuple[int, dict[str, str], str]:
        run = ansible.run("dtr.cache.warm", inventory=inventory, dtr_cache_warm_images=[IMAGE])
        headings, row = rows(run)
        return run.code, dict(zip(headings, row, strict=True)), run.output

    first, again = warm(), warm()
    assert (first[0], again[0]) == (0, 0), first[2] + again[2]
    assert again[1]["already there"] == again[1]["size"] == first[1]["brought"]
    cache.kept.update({path: content[::-1] for path, content in cache.kept.items() if len(content) > 2})
    code, row, output = warm()
    assert (code, row["result"]) == (2, "1 of 1 images failed"), output
    assert row["already there"] != row["size"]
    assert "sent something else than sha256:" in output


@pytest.mark.parametrize("position", POSITIONS[::2], ids=str)
def test_a_proof_in_every_position(
    registry: Registry, cache: FakeCache, strange_ca: harness.Issued, position: Position
) -> None:
    take(position, registry, cache)
    trust = strange_ca.certificate_file.read_text()
    options = {
        "cache": "region-asia",
        "account": "bob",
        "repository": "engineering/proof",
        "cache_ca_certificate": trust,
    }
    proof = registry.run("cache_proof", retries=1, timeout=5, **options)["proof"]
    assert proof["cold"]["hit"] is False
    assert proof["warm"]["hit"] is (None if position.authorises else True)
    assert proof["warm"]["evidence"].startswith("None: " if position.authorises else "The cache answered without")


class TestDistrust:
    """DTR does not trust the cache's certificate, which its clients do."""

    def test_a_registration_that_is_refused(
        self, registry: Registry, cache: FakeCache, strange_ca: harness.Issued
    ) -> None:
        registry.control.behave(distrusted_cache="refused")
        wanted = [{"name": "region-new", "host": cache.url}]
        result = registry.run("content_caches", caches=wanted)
        assert result["failed"]
        assert result["failure"]["http_status"] == 400
        assert result["failure"]["message"].startswith(
            f"DTR refused to register the cache region-new ({cache.url}): POST "
            f"{registry.standin.url}/api/v0/content_caches answered 400 Bad Request: INVALID_CONTENT_CACHE: invalid "
            "content cache details"
        )
        for part in (
            "DTR may not trust the cache's certificate",
            "--custom-ca-cert-bundle",
            f"DTR's nodes to {cache.url}",
        ):
            assert part in result["failure"]["hint"], part
        # What the hint says helps.
        registry.control.behave(trusted_ca=strange_ca.certificate_file.read_text())
        assert [each["name"] for each in registry.run("content_caches", caches=wanted)["created"]] == ["region-new"]

    @pytest.mark.parametrize("position", ["bypassed", "failing"])
    def test_pulls_that_do_not_come_through_the_cache(
        self, registry: Registry, cache: FakeCache, strange_ca: harness.Issued, position: str
    ) -> None:
        registry.control.behave(distrusted_cache=position)
        result = look(registry, cache, strange_ca)
        assert result["failed"]
        assert verdict(result) == {UPSTREAM: None, REDIRECT: False}
        (check,) = [check for check in result["caches"][0]["checks"] if check["check"] == "redirect"]
        assert "assigned to this cache" in check["detail"]
        assert "--custom-ca-cert-bundle" in check["hint"]
        assert f"DTR->cache, redirect: {check['detail']}" in result["msg"]
        pulled = pull(registry, strange_ca)
        assert pulled["failed"]
        if position == "bypassed":
            assert pulled["failure"]["code"] == "NOT_THROUGH_CACHE"
            assert "DTR may not trust the cache's certificate" in pulled["failure"]["hint"]
        registry.control.behave(trusted_ca=strange_ca.certificate_file.read_text())
        mended = look(registry, cache, strange_ca)
        assert (mended["healthy"], verdict(mended)) == (True, {UPSTREAM: True, REDIRECT: True, PULL: True})
        assert not pull(registry, strange_ca).get("failed")

    def test_without_an_image_nothing_is_said_of_it(
        self, registry: Registry, cache: FakeCache, strange_ca: harness.Issued
    ) -> None:
        registry.control.behave(distrusted_cache="bypassed")
        assert verdict(look(registry, cache, strange_ca, image=None)) == {UPSTREAM: None}


def test_an_account_that_is_not_assigned_is_no_matter_of_trust(
    registry: Registry, cache: FakeCache, strange_ca: harness.Issued
) -> None:
    registry.set_up({"1": ("region-asia", cache.url)}, {})
    assert verdict(look(registry, cache, strange_ca)) == {UPSTREAM: None, ("client->DTR", "pull"): False}


def test_a_registered_address_with_a_password_hides_nothing(
    registry: Registry, cache: FakeCache, strange_ca: harness.Issued
) -> None:
    """Somebody has registered the word of a region in such a place; it is nobody's secret here."""
    registry.set_up({"1": ("region-asia", cache.url), "2": ("europe", "https://u:europe@cache.example.org")}, {})
    entry = {"name": "europe", "url": "https://u:europe@cache.example.org"}
    result = registry.run("cache_health", caches=[entry], timeout=3, retries=None)
    assert result["caches"][0]["name"] == "europe"
    assert "europe: client->cache" in result["msg"]
    assert "u:europe" not in result["msg"]


def test_a_name_that_leads_to_dtr_or_to_no_node_is_named_first(registry: Registry, ca: harness.Issued) -> None:
    trust = ca.certificate_file.read_text()
    at_dtr = {"name": "at-dtr", "url": registry.standin.url, "ca_certificate": trust}
    nowhere = {
        "name": "nowhere",
        "url": "https://127.0.0.1:1",
        "node_addresses": ["192.0.2.21"],
        "publish_mode": "ingress",
    }
    result = registry.run("cache_health", caches=[at_dtr, nowhere], check_registration=False, timeout=5, retries=None)
    assert (
        "at-dtr: client->cache, name_resolution: 127.0.0.1 is 127.0.0.1, which is the address of DTR itself, and no "
        "cache answers there." in result["msg"]
    )
    # 127.0.0.1 is DTR's machine as well, and known to be no node.
    assert (
        "nowhere: client->cache, name_resolution: 127.0.0.1 is 127.0.0.1, which is the address of DTR" in result["msg"]
    )
    for row in result["caches"]:
        hints = {
            check["hint"] for check in row["checks"] if check["ok"] is False and check["check"] != "name_resolution"
        }
        assert hints == {"The name leads elsewhere: correct that first, and check again."}, "no advice to deploy again"


def test_a_port_that_the_routing_mesh_does_not_bring_to_the_replicas(registry: Registry) -> None:
    closed = {"name": "closed", "url": "https://127.0.0.1:1", "node_addresses": ["127.0.0.1"], "published_ports": [1]}
    options: Json = {"check_registration": False, "timeout": 5, "retries": None}
    result = registry.run("cache_health", caches=[{**closed, "publish_mode": "ingress"}], **options)
    (tcp,) = [check for check in result["caches"][0]["checks"] if check["ok"] is False]
    for part in ("routing mesh", "IPVS", "7946", "4789", "dtr_cache_publish_mode: host"):
        assert part in tcp["hint"], part
    result = registry.run("cache_health", caches=[{**closed, "publish_mode": "host"}], **options)
    assert "routing mesh" not in result["msg"]
