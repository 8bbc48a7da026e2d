# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import gzip
import hashlib
import io
import json
import pathlib
import random
import re
import subprocess
import tarfile
import typing as t
import urllib.parse

import pytest
import requests
from fake_cache import FakeCache, fake_cache
from standin_harness import Client, Issued, Standin, basic, code, issue

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
APP = "repository:engineering/app:pull"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def image() -> tuple[bytes, bytes, bytes]:
    """A manifest, its config and its only layer."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        content = random.Random(7).randbytes(100_000)
        member = tarfile.TarInfo("data")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    layer = gzip.compress(archive.getvalue(), mtime=0)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2020-02-02T00:00:00Z",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(archive.getvalue())]},
        }
    ).encode()
    described = [
        {"mediaType": kind, "size": len(blob), "digest": digest_of(blob)}
        for kind, blob in (
            ("application/vnd.docker.container.image.v1+json", config),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", layer),
        )
    ]
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": described[0], "layers": described[1:]}
    return json.dumps(manifest).encode(), config, layer


MANIFEST, CONFIG, LAYER = image()
MANIFEST_PATH = "/v2/engineering/app/manifests/1.0"
CONFIG_PATH = f"/v2/engineering/app/blobs/{digest_of(CONFIG)}"
LAYER_PATH = f"/v2/engineering/app/blobs/{digest_of(LAYER)}"


def push_blob(client: Client, repository: str, blob: bytes | t.Iterator[bytes], digest: str) -> requests.Response:
    """Pushes a blob as Docker does: an upload is begun, the content is sent in one chunk, the upload is closed."""
    headers = client.bearer(f"repository:{repository}:pull,push")
    begun = client("POST", f"/v2/{repository}/blobs/uploads/", headers=headers)
    assert begun.status_code == 202, begun.text
    place = begun.headers["Location"]
    assert place.startswith(f"{client.standin.url}/v2/{repository}/blobs/uploads/")
    sent = client.session.patch(place, data=blob, headers=headers)
    assert sent.status_code == 202, sent.text
    return client.session.put(sent.headers["Location"], params={"digest": digest}, headers=headers)


@pytest.fixture
def pushed(alice: Client) -> None:
    """engineering/app:1.0 is there."""
    for blob in (CONFIG, LAYER):
        answer = push_blob(alice, "engineering/app", blob, digest_of(blob))
        assert answer.status_code == 201, answer.text
        assert answer.headers["Location"].startswith(alice.standin.url)
    headers = {**alice.bearer("repository:engineering/app:pull,push"), "Content-Type": MANIFEST_TYPE}
    assert alice("PUT", MANIFEST_PATH, data=MANIFEST, headers=headers).status_code == 201


def get(client: Client, path: str, method: str = "GET") -> requests.Response:
    headers = {**client.bearer(APP), "Accept": MANIFEST_TYPE}
    return client(method, path, headers=headers)


# Tokens


def test_the_challenge_names_this_server_and_the_scope(nobody: Client) -> None:
    answer = nobody.get(MANIFEST_PATH)
    assert code(answer) == (401, "UNAUTHORIZED")
    host = urllib.parse.urlsplit(nobody.standin.url).netloc
    assert answer.headers["Www-Authenticate"] == (
        f'Bearer realm="https://{host}/auth/token",service="{host}",scope="{APP}"'
    )
    other = nobody.get("/v2/", headers={"Host": "dtr.lab.test"}).headers["Www-Authenticate"]
    assert other == 'Bearer realm="https://dtr.lab.test/auth/token",service="dtr.lab.test"'


# Permissions


@pytest.mark.usefixtures("pushed")
def test_who_may_pull_and_push(admin: Client, alice: Client, bob: Client, heidi: Client) -> None:
    assert [get(client, MANIFEST_PATH).status_code for client in (admin, alice, bob, heidi)] == [200, 200, 200, 401]

    def begin(client: Client, repository: str) -> int:
        headers = client.bearer(f"repository:{repository}:pull,push")
        return client("POST", f"/v2/{repository}/blobs/uploads/", headers=headers).status_code

    assert [begin(client, "engineering/app") for client in (admin, alice, bob, heidi)] == [202, 202, 401, 401]
    assert begin(heidi, "heidi/own") == 202
    assert begin(heidi, "bob/own") == 401


# Repositories in DTR's own API


# Blobs by way of a cache


@pytest.fixture
def assigned(admin: Client, pushed: None) -> str:
    """bob's cache is region-asia."""
    cache = admin.create_cache(host="https://cache.lab.test:8443/")
    admin.set_cache("bob", cache)
    return cache


def signed_query(answer: requests.Response) -> str:
    return urllib.parse.urlsplit(answer.headers["Location"]).query


@pytest.mark.usefixtures("pushed")
def test_without_a_cache_blobs_come_from_the_registry(bob: Client) -> None:
    answer = get(bob, LAYER_PATH)
    assert (answer.status_code, answer.content) == (200, LAYER)
    assert answer.headers["Docker-Content-Digest"] == digest_of(LAYER)


@pytest.mark.usefixtures("assigned")
def test_an_assigned_account_is_sent_to_its_cache(bob: Client, alice: Client) -> None:
    for path in (LAYER_PATH, CONFIG_PATH):
        answer = get(bob, path)
        assert answer.status_code == 307
        location = urllib.parse.urlsplit(answer.headers["Location"])
        assert f"{location.scheme}://{location.netloc}{location.path}" == f"https://cache.lab.test:8443{path}"
        assert {"account", "expires", "signature"} == set(urllib.parse.parse_qs(location.query))
    assert get(bob, MANIFEST_PATH).content == MANIFEST
    assert get(alice, LAYER_PATH).content == LAYER


@pytest.mark.parametrize(
    ("pattern", "other"),
    [
        ("signature=.", "signature=x"),
        ("account=bob", "account=alice"),
        ("expires=", "expires=9"),
        ("expires=[0-9]+&", "expires=never&"),
        ("account=bob&", ""),
    ],
)
@pytest.mark.usefixtures("assigned")
def test_a_forged_query_is_refused(bob: Client, nobody: Client, pattern: str, other: str) -> None:
    query = signed_query(get(bob, LAYER_PATH))
    forged = re.sub(pattern, other, query)
    assert forged != query
    assert code(nobody.get(f"{LAYER_PATH}?{forged}")) == (403, "DENIED")
    # Not even a valid token makes up for it.
    assert bob.get(f"{LAYER_PATH}?{forged}", headers=bob.bearer(APP)).status_code == 403


@pytest.mark.usefixtures("assigned")
def test_an_expired_query_is_refused(bob: Client, nobody: Client) -> None:
    bob.standin.control.behave(signature_seconds=-1)
    assert code(nobody.get(f"{LAYER_PATH}?{signed_query(get(bob, LAYER_PATH))}")) == (403, "DENIED")


def test_a_dangling_setting_falls_back_to_the_registry(admin: Client, bob: Client, assigned: str) -> None:
    admin("DELETE", f"/api/v0/content_caches/{assigned}")
    assert admin.settings("bob") == {"ContentCacheUUID": assigned}
    assert get(bob, LAYER_PATH).content == LAYER


def test_a_dangling_setting_may_lead_where_the_cache_was(admin: Client, bob: Client, assigned: str) -> None:
    control = admin.standin.control
    admin("DELETE", f"/api/v0/content_caches/{assigned}")
    control.behave(cache_gone="redirected")
    moved = get(bob, LAYER_PATH)
    assert moved.status_code == 307
    assert moved.headers["Location"].startswith(f"https://cache.lab.test:8443{LAYER_PATH}?")
    assert get(bob, LAYER_PATH, "HEAD").status_code == get(bob, MANIFEST_PATH).status_code == 200
    control.set_state([], {"bob": "never-registered"})
    assert get(bob, LAYER_PATH).content == LAYER
    control.set_state([{"id": "one", "name": "one", "host": "https://one.lab.test"}], {"bob": "one"})
    control.set_state([], {"bob": "one"})
    assert get(bob, LAYER_PATH).headers["Location"].startswith("https://one.lab.test/v2/")


@pytest.mark.parametrize(("status", "name"), [(404, "NO_SUCH_CONTENT_CACHE"), (500, "INTERNAL_ERROR")])
def test_a_dangling_setting_may_be_an_error(
    admin: Client, alice: Client, bob: Client, assigned: str, status: int, name: str
) -> None:
    admin.standin.control.behave(cache_gone=status)
    assert get(bob, LAYER_PATH).status_code == 307
    admin("DELETE", f"/api/v0/content_caches/{assigned}")
    assert code(get(bob, LAYER_PATH)) == (status, name)
    assert get(bob, MANIFEST_PATH).content == MANIFEST
    assert get(alice, LAYER_PATH).content == LAYER
    admin.set_cache("bob", "")
    assert get(bob, LAYER_PATH).content == LAYER


@pytest.mark.usefixtures("pushed")
def test_a_cache_that_is_down_is_noticed_or_not(admin: Client, bob: Client, ca: Issued, tmp_path: pathlib.Path) -> None:
    behave = admin.standin.control.behave
    with fake_cache(admin.standin.url, ca, issue(tmp_path, "cache", ca)) as cache:
        admin.set_cache("bob", admin.create_cache(host=f"{cache.url}/"))
        behave(cache_down="served")
        assert get(bob, LAYER_PATH).headers["Location"].startswith(cache.url)
    assert get(bob, LAYER_PATH).content == LAYER
    behave(cache_down="redirected")
    assert get(bob, LAYER_PATH).headers["Location"].startswith(cache.url)


@pytest.mark.usefixtures("pushed")
def test_what_becomes_of_a_cache_that_is_not_trusted(
    admin: Client, bob: Client, ca: Issued, tmp_path: pathlib.Path
) -> None:
    behave = admin.standin.control.behave
    strange = issue(tmp_path, "strange-ca")
    form = {"name": "region-asia"}
    with fake_cache(admin.standin.url, ca, issue(tmp_path, "cache", strange)) as cache:
        behave(distrusted_cache="refused")
        refused = admin("POST", "/api/v0/content_caches", {**form, "host": cache.url})
        assert (refused.status_code, refused.json()["errors"][0]["message"]) == (400, "invalid content cache details")
        assert admin("POST", "/api/v0/content_caches", {**form, "host": "https://127.0.0.1:1"}).status_code == 400
        behave(distrusted_cache="accepted")
        admin.set_cache("bob", admin.create_cache(host=cache.url))
        assert get(bob, LAYER_PATH).status_code == 307
        behave(distrusted_cache="bypassed")
        assert get(bob, LAYER_PATH).content == LAYER
        behave(distrusted_cache="failing")
        assert get(bob, LAYER_PATH).status_code == 502
        # With its CA, it is like any other in each of these positions.
        for position in ("bypassed", "failing", "refused"):
            behave(distrusted_cache=position, trusted_ca=strange.certificate_file.read_text())
            assert get(bob, LAYER_PATH).status_code == 307
            assert admin("POST", "/api/v0/content_caches", {**form, "host": cache.url}).status_code == 201


@pytest.mark.usefixtures("assigned")
def test_which_requests_are_redirected_and_how(bob: Client) -> None:
    behave = bob.standin.control.behave
    assert get(bob, LAYER_PATH, "HEAD").status_code == 200
    behave(redirect_heads=True, blob_redirect_status=302)
    assert get(bob, LAYER_PATH, "HEAD").status_code == get(bob, LAYER_PATH).status_code == 302
    assert get(bob, MANIFEST_PATH).status_code == 200
    behave(redirect_manifests=True)
    moved = get(bob, MANIFEST_PATH)
    assert moved.headers["Location"].startswith("https://cache.lab.test:8443/v2/engineering/app/manifests/1.0?")
    behave(redirect_manifests=False, redirect_config_blobs=False)
    assert get(bob, MANIFEST_PATH).status_code == 200
    assert get(bob, CONFIG_PATH).content == CONFIG
    assert get(bob, LAYER_PATH).status_code == 302


# The registry behind


# Real clients


class Skopeo:
    """The real client, with credentials in a file and the lab's CA."""

    def __init__(self, standin: Standin, folder: pathlib.Path) -> None:
        self._standin = standin
        self._folder = folder
        self.registry = f"docker://{urllib.parse.urlsplit(standin.url).netloc}"
        self._certificates = folder / "certificates"
        self._certificates.mkdir()
        (self._certificates / "ca.crt").write_text(standin.ca.read_text())

    def copy(self, account: str, source: str, target: str) -> subprocess.CompletedProcess[str]:
        host = urllib.parse.urlsplit(self._standin.url).netloc
        encoded = basic(account, self._standin.passwords[account]).removeprefix("Basic ")
        credentials = self._folder / "auth.json"
        credentials.write_text(json.dumps({"auths": {host: {"auth": encoded}}}))
        side = "--src-cert-dir" if source.startswith("docker:") else "--dest-cert-dir"
        command = ["skopeo", "--insecure-policy", "--tmpdir", str(self._folder), "copy", "--preserve-digests"]
        command += ["--authfile", str(credentials), side, str(self._certificates), source, target]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def skopeo(standin: Standin, tmp_path: pathlib.Path) -> Skopeo:
    return Skopeo(standin, tmp_path)


@pytest.fixture
def cache(standin: Standin, ca: Issued, tmp_path: pathlib.Path) -> t.Iterator[FakeCache]:
    with fake_cache(standin.url, ca, issue(tmp_path, "cache", ca)) as running:
        yield running


@pytest.mark.usefixtures("pushed")
def test_a_real_client_pulls_by_way_of_its_cache(
    admin: Client, skopeo: Skopeo, cache: FakeCache, tmp_path: pathlib.Path
) -> None:
    admin.set_cache("bob", admin.create_cache(host=cache.url))
    pulled = skopeo.copy("bob", f"{skopeo.registry}/engineering/app:1.0", f"dir:{tmp_path}/pulled")
    assert pulled.returncode == 0, pulled.stderr
    assert sorted(cache.served) == sorted([CONFIG_PATH, LAYER_PATH])
    assert (tmp_path / "pulled" / digest_of(LAYER).removeprefix("sha256:")).read_bytes() == LAYER
