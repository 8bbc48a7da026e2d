# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pathlib
import random
import re
import subprocess
import tarfile
import typing as t
import urllib.parse

import pytest
import requests
from dtr_standin.tokens import BearerTokens, Signer
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


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/v2/a/b/blobs/uploads/", "repository:a/b:pull,push"),
        ("PUT", "/v2/a/b/manifests/1", "repository:a/b:pull,push"),
        ("DELETE", "/v2/a/b/manifests/sha256:00", "repository:a/b:delete"),
        ("HEAD", "/v2/a/b/blobs/sha256:00", "repository:a/b:pull"),
        ("GET", "/v2/a/b/tags/list", "repository:a/b:pull"),
        ("GET", "/v2/_catalog", "registry:catalog:*"),
        ("POST", "/v2/a/b/blobs/uploads/?mount=sha256:00&from=c/d", "repository:a/b:pull,push repository:c/d:pull"),
    ],
)
def test_the_scope_of_each_request(nobody: Client, method: str, path: str, scope: str) -> None:
    assert f'scope="{scope}"' in nobody(method, path).headers["Www-Authenticate"]


def test_paths_outside_the_protocol_lead_nowhere(admin: Client) -> None:
    headers = admin.bearer("registry:catalog:*")
    assert admin.get("/v2/", headers=headers).status_code == 200
    for path in (
        "/v2/nothing",
        "/v2/engineering/app/secrets/x",
        "/v2/engineering/%2e%2e/app/tags/list",
        "/v2/A/b/tags/list",
    ):
        assert admin.get(f"/v2/{path}", headers=headers).status_code == 404, path


@pytest.mark.usefixtures("pushed")
def test_a_token_is_given_without_access_and_then_grants_nothing(heidi: Client, nobody: Client) -> None:
    answer = heidi.get("/auth/token", params={"scope": APP}).json()
    assert set(answer) == {"token", "access_token", "scope", "expires_in", "issued_at"}
    assert answer["token"] == answer["access_token"]
    refused = get(heidi, MANIFEST_PATH)
    assert code(refused) == (401, "DENIED")
    assert refused.headers["Www-Authenticate"].endswith('error="insufficient_scope"')
    anonymous = nobody.bearer(APP)
    assert nobody.get("/v2/", headers=anonymous).status_code == 200
    assert nobody.get(MANIFEST_PATH, headers=anonymous).status_code == 401


def test_wrong_credentials_get_no_token(standin: Standin) -> None:
    for name, secret in (("bob", "wrong"), ("ivan", standin.passwords["ivan"])):
        assert code(Client(standin, name, secret).get("/auth/token")) == (401, "NOT_AUTHENTICATED")
        form = {"grant_type": "password", "username": name, "password": secret}
        assert code(Client(standin)("POST", "/auth/token", data=form)) == (401, "NOT_AUTHENTICATED")


def test_basic_authentication_is_not_for_the_registry_protocol(admin: Client) -> None:
    assert admin.get("/v2/").status_code == 401


@pytest.mark.usefixtures("pushed")
def test_tokens_by_form_and_by_refresh_token(bob: Client, nobody: Client) -> None:
    form = {"grant_type": "password", "username": "bob", "password": bob.standin.passwords["bob"], "scope": APP}
    answer = nobody("POST", "/auth/token", data={**form, "access_type": "offline"}).json()
    assert get_with(nobody, answer["access_token"]).status_code == 200
    assert "refresh_token" not in nobody("POST", "/auth/token", data=form).json()
    renewal = {"grant_type": "refresh_token", "refresh_token": answer["refresh_token"], "scope": APP}
    renewed = nobody("POST", "/auth/token", data=renewal).json()
    assert renewed["refresh_token"] == answer["refresh_token"]
    assert get_with(nobody, renewed["access_token"]).status_code == 200
    # What docker login leaves behind is an access token like any other.
    assert [token["generatedBy"] for token in bob.get("/api/v0/api_tokens").json()] == ["auto"]
    bob("DELETE", "/api/v0/api_tokens")
    assert nobody("POST", "/auth/token", data=renewal).status_code == 401


def get_with(client: Client, token: str) -> requests.Response:
    return client.get(MANIFEST_PATH, headers={"Authorization": f"Bearer {token}", "Accept": MANIFEST_TYPE})


@pytest.mark.usefixtures("pushed")
def test_a_token_ends_with_its_time_or_its_account(bob: Client) -> None:
    bob.standin.control.behave(token_seconds=-1)
    assert get(bob, MANIFEST_PATH).status_code == 401
    bob.standin.control.behave(token_seconds=60)
    headers = {**bob.bearer(APP), "Accept": MANIFEST_TYPE}
    assert bob.get(MANIFEST_PATH, headers=headers).status_code == 200
    bob.standin.control.put_account("bob", is_active=False)
    assert bob.get(MANIFEST_PATH, headers=headers).status_code == 401


def test_old_bearer_tokens_are_forgotten() -> None:
    now = [0.0]
    tokens = BearerTokens(lambda: now[0])
    first = tokens.issue("bob", {}, 10)
    now[0] = 11
    tokens.issue("bob", {}, 10)
    now[0] = 5
    assert tokens.grant(first) is None  # it would be valid again if it were still kept


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


@pytest.mark.usefixtures("pushed")
def test_no_blob_is_mounted_out_of_a_repository_that_is_closed(heidi: Client) -> None:
    headers = heidi.bearer("repository:heidi/own:pull,push", APP)
    query = f"mount={digest_of(LAYER)}&from=engineering/app"
    assert heidi("POST", f"/v2/heidi/own/blobs/uploads/?{query}", headers=headers).status_code == 401


@pytest.mark.usefixtures("pushed")
def test_the_catalogue_is_for_admins(admin: Client, alice: Client) -> None:
    scope = "registry:catalog:*"
    assert "engineering/app" in admin.get("/v2/_catalog", headers=admin.bearer(scope)).json()["repositories"]
    assert alice.get("/v2/_catalog", headers=alice.bearer(scope)).status_code == 401


# Repositories in DTR's own API


@pytest.mark.usefixtures("pushed")
def test_repositories_are_those_that_the_client_can_see(admin: Client, bob: Client, heidi: Client) -> None:
    (shown,) = bob.get("/api/v0/repositories").json()["repositories"]
    assert (shown["namespace"], shown["name"], shown["namespaceType"]) == ("engineering", "app", "organization")
    assert heidi.get("/api/v0/repositories?count=true").headers["X-Resource-Count"] == "0"
    first = admin.get("/api/v0/repositories?pageSize=1&count=true")
    assert len(first.json()["repositories"]) == 1
    assert int(first.headers["X-Resource-Count"]) >= 1


@pytest.mark.usefixtures("pushed")
def test_tags_are_listed_with_their_manifests(bob: Client, heidi: Client) -> None:
    path = "/api/v0/repositories/engineering/app/tags"
    (tag,) = bob.get(f"{path}?includeManifests=true").json()
    assert (tag["name"], tag["digest"]) == ("1.0", digest_of(MANIFEST))
    assert tag["manifest"]["configDigest"] == digest_of(CONFIG)
    assert tag["createdAt"] == "2020-02-02T00:00:00Z"
    (tag,) = bob.get(path).json()
    assert tag["manifest"] == {"digest": digest_of(MANIFEST)}
    assert code(heidi.get(path)) == (403, "NOT_AUTHORIZED")
    assert code(bob.get("/api/v0/repositories/engineering/none/tags")) == (404, "NO_SUCH_REPOSITORY")


@pytest.mark.usefixtures("pushed")
def test_a_tag_is_deleted_by_who_may_push(alice: Client, bob: Client) -> None:
    path = "/api/v0/repositories/engineering/app/tags/1.0"
    assert code(bob("DELETE", path)) == (403, "NOT_AUTHORIZED")
    assert get(bob, MANIFEST_PATH).status_code == 200
    assert alice("DELETE", path).status_code == 204
    assert get(bob, MANIFEST_PATH).status_code == 404
    assert code(alice("DELETE", path)) == (404, "NO_SUCH_TAG")


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


@pytest.mark.usefixtures("assigned")
def test_whoever_holds_the_signed_query_gets_that_blob_only(bob: Client, nobody: Client) -> None:
    query = signed_query(get(bob, LAYER_PATH))
    served = nobody.get(f"{LAYER_PATH}?{query}")
    assert (served.status_code, served.content) == (200, LAYER)
    assert nobody("HEAD", f"{LAYER_PATH}?{query}").headers["Content-Length"] == str(len(LAYER))
    assert code(nobody.get(f"{CONFIG_PATH}?{query}")) == (403, "DENIED")
    assert nobody("DELETE", f"{LAYER_PATH}?{query}").status_code == 401
    assert nobody.standin.control.requests(recent=4)["recent"][0]["user"] == "bob"


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


def test_a_signature_lasts_as_long_as_it_says_and_depends_on_the_key() -> None:
    now = [1000.0]
    signer = Signer(b"key", lambda: now[0])
    query = dict(urllib.parse.parse_qsl(signer.query("/path", "bob", 60)))
    assert signer.opens("/path", query)
    assert not Signer(b"other", lambda: now[0]).opens("/path", query)
    now[0] = 1060
    assert signer.opens("/path", query)
    now[0] = 1061
    assert not signer.opens("/path", query)


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
def test_a_cache_that_answers_with_failures_is_down(
    admin: Client, bob: Client, ca: Issued, tmp_path: pathlib.Path
) -> None:
    admin.standin.control.behave(cache_down="served")
    with fake_cache(admin.standin.url, ca, issue(tmp_path, "cache", ca)) as cache:
        admin.set_cache("bob", admin.create_cache(host=cache.url))
        cache.status = 503
        assert get(bob, LAYER_PATH).content == LAYER
        cache.status = 401
        assert get(bob, LAYER_PATH).status_code == 307


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
def test_a_blob_that_does_not_exist_is_sent_on_or_not(bob: Client) -> None:
    missing = f"/v2/engineering/app/blobs/{digest_of(b'nowhere')}"
    assert get(bob, missing).status_code == 307
    bob.standin.control.behave(redirect_missing=False)
    assert get(bob, missing).status_code == 404
    assert get(bob, LAYER_PATH).status_code == 307


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


@pytest.mark.usefixtures("pushed")
def test_a_missing_blob_and_the_registrys_own_errors_pass(bob: Client) -> None:
    missing = get(bob, f"/v2/engineering/app/blobs/{digest_of(b'')}")
    assert missing.status_code == 404
    assert missing.json()["errors"][0]["code"] == "BLOB_UNKNOWN"


@pytest.mark.usefixtures("pushed")
def test_head_tells_the_length(bob: Client) -> None:
    answer = get(bob, MANIFEST_PATH, "HEAD")
    assert answer.headers["Content-Length"] == str(len(MANIFEST))
    assert answer.headers["Docker-Content-Digest"] == digest_of(MANIFEST)
    assert answer.content == b""


@pytest.mark.usefixtures("pushed")
def test_a_manifest_can_be_deleted(alice: Client) -> None:
    headers = alice.bearer("repository:engineering/app:pull,push,delete")
    path = f"/v2/engineering/app/manifests/{digest_of(MANIFEST)}"
    assert alice("DELETE", path, headers=headers).status_code == 202
    assert get(alice, MANIFEST_PATH).status_code == 404


@pytest.mark.usefixtures("pushed")
def test_a_read_only_registry_serves_and_takes_nothing(alice: Client, admin: Client) -> None:
    alice.standin.control.behave(read_only_registry=True)
    headers = alice.bearer("repository:engineering/app:pull,push")
    assert code(alice("POST", "/v2/engineering/app/blobs/uploads/", headers=headers)) == (405, "UNSUPPORTED")
    assert get(alice, LAYER_PATH).status_code == 200
    assert admin.get("/api/v0/meta/settings").json()["readOnlyRegistry"] is True


@pytest.mark.usefixtures("pushed")
def test_a_blob_that_ends_before_its_length(bob: Client) -> None:
    bob.standin.control.fault("cut_body", path="/blobs/")
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        get(bob, LAYER_PATH)


def test_a_large_blob_passes_both_ways_in_little_memory(alice: Client) -> None:
    part, parts = os.urandom(1024 * 1024), 96
    whole = hashlib.sha256()
    for _ in range(parts):
        whole.update(part)
    digest = f"sha256:{whole.hexdigest()}"
    before = peak_memory(alice.standin)
    assert push_blob(alice, "alice/large", (part for _ in range(parts)), digest).status_code == 201
    headers = alice.bearer("repository:alice/large:pull,delete")
    path = f"/v2/alice/large/blobs/{digest}"
    received = hashlib.sha256()
    with alice.get(path, headers=headers, stream=True) as answer:
        for chunk in answer.iter_content(1024 * 1024):
            received.update(chunk)
    assert received.hexdigest() == whole.hexdigest()
    assert peak_memory(alice.standin) - before < 40 * 1024
    assert alice("DELETE", path, headers=headers).status_code == 202


def peak_memory(standin: Standin) -> int:
    """The largest resident size of the stand-in's process so far, in KiB."""
    status = pathlib.Path(f"/proc/{standin.process.pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0])


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
def image_folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """The image in the form that skopeo calls C(dir:)."""
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    (folder / "manifest.json").write_bytes(MANIFEST)
    for blob in (CONFIG, LAYER):
        (folder / digest_of(blob).removeprefix("sha256:")).write_bytes(blob)
    return folder


@pytest.fixture
def cache(standin: Standin, ca: Issued, tmp_path: pathlib.Path) -> t.Iterator[FakeCache]:
    with fake_cache(standin.url, ca, issue(tmp_path, "cache", ca)) as running:
        yield running


def test_a_real_client_pushes_and_pulls_as_admin(
    admin: Client, skopeo: Skopeo, image_folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    pushed = skopeo.copy("admin", f"dir:{image_folder}", f"{skopeo.registry}/engineering/skopeo:1")
    assert pushed.returncode == 0, pushed.stderr
    pulled = skopeo.copy("admin", f"{skopeo.registry}/engineering/skopeo:1", f"dir:{tmp_path}/pulled")
    assert pulled.returncode == 0, pulled.stderr
    assert (tmp_path / "pulled" / digest_of(LAYER).removeprefix("sha256:")).read_bytes() == LAYER
    assert admin.standin.control.count("GET", "/v2", 307) == 0


@pytest.mark.usefixtures("pushed")
def test_a_real_client_pulls_by_way_of_its_cache(
    admin: Client, skopeo: Skopeo, cache: FakeCache, tmp_path: pathlib.Path
) -> None:
    admin.set_cache("bob", admin.create_cache(host=cache.url))
    pulled = skopeo.copy("bob", f"{skopeo.registry}/engineering/app:1.0", f"dir:{tmp_path}/pulled")
    assert pulled.returncode == 0, pulled.stderr
    assert sorted(cache.served) == sorted([CONFIG_PATH, LAYER_PATH])
    assert (tmp_path / "pulled" / digest_of(LAYER).removeprefix("sha256:")).read_bytes() == LAYER


@pytest.mark.usefixtures("pushed")
def test_a_real_client_without_permission_is_refused(skopeo: Skopeo, tmp_path: pathlib.Path) -> None:
    refused = skopeo.copy("heidi", f"{skopeo.registry}/engineering/app:1.0", f"dir:{tmp_path}/pulled")
    assert refused.returncode != 0
    assert "requested access to the resource is denied" in refused.stderr
