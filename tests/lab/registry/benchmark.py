# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many small requests a second the stand-in answers over TLS to one keep-alive client; prints one line.

Half of the requests read an account's settings, half write them, as an assignment of many accounts does. Fails
when it answers fewer than C(--least): a slower one would be what the collection's own speed is measured at.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import pathlib
import ssl
import tempfile
import time
import typing as t

import aiohttp
import uvloop
from standin_harness import Standin, issue, running

_ACCOUNTS = 10_000


async def requests_a_second(standin: Standin, total: int, concurrency: int) -> float:
    context = ssl.create_default_context(cafile=str(standin.ca))
    connector = aiohttp.TCPConnector(ssl=context, limit=concurrency)
    credentials = base64.b64encode(f"admin:{standin.passwords['admin']}".encode()).decode()
    async with aiohttp.ClientSession(connector=connector, headers={"Authorization": f"Basic {credentials}"}) as session:
        body = {"name": "benchmark", "host": "https://cache.lab.test"}
        async with session.post(f"{standin.url}/api/v0/content_caches", json=body) as answer:
            form = {"contentCacheUUID": (await answer.json())["id"]}
        numbers = iter(range(total))
        started = time.perf_counter()
        await asyncio.gather(*(_client(session, standin.url, numbers, form) for _ in range(concurrency)))
        return total / (time.perf_counter() - started)


async def _client(session: aiohttp.ClientSession, url: str, numbers: t.Iterator[int], form: dict[str, str]) -> None:
    for number in numbers:
        account = f"user{number // 2 % _ACCOUNTS + 1:05d}"
        method, json = ("PATCH", form) if number % 2 else ("GET", None)
        async with session.request(method, f"{url}/api/v0/accounts/{account}/settings", json=json) as answer:
            answer.raise_for_status()
            await answer.read()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--least", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dtr-standin-") as name:
        folder = pathlib.Path(name)
        ca = issue(folder, "ca")
        with running(folder, "http://127.0.0.1:9", accounts=_ACCOUNTS, ca=ca, client_ca=ca) as standin:
            rate = uvloop.run(requests_a_second(standin, arguments.requests, arguments.concurrency))
    print(f"{arguments.requests} requests at concurrency {arguments.concurrency} over TLS: {rate:.0f} a second")
    if rate < arguments.least:
        parser.exit(1, f"fewer than {arguments.least} a second\n")


if __name__ == "__main__":
    main()
