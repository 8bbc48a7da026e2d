# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface by which tests switch and look at the running server: plain HTTP on an address of its own.

Every request carries the header C(X-Control-Secret) with the text of C(control.secret) in the state folder. All bodies
are JSON. `control_client` speaks it from Python and from a shell.

=========================  ==================================================================================
GET /behaviours            all behaviours (`behaviours.Behaviours`)
PUT /behaviours            replaces those that the body names; 400 names what is unknown or impossible
GET /faults                the rules in force, with how often each matched and fired
POST /faults               puts one rule in force (`faults.Fault`), answers it with its id
DELETE /faults             removes all rules; /faults/{id} removes one
POST /reset                default behaviours, no faults, no counts; with {"data": true} also the seed's data, and with
                           {"accounts": N} only so many generated accounts until the next start
GET /requests              counts by method, route and status; with ?recent=N the last N requests (at most 20,000)
DELETE /requests           forgets the counts and the recent requests
GET /state                 {content_caches: [{id, name, host}], settings: {account: id}}: only settings that are set
PUT /state                 replaces that, without any check: duplicates and dangling ids can be set up
GET /journal               [[what, cache id or account, detail]]: each change of caches and settings since the data was
                           reset or replaced, at most 200,000 (`caches.ContentCaches.journal`)
POST /accounts             {name, full_name, is_active, is_admin, password}: adds a user, or replaces one of that name
=========================  ==================================================================================

Restarting keeps the data (caches, settings, access tokens), not behaviours, faults and counts.
"""

from __future__ import annotations

import dataclasses
import hmac
import json
import typing as t

from aiohttp import web

from .accounts import Account
from .errors import json_response
from .faults import Fault
from .site import Site

SECRET_HEADER = "X-Control-Secret"


class Control:
    """The control interface of one site."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self._guard], client_max_size=64 * 1024 * 1024)
        application.add_routes(
            [
                web.get("/behaviours", self.behaviours),
                web.put("/behaviours", self.change_behaviours),
                web.get("/faults", self.faults),
                web.post("/faults", self.add_fault),
                web.delete("/faults", self.remove_faults),
                web.delete(r"/faults/{id:\d+}", self.remove_fault),
                web.post("/reset", self.reset),
                web.get("/requests", self.requests),
                web.delete("/requests", self.forget_requests),
                web.get("/state", self.state),
                web.put("/state", self.replace_state),
                web.get("/journal", self.journal),
                web.post("/accounts", self.put_account),
            ]
        )
        return application

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: t.Callable[[web.Request], t.Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        secret = request.headers.get(SECRET_HEADER, "")
        if not hmac.compare_digest(secret.encode(), self._site.control_secret.encode()):
            return json_response({"error": f"{SECRET_HEADER} is missing or wrong"}, 403)
        try:
            return await handler(request)
        except (ValueError, TypeError, KeyError) as error:
            return json_response({"error": str(error)}, 400)

    async def behaviours(self, _request: web.Request) -> web.Response:
        return json_response(dataclasses.asdict(self._site.behaviours))

    async def change_behaviours(self, request: web.Request) -> web.Response:
        self._site.behaviours = self._site.behaviours.changed(await _object(request))
        return await self.behaviours(request)

    async def faults(self, _request: web.Request) -> web.Response:
        return json_response([dataclasses.asdict(rule) for rule in self._site.faults.rules])

    async def add_fault(self, request: web.Request) -> web.Response:
        fault: Fault = self._site.faults.add(await _object(request))
        return json_response(dataclasses.asdict(fault), 201)

    async def remove_faults(self, _request: web.Request) -> web.Response:
        self._site.faults.rules.clear()
        return web.Response(status=204)

    async def remove_fault(self, request: web.Request) -> web.Response:
        removed = self._site.faults.remove(int(request.match_info["id"]))
        return web.Response(status=204 if removed else 404)

    async def reset(self, request: web.Request) -> web.Response:
        body = await _object(request) if request.can_read_body else {}
        self._site.reset(data=body.get("data") is True, accounts=body.get("accounts"))
        return web.Response(status=204)

    async def requests(self, request: web.Request) -> web.Response:
        return json_response(self._site.traffic.summary(int(request.query.get("recent", "0"))))

    async def forget_requests(self, _request: web.Request) -> web.Response:
        self._site.traffic.clear()
        return web.Response(status=204)

    async def state(self, _request: web.Request) -> web.Response:
        return json_response(self._site.snapshot())

    async def replace_state(self, request: web.Request) -> web.Response:
        body = await _object(request)
        self._site.restore({"content_caches": body["content_caches"], "settings": body["settings"]})
        return await self.state(request)

    async def journal(self, _request: web.Request) -> web.Response:
        return json_response(list(self._site.caches.journal))

    async def put_account(self, request: web.Request) -> web.Response:
        body = await _object(request)
        password = body.pop("password", None)
        account = Account(**body)
        self._site.directory = self._site.directory.with_account(account)
        if password is not None:
            self._site.passwords.set(account.name, password)
        return json_response(account.json, 201)


async def _object(request: web.Request) -> dict[str, t.Any]:
    body = json.loads(await request.read())
    if not isinstance(body, dict):
        raise TypeError("the body is no JSON object")
    return body
