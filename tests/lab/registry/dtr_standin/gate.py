# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every request passes: faults, counting, authentication, media types, and the envelope of errors."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import enum
import json
import logging
import time
import typing as t

from aiohttp import web

from .accounts import Account
from .errors import ApiError, error_response
from .faults import Fault
from .site import Site

Handler = t.Callable[[web.Request], t.Awaitable[web.StreamResponse]]
Operation = t.Callable[[web.Request, Account], t.Awaitable[web.StreamResponse]]

_PAGE = "<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
_WITH_BODY = ("POST", "PUT", "PATCH")

log = logging.getLogger("dtr_standin")


class Access(enum.Enum):
    """Whom an operation is for; the finer rules (oneself, an organisation's member) are the operation's own."""

    ACTIVE_USER = "any active user"
    ADMIN = "an admin"


def gate(site: Site) -> t.Any:
    """The one middleware: it counts, misbehaves where a fault says so, and turns every refusal into an answer."""

    @web.middleware
    async def pass_gate(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        traffic = site.traffic
        traffic.entered()
        status = 0
        try:
            fault = site.faults.hitting(request.method, request.path) if site.faults.rules else None
            response = await (_misbehaving(fault, request, handler) if fault else _answer(request, handler))
            status = response.status if request.transport is not None and not request.transport.is_closing() else 0
            return response
        finally:
            resource = request.match_info.route.resource
            traffic.left(
                request.remote or "-",
                request.method,
                request.path,
                resource.canonical if resource else "-",
                request.get("user", ""),
                status,
                time.perf_counter() - started,
            )

    return pass_gate


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return error.response()
    except web.HTTPMethodNotAllowed as error:
        return ApiError("NOT_ALLOWED", headers={"Allow": ", ".join(sorted(error.allowed_methods))}).response()
    except web.HTTPNotFound:
        return ApiError("NOT_FOUND").response()
    except web.HTTPRequestEntityTooLarge as error:
        return error_response(error.status, "REQUEST_TOO_LARGE", error.reason)
    except (ConnectionError, asyncio.CancelledError):
        raise
    except Exception:
        log.exception("%s %s", request.method, request.path)
        return ApiError("INTERNAL_ERROR").response()


async def _misbehaving(fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    if not request.path.startswith("/v2/"):
        # As a server that has the request acts on it, however late and whether or not its client still waits.
        await request.read()
    # A body that is streamed has begun to leave when its handler returns, so its handler cuts it.
    request["cut_body"] = fault.action == "cut_body"
    true = await _answer(request, handler) if fault.acts_first else None
    if fault.action == "late_act" and request.transport is not None:
        request.transport.abort()
    await asyncio.sleep(fault.seconds)
    headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
    if fault.action == "drop" and request.transport is not None:
        request.transport.abort()
    if fault.action == "status":
        return error_response(fault.status, "INJECTED", f"The server was told to answer {fault.status}.", None, headers)
    if fault.action == "html":
        body = _PAGE.format(title=f"{fault.status} from a proxy")
        return web.Response(status=fault.status, text=body, content_type="text/html", headers=headers)
    if fault.action == "huge":
        return await _huge(fault, request)
    if fault.action == "deep":
        text = "[" * fault.levels + "]" * fault.levels
        return web.Response(status=fault.status, text=text, content_type="application/json")
    if fault.action == "endless":
        return web.json_response(_endless_page(fault.fired))
    if fault.action == "redirect":
        return web.Response(status=302, headers={"Location": fault.url})
    if fault.action == "cut_body" and isinstance(true, web.Response):
        return await _cut(request, true)
    if fault.action == "cut_json" and isinstance(true, web.Response):
        whole = t.cast("bytes", true.body or b"")
        true.body = whole[: len(whole) // 2]
    if fault.action in ("delay", "cut_json", "cut_body", "late_act"):
        return true or await _answer(request, handler)
    return web.Response(status=fault.status)


async def _huge(fault: Fault, request: web.Request) -> web.StreamResponse:
    """A list of empty objects, for as long as its client reads it."""
    response = web.StreamResponse(status=fault.status, headers={"Content-Type": "application/json"})
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        piece = b"{}," * (2**20 // 3)
        await response.write(b"[")
        for _each in range(fault.megabytes):
            await response.write(piece)
        await response.write(b"{}]")
        await response.write_eof()
    return response


def _endless_page(number: int) -> dict[str, t.Any]:
    accounts = [{"name": f"nobody-{number:06d}-{each:04d}", "isOrg": False, "isActive": True} for each in range(1000)]
    return {"accounts": accounts, "nextPageStart": f"nobody-{number + 1:06d}"}


async def _cut(request: web.Request, true: web.Response) -> web.StreamResponse:
    whole = t.cast("bytes", true.body or b"")
    if not whole and request.transport is not None:
        request.transport.abort()
        return true
    response = web.StreamResponse(status=true.status, headers={"Content-Type": true.headers["Content-Type"]})
    response.content_length = len(whole)
    await response.prepare(request)
    await response.write(whole[: len(whole) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def operation(site: Site, access: Access, handler: Operation) -> Handler:
    """An operation of the API behind its media types and its authorisation."""

    async def checked(request: web.Request) -> web.StreamResponse:
        check_media_types(request)
        caller = authenticated(site, request)
        if caller is None:
            raise ApiError("NOT_AUTHENTICATED")
        if access is Access.ADMIN and not caller.is_admin:
            raise ApiError("NOT_AUTHORIZED")
        return await handler(request, caller)

    return checked


def check_media_types(request: web.Request) -> None:
    """JSON is all that the API takes and gives.

    Raises:
        ApiError: 415 for another type of a body, 406 when the client does not accept JSON.
    """
    if (request.method in _WITH_BODY or request.can_read_body) and request.content_type != "application/json":
        raise ApiError("UNSUPPORTED_MEDIA_TYPE")
    accept = request.headers.get("Accept", "*/*")
    if not any(kind in accept for kind in ("application/json", "*/*", "application/*")):
        raise ApiError("NOT_ACCEPTABLE")


async def json_body(request: web.Request) -> dict[str, t.Any]:
    """The request's body, a JSON object.

    Raises:
        ApiError: It is something else.
    """
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise ApiError("INVALID_JSON", str(error)) from error
    if not isinstance(body, dict):
        raise ApiError("INVALID_JSON", "not an object")
    return body


def authenticated(site: Site, request: web.Request) -> Account | None:
    """The active account that a request proves to come from: by certificate, basic authentication or refresh token."""
    account = _by_certificate(site, request)
    if account is None:
        header = request.headers.get("Authorization", "")
        if header:
            account = _by_basic(site, header)
        elif "refresh_token" in request.query_string:
            account = by_token(site, request.query.get("refresh_token", ""))
    if account is None or not account.is_active:
        return None
    request["user"] = account.name
    return account


def by_password(site: Site, name: str, secret: str) -> Account | None:
    """The user whose password or access token this is."""
    account = site.directory.user(name)
    if account is None:
        return None
    return account if site.passwords.fits(name, secret) or site.access_tokens.owner(secret) == name else None


def by_token(site: Site, token: str) -> Account | None:
    """The user whose access token this is."""
    return site.directory.user(site.access_tokens.owner(token) or "")


def _by_basic(site: Site, header: str) -> Account | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return by_password(site, name, secret) if colon else None


def _by_certificate(site: Site, request: web.Request) -> Account | None:
    if site.options.client_ca is None or request.transport is None:
        return None
    certificate = request.transport.get_extra_info("peercert") or {}
    names = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return site.directory.user(names[0]) if names else None
