# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""DTR's own API, /api/v0, as far as content caches need it. Names of operations are those of the API description."""

from __future__ import annotations

import dataclasses
import json
import typing as t
import uuid

from aiohttp import web

from .accounts import Account, Page, page_of
from .caches import LOCAL, ContentCache
from .errors import ApiError, json_response
from .gate import Access, Operation, json_body, operation
from .repositories import Repositories
from .site import SETTINGS_FORM, Site
from .tokens import AccessToken
from .trust import trusts

_REPLICA = "5e2f9c1a7b3d"
_SCHEMA_VERSION = 27
_LOGIN_PAGE = "<!DOCTYPE html><html><head><title>Docker Trusted Registry</title></head><body>Log in</body></html>"


class Api:
    """The operations; each is given the authenticated account."""

    def __init__(self, site: Site, repositories: Repositories) -> None:
        self._site = site
        self._repositories = repositories

    def routes(self) -> list[web.RouteDef]:
        user, admin = Access.ACTIVE_USER, Access.ADMIN
        table: list[tuple[str, str, Access, Operation]] = [
            ("GET", "/content_caches", user, self.list_content_caches),
            ("POST", "/content_caches", admin, self.create_content_cache),
            ("GET", "/content_caches/{uuid}", user, self.get_content_cache),
            ("DELETE", "/content_caches/{uuid}", admin, self.delete_content_cache),
            ("GET", "/accounts/{username}/settings", user, self.get_user_settings),
            ("PATCH", "/accounts/{username}/settings", user, self.update_user_settings),
            ("GET", "/accounts/{username}/repositoryAccess/{namespace}/{reponame}", user, self.get_repository_access),
            ("GET", "/api_tokens", user, self.list_api_tokens),
            ("POST", "/api_tokens", user, self.create_api_token),
            ("DELETE", "/api_tokens", user, self.clean_up_api_tokens),
            ("GET", "/api_tokens/{hashedtoken}", user, self.get_api_token),
            ("PATCH", "/api_tokens/{hashedtoken}", user, self.update_api_token),
            ("DELETE", "/api_tokens/{hashedtoken}", user, self.delete_api_token),
            ("GET", "/meta/features", user, self.get_features),
            ("GET", "/meta/settings", admin, self.get_settings),
            ("POST", "/meta/settings", admin, self.update_settings),
            ("GET", "/meta/alerts", admin, self.get_alerts),
            ("GET", "/meta/cluster_status", admin, self.get_cluster_status),
            ("GET", "/admin/version", user, self.get_version),
            ("GET", "/repositories", user, self.list_repositories),
            ("GET", "/repositories/{namespace}/{reponame}/tags", user, self.list_tags),
            ("DELETE", "/repositories/{namespace}/{reponame}/tags/{reference}", user, self.delete_tag),
        ]
        routes = [
            # aiohttp would answer HEAD too, which DTR does not document.
            web.RouteDef(
                method,
                f"/api/v0{path}{end}",
                operation(self._site, access, handler),
                {"allow_head": False} if method == "GET" else {},
            )
            for method, path, access, handler in table
            for end in ("", "/")
        ]
        return [
            *routes,
            web.get("/api/v0/accounts/language", self.get_language, allow_head=False),
            web.get("/api/v0/openid/begin", self.log_in_page, allow_head=False),
        ]

    # Content caches

    async def list_content_caches(self, request: web.Request, _caller: Account) -> web.Response:
        caches = [dataclasses.asdict(cache) for cache in self._site.caches.by_id.values()]
        if self._site.behaviours.lists_local:
            caches.insert(0, dataclasses.asdict(ContentCache(LOCAL, LOCAL, f"{self._site.scheme}://{request.host}")))
        return json_response(caches)

    async def create_content_cache(self, request: web.Request, _caller: Account) -> web.Response:
        form = await json_body(request)
        for field in ("name", "host"):
            if not isinstance(form.get(field), str) or not form[field]:
                raise ApiError("INVALID_CONTENT_CACHE", {field: "is required"})
        if self._site.behaviours.distrusted_cache == "refused" and not await trusts(self._site, form["host"]):
            raise ApiError("INVALID_CONTENT_CACHE")
        cache = self._site.caches.create(form["name"], form["host"], self._site.behaviours)
        self._site.changed()
        return json_response(dataclasses.asdict(cache), self._site.behaviours.create_status)

    async def get_content_cache(self, request: web.Request, _caller: Account) -> web.Response:
        cache = self._site.caches.by_id.get(request.match_info["uuid"])
        if cache is None:
            raise ApiError("NO_SUCH_CONTENT_CACHE")
        return json_response(dataclasses.asdict(cache))

    async def delete_content_cache(self, request: web.Request, _caller: Account) -> web.Response:
        self._site.caches.delete(request.match_info["uuid"], self._site.behaviours)
        self._site.changed()
        return web.Response(status=204)

    # Account settings

    async def get_user_settings(self, request: web.Request, caller: Account) -> web.Response:
        return json_response(self._settings_shape(self._settings_name(request, caller)))

    async def update_user_settings(self, request: web.Request, caller: Account) -> web.Response:
        name = self._settings_name(request, caller)
        self._site.caches.set_account(name, await json_body(request), self._site.behaviours)
        self._site.changed()
        answer = self._site.behaviours.patch_answer
        if answer == "settings":
            return json_response(self._settings_shape(name))
        return web.Response(text="Successfully updated user settings." if answer == "text" else "")

    def _settings_name(self, request: web.Request, caller: Account) -> str:
        name = request.match_info["username"]
        if not caller.is_admin and caller.name != name:
            raise ApiError("NOT_AUTHORIZED")
        account = self._site.directory.find(name)
        if account is None or account.name != name:
            raise ApiError("NO_SUCH_USER")
        if account.is_org and not self._site.behaviours.organization_settings:
            raise ApiError("NO_SUCH_USER")
        return name

    def _settings_shape(self, name: str) -> dict[str, str | None]:
        behaviours = self._site.behaviours
        held = self._site.caches.settings.get(name)
        if held is None:
            if behaviours.unset_value == "missing":
                return {}
            unset = {"empty": "", "null": None, "local": LOCAL}[behaviours.unset_value]
            return {behaviours.settings_key: unset}
        return {behaviours.settings_key: held}

    # Access tokens

    async def list_api_tokens(self, request: web.Request, caller: Account) -> web.Response:
        # An admin who names nobody gets everybody's.
        name = self._token_account(request, caller) if "username" in request.query or not caller.is_admin else None
        page = _page(request, self._site.access_tokens.of(name), lambda token: token.hashed_token)
        return json_response([token.shape() for token in page.items], headers=_page_headers(request, page))

    async def create_api_token(self, request: web.Request, caller: Account) -> web.Response:
        label = (await json_body(request)).get("tokenLabel", "")
        user_agent = request.headers.get("User-Agent", "")
        owner = self._token_account(request, caller)
        token, made = self._site.access_tokens.create(owner, str(label), "api", user_agent)
        self._site.changed()
        return json_response({"token": token, **made.shape()})

    async def clean_up_api_tokens(self, request: web.Request, caller: Account) -> web.Response:
        name = self._token_account(request, caller)
        generated_by = request.query.get("generatedby", "auto")
        used_before = request.query.get("usedbefore")
        for token in self._site.access_tokens.of(name):
            if token.generated_by == generated_by and (used_before is None or token.last_used < used_before):
                del self._site.access_tokens.by_hash[token.hashed_token]
        self._site.changed()
        return web.Response()

    async def get_api_token(self, request: web.Request, caller: Account) -> web.Response:
        return json_response(self._token(request, caller).shape())

    async def update_api_token(self, request: web.Request, caller: Account) -> web.Response:
        token = self._token(request, caller)
        form = await json_body(request)
        token.label = str(form.get("tokenLabel", token.label))
        token.is_active = bool(form.get("isActive", token.is_active))
        self._site.changed()
        return json_response(token.shape())

    async def delete_api_token(self, request: web.Request, caller: Account) -> web.Response:
        del self._site.access_tokens.by_hash[self._token(request, caller).hashed_token]
        self._site.changed()
        return web.Response()

    def _token(self, request: web.Request, caller: Account) -> AccessToken:
        token = self._site.access_tokens.by_hash.get(request.match_info["hashedtoken"])
        if token is None:
            raise ApiError("NO_SUCH_API_TOKEN")
        if not caller.is_admin and token.account != caller.name:
            raise ApiError("NOT_AUTHORIZED")
        return token

    def _token_account(self, request: web.Request, caller: Account) -> str:
        name = request.query.get("username", caller.name)
        if name != caller.name and not caller.is_admin:
            raise ApiError("NOT_AUTHORIZED")
        if self._site.directory.user(name) is None:
            raise ApiError("NO_SUCH_USER")
        return name

    # The registry's state

    async def get_features(self, _request: web.Request, _caller: Account) -> web.Response:
        return json_response(
            {
                "scanningEnabled": self._site.settings["scanningEnabled"],
                "scanningLicensed": True,
                "promotionLicensed": True,
                "mirroringLicensed": True,
                "metadataStoreOptedIn": True,
                "onlineGCEnabled": True,
                "db_version": _SCHEMA_VERSION,
                "ucpHost": "ucp.lab.test:443",
            }
        )

    async def get_settings(self, request: web.Request, _caller: Account) -> web.Response:
        hidden = ("webTLSKey", "readOnlyRegistry")
        settings = {name: value for name, value in self._site.settings.items() if name not in hidden}
        read_only = {"readOnlyRegistry": self._site.read_only} if self._site.behaviours.states_read_only else {}
        return json_response(
            {
                **settings,
                **read_only,
                "dtrHost": settings["dtrHost"] or request.host,
                "webTLSCert": settings["webTLSCert"] or self._site.certificate_pem,
                "webTLSCA": settings["webTLSCA"] or self._site.ca_pem,
                "replicaSettings": {_REPLICA: {"HTTPPort": 80, "HTTPSPort": 443, "node": "dtr"}},
                "replicaID": _REPLICA,
                "clientCertAuthEnabled": self._site.options.client_ca is not None,
                "httpProxy": "",
                "httpsProxy": "",
                "noProxy": "",
                "logProtocol": "",
                "logHost": "",
                "logLevel": "INFO",
                "storageVolume": "",
                "nfsHost": "",
                "nfsPath": "",
            }
        )

    async def update_settings(self, request: web.Request, _caller: Account) -> web.Response:
        form = await json_body(request)
        wrong = [
            name
            for name, value in form.items()
            if name in SETTINGS_FORM and type(value) is not type(SETTINGS_FORM[name])
        ]
        if wrong:
            raise ApiError("INVALID_SETTINGS", wrong)
        self._site.settings |= {name: value for name, value in form.items() if name in SETTINGS_FORM}
        self._site.changed()
        return web.Response(status=202)

    async def get_alerts(self, _request: web.Request, _caller: Account) -> web.Response:
        alerts = []
        if self._site.read_only:
            alerts.append({"message": "The registry is in read-only mode.", "id": "read-only", "class": "warning"})
        return json_response(alerts)

    async def get_cluster_status(self, _request: web.Request, _caller: Account) -> web.Response:
        error = self._site.behaviours.unhealthy
        issues = [{"type": "table_availability", "critical": True, "description": error}] if error else []
        tables: dict[str, t.Any] = {"cluster_config": [], "db_config": [{"name": "dtr2"}], "server_status": []}
        on_top = self._site.behaviours.cluster_issues_on_top
        return json_response(
            {
                **({"current_issues": issues} if on_top else {}),
                "rethink_system_tables": tables if on_top else {"current_issues": issues, **tables},
                "replica_health": {_REPLICA: error or "OK"},
                "replica_timestamp": {_REPLICA: "2020-01-01T00:00:00Z"},
                **(
                    {"replica_readonly": {_REPLICA: self._site.read_only}}
                    if self._site.behaviours.states_read_only
                    else {}
                ),
                "gc_lock_holder": "",
            }
        )

    async def get_version(self, _request: web.Request, _caller: Account) -> web.Response:
        if not self._site.behaviours.states_version:
            raise ApiError("NOT_FOUND")
        return json_response({"version": self._site.behaviours.version})

    async def get_language(self, _request: web.Request) -> web.Response:
        return json_response({"language": "en"})

    async def log_in_page(self, _request: web.Request) -> web.Response:
        return web.Response(text=_LOGIN_PAGE, content_type="text/html")

    # Repositories

    async def list_repositories(self, request: web.Request, caller: Account) -> web.Response:
        visible = await self._repositories.visible_to(caller)
        page = _page(request, sorted(visible, key=_repository_id), _repository_id)
        shapes = [self._repository_shape(name) for name in page.items]
        return json_response({"repositories": shapes}, headers=_page_headers(request, page))

    async def list_tags(self, request: web.Request, caller: Account) -> web.Response:
        repository = f"{request.match_info['namespace']}/{request.match_info['reponame']}"
        tags = await self._repositories.tags(repository)
        if tags is None:
            raise ApiError("NO_SUCH_REPOSITORY")
        if not self._repositories.permitted(caller, repository):
            raise ApiError("NOT_AUTHORIZED")
        page = _page(request, tags, lambda tag: tag)
        whole = request.query.get("includeManifests") == "true"
        shapes = [await self._repositories.tag_shape(repository, tag, whole) for tag in page.items]
        return json_response(shapes, headers=_page_headers(request, page))

    async def get_repository_access(self, request: web.Request, caller: Account) -> web.Response:
        name = request.match_info["username"]
        if not caller.is_admin and caller.name != name:
            raise ApiError("NOT_AUTHORIZED")
        account = self._site.directory.find(name)
        if account is None or account.is_org:
            raise ApiError("NO_SUCH_USER")
        repository = f"{request.match_info['namespace']}/{request.match_info['reponame']}"
        actions = self._repositories.permitted(account, repository)
        if not actions and self._site.behaviours.without_access == "hidden":
            raise ApiError("NO_SUCH_REPOSITORY")
        level = "" if not actions else "admin" if "delete" in actions else "read-only"
        return json_response({"accessLevel": level, "user": json.loads(account.json)})

    async def delete_tag(self, request: web.Request, caller: Account) -> web.Response:
        repository = f"{request.match_info['namespace']}/{request.match_info['reponame']}"
        if "push" not in self._repositories.permitted(caller, repository):
            raise ApiError("NOT_AUTHORIZED")
        if not await self._repositories.delete_tag(repository, request.match_info["reference"]):
            raise ApiError("NO_SUCH_TAG")
        return web.Response(status=204)

    def _repository_shape(self, repository: str) -> dict[str, t.Any]:
        namespace, _, name = repository.partition("/")
        owner = self._site.directory.find(namespace)
        return {
            "id": _repository_id(repository),
            "namespace": namespace,
            "namespaceType": "organization" if owner is None or owner.is_org else "user",
            "name": name,
            "shortDescription": "",
            "visibility": "private",
            "scanOnPush": False,
            "immutableTags": False,
            "enableManifestLists": True,
            "pulls": 0,
            "pushes": 0,
            "tagLimit": 0,
        }


def _repository_id(repository: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, repository))


Element = t.TypeVar("Element")


def _page(request: web.Request, items: t.Sequence[Element], marker: t.Callable[[Element], str]) -> Page[Element]:
    try:
        size = int(request.query.get("pageSize", "10"))
    except ValueError as error:
        raise ApiError("INVALID_PARAMETERS", "pageSize") from error
    return page_of(items, marker, request.query.get("pageStart", ""), size if size > 0 else 10)


def _page_headers(request: web.Request, page: Page[t.Any]) -> dict[str, str]:
    headers = {"X-Next-Page-Start": page.next_start} if page.next_start else {}
    if request.query.get("count") == "true":
        headers["X-Resource-Count"] = str(page.total)
    return headers
