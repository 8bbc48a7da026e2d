# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small DTR in memory, which holds every request against the published API, and faults to hit it with."""

from __future__ import annotations

import json
import re
import typing as t
import uuid
from pathlib import Path

from ansible_collections.dtr.cache.tests.unit.support.web import Reply, Request

JSON_TYPES: dict[str, type | tuple[type, ...]] = {"string": str, "integer": int, "boolean": bool}
SETTINGS = re.compile(r"/api/v0/accounts/([^/]+)/settings")
MEMBERS = re.compile(r"/enzi/v0/accounts/([^/]+)(?:/teams/([^/]+))?/members")
ACCOUNT = re.compile(r"/enzi/v0/accounts/([^/]+)")
CACHE = re.compile(r"/api/v0/content_caches/([^/]+)")
ACCESS = re.compile(r"/api/v0/accounts/([^/]+)/repositoryAccess/(.+)")
TAGS = re.compile(r"/api/v0/repositories/([^/]+/[^/]+)/tags")
Fault = t.Callable[[Request, t.Callable[[], Reply]], t.Optional[Reply]]


class Operation(t.NamedTuple):
    """One line of C(data/dtr-api.json)."""

    method: str
    path: str
    source: str
    query: dict[str, str]
    body: dict[str, t.Any] | None
    statuses: list[int]

    def fits(self, request: Request) -> bool:
        pattern = re.sub(r"\\\{[^/]+?\\\}", "[^/]+", re.escape(self.path))
        return request.method == self.method and re.fullmatch(pattern, request.path) is not None


#: Where a path is described, and where it is only mentioned or seen in use.
SWAGGERS = ("DTR swagger", "UCP swagger")
OTHER_SOURCES = ("DTR documentation", "DTR release notes", "Terraform provider for MSR")

OPERATIONS = [
    Operation(**entry) for entry in json.loads((Path(__file__).parent.parent / "data" / "dtr-api.json").read_text())
]


def violation(request: Request) -> str | None:
    """How a request breaks the published API, or C(None)."""
    operation = next((each for each in OPERATIONS if each.fits(request)), None)
    if operation is None:
        return f"{request.method} {request.path} is not an operation of the API"
    unknown = request.query.keys() - operation.query.keys()
    if unknown:
        return f"{request.path} has no query parameters {unknown}"
    if operation.body is None:
        return f"{request.method} {request.path} takes no body" if request.body else None
    if request.headers.get("Content-Type") != "application/json":
        return f"{request.method} {request.path} was sent as {request.headers.get('Content-Type')}"
    body = json.loads(request.body)
    missing = set(operation.body["required"]) - body.keys()
    extra = body.keys() - operation.body["properties"].keys()
    if missing or extra:
        return f"{request.method} {request.path}: missing {missing}, unknown {extra}"
    for name, value in body.items():
        # How to unset is the one point where the client has to go beyond what is published: null is tried as well.
        if value is not None and not isinstance(value, JSON_TYPES[operation.body["properties"][name]]):
            return f"{request.method} {request.path}: {name} is {value!r}"
    return None


class Dtr:
    """Behaves as documented; where the documents leave something open, an attribute decides."""

    def __init__(self, *users: str) -> None:
        self.caches: list[dict[str, str]] = []
        self.settings: dict[str, str] = {}
        self.accounts: dict[str, dict[str, t.Any]] = {}
        self.teams: dict[str, list[str]] = {}
        self.tokens: dict[str, dict[str, str]] = {}
        self.violations: list[str] = []
        self.operations: list[Operation] = []
        self.fault: Fault | None = None
        self.unset_by: t.Any = ""
        self.refuses_duplicates = False
        self.deleted_status = 204
        self.page_limit = 1000
        self.paging = "body"
        self.answers_patch = False
        self.healthy = True
        self.is_admin = True
        self.dtr_settings: dict[str, t.Any] = {"readOnlyRegistry": False}
        self.version = "2.7.4"
        self.repositories: set[str] = set()
        #: What users may do with repositories, C(read-only) where nothing is said.
        self.access: dict[tuple[str, str], str] = {}
        self.ca = ""
        for user in users:
            self.add_user(user)

    def add_user(self, name: str, **fields: t.Any) -> None:
        self.accounts[name] = {"name": name, "id": f"id-{name}", "fullName": "", "isOrg": False, "isActive": True}
        self.accounts[name].update(fields)

    def add_org(self, name: str, **teams: list[str]) -> None:
        self.accounts[name] = {"name": name, "id": f"id-{name}", "fullName": "", "isOrg": True}
        self.teams[name] = sorted({member for members in teams.values() for member in members})
        self.teams.update({f"{name}/{team}": members for team, members in teams.items()})

    def add_cache(self, name: str, host: str, *users: str) -> str:
        entry = {"id": str(uuid.uuid4()), "name": name, "host": host}
        self.caches.append(entry)
        self.settings.update(dict.fromkeys(users, entry["id"]))
        return entry["id"]

    @property
    def ids(self) -> set[str]:
        return {cache["id"] for cache in self.caches}

    def host_of(self, user: str) -> str | None:
        """The host that a user's setting leads to; C(dangling) where it leads nowhere."""
        wanted = self.settings.get(user)
        if not wanted:
            return None
        return next((cache["host"] for cache in self.caches if cache["id"] == wanted), "dangling")

    def __call__(self, request: Request) -> Reply:
        broken = violation(request)
        if broken:
            self.violations.append(broken)
        self.operations += [each for each in OPERATIONS if each.fits(request)]
        reply = self.fault(request, lambda: self.answer(request)) if self.fault else None
        return self.answer(request) if reply is None else reply

    def answer(self, request: Request) -> Reply:
        key = (request.method, request.path)
        if key == ("GET", "/api/v0/content_caches"):
            return reply_json(self.caches)
        if key == ("POST", "/api/v0/content_caches"):
            return self._create(json.loads(request.body))
        if key == ("GET", "/enzi/v0/accounts"):
            users = [each for each in self.accounts.values() if not each["isOrg"]]
            return self._page(
                request, "accounts", sorted(users, key=lambda each: str(each["name"])), lambda a: a["name"]
            )
        if match := SETTINGS.fullmatch(request.path):
            return self._settings(request, match.group(1))
        if match := CACHE.fullmatch(request.path):
            found = [each for each in self.caches if each["id"] == match.group(1)]
            self.caches = [each for each in self.caches if each not in found]
            return Reply(self.deleted_status) if found else error(404, "NO_SUCH_CONTENT_CACHE")
        if match := MEMBERS.fullmatch(request.path):
            members = self.teams.get("/".join(filter(None, match.groups())))
            if members is None:
                return error(404, "NO_SUCH_TEAM")
            entries = [{"member": self.accounts[name], "isAdmin": False} for name in members]
            return self._page(request, "members", entries, lambda entry: entry["member"]["id"])
        if match := ACCOUNT.fullmatch(request.path):
            account = self.accounts.get(match.group(1))
            return reply_json(account) if account else error(404, "NO_SUCH_ACCOUNT")
        if match := ACCESS.fullmatch(request.path):
            level = self.access.get((match.group(1), match.group(2)), "read-only")
            return error(404, level) if level.startswith("NO_SUCH") else reply_json({"accessLevel": level})
        if (match := TAGS.fullmatch(request.path)) and request.method == "GET":
            return reply_json([]) if match.group(1) in self.repositories else error(404, "NO_SUCH_REPOSITORY")
        if request.path.startswith("/api/v0/api_tokens"):
            return self._tokens(request)
        if request.path.startswith("/api/v0/repositories/"):
            return Reply(204)
        return self._state(request.path)

    def _tokens(self, request: Request) -> Reply:
        hashed = request.path.removeprefix("/api/v0/api_tokens").strip("/")
        if request.method == "DELETE":
            return Reply(200) if self.tokens.pop(hashed, None) else error(404, "NO_SUCH_API_TOKEN")
        (username,) = request.query["username"]
        if request.method == "POST":
            hashed = f"hash-{len(self.tokens)}"
            token = {"hashedToken": hashed, "createdAt": "2026-05-04T11:00:00Z", **json.loads(request.body)}
            self.tokens[token["hashedToken"]] = token
            return reply_json({**token, "token": f"token-of-{username}"})
        return reply_json(list(self.tokens.values()))

    def _create(self, form: dict[str, str]) -> Reply:
        if not self.is_admin:
            return error(403, "NOT_AUTHORIZED")
        if self.refuses_duplicates and any(each["name"] == form["name"] for each in self.caches):
            return error(400, "INVALID_CONTENT_CACHE")
        self.add_cache(form["name"], form["host"])
        return reply_json(self.caches[-1], 201)

    def _settings(self, request: Request, user: str) -> Reply:
        if user not in self.accounts or self.accounts[user]["isOrg"]:
            return error(404, "NO_SUCH_USER")
        if request.method == "PATCH":
            form = json.loads(request.body)
            value = form.get("contentCacheUUID", "omitted")
            if value == self.unset_by:
                self.settings.pop(user, None)
            elif value in self.ids:
                self.settings[user] = value
            elif value not in ("omitted", None):
                return error(400, "INVALID_USER_SETTINGS")
            if not self.answers_patch:
                return Reply(200)
        return reply_json({"ContentCacheUUID": self.settings.get(user, "")})

    def _page(
        self, request: Request, key: str, entries: list[dict[str, t.Any]], marker: t.Callable[[dict[str, t.Any]], str]
    ) -> Reply:
        entries = sorted(entries, key=marker)
        start = request.query.get("start", [""])[0]
        limit = min(int(request.query.get("limit", ["10"])[0]), self.page_limit)
        left = [entry for entry in entries if marker(entry) >= start]
        following = marker(left[limit]) if len(left) > limit else ""
        document = {key: left[:limit], "resourceCount": len(entries)}
        if self.paging == "body":
            return reply_json({**document, "nextPageStart": following})
        if self.paging == "header":
            return reply_json(document, headers={"X-Next-Page-Start": following})
        return reply_json(document)

    def _state(self, path: str) -> Reply:
        if path == "/_ping":
            error_text = "" if self.healthy else "rethinkdb"
            return reply_json({"Error": error_text, "Healthy": self.healthy}, 200 if self.healthy else 503)
        if path == "/ca":
            return Reply(200, self.ca.encode())
        if path == "/api/v0/meta/features":
            return reply_json({"scanningEnabled": False, "db_version": 27})
        if path == "/api/v0/admin/version":
            return reply_json({"version": self.version})
        if not self.is_admin:
            return error(403, "NOT_AUTHORIZED")
        if path == "/api/v0/meta/cluster_status":
            state = {"health": "OK", "readonly": False, "timestamp": "2020-06-01T12:00:00Z"}
            return reply_json({f"replica_{key}": {"f4c1e1a0b2d3": value} for key, value in state.items()})
        if path == "/api/v0/meta/settings":
            return reply_json(self.dtr_settings)
        return error(404, "NO_SUCH_REF")


def reply_json(document: t.Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    return Reply(status, json.dumps(document).encode(), {"Content-Type": "application/json", **(headers or {})})


def error(status: int, code: str) -> Reply:
    return reply_json({"errors": [{"code": code, "message": f"as {code} says"}]}, status)


def once(method: str, path: str, reply: Reply, *, acts: bool = False, times: int = 1) -> Fault:
    """A fault that hits the first requests with this method and path; C(acts) carries them out all the same."""
    left = [times]

    def fault(request: Request, act: t.Callable[[], Reply]) -> Reply | None:
        if request.method != method or not re.search(path, request.path) or left[0] <= 0:
            return None
        left[0] -= 1
        if acts:
            act()
        return reply

    return fault
