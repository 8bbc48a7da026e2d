# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A status report in Prometheus' text format, for the textfile collector of node_exporter."""

from __future__ import annotations

import datetime
import typing as t

from .status import STATES, CacheStatus, RegistryStatus, Traffic

Labels = t.Mapping[str, str]
Sample = tuple[Labels, float]

# Series of their own are for the images with the most bytes only.
_IMAGES = 10
_HEALTHY = {"healthy": True, "unhealthy": False, "unknown": None}


class Metric(t.NamedTuple):
    """A metric of each cache, or of each DTR: its samples, with the labels that they have beside those of the cache."""

    name: str
    help: str
    samples: t.Callable[[t.Any], t.Iterable[Sample]]


def _one(value: t.Callable[[t.Any], float | None]) -> t.Callable[[t.Any], t.Iterable[Sample]]:
    """Return what gives a single sample, or none where the value is not known."""

    def samples(status: CacheStatus | RegistryStatus) -> t.Iterator[Sample]:
        number = value(status)
        if number is not None:
            yield {}, float(number)

    return samples


def _of_traffic(value: t.Callable[[Traffic], float | None]) -> t.Callable[[t.Any], t.Iterable[Sample]]:
    return _one(lambda cache: value(cache.traffic) if cache.traffic else None)


def _edges_ok(cache: CacheStatus) -> t.Iterable[Sample]:
    return [({"edge": edge.name}, float(edge.state == "ok")) for edge in cache.edges if edge.state != "unseen"]


def _edges_seconds(cache: CacheStatus) -> t.Iterable[Sample]:
    return [({"edge": edge.name}, edge.seconds) for edge in cache.edges if edge.seconds is not None]


def _expiry(cache: CacheStatus) -> float | None:
    moment = cache.expires or cache.declared_until
    return moment.timestamp() if moment else None


# A series that is there twice makes the whole file invalid.


def _failed_checks(cache: CacheStatus) -> t.Iterable[Sample]:
    failed = dict.fromkeys((each.edge, each.check) for each in cache.checks if each.failed)
    return [({"edge": edge, "check": check}, 1.0) for edge, check in failed]


def _addresses_ok(cache: CacheStatus) -> t.Iterable[Sample]:
    known = {each.address: each.ok for each in cache.addresses}
    return [({"address": address}, float(ok)) for address, ok in known.items() if ok is not None]


def _image_bytes(cache: CacheStatus) -> t.Iterable[Sample]:
    sizes: dict[str, float] = {}
    for image in cache.traffic.images[:_IMAGES] if cache.traffic else ():
        sizes[image.name] = sizes.get(image.name, 0) + image.size
    return [({"image": name}, size) for name, size in sizes.items()]


def _info(cache: CacheStatus) -> t.Iterable[Sample]:
    return [({"url": cache.url, "version": cache.version, "image": cache.image}, 1.0)]


METRICS = (
    Metric("dtr_cache_info", "What the cache is; the value is always 1.", _info),
    Metric("dtr_cache_observed", "Whether anything could be found out.", _one(lambda cache: cache.state != "unknown")),
    Metric("dtr_cache_healthy", "Whether all is well.", _one(lambda cache: _HEALTHY[cache.state])),
    Metric("dtr_cache_serves", "Whether pulls that get to the cache are answered.", _one(lambda cache: cache.serves)),
    Metric("dtr_cache_replicas_wanted", "Replicas that the service should have.", _one(lambda cache: cache.wanted)),
    Metric("dtr_cache_replicas_running", "Replicas that run.", _one(lambda cache: cache.running)),
    Metric(
        "dtr_cache_certificate_expiry_timestamp_seconds",
        "When the first certificate of the cache's chain expires; of a cache that shows none, the declared one.",
        _one(_expiry),
    ),
    Metric("dtr_cache_accounts", "Accounts that pull from the cache.", _one(lambda cache: cache.accounts)),
    Metric(
        "dtr_cache_accounts_elsewhere",
        "Accounts that the region claims and that pull from elsewhere.",
        _one(lambda cache: cache.elsewhere),
    ),
    Metric(
        "dtr_cache_dangling_accounts",
        "Accounts whose cache no longer exists.",
        _one(lambda cache: cache.dangling),
    ),
    Metric("dtr_cache_registered", "Whether DTR sends to the cache's URL.", _one(lambda cache: cache.registered)),
    Metric(
        "dtr_cache_version_matches",
        "Whether the cache has the version of its DTR.",
        _one(lambda cache: cache.same_version),
    ),
    Metric(
        "dtr_cache_drift_steps",
        "What a deployment would change.",
        _one(lambda cache: None if cache.drift is None else len(cache.drift)),
    ),
    Metric("dtr_cache_edge_ok", "Whether all checks of a trust edge are right.", _edges_ok),
    Metric("dtr_cache_address_ok", "Whether the cache serves at one of its addresses.", _addresses_ok),
    Metric("dtr_cache_check_failed", "The checks that fail; the value is always 1.", _failed_checks),
    Metric("dtr_cache_edge_seconds", "Time of the first answer over a trust edge.", _edges_seconds),
    Metric(
        "dtr_cache_served_since_timestamp_seconds",
        "From when on the answers in the log are counted by the metrics dtr_cache_served_*.",
        _of_traffic(lambda traffic: traffic.since.timestamp()),
    ),
    Metric(
        "dtr_cache_served_pulls",
        "Pulls in that time: what one client gets of one repository without a pause of ten minutes.",
        _of_traffic(lambda traffic: traffic.pulls),
    ),
    Metric("dtr_cache_served_layers", "Layers in that time.", _of_traffic(lambda traffic: traffic.layers)),
    Metric("dtr_cache_served_bytes", "Bytes in that time.", _of_traffic(lambda traffic: traffic.size)),
    Metric("dtr_cache_served_images", "Repositories that were pulled.", _of_traffic(lambda each: each.image_count)),
    Metric("dtr_cache_served_clients", "Addresses that pulled.", _of_traffic(lambda each: each.client_count)),
    Metric("dtr_cache_served_failed", "Answers of 500 and more.", _of_traffic(lambda traffic: traffic.failed)),
    Metric("dtr_cache_served_refused", "Answers of 400 to 499.", _of_traffic(lambda traffic: traffic.refused)),
    Metric(
        "dtr_cache_served_slow",
        "Layers that took more than ten seconds, with less than 1 MB a second.",
        _of_traffic(lambda traffic: traffic.slow),
    ),
    Metric("dtr_cache_served_image_bytes", "Bytes of the ten images with the most.", _image_bytes),
)

REGISTRY_METRICS = (
    Metric(
        "dtr_cache_registry_healthy",
        "Whether the DTR says that it is healthy.",
        _one(lambda registry: registry.healthy),
    ),
    Metric(
        "dtr_cache_registry_read_only",
        "Whether the DTR takes no pushes; caches serve all the same.",
        _one(lambda registry: registry.read_only),
    ),
    Metric(
        "dtr_cache_registry_dangling_accounts",
        "Accounts whose cache no longer exists and that no region declares.",
        _one(lambda registry: registry.dangling),
    ),
    Metric(
        "dtr_cache_registry_lost_caches",
        "Registered caches with accounts that no region declares and that do not answer.",
        _one(lambda registry: registry.lost),
    ),
    Metric(
        "dtr_cache_registry_well",
        "Whether nothing at all is wrong with the DTR.",
        _one(lambda registry: not registry.cause),
    ),
)


def render_metrics(
    caches: t.Sequence[CacheStatus], registries: t.Sequence[RegistryStatus], moment: datetime.datetime
) -> str:
    """Return the report's text, which ends in a line break."""
    caches = _once(caches)
    known = {registry.url: registry for registry in registries}
    states = [({"state": state}, sum(cache.state == state for cache in caches)) for state in reversed(STATES)]
    lines = [
        *_lines("dtr_cache_status_timestamp_seconds", "When the report was made.", [({}, moment.timestamp())]),
        *_lines("dtr_cache_status_caches", "Caches of the report by state.", states),
    ]
    of_caches = [(_labels(cache), cache) for cache in caches]
    of_registries = [({"registry": url}, registry) for url, registry in known.items()]
    each: t.Sequence[tuple[Labels, t.Any]]
    for metrics, each in ((METRICS, of_caches), (REGISTRY_METRICS, of_registries)):
        for metric in metrics:
            samples = [({**own, **more}, value) for own, status in each for more, value in metric.samples(status)]
            lines += _lines(metric.name, metric.help, samples)
    return "\n".join(lines) + "\n"


def _labels(cache: CacheStatus) -> dict[str, str]:
    return {"region": cache.region, "cache": cache.cache, "registry": cache.registry_url}


def _once(caches: t.Iterable[CacheStatus]) -> list[CacheStatus]:
    """Return the worst of those that have the same labels, which a file must not have twice."""
    found: dict[tuple[str, ...], CacheStatus] = {}
    for cache in caches:
        found.setdefault(tuple(_labels(cache).values()), cache)
    return list(found.values())


def _lines(name: str, text: str, samples: t.Sequence[Sample]) -> list[str]:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} gauge"] if samples else []
    for labels, value in samples:
        inside = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
        number = int(value) if float(value).is_integer() else float(value)
        lines.append(f"{name}{{{inside}}} {number!r}" if inside else f"{name} {number!r}")
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
