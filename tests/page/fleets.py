# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets to make reports of: one, three and a hundred caches, and one whose every text is hostile."""

from __future__ import annotations

import datetime
import typing as t

Row = dict[str, t.Any]

MOMENT = datetime.datetime(2026, 11, 24, 1, 40, tzinfo=datetime.timezone.utc)
TIME = "2026-11-24T01:40:00Z"
DTR = "https://dtr.example.org"
CITIES = ("amsterdam", "bogota", "cairo", "delhi", "essen", "fukuoka", "geneva", "hanoi", "istanbul", "jakarta")

HOSTILE = (
    "<script>document.title = 'run'</script>",
    '"><img src=x onerror="document.title = \'run\'">',
    "</style></title></svg><svg onload=\"document.title = 'run'\">",
    "{{ 7 * 7 }}{% raw %} ${7*7} &lt;b&gt; javascript:alert(1)",
    "w" * 4000,
    "ذاكرة-التخزين المؤقت في الشرق الأوسط",
    "\u202eesrever txet\u202e",
    "line\nbreak\ttab \x00 nul \ud800 surrogate",
)


def check(edge: str, name: str, ok: bool = True, detail: str = "", hint: str | None = None) -> Row:
    return {"edge": edge, "check": name, "ok": ok, "detail": detail or f"{name} is right", "hint": hint}


def healthy(
    region: str = "region-asia",
    days: int = 396,
    accounts: int = 12,
    seconds: tuple[float | None, ...] = (0.0124, 0.182, 0.171),
) -> Row:
    host = f"cache-{region}.example.org"
    not_after = MOMENT + datetime.timedelta(days=days, hours=3)
    client = [
        check("client->cache", "name_resolution", detail=f"{host} is 192.0.2.17"),
        check("client->cache", "tcp", detail="port 443 is open"),
        check("client->cache", "tls", detail="TLSv1.3, TLS_AES_128_GCM_SHA256"),
        check("client->cache", "chain", detail="issued by CN=Example CA, which is trusted"),
        check("client->cache", "host_name", detail=f"covers {host}"),
        check("client->cache", "validity", detail=f"valid until {not_after:%Y-%m-%d}, {days} days"),
        check("client->cache", "api", detail="GET /v2/ answers 200 OK"),
    ]
    return {
        "region": region,
        "cache": region,
        "url": f"https://{host}:443",
        "registry_url": DTR,
        "nodes": ["worker-3"],
        "state": "healthy",
        "cause": None,
        "hint": None,
        "image": "docker/dtr-content-cache:2.7.6",
        "version": "2.7.6",
        "replicas": {"wanted": 1, "running": 1},
        "certificate": {
            "subject": f"CN={host}",
            "issuer": "CN=Example CA",
            "not_before": "2026-10-01T00:00:00Z",
            "not_after": not_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        "days_left": days,
        "accounts": accounts,
        "dangling": 0,
        "registered": True,
        "drift": [],
        "serves": True,
        "checks": [
            *client,
            check(
                "cache->DTR",
                "upstream",
                detail="asked with DTR's signature for a blob that exists nowhere, the cache answers 404 Not Found, as "
                "only DTR can know",
            ),
            check("client->DTR", "tcp", detail="port 443 is open"),
            check("client->DTR", "api", detail="GET /_ping answers 200 OK"),
            check("client->DTR", "registration", detail=f"{region} is registered as https://{host}:443"),
            check("DTR->cache", "redirect", detail=f"DTR sends account alice to https://{host}"),
        ],
        "seconds": dict(zip(("client->cache", "cache->DTR", "client->DTR"), seconds)),
    }


def traffic(**changes: t.Any) -> Row:
    """What a cache has served, as the reader of its log counts it."""
    share = {"pulls": 340, "layers": 2811, "bytes": 91_234_567_890, "failed": 2}
    return {
        "since": "2026-11-23T01:40:00Z",
        "complete_since": "2026-11-23T13:02:11Z",
        "missing": ["task x: only its newest 200000 lines were read; raise lines for more"],
        **share,
        "refused": 3,
        "statuses": {"404": 3, "502": 2},
        "slow": 1,
        "slowest": None,
        "image_count": 2,
        "images": [{"image": "eng/app", **share}, {"image": "eng/base", **share, "bytes": 1, "failed": 0}],
        "client_count": 1,
        "clients": [{"client": "192.0.2.7", **share}],
        **changes,
    }


def untrusted(region: str = "region-europe", days: int = 9, accounts: int = 230) -> Row:
    """A cache whose service runs, but whose way to DTR is broken, and which somebody has changed by hand."""
    row = healthy(region, days, accounts, (0.0261, None, 0.0312))
    detail = (
        "asked for a blob that it does not have, the cache answers 502 Bad Gateway: it gets nothing from its upstream."
    )
    hint = (
        "Check from the cache's node that DTR's name, port and certificate are as upstreams and cas of its "
        "configuration say. The cache's log names the reason: dtr.cache.diagnose reads it."
    )
    row["checks"] = [each for each in row["checks"] if each["edge"] not in ("cache->DTR", "DTR->cache")]
    row["checks"].append(check("cache->DTR", "upstream", False, detail, hint))
    drift = [
        {"kind": "service", "action": "update", "name": "dtr-cache_cache", "detail": "limits memory 1 GB -> 512 MB"}
    ]
    return {
        **row,
        "state": "unhealthy",
        "cause": "The cache gets nothing from its upstream: it answers 502 Bad Gateway.",
        "hint": hint,
        "problems": [
            {"cause": "The cache gets nothing from its upstream: it answers 502 Bad Gateway.", "hint": hint},
            {"cause": "1 of 2 replicas run.", "hint": "Deploy it with dtr.cache.deploy."},
            {"cause": "the Swarm is not as declared: update service (limits).", "hint": None},
        ],
        "replicas": {"wanted": 2, "running": 1},
        "dangling": 2,
        "drift": drift,
        "traffic": traffic(),
        "nodes": ["worker-1", "worker-2"],
    }


def closed(region: str = "region-brazil") -> Row:
    """A cache that nobody can connect to."""
    row = healthy(region, accounts=41, seconds=(None, None, 0.2104))
    hint = "Check that the cache's service runs and publishes this port."
    failed = check("client->cache", "tcp", False, "the connection to port 443 is refused.", hint)
    row["checks"] = [row["checks"][0], failed, *(each for each in row["checks"] if each["edge"] == "client->DTR")]
    return {
        **row,
        "state": "unhealthy",
        "cause": "The connection to port 443 of the cache is refused.",
        "hint": hint,
        "serves": False,
        "replicas": {"wanted": 1, "running": 0},
        "certificate": {**row["certificate"], "seen": False},
        "days_left": None,
    }


def unknown(region: str = "region-oceania") -> Row:
    """A region of which nothing could be found out."""
    return {
        **dict.fromkeys(healthy(region)),
        "region": region,
        "cache": region,
        "url": f"https://cache-{region}.example.org",
        "registry_url": DTR,
        "nodes": [],
        "state": "unknown",
        "cause": "The manager of the Swarm cannot be reached: Connection timed out.",
        "hint": "Check the host's address and that SSH is let through.",
        "dangling": 0,
        "checks": [],
        "seconds": {"client->cache": None, "cache->DTR": None, "client->DTR": None},
    }


def one() -> list[Row]:
    return [healthy()]


def three() -> list[Row]:
    return [healthy(), untrusted(), closed()]


def hundred() -> list[Row]:
    """Mostly healthy, with a certificate that is good for ten years and one that takes a second to answer."""
    rows = [
        healthy(
            f"{CITIES[number % 10]}-{number:02}",
            days=20 + (number * 37) % 380,
            accounts=(number * number * 7) % 900,
            seconds=(0.004 + number * 0.0007, 0.05 + (number % 13) * 0.021, 0.04 + (number % 17) * 0.017),
        )
        for number in range(93)
    ]
    rows[10] = healthy("kyoto-10", days=3650, accounts=2817, seconds=(1.04, 2.5, 0.21))
    return [
        *rows,
        untrusted("lima-93"),
        untrusted("lagos-94"),
        *(closed(f"milan-{n}") for n in (95, 96, 97)),
        unknown(),
        unknown("z-99"),
    ]


def hostile() -> list[Row]:
    """Every text of every row is one that a careless page would stumble over."""
    return [_hostile(make(), text) for text in HOSTILE for make in (untrusted, healthy, unknown)]


_NO_TEXT = ("state", "edge", "not_after", "complete_since")


def _hostile(value: t.Any, text: str, key: str = "") -> t.Any:
    if isinstance(value, dict):
        return {each: _hostile(inner, text, each) for each, inner in value.items()}
    if isinstance(value, list):
        return [_hostile(inner, text) for inner in value]
    # What the collection itself chooses from a list of words.
    return text if isinstance(value, str) and key not in _NO_TEXT else value


FLEETS: dict[str, t.Callable[[], list[Row]]] = {"one": one, "three": three, "hundred": hundred, "hostile": hostile}
