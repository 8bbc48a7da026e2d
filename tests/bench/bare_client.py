# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends what an assignment sends, on keep-alive connections of the standard library, and looks only at the status.

For each account its setting is read; with a cache it is also written, and read again.
"""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import ssl
import sys
import typing as t
from urllib.parse import urlsplit


def send(given: dict[str, t.Any], context: ssl.SSLContext, pending: list[str]) -> None:
    """Works on the pending accounts until none is left."""
    address = urlsplit(given["url"])
    connection = http.client.HTTPSConnection(address.hostname or "", address.port, context=context)
    headers = {"Authorization": given["authorization"], "Accept": "application/json"}
    json_headers = {**headers, "Content-Type": "application/json"}
    form = json.dumps({"contentCacheUUID": given["cache"]}).encode()
    read = ("GET", None, headers)
    requests = [read] if given["cache"] is None else [read, ("PATCH", form, json_headers), read]
    while pending:
        try:
            path = f"/api/v0/accounts/{pending.pop()}/settings"
        except IndexError:
            break
        for method, body, fields in requests:
            connection.request(method, path, body=body, headers=fields)
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                raise RuntimeError(f"{method} {path} answered {response.status}")


def main() -> None:
    given = json.load(sys.stdin)
    context = ssl.create_default_context(cafile=given["ca"])
    pending = list(given["accounts"])
    with concurrent.futures.ThreadPoolExecutor(given["concurrency"]) as pool:
        for sender in [pool.submit(send, given, context, pending) for _each in range(given["concurrency"])]:
            sender.result()


main()
