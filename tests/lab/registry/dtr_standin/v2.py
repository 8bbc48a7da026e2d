# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry protocol, /v2: DTR's authorisation and redirects before a real registry that does the rest.

Bodies are streamed both ways, so memory stays bounded whatever the size of a layer.
"""

from __future__ import annotations

import dataclasses
import json
import re
import urllib.parse

import aiohttp
import yarl
from aiohttp import hdrs, web

from .errors import ApiError, error_response
from .site import Site
from .tokens import Grant
from .trust import trusts

_NAME = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_TARGET = re.compile(
    rf"/v2/(?P<repository>{_NAME}(?:/{_NAME})*)/"
    r"(?:manifests/(?P<manifest>[\w:.+-]+)|blobs/(?P<blob>[\w.+-]+:[0-9a-fA-F]+)|blobs/uploads/[\w=-]*|tags/list)"
)
_ACTIONS = {"GET": "pull", "HEAD": "pull", "POST": "push", "PUT": "push", "PATCH": "push", "DELETE": "delete"}

#: Headers of one connection only, and those that this server decides itself.
_OWN_HEADERS = frozenset(
    name.lower()
    for name in (
        *(
            "Connection",
            "Keep-Alive",
            "Proxy-Authenticate",
            "Proxy-Authorization",
            "TE",
            "Trailer",
            "Transfer-Encoding",
        ),
        *("Upgrade", "Expect", "Host", "Authorization", "Date", "Server"),
    )
)
_WITHOUT_REPOSITORY = ("/v2", "/v2/_catalog")
_LARGEST_MANIFEST = 4 * 1024 * 1024
_MOST_CONFIGS = 10_000
_CACHE_TIMEOUT = aiohttp.ClientTimeout(total=2)


@dataclasses.dataclass(frozen=True)
class Target:
    """What a path of the protocol names."""

    repository: str
    manifest: str | None  # tag or digest
    blob: str | None  # digest


class RegistryProxy:
    """Every path below /v2."""

    def __init__(self, site: Site, session: aiohttp.ClientSession) -> None:
        self._site = site
        self._session = session
        self._config_digests: dict[str, None] = {}  # of the manifests that went by, the oldest first

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/v2{path:(?:/.*)?}", self.handle)]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        found = _TARGET.fullmatch(request.path)
        target = Target(**found.groupdict()) if found else None
        if target and request.method in ("GET", "HEAD") and "signature" in request.query:
            return await self._signed(request, target)
        if target is None and request.path.rstrip("/") not in _WITHOUT_REPOSITORY:
            return error_response(404, "NAME_UNKNOWN", "There is no such path in the registry protocol.")
        needs = _needs(request, target)
        grant = self._grant(request)
        request["user"] = grant.account if grant else ""
        missing = [(resource, action) for resource, action in needs if not (grant and grant.allows(resource, action))]
        if grant is None or missing:
            return self._challenge(request, needs, insufficient=grant is not None)
        if request.method not in ("GET", "HEAD") and self._site.read_only:
            return error_response(405, "UNSUPPORTED", "The registry is in read-only mode.")
        elsewhere = await self._elsewhere(request, target, grant) if target else None
        return elsewhere or await self._pass_on(request, target)

    async def _signed(self, request: web.Request, target: Target) -> web.StreamResponse:
        if not self._site.signer.opens(request.path, request.query):
            return error_response(403, "DENIED", "The signature is wrong or has expired.")
        request["user"] = request.query["account"]
        return await self._pass_on(request, target)

    def _grant(self, request: web.Request) -> Grant | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        grant = self._site.bearer_tokens.grant(token) if scheme.lower() == "bearer" else None
        if grant is None:
            return None
        account = self._site.directory.user(grant.account)
        known = not grant.account or (account is not None and account.is_active)
        return grant if known else None

    def _challenge(self, request: web.Request, needs: list[tuple[str, str]], insufficient: bool) -> web.Response:
        realm = f'realm="{self._site.scheme}://{request.host}/auth/token",service="{request.host}"'
        scopes: dict[str, list[str]] = {}
        for resource, action in needs:
            scopes.setdefault(resource, []).append(action)
        scope = " ".join(f"{resource}:{','.join(actions)}" for resource, actions in scopes.items())
        challenge = f"Bearer {realm}"
        if scope:
            challenge += f',scope="{scope}"'
        if insufficient:
            challenge += ',error="insufficient_scope"'
        headers = {"Www-Authenticate": challenge, "Docker-Distribution-Api-Version": "registry/2.0"}
        code, message = (
            ("DENIED", "requested access to the resource is denied")
            if insufficient
            else (
                "UNAUTHORIZED",
                "authentication required",
            )
        )
        return error_response(401, code, message, scope, headers)

    async def _elsewhere(self, request: web.Request, target: Target, grant: Grant) -> web.Response | None:
        """The answer that leads to the account's cache, or says that it is gone; none where DTR serves it itself."""
        if not self._is_for_caches(request, target):
            return None
        behaviours, caches = self._site.behaviours, self._site.caches
        cache = caches.cache_of(grant.account)
        host = cache.host if cache else None
        if caches.dangles(grant.account) and behaviours.cache_gone != "served":
            if behaviours.cache_gone != "redirected":
                code = "NO_SUCH_CONTENT_CACHE" if behaviours.cache_gone == 404 else "INTERNAL_ERROR"
                raise ApiError(code)
            host = caches.former_host_of(grant.account)
        if host is None or (behaviours.cache_down == "served" and not await self._answers(host)):
            return None
        if behaviours.distrusted_cache in ("bypassed", "failing") and not await trusts(self._site, host):
            if behaviours.distrusted_cache == "failing":
                return error_response(502, "UNAVAILABLE", "The content cache cannot be reached.")
            return None
        if not behaviours.redirect_missing and target.blob and not await self._has(request):
            return None
        location = self._site.blob_location(host, request.path, grant.account)
        return web.Response(status=behaviours.blob_redirect_status, headers={"Location": location})

    def _is_for_caches(self, request: web.Request, target: Target) -> bool:
        behaviours = self._site.behaviours
        if request.method != "GET" and not (request.method == "HEAD" and behaviours.redirect_heads):
            return False
        if target.blob:
            return behaviours.redirect_config_blobs or target.blob not in self._config_digests
        return target.manifest is not None and behaviours.redirect_manifests

    async def _answers(self, host: str) -> bool:
        """Whether a cache is up as DTR sees it, whoever signed its certificate."""
        try:
            async with self._session.get(f"{host.rstrip('/')}/v2/", ssl=False, timeout=_CACHE_TIMEOUT) as answer:
                return answer.status < 500
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _has(self, request: web.Request) -> bool:
        """Whether the registry behind has what is asked for."""
        url = yarl.URL(f"{self._site.upstream}{request.rel_url.raw_path}", encoded=True)
        try:
            async with self._session.head(url, allow_redirects=False) as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def _pass_on(self, request: web.Request, target: Target | None) -> web.StreamResponse:
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _OWN_HEADERS]
        query = "" if "signature" in request.query else f"?{request.rel_url.raw_query_string}"
        url = yarl.URL(f"{self._site.upstream}{request.rel_url.raw_path}{query}", encoded=True)
        try:
            async with self._session.request(
                request.method,
                url,
                headers=headers,
                data=request.content if request.can_read_body else None,
                allow_redirects=False,
            ) as answer:
                return await self._stream(request, target, answer)
        except aiohttp.ClientError:
            return error_response(502, "UNAVAILABLE", "The registry behind DTR does not answer.")

    async def _stream(
        self, request: web.Request, target: Target | None, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, reason=answer.reason)
        for name, value in answer.headers.items():
            if name.lower() not in _OWN_HEADERS:
                response.headers.add(name, value)
        if hdrs.LOCATION in answer.headers:
            response.headers[hdrs.LOCATION] = self._here(request, answer.headers[hdrs.LOCATION])
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        is_manifest = target is not None and target.manifest is not None and request.method == "GET"
        try:
            if is_manifest and (answer.content_length or 0) <= _LARGEST_MANIFEST:
                body = await answer.read()
                self._note_config(body)
                await response.write(body)
            else:
                await self._copy(request, answer, response)
        except aiohttp.ClientError:
            # The head of the answer is gone already: all that can tell the client is a closed connection.
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _copy(self, request: web.Request, answer: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
        until = (answer.content_length or 0) // 2 if request.get("cut_body") else None
        sent = 0
        async for part in answer.content.iter_any():
            if until is not None and sent + len(part) > until and request.transport is not None:
                await response.write(part[: until - sent])
                request.transport.close()
                return
            await response.write(part)
            sent += len(part)

    def _here(self, request: web.Request, location: str) -> str:
        """An address of the registry behind, on this server."""
        url = urllib.parse.urlsplit(location)
        return urllib.parse.urlunsplit((self._site.scheme, request.host, url.path, url.query, ""))

    def _note_config(self, manifest: bytes) -> None:
        try:
            digest = json.loads(manifest)["config"]["digest"]
        except (ValueError, KeyError, TypeError):
            return
        self._config_digests[digest] = None
        if len(self._config_digests) > _MOST_CONFIGS:
            del self._config_digests[next(iter(self._config_digests))]


def _needs(request: web.Request, target: Target | None) -> list[tuple[str, str]]:
    """The resources and actions that a request needs to be granted."""
    if target is None:
        return [("registry:catalog", "*")] if request.path.rstrip("/") == "/v2/_catalog" else []
    resource = f"repository:{target.repository}"
    action = _ACTIONS.get(request.method, "*")
    # Whoever pushes also asks whether a blob is there already.
    needs = [(resource, "pull"), (resource, "push")] if action == "push" else [(resource, action)]
    source = request.query.get("from") if request.method == "POST" else None
    return needs + ([(f"repository:{source}", "pull")] if source else [])
