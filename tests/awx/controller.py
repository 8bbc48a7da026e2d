# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small AWX: it keeps the objects that the modules of C(awx.awx) write, and gives them back as its API does."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import json
import threading
import typing as t
import urllib.parse

Json = dict[str, t.Any]

TOKEN = "token-of-the-test"
API = "/api/v2/"
# What AWX has where nobody says anything, as far as modules compare it.
AS_MADE: dict[str, Json] = {
    "inventories": {"kind": "", "host_filter": None, "variables": ""},
    "projects": {"scm_revision": "", "credential": None},
    "workflow_job_template_nodes": {"extra_data": {}, "unified_job_template": None},
}
TEMPLATES = ("job_templates", "projects", "inventory_sources", "workflow_job_templates")


class Controller:
    """The objects, by their endpoints."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[int, Json]] = {}
        self.surveys: dict[int, Json] = {}
        self.associated: dict[str, list[int]] = {}
        self.writes: list[str] = []
        self._ids = itertools.count(1)
        self.make("organizations", {"name": "Default"})
        self.make("credentials", {"name": "managers"})
        self.writes.clear()

    def make(self, endpoint: str, given: Json) -> Json:
        number = next(self._ids)
        url = f"{API}{endpoint}/{number}/"
        own = {"id": number, "url": url, "type": endpoint.removesuffix("s"), "summary_fields": {}}
        related = {"survey_spec": f"{url}survey_spec/"} if "job_template" in endpoint else {}
        made = {**AS_MADE.get(endpoint, {}), **given, **own, "related": related}
        self.objects.setdefault(endpoint, {})[number] = made
        self.writes.append(f"POST {endpoint} {given.get('name') or given.get('identifier')}")
        return made

    def names(self, endpoint: str) -> list[str]:
        return [each.get("name") or each["identifier"] for each in self.objects.get(endpoint, {}).values()]

    def named(self, endpoint: str, name: str) -> Json:
        return next(
            each for each in self.objects[endpoint].values() if name in (each.get("name"), each.get("identifier"))
        )

    def found(self, endpoint: str, query: t.Mapping[str, str]) -> list[Json]:
        """Those that a query asks for; fields that begin with C(or__) are alternatives."""
        kinds = TEMPLATES if endpoint == "unified_job_templates" else (endpoint,)
        return [
            each
            for kind in kinds
            for each in self.objects.get(kind, {}).values()
            if all(str(each.get(name)) == value for name, value in query.items())
        ]

    def answer(self, method: str, path: str, query: t.Mapping[str, str], given: Json) -> tuple[int, t.Any]:
        """The status and the content."""
        endpoint, *rest = path.removeprefix(API).strip("/").split("/")
        if method != "GET" and rest[1:] != ["create_approval_template"] and rest:
            self.writes.append(f"{method} {path}")
        if not rest:
            return (
                (201, self.make(endpoint, given)) if method == "POST" else (200, _listed(self.found(endpoint, query)))
            )
        item = self.objects.get(endpoint, {}).get(int(rest[0]))
        if item is None:
            return 404, {"detail": "Not found."}
        if len(rest) == 1:
            if method == "PATCH":
                item.update(given)
            return 200, item
        return self._below(item, rest[1], method, given)

    def _below(self, item: Json, name: str, method: str, given: Json) -> tuple[int, t.Any]:
        if name == "survey_spec":
            if method == "POST":
                self.surveys[item["id"]] = given
            return 200, self.surveys.get(item["id"], {})
        if name == "create_approval_template":
            made = self.make("workflow_approval_templates", given)
            item["unified_job_template"] = made["id"]
            item["related"]["unified_job_template"] = made["url"]
            return 201, made
        associated = self.associated.setdefault(f"{item['url']}{name}", [])
        if method == "POST":
            (associated.remove if given.get("disassociate") else associated.append)(given["id"])
            return 204, None
        return 200, _listed([{"id": number} for number in associated])


def _listed(items: list[Json]) -> Json:
    return {"count": len(items), "next": None, "results": items}


def _handler(controller: Controller) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def _answer(self) -> None:
            url = urllib.parse.urlsplit(self.path)
            given = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            query = dict(urllib.parse.parse_qsl(url.query))
            status, content = 401, {"detail": "Authentication credentials were not provided."}
            if self.headers.get("Authorization") == f"Bearer {TOKEN}":
                status, content = controller.answer(self.command, url.path, query, given)
            body = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("X-API-Product-Name", "AWX")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 (the names that http.server asks for)

        def log_message(self, *args: t.Any) -> None:
            """Nobody reads it."""

    return Handler


@contextlib.contextmanager
def serving(controller: Controller) -> t.Iterator[str]:
    """The address of the controller, as long as it is served."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(controller))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
