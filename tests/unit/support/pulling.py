# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A DTR and a content cache over HTTP, as far as a client that pulls sees them, with the faults that tests want."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import typing as t

from ansible_collections.dtr.cache.plugins.module_utils.common.urls import origin_of
from ansible_collections.dtr.cache.plugins.module_utils.http.retries import Backoff
from ansible_collections.dtr.cache.plugins.module_utils.http.transport import Transport
from ansible_collections.dtr.cache.plugins.module_utils.pulling.cache_client import CacheClient
from ansible_collections.dtr.cache.plugins.module_utils.pulling.distribution import Distribution
from ansible_collections.dtr.cache.plugins.module_utils.pulling.puller import Puller
from ansible_collections.dtr.cache.plugins.module_utils.pulling.report import Report
from ansible_collections.dtr.cache.tests.unit.support.dtr import violation
from ansible_collections.dtr.cache.tests.unit.support.web import Reply, Request, Site, serve

SIGNATURE = "a+b%2Fc"
PASSWORD = "s3cret-of-the-test"
SCHEMA2 = "application/vnd.docker.distribution.manifest.v2+json"
MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
FAST = Backoff(base=0.001, cap=0.002, budget=5)
APP = "engineering/app:1.0"
LAYERS = (b"one" * 100_000, b"two" * 50_000, b"three")


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def descriptor(content: bytes, **more: t.Any) -> dict[str, t.Any]:
    return {"mediaType": "application/octet-stream", "digest": sha256(content), "size": len(content), **more}


def manifest(config: bytes, *layers: bytes, media_type: str = SCHEMA2, **more: t.Any) -> bytes:
    document = {"schemaVersion": 2, "mediaType": media_type, "config": descriptor(config)}
    return json.dumps({**document, "layers": [descriptor(layer) for layer in layers], **more}).encode()


def index(children: t.Mapping[str, bytes], media_type: str = OCI_INDEX) -> bytes:
    """An index of manifests by platform."""
    entries = []
    for platform, content in children.items():
        names = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
        entries.append(descriptor(content, platform=names))
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": entries}).encode()


class FakeCache:
    """A cache that has nothing at first, and gets everything when a request is signed.

    C(tells) is whether it answers unsigned requests for what it has. C(answer) may answer instead.
    """

    def __init__(self, blobs: dict[str, bytes]) -> None:
        self.blobs = blobs
        self.stored: set[str] = set()
        self.tells = True
        self.ranges = True
        self.answer: t.Callable[[Request, bytes], Reply | None] = lambda _request, _content: None
        self.site: Site

    def handle(self, request: Request) -> Reply:
        digest = request.path.rpartition("/")[2]
        signed = "signature" in request.query
        if not signed and not (self.tells and digest in self.stored):
            return Reply(401)
        if digest not in self.blobs:
            return self.answer(request, b"") or Reply(404)
        content = self.blobs[digest]
        if request.method == "HEAD":
            return Reply(200, content)
        instead = self.answer(request, content)
        if instead is not None:
            return instead
        self.stored.add(digest)
        asked = request.headers.get("Range")
        if asked and self.ranges:
            offset = int(asked.removeprefix("bytes=").removesuffix("-"))
            headers = {"Content-Range": f"bytes {offset}-{len(content) - 1}/{len(content)}"}
            return Reply(206, content[offset:], headers)
        return Reply(200, content)

    def served(self) -> list[str]:
        """The digests that clients read, in order."""
        return [each.path.rpartition("/")[2] for each in self.site.requests if each.method == "GET"]


class FakeDtr:
    """A DTR whose users C(users) are allowed to pull from C(engineering)."""

    def __init__(self, cache: FakeCache, blobs: dict[str, bytes]) -> None:
        self.cache = cache
        self.blobs = blobs
        self.manifests: dict[str, bytes] = {}
        self.tokens = 0
        self.lifetime: int | None = 300
        self.realm = "{url}/auth/token"
        self.refused_tokens: set[str] = set()
        self.denied: set[str] = set()
        self.settings: dict[str, str] = {"alice": "id-1", "admin": "id-1"}
        self.cache_name = "region-asia"
        self.violations: list[str] = []
        self.access_tokens: dict[str, str] = {}
        self.listed_tokens: list[dict[str, str]] = []
        self.deletes_tags = True
        self.refusal: t.Callable[[Request], Reply | None] = lambda _request: None
        self.location: t.Callable[[str], str | None] = self.signed
        self.site: Site

    def signed(self, digest: str) -> str | None:
        """Where DTR sends for a blob; C(None) serves it right here."""
        return f"{self.cache.site.url}/v2/engineering/app/blobs/{digest}?account=x&signature={SIGNATURE}"

    def add(self, name: str, content: bytes, *blobs: bytes) -> str:
        """Store a manifest under C(repository:tag), and its blobs."""
        repository = name.partition(":")[0]
        self.manifests[name] = self.manifests[f"{repository}:{sha256(content)}"] = content
        self.blobs.update({sha256(blob): blob for blob in blobs})
        return sha256(content)

    def add_image(self, name: str, *layers: bytes, config: bytes = b"{}") -> str:
        return self.add(name, manifest(config, *layers), config, *layers)

    def handle(self, request: Request) -> Reply:
        if request.path.startswith(("/enzi/", "/api/")):
            broken = violation(request)
            self.violations += [broken] if broken else []
        if request.path.startswith("/enzi/"):
            return self._members(request)
        if request.path.startswith("/api/"):
            return self._api(request)
        if request.path == "/auth/token":
            return self._token(request)
        kind, _space, token = request.headers.get("Authorization", "").partition(" ")
        repository = "/".join(request.path.split("/")[2:4])
        if kind != "Bearer" or token in self.refused_tokens or repository in self.denied:
            realm = self.realm.format(url=self.site.url)
            challenge = f'Bearer realm="{realm}",service="dtr.test"'
            return _error(401, "UNAUTHORIZED", {"Www-Authenticate": challenge})
        refused = self.refusal(request)
        if refused is not None:
            return refused
        what, reference = request.path.split("/")[-2:]
        if request.method in ("POST", "PUT", "DELETE"):
            return self._push(request, repository, what, reference)
        if what == "tags":
            return self._tags(request, repository)
        return self._manifest(repository, reference) if what == "manifests" else self._blob(reference)

    def _members(self, request: Request) -> Reply:
        if request.path != "/enzi/v0/accounts/engineering/teams/backend/members":
            return _error(404, "NO_SUCH_TEAM")
        names = (("zoe", False), ("alice", True))
        members = [{"member": {"name": name, "id": name, "isOrg": False, "isActive": active}} for name, active in names]
        return _json({"members": members, "nextPageStart": "", "resourceCount": 2})

    def _push(self, request: Request, repository: str, what: str, reference: str) -> Reply:
        if request.method == "POST":
            return Reply(202, b"", {"Location": f"{self.site.url}/v2/{repository}/blobs/uploads/1?_state=x"})
        if request.method == "DELETE":
            gone = [name for name, content in self.manifests.items() if sha256(content) == reference]
            for name in gone:
                del self.manifests[name]
            return Reply(202)
        if what == "manifests":
            self.add(f"{repository}:{reference}", request.body)
            return Reply(201)
        (digest,) = request.query["digest"]
        if digest != sha256(request.body):
            return _error(400, "DIGEST_INVALID")
        self.blobs[digest] = request.body
        return Reply(201)

    def _tags(self, request: Request, repository: str) -> Reply:
        """Two tags on each page."""
        named = [name.partition(":")[2] for name in self.manifests if name.startswith(f"{repository}:")]
        tags = sorted(tag for tag in named if ":" not in tag)
        if not tags:
            return _error(404, "NAME_UNKNOWN")
        start = int(request.query.get("last", ["0"])[0])
        link = {"Link": f'</v2/{repository}/tags/list?last={start + 2}>; rel="next"'} if len(tags) > start + 2 else {}
        return _json({"name": repository, "tags": tags[start : start + 2]}, link)

    def _manifest(self, repository: str, reference: str) -> Reply:
        content = self.manifests.get(f"{repository}:{reference}")
        if content is None:
            return _error(404, "MANIFEST_UNKNOWN")
        return Reply(200, content, {"Docker-Content-Digest": sha256(content)})

    def _blob(self, digest: str) -> Reply:
        location = self.location(digest)
        return Reply(307, b"", {"Location": location}) if location else Reply(200, self.blobs[digest])

    def _token(self, request: Request) -> Reply:
        self.tokens += 1
        lifetime = {} if self.lifetime is None else {"expires_in": self.lifetime}
        return Reply(200, json.dumps({"token": f"{_user(request)}-{self.tokens}", **lifetime}).encode())

    def _api(self, request: Request) -> Reply:
        path = request.path.removeprefix("/api/v0/")
        if path == "content_caches":
            caches = [{"id": "id-1", "name": self.cache_name, "host": self.cache.site.url}]
            return _json([*caches, {"id": "id-2", "name": "region-europe", "host": "https://europe.example.com"}])
        if path == "api_tokens" and request.method == "GET":
            return _json(self.listed_tokens)
        if path == "api_tokens":
            (account,) = request.query["username"]
            if account not in self.settings:
                return _error(404, "NO_SUCH_USER")
            self.access_tokens[f"hash-{account}"] = f"token-{account}"
            return _json({"token": f"token-{account}", "hashedToken": f"hash-{account}"})
        if path.startswith("api_tokens/"):
            hashed = path.partition("/")[2]
            self.listed_tokens = [each for each in self.listed_tokens if each["hashedToken"] != hashed]
            self.access_tokens.pop(hashed, None)
            return Reply(200)
        if path.startswith("repositories/"):
            _api, namespace, name, _tags, tag = path.split("/")
            if self.deletes_tags:
                self.manifests.pop(f"{namespace}/{name}:{tag}", None)
            return Reply(204 if self.deletes_tags else 405)
        return _json({"ContentCacheUUID": self.settings[path.split("/")[1]]})


def _user(request: Request) -> str:
    encoded = request.headers["Authorization"].removeprefix("Basic ")
    return base64.b64decode(encoded).decode().partition(":")[0]


def _json(document: t.Any, headers: t.Mapping[str, str] | None = None) -> Reply:
    return Reply(200, json.dumps(document).encode(), {"Content-Type": "application/json", **(headers or {})})


def _error(status: int, code: str, headers: t.Mapping[str, str] | None = None) -> Reply:
    return Reply(
        status, json.dumps({"errors": [{"code": code, "message": "as the test wants"}]}).encode(), headers or {}
    )


@contextlib.contextmanager
def running() -> t.Iterator[FakeDtr]:
    """A DTR with a cache, both on free ports of 127.0.0.1."""
    blobs: dict[str, bytes] = {}
    cache = FakeCache(blobs)
    dtr = FakeDtr(cache, blobs)
    with serve(cache.handle) as cache.site, serve(dtr.handle) as dtr.site:
        try:
            yield dtr
        finally:
            assert dtr.violations == []


def make_puller(dtr: FakeDtr, **options: t.Any) -> Puller:
    to_dtr = Transport(dtr.site.url, username="alice", password=PASSWORD, timeout=5, concurrency=4, backoff=FAST)

    def connect(url: str, _is_cache: bool) -> Transport:
        return Transport(url, system_trust=False, timeout=5, retries=3, concurrency=4, backoff=FAST)

    settings = {"platforms": ("linux/amd64",), "concurrency": 4, "sleep": lambda _seconds: None, **options}
    distribution = Distribution(to_dtr, "alice")
    cache = CacheClient("region-asia", [origin_of(dtr.cache.site.url)], connect, distribution.origin)
    return Puller(distribution, cache, **settings)


def row_of(report: Report, name: str = APP) -> dict[str, t.Any]:
    (row,) = [row for row in report.pulls if row["image"] == name]
    return row
