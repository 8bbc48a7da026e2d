# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS servers on 127.0.0.1 with one thing wrong each, and what is found there."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import typing as t
from pathlib import Path

from ansible_collections.dtr.cache.plugins.module_utils.health.checks import Answer, Check
from ansible_collections.dtr.cache.plugins.module_utils.health.examine import cache_endpoint
from ansible_collections.dtr.cache.plugins.module_utils.health.probe import Endpoint, Question, Report, probe
from ansible_collections.dtr.cache.plugins.module_utils.http import tls
from ansible_collections.dtr.cache.tests.unit.support.web import Identity, Reply, Request, serve

STEP = 2.0
GOOD = ["name_resolution", "tcp", "tls", "chain", "host_name", "validity", "api"]


class Authority(t.NamedTuple):
    """A root CA, two intermediate ones below it, and a folder to keep servers' files in."""

    root: Identity
    upper: Identity
    lower: Identity
    folder: Path


def chain_context(folder: Path, leaf: Identity, *others: Identity) -> ssl.SSLContext:
    """A server's context that sends these certificates in this order."""
    certificate, key = leaf.write(folder, "leaf")
    certificate.write_text("".join(each.pem for each in (leaf, *others)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def judge(seen: Answer | str) -> Check:
    return Check("edge", "api", isinstance(seen, Answer) and seen.status == 200, str(seen))


def endpoint(url: str, ca: Identity, **changes: t.Any) -> Endpoint:
    made = cache_endpoint(url, None, tls.client_context(ca_certificate=ca.pem), [ca.certificate], min_days=14)
    return made._replace(**{"ask": [Question("/v2/", judge)], **changes})


def fine(_request: Request) -> Reply:
    return Reply(200, b"{}")


def probe_server(context: ssl.SSLContext | None, ca: Identity, **changes: t.Any) -> Report:
    with serve(fine, context) as site:
        url = f"https://127.0.0.1:{site.port}"
        return probe(endpoint(url, ca, **changes), STEP)


def failed(report: Report) -> dict[str, Check]:
    return {check.check: check for check in report.checks if not check.ok}


def only_failure(report: Report, name: str) -> tuple[str, str]:
    """Detail and hint of the one thing that is wrong."""
    wrong = failed(report)
    assert list(wrong) == [name], report.checks
    return wrong[name].detail, wrong[name].hint or ""


@contextlib.contextmanager
def raw_server(behaviour: t.Callable[[socket.socket], None]) -> t.Iterator[str]:
    """A TCP server that does anything but what it should."""
    held: list[socket.socket] = []

    def run() -> None:
        while True:
            try:
                connection, _address = server.accept()
            except OSError:
                return
            held.append(connection)
            with contextlib.suppress(OSError):
                behaviour(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in held:
                connection.close()
