# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the parts together and runs them until the process is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import ssl
import typing as t

import aiohttp
from aiohttp import web

from .api import Api
from .control import Control
from .enzi import Enzi
from .front import Front
from .gate import gate
from .repositories import Repositories
from .site import Address, Options, Site
from .tokens import write_private
from .v2 import RegistryProxy

_SAVE_SECONDS = 1.0
_LAST_ANSWERS_SECONDS = 2.0
_IDLE_SECONDS = 75.0
_LARGEST_JSON = 1024 * 1024

log = logging.getLogger("dtr_standin")


def registry_application(site: Site, session: aiohttp.ClientSession) -> web.Application:
    """All that clients of DTR see."""
    repositories = Repositories(site, session)
    application = web.Application(middlewares=[gate(site)], client_max_size=_LARGEST_JSON)
    application.add_routes(Front(site, repositories).routes())
    application.add_routes(Api(site, repositories).routes())
    application.add_routes(Enzi(site).routes())
    application.add_routes(RegistryProxy(site, session).routes())
    return application


def tls_context(options: Options) -> ssl.SSLContext | None:
    """The server's side of TLS; clients may show a certificate where a CA for them is configured."""
    if options.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options.certificate, options.key)
    if options.client_ca is not None:
        context.load_verify_locations(options.client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


async def serve(options: Options) -> None:
    """Serves until SIGTERM or SIGINT. SIGHUP reads the certificate, its key and the CA again."""
    site = Site(options)
    context = tls_context(options)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.add_signal_handler(signal.SIGHUP, _reload, site, context)
    ready = options.state / "ready"
    ready.unlink(missing_ok=True)
    async with contextlib.AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=64)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=connector, auto_decompress=False, timeout=aiohttp.ClientTimeout(sock_connect=10)
            )
        )
        stack.callback(site.save)
        public = await _listen(stack, registry_application(site, session), options.listen, context)
        control = await _listen(stack, Control(site).application(), options.control, None)
        saver = asyncio.create_task(_save_regularly(site))
        stack.callback(saver.cancel)
        addresses = {
            "url": f"{site.scheme}://{_text(public)}",
            "control": f"http://{_text(control)}",
            "pid": os.getpid(),
        }
        write_private(ready, json.dumps(addresses) + "\n")
        stack.callback(ready.unlink, missing_ok=True)
        log.info("serving %(url)s, control %(control)s", addresses)
        await ended.wait()


async def _listen(
    stack: contextlib.AsyncExitStack, application: web.Application, address: Address, context: ssl.SSLContext | None
) -> Address:
    """Serves an application on an address; answers the address with the port that the system chose for 0."""
    runner = web.AppRunner(
        application, access_log=None, keepalive_timeout=_IDLE_SECONDS, shutdown_timeout=_LAST_ANSWERS_SECONDS
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    listener = socket.create_server(address, backlog=1024)
    await web.SockSite(runner, listener, ssl_context=context).start()
    return t.cast("Address", listener.getsockname()[:2])


async def _save_regularly(site: Site) -> None:
    while True:
        await asyncio.sleep(_SAVE_SECONDS)
        try:
            site.save()
        except OSError:
            log.exception("could not save")


def _reload(site: Site, context: ssl.SSLContext | None) -> None:
    options = site.options
    try:
        if context is not None and options.certificate is not None:
            context.load_cert_chain(options.certificate, options.key)
        site.read_certificates()
    except (OSError, ssl.SSLError):
        log.exception("could not read the certificates again")


def _text(address: Address) -> str:
    return f"{address[0]}:{address[1]}"
