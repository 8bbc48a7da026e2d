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
    """A metric of each cache: its samples, with the labels that they have beside the cache's own."""

    name: str
    help: str
    samples: t.Callable[[CacheStatus], t.Iterable[Sample]]


def _one(value: t.Callable[[CacheStatus], float | None]) -> t.Callable[[CacheStatus], t.Iterable[Sample]]:
    """A single sample, or none where the value is not known."""

    def samples(cache: CacheStatus) -> t.Iterator[Sample]:
        number = value(cache)
        if number is not None:
            yield {}, float(number)

    return samples


def _edges_ok(cache: CacheStatus) -> t.Iterator[Sample]:
    for edge in cache.edges:
        if edge.state != "unseen":
            yield {"edge": edge.name}, float(edge.state == "ok")


def _edges_seconds(cache: CacheStatus) -> t.Iterator[Sample]:
    for edge in cache.edges:
        if edge.seconds is not None:
            yield {"edge": edge.name}, edge.seconds


def _expiry(cache: CacheStatus) -> float | None:
    moment = cache.expires or cache.declared_until
    return moment.timestamp() if moment else None


def _failed_checks(cache: CacheStatus) -> t.Iterator[Sample]:
    # A series that is there twice makes the whole file invalid.
    for edge, check in dict.fromkeys((each.edge, each.check) for each in cache.checks if each.state == "failed"):
        yield {"edge": edge, "check": check}, 1.0


def _addresses_ok(cache: CacheStatus) -> t.Iterator[Sample]:
    for address, ok in {each.address: each.ok for each in cache.addresses}.items():
        if ok is not None:
            yield {"address": address}, float(ok)


def _of_traffic(value: t.Callable[[Traffic], float | None]) -> t.Callable[[CacheStatus], t.Iterable[Sample]]:
    return _one(lambda cache: value(cache.traffic) if cache.traffic else None)


def _image_bytes(cache: CacheStatus) -> t.Iterator[Sample]:
    sizes: dict[str, float] = {}
    for image in cache.traffic.images[:_IMAGES] if cache.traffic else ():
        # A series that is there twice makes the whole file invalid.
        sizes[image.name] = sizes.get(image.name, 0) + image.size
    for name, size in sizes.items():
        yield {"image": name}, size


def _info(cache: CacheStatus) -> t.Iterator[Sample]:
    yield {"url": cache.url, "version": cache.version, "image": cache.image}, 1.0


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


REGISTRY_METRICS: tuple[tuple[str, str, t.Callable[[RegistryStatus], float | None]], ...] = (
    (
        "dtr_cache_registry_healthy",
        "Whether the DTR says that it is healthy.",
        lambda registry: registry.healthy,
    ),
    (
        "dtr_cache_registry_read_only",
        "Whether the DTR takes no pushes; caches serve all the same.",
        lambda registry: registry.read_only,
    ),
    (
        "dtr_cache_registry_dangling_accounts",
        "Accounts whose cache no longer exists and that no region declares.",
        lambda registry: registry.dangling,
    ),
    (
        "dtr_cache_registry_lost_caches",
        "Registered caches with accounts that no region declares and that do not answer.",
        lambda registry: registry.lost,
    ),
    ("dtr_cache_registry_well", "Whether nothing at all is wrong with the DTR.", lambda registry: not registry.cause),
)


def render_metrics(
    caches: t.Sequence[CacheStatus], registries: t.Sequence[RegistryStatus], moment: datetime.datetime
) -> str:
    """The report's text, which ends in a line break."""
    caches = _once(caches)
    lines = [
        *_heading("dtr_cache_status_timestamp_seconds", "When the report was made."),
        _line("dtr_cache_status_timestamp_seconds", {}, moment.timestamp()),
        *_heading("dtr_cache_status_caches", "Caches of the report by state."),
    ]
    for state in reversed(STATES):
        count = sum(cache.state == state for cache in caches)
        lines.append(_line("dtr_cache_status_caches", {"state": state}, count))
    for metric in METRICS:
        samples = [({**_labels(cache), **more}, value) for cache in caches for more, value in metric.samples(cache)]
        if samples:
            lines += _heading(metric.name, metric.help)
            lines += [_line(metric.name, labels, value) for labels, value in samples]
    known = {registry.url: registry for registry in registries}
    for name, text, value_of in REGISTRY_METRICS:
        values = [(url, value_of(registry)) for url, registry in known.items()]
        samples = [({"registry": url}, float(value)) for url, value in values if value is not None]
        if samples:
            lines += _heading(name, text)
            lines += [_line(name, labels, value) for labels, value in samples]
    return "\n".join(lines) + "\n"


def _labels(cache: CacheStatus) -> dict[str, str]:
    return {"region": cache.region, "cache": cache.cache, "registry": cache.registry_url}


def _once(caches: t.Iterable[CacheStatus]) -> list[CacheStatus]:
    """The worst of those that have the same labels: a series that is there twice makes the whole file invalid."""
    found: dict[tuple[str, ...], CacheStatus] = {}
    for cache in caches:
        found.setdefault(tuple(_labels(cache).values()), cache)
    return list(found.values())


def _heading(name: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} gauge"]


def _line(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inside}}} {_number(value)}" if inside else f"{name} {_number(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
