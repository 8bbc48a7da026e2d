# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small AWX: it keeps the objects that the modules of C(awx.awx) write, and gives them back as its API does."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import typing as t
import urllib.parse
from pathlib import Path

Json = dict[str, t.Any]

TOKEN = "token-of-the-test"
API = "/api/v2/"
# What AWX has where nobody says anything, as far as modules compare it.
AS_MADE: dict[str, Json] = {
    "credentials": {"organization": None},
    "inventories": {"kind": "", "host_filter": None, "variables": "", "pending_deletion": False},
    "projects": {"scm_revision": "", "credential": None, "scm_branch": "", "status": "never updated"},
    "workflow_job_template_nodes": {"extra_data": {}, "unified_job_template": None},
}
TEMPLATES = ("job_templates", "projects", "inventory_sources", "workflow_job_templates")
# Where the objects are that a field names, and which of them go with what they belong to.
OF_FIELD = {
    "organization": ("organizations",),
    "credential_type": ("credential_types",),
    "inventory": ("inventories",),
    "workflow_job_template": ("workflow_job_templates",),
    "unified_job_template": TEMPLATES,
}
DEPENDENT = {
    "inventory_sources": "inventory",
    "workflow_job_template_nodes": "workflow_job_template",
    "schedules": "unified_job_template",
}
# Names are unique among objects that agree in these; a credential type is, with its kind, in the whole of AWX.
UNIQUE = {
    "execution_environments": (),
    "credential_types": ("kind",),
    "credentials": ("organization", "credential_type"),
    **dict.fromkeys(("projects", "inventories", "job_templates", "workflow_job_templates"), ("organization",)),
}
PLAYBOOKS = sorted(
    path.name for path in (Path(__file__).parents[2] / "docs" / "examples" / "awx-project").glob("*.yml")
)
FORBIDDEN = 403, {"detail": "You do not have permission to perform this action."}


class Controller:
    """The objects, by their endpoints.

    A synchronisation of the project ends when somebody asks about it: with the playbooks of C(repository), or with
    C(sync_error).
    """

    def __init__(self) -> None:
        self.objects: dict[str, dict[int, Json]] = {}
        self.surveys: dict[int, Json] = {}
        self.associated: dict[str, list[int]] = {}
        self.writes: list[str] = []
        self.user: Json = {"id": 1, "username": "admin", "is_superuser": True}
        self.repository = list(PLAYBOOKS)
        self.sync_error = ""
        self.output = ""
        self._last = 0
        self.default = self.make("organizations", {"name": "Default"})["id"]
        self.machine = self.make("credential_types", {"name": "Machine", "kind": "ssh", "inputs": {}})["id"]
        self.scm = self.make("credential_types", {"name": "Source Control", "kind": "scm", "inputs": {}})["id"]
        self.credential("managers")
        self.writes.clear()

    def credential(self, name: str, organization: int | None = None, kind: int = 0) -> Json:
        """Make a credential of type Machine, in the default organization."""
        of = {"organization": organization or self.default, "credential_type": kind or self.machine}
        return self.make("credentials", {"name": name, **of})

    def make(self, endpoint: str, given: Json) -> Json:
        self._last = number = self._last + 1
        url = f"{API}{endpoint}/{number}/"
        kind = "inventory" if endpoint == "inventories" else endpoint.removesuffix("s")
        own = {"id": number, "url": url, "type": kind, "summary_fields": {}}
        related = {"survey_spec": f"{url}survey_spec/"} if "job_template" in endpoint else {}
        made = {**AS_MADE.get(endpoint, {}), **given, **own, "related": related}
        self.objects.setdefault(endpoint, {})[number] = made
        self.writes.append(f"POST {endpoint} {given.get('name') or given.get('identifier')}")
        if endpoint == "projects":
            made.update(playbook_files=[], related={"update": f"{url}update/"})
            self.sync(made)
        return made

    def sync(self, project: Json) -> Json:
        """Begin to fetch the project."""
        update = self.make("project_updates", {"name": project["name"], "project": project["id"], "status": "pending"})
        update.update(failed=False, finished=None, event_processing_finished=False, job_explanation="", events=[])
        update.update(scm_revision="", elapsed=1.0, started="2026-01-01T00:00:00Z")
        project["status"] = "pending"
        project["summary_fields"]["current_update"] = {"id": update["id"]}
        return update

    def _end(self, update: Json) -> None:
        project = self.objects["projects"].get(update["project"])
        if update["finished"] or project is None:
            return
        update["status"] = "failed" if self.sync_error else "successful"
        update.update(failed=bool(self.sync_error), finished="2026-01-01T00:00:01Z", event_processing_finished=True)
        if self.sync_error:
            failed = {"changed": False, "msg": self.sync_error}
            update["events"] = [
                {"counter": 3, "event": "runner_on_ok", "event_data": {"res": {"msg": "fine"}}},
                {"counter": 7, "event": "runner_on_failed", "event_data": {"res": failed}},
            ]
        else:
            project["playbook_files"] = list(self.repository)
        project["status"] = update["status"]
        project["summary_fields"] = {"last_update": {"id": update["id"], "status": update["status"]}}
        project["related"]["last_update"] = update["url"]

    def names(self, endpoint: str) -> list[str]:
        return [each.get("name") or each["identifier"] for each in self.objects.get(endpoint, {}).values()]

    def named(self, endpoint: str, name: str, organization: int = 0) -> Json:
        return next(
            each
            for each in self.objects[endpoint].values()
            if name in (each.get("name"), each.get("identifier")) and organization in (0, each.get("organization"))
        )

    def found(self, endpoint: str, query: t.Mapping[str, str]) -> list[Json]:
        """Those that a query asks for; fields that begin with C(or__) are alternatives."""
        kinds = TEMPLATES if endpoint == "unified_job_templates" else (endpoint,)
        query = {name: value for name, value in query.items() if name not in ("order_by", "page_size")}
        either = {name.removeprefix("or__"): value for name, value in query.items() if name.startswith("or__")}
        every = {name: value for name, value in query.items() if not name.startswith("or__")}
        return [
            each
            for kind in kinds
            for each in self.objects.get(kind, {}).values()
            if all(self._agrees(each, name.split("__"), value) for name, value in every.items())
            and (not either or any(self._agrees(each, name.split("__"), value) for name, value in either.items()))
        ]

    def _agrees(self, item: Json, path: list[str], value: str) -> bool:
        field, *rest = path
        assert field in item or field in ("organization", "identifier", "name"), f"AWX has no field {field} of {item}"
        if rest == ["startswith"]:
            return str(item.get(field)).startswith(value)
        if rest == ["in"]:
            return str(item.get(field)) in value.split(",")
        if rest:
            others = [self.objects.get(kind, {}).get(item[field]) for kind in OF_FIELD[field]]
            return any(self._agrees(other, rest, value) for other in others if other)
        return (
            str(item.get(field)).lower() == value.lower()
            if field == "pending_deletion"
            else str(item.get(field)) == value
        )

    def answer(self, method: str, path: str, query: t.Mapping[str, str], given: Json) -> tuple[int, t.Any]:
        """The status and the content."""
        endpoint, *rest = path.removeprefix(API).strip("/").split("/")
        if endpoint == "me":
            return 200, _listed([self.user])
        if method != "GET" and endpoint == "credential_types" and not self.user["is_superuser"]:
            return FORBIDDEN
        if method != "GET" and rest[1:] != ["create_approval_template"] and rest:
            self.writes.append(f"{method} {path}")
        if not rest:
            if method == "POST":
                return self._refused(endpoint, given, {}) or (201, self.make(endpoint, given))
            for update in self.objects.get(endpoint, {}).values() if endpoint == "project_updates" else ():
                self._end(update)
            return 200, _listed(self.found(endpoint, query))
        item = self.objects.get(endpoint, {}).get(int(rest[0]))
        if item is None:
            return 404, {"detail": "Not found."}
        if len(rest) == 1:
            return self._on_item(endpoint, item, method, given)
        return self._below(item, rest[1], method, given, query)

    def _on_item(self, endpoint: str, item: Json, method: str, given: Json) -> tuple[int, t.Any]:
        if method == "DELETE":
            return self._delete(endpoint, item)
        if method == "PATCH":
            refused = self._refused(endpoint, given, item)
            if refused:
                return refused
            fetches = any(given.get(name, item.get(name)) != item.get(name) for name in ("scm_url", "scm_branch"))
            item.update(given)
            if endpoint == "projects" and fetches:
                self.sync(item)
        elif endpoint == "project_updates":
            self._end(item)
        return 200, item

    def _refused(self, endpoint: str, given: Json, item: Json) -> tuple[int, t.Any] | None:
        """Why AWX does not make or change an object, if it does not."""
        wanted = {**item, **given}
        if endpoint == "credential_types" and item and wanted["inputs"] != item["inputs"] and self._users(item):
            return FORBIDDEN
        if endpoint in UNIQUE:
            same = {name: wanted.get(name) for name in ("name", *UNIQUE[endpoint])}
            for other in self.objects.get(endpoint, {}).values():
                if other is not item and all(other.get(name) == value for name, value in same.items()):
                    return 400, {"__all__": [f"{endpoint} with this {' and '.join(same)} already exists."]}
        if endpoint == "job_templates" and wanted["playbook"] not in self._project(wanted)["playbook_files"]:
            return 400, {"playbook": ["Playbook not found for project."]}
        return None

    def _project(self, template: Json) -> Json:
        return self.objects["projects"][template["project"]]

    def _users(self, kind: Json) -> list[Json]:
        return [each for each in self.objects.get("credentials", {}).values() if each["credential_type"] == kind["id"]]

    def _delete(self, endpoint: str, item: Json) -> tuple[int, t.Any]:
        if endpoint == "credential_types" and self._users(item):
            return FORBIDDEN
        for kind, field in DEPENDENT.items():
            for number, each in list(self.objects.get(kind, {}).items()):
                if each[field] == item["id"]:
                    del self.objects[kind][number]
        if endpoint == "inventories":
            item["pending_deletion"] = True
            return 202, {}
        del self.objects[endpoint][item["id"]]
        return 204, None

    def _below(self, item: Json, name: str, method: str, given: Json, query: t.Mapping[str, str]) -> tuple[int, t.Any]:
        if name == "survey_spec":
            if method == "POST":
                self.surveys[item["id"]] = given
            return 200, self.surveys.get(item["id"], {})
        if name == "update":
            return 202, self.sync(item)
        if name == "playbooks":
            return 200, item["playbook_files"]
        if name == "events":
            kinds = query["event__in"].split(",")
            return 200, _listed([each for each in reversed(item["events"]) if each["event"] in kinds])
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
