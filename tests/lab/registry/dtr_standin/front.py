# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands before the API: health, the CA, and the tokens of the registry protocol."""

from __future__ import annotations

import typing as t

from aiohttp import web

from .accounts import Account
from .errors import ApiError, json_response
from .gate import authenticated, by_password, by_token
from .repositories import Repositories
from .site import Site
from .tokens import now_text


class Front:
    """The end points that need no authentication of the API's kind."""

    def __init__(self, site: Site, repositories: Repositories) -> None:
        self._site = site
        self._repositories = repositories

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/_ping", self.ping),
            web.get("/health", self.health),
            web.get("/nginx_status", self.nginx_status),
            web.get("/ca", self.ca),
            *(web.get(f"/auth/token{end}", self.token, allow_head=False) for end in ("", "/")),
            *(web.post(f"/auth/token{end}", self.token_by_form) for end in ("", "/")),
        ]

    async def ping(self, _request: web.Request) -> web.Response:
        error = self._site.behaviours.unhealthy
        return json_response({"Error": error, "Healthy": not error}, 503 if error else 200)

    async def health(self, _request: web.Request) -> web.Response:
        error = self._site.behaviours.unhealthy
        return json_response({"error": error, "healthy": not error}, 503 if error else 200)

    async def nginx_status(self, _request: web.Request) -> web.Response:
        traffic = self._site.traffic
        total = sum(traffic.counts.values())
        return web.Response(
            text=f"Active connections: {traffic.in_flight} \n"
            f"server accepts handled requests\n {total} {total} {total} \n"
            f"Reading: 0 Writing: {traffic.in_flight} Waiting: 0 \n"
        )

    async def ca(self, _request: web.Request) -> web.Response:
        if not self._site.ca_pem:
            raise ApiError("NOT_FOUND")
        return web.Response(text=self._site.ca_pem, content_type="application/x-pem-file")

    async def token(self, request: web.Request) -> web.Response:
        """GET: the account is that of the basic authentication or the certificate; without either it is nobody."""
        account = authenticated(self._site, request)
        if account is None and "Authorization" in request.headers:
            raise ApiError("NOT_AUTHENTICATED")
        offline = request.query.get("offline_token") == "true"
        answer = self._issued(request, account, request.query.getall("scope", []), offline)
        return json_response(answer | {"token": answer["access_token"]})

    async def token_by_form(self, request: web.Request) -> web.Response:
        """POST, as OAuth 2 has it: by password or by a refresh token."""
        if request.content_type != "application/x-www-form-urlencoded":
            raise ApiError("UNSUPPORTED_MEDIA_TYPE")
        form = await request.post()
        text = {key: value for key, value in form.items() if isinstance(value, str)}
        account = self._by_form(text)
        if account is None or not account.is_active:
            raise ApiError("NOT_AUTHENTICATED")
        request["user"] = account.name
        offline = text.get("access_type") == "offline"
        answer = self._issued(request, account, [text.get("scope", "")], offline)
        if text.get("grant_type") == "refresh_token":
            answer["refresh_token"] = text["refresh_token"]
        return json_response(answer)

    def _by_form(self, form: t.Mapping[str, str]) -> Account | None:
        if form.get("grant_type") == "password":
            return by_password(self._site, form.get("username", ""), form.get("password", ""))
        if form.get("grant_type") == "refresh_token":
            return by_token(self._site, form.get("refresh_token", ""))
        raise ApiError("INVALID_PARAMETERS", "grant_type")

    def _issued(
        self, request: web.Request, account: Account | None, scopes: t.Iterable[str], offline: bool
    ) -> dict[str, t.Any]:
        """The answer with a token that carries what the account may do of what it asks for, which may be nothing."""
        wanted = " ".join(scopes).split()
        access = self._granted(account, wanted)
        seconds = self._site.behaviours.token_seconds
        token = self._site.bearer_tokens.issue(account.name if account else "", access, seconds)
        answer: dict[str, t.Any] = {
            "access_token": token,
            "scope": " ".join(wanted),
            "expires_in": seconds,
            "issued_at": now_text(),
        }
        if offline and account is not None:
            user_agent = request.headers.get("User-Agent", "")
            answer["refresh_token"], _ = self._site.access_tokens.create(
                account.name, "docker login", "auto", user_agent
            )
            self._site.changed()
        return answer

    def _granted(self, account: Account | None, scopes: t.Iterable[str]) -> dict[str, frozenset[str]]:
        access: dict[str, frozenset[str]] = {}
        for scope in scopes:
            resource, _, actions = scope.rpartition(":")
            kind, _, name = resource.partition(":")
            allowed: frozenset[str] = frozenset()
            if account is not None and kind == "repository":
                allowed = self._repositories.permitted(account, name)
            elif account is not None and resource == "registry:catalog" and account.is_admin:
                allowed = frozenset({"*"})
            access[resource] = access.get(resource, frozenset()) | (allowed & frozenset(actions.split(",")))
        return access
