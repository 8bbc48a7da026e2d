# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the C(config.yml) of a cache to variables. Pure functions."""

from __future__ import annotations

import re
import typing as t

from ...module_utils.common.failure import Failure
from ...module_utils.common.redaction import HIDDEN, blanked
from ...module_utils.common.urls import canonical_server
from ...module_utils.swarm.compose import duration
from ...module_utils.swarm.described_caches import SECRET
from ...module_utils.swarm.live_cache import MIDDLEWARE, downstream_options
from ..settings.cache import NEVER
from ..settings.config import OF_METRICS, Part, at, config_problems, together
from ..settings.image import PRODUCTS
from .draft import Draft, Live, Vaulted

Path = tuple[str, ...]
Config = t.Mapping[str, t.Any]

_DEFAULT_STORAGE = {"filesystem": {"rootdirectory": "/var/lib/registry"}}
# The largest first.
_UNITS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
# What the settings say in another way, or a deployment writes as it must be.
_ELSEWHERE: tuple[Path, ...] = (
    *(("version",), ("storage",), ("middleware", "registry")),
    *(("http", "addr"), ("http", "host"), ("http", "secret"), ("http", "tls", "certificate"), ("http", "tls", "key")),
)
_OTHER_SECRET = (
    "config.yml has one, which is not shown. Without the variable, one that is derived from the private key takes its "
    "place, which harms no pull."
)
_OWN_SECRET = "Needed only where the cache was deployed with one: otherwise it is derived from the private key."
STORAGE = "vault_dtr_cache_storage"
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")


def describe_config(draft: Draft, live: Live, registry_url: str) -> None:
    """What C(config.yml) says of DTR, of other caches, and of the layers; the rest is C(config_extra)."""
    file = live["config"]
    config: Config = file["content"]
    if not config:
        _ask_for_all(draft, file)
        return
    options = downstream_options(config)
    _describe_ttl(draft, options.get("blobttl"))
    _describe_upstreams(draft, live, options, registry_url)
    _describe_storage(draft, config.get("storage"))
    http = config.get("http")
    http = http if isinstance(http, dict) else {}
    if http.get("secret"):
        draft.ask("http_secret", '"{{ vault_dtr_cache_http_secret }}"', _OWN_SECRET if live["own"] else _OTHER_SECRET)
    if not isinstance(http.get("tls"), dict):
        draft.note("the cache speaks plain http; a deployment lets it speak https")
    for key in sorted(set(options) - {"blobttl", "upstreams", "cas"}):
        draft.note(f"config.yml: the option {key} of the middleware {MIDDLEWARE} has no variable")
    middleware = config["middleware"]["registry"] if options else []
    for entry in middleware:
        if not isinstance(entry, dict) or entry.get("name") != MIDDLEWARE:
            draft.note("config.yml: middleware.registry has more than the cache's own, which no variable keeps")


def describe_config_extra(draft: Draft, live: Live, rendered: Config, metrics_port: int | None) -> None:
    """What C(config.yml) has beyond what a deployment writes anyway.

    Args:
        draft: The variables up to now.
        live: The cache.
        rendered: C(config.yml) as those variables make it.
        metrics_port: That of its metrics, if it publishes them.
    """
    extra: dict[str, t.Any] = {}
    elsewhere = (*_ELSEWHERE, *(OF_METRICS if metrics_port else ()))
    for path, value in _leaves(live["config"]["content"]):
        if _begins_with_any(path, elsewhere) or at(rendered, path) == value or value in (None, {}):
            continue
        alone = together({}, [Part("config_extra", value, path)])
        problems = [problem for _variable, problem in config_problems([Part("config_extra", alone)])]
        if problems:
            draft.note(f"config.yml: {'; '.join(problems)}")
        else:
            extra = together(extra, [Part("config_extra", vaulted(value, ("config", *path)), path)])
    draft.set_unless_default("config_extra", extra)


def vaulted(value: t.Any, path: Path) -> t.Any:
    """The value with the name of a variable in the place of each credential."""
    if value == HIDDEN:
        words = _NOT_IN_A_NAME.sub("_", "_".join(path).lower()).strip("_")
        return Vaulted(f"vault_dtr_cache_{words}")
    if isinstance(value, dict):
        return {key: vaulted(item, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [vaulted(item, (*path, str(number))) for number, item in enumerate(value, start=1)]
    return value


def changed_keys(live: Live, rendered: Config) -> list[str]:
    """The keys of C(config.yml) that a deployment adds, changes or leaves out. Secrets are not compared."""
    config: Config = live["config"]["content"]
    if not config:
        return []
    before, after = (dict(_leaves(_with_options(side))) for side in (config, blanked(dict(rendered))))
    keys = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    if ("http", "secret") in before and not live["own"]:
        keys.append(("http", "secret"))
    return sorted({".".join(path) for path in keys})


def _with_options(config: Config) -> dict[str, t.Any]:
    """The configuration with the cache's middleware as a mapping, whose keys can be named."""
    middleware = config.get("middleware")
    if not isinstance(middleware, t.Mapping):
        return dict(config)
    others = {key: item for key, item in middleware.items() if key != "registry"}
    return {**config, "middleware": {**others, MIDDLEWARE: downstream_options(config)}}


def text_of(nanoseconds: int) -> str:
    """A time as a whole number with the largest unit that fits."""
    unit = next(unit for unit, size in _UNITS.items() if nanoseconds % size == 0)
    return f"{nanoseconds // _UNITS[unit]}{unit}"


def _ask_for_all(draft: Draft, file: t.Mapping[str, t.Any]) -> None:
    what = f"{file['kind']} {file['name']}" if file["name"] else "config.yml"
    why = f"Not known: {what} cannot be read ({file['problem']})."
    draft.ask("blob_ttl", "24h", why)
    draft.ask("upstreams", "[]", why, "The DTR itself is the default.")
    if file["kind"] == SECRET:
        # A deployment without it would leave the layers where they are, and begin in the container.
        draft.set("storage", Vaulted(STORAGE), why, "Give it from a vault, or set {} where the layers are on the node.")
    else:
        draft.ask("storage", "{}", why, "Without the variable, the layers are in the container's filesystem.")
    draft.ask("config_extra", "{}", why)
    draft.ask("http_secret", '"{{ vault_dtr_cache_http_secret }}"', why, "Leave it out where none was set.")


def _describe_ttl(draft: Draft, given: t.Any) -> None:
    if given is None:
        draft.set("blob_ttl", NEVER, "config.yml has no blobttl: layers never expire.")
        return
    try:
        nanoseconds = duration(given if isinstance(given, str) and not given.isdecimal() else int(given))
    except (Failure, TypeError, ValueError):
        nanoseconds = None
    if not nanoseconds or nanoseconds < 0:
        draft.ask("blob_ttl", "24h", "The one in config.yml is no time that can be kept.")
        return
    unit = "without a unit, so in nanoseconds" if str(given).isdecimal() else f"as {given}"
    comment = [] if text_of(nanoseconds) == given else [f"It stands in config.yml {unit}."]
    # As it is written where that is understood: 24h stays 24h, and 86400s stays 86400s.
    draft.set("blob_ttl", given if re.fullmatch(r"[1-9][0-9]*[a-z]+", str(given)) else text_of(nanoseconds), *comment)


def _describe_upstreams(draft: Draft, live: Live, options: Config, registry_url: str) -> None:
    listed = options.get("upstreams")
    upstreams = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
    if isinstance(listed, list) and len(upstreams) < len(listed):
        draft.note("config.yml: an upstream with originhost, the form of DTR 2.2, has no variable")
    is_dtr = [canonical_server(each) == canonical_server(registry_url) for each in upstreams]
    draft.set_unless_default("upstreams", [] if is_dtr == [True] else upstreams)
    cas = options.get("cas")
    authorities = [str(each) for each in cas] if isinstance(cas, list) else []
    if len(authorities) > 1 or (upstreams and is_dtr != [True] and _trusts_others(authorities)):
        secrets = ", ".join(live_secret(live, path) for path in authorities)
        draft.ask(
            "upstream_cas",
            f"[{', '.join(f'files/{_file_name(path)}' for path in authorities) or 'files/upstream-ca.pem'}]",
            f"The CAs of the upstreams, as PEM texts or paths. Now they are in: {secrets or 'the image itself'}. The "
            "cache trusts no other than these, so the DTR's own belongs to them where the DTR is one of the upstreams.",
        )
    elif authorities:
        # The default; in host_vars it would win over a CA that the group names later.
        if draft.given("registry_ca") is not None:
            _trust(
                draft, "fetch", "config.yml trusts a CA, which is taken from DTR. Name a file or a PEM text to pin it."
            )
    else:
        _trust(draft, "system", "config.yml names no CA: DTR's certificate is trusted everywhere.")


def _trusts_others(authorities: t.Sequence[str]) -> bool:
    """The DTR has other names, too, but its CA is in the secret that the vendor's documents name."""
    return not set(map(_file_name, authorities)) <= {product.ca_secret for product in PRODUCTS.values()}


def _file_name(path: str) -> str:
    return path.rpartition("/")[2]


def _trust(draft: Draft, mode: str, comment: str) -> None:
    """How DTR's CA is known; one that the user gave stays as it is."""
    given = draft.given("registry_ca")
    if given in (None, "fetch", "system"):
        draft.set("registry_ca", mode, comment)


def live_secret(live: Live, path: str) -> str:
    """The name of the secret at a path of the container."""
    return str(live["view"].get("secrets", {}).get(_file_name(path)) or path).partition(" ")[0]


def _describe_storage(draft: Draft, given: t.Any) -> None:
    section = {key: value for key, value in given.items() if value is not None} if isinstance(given, dict) else {}
    if section.get("delete") == {"enabled": True}:
        del section["delete"]
    storage = {} if section == _DEFAULT_STORAGE else vaulted(section, ("storage",))
    draft.set_unless_default("storage", storage)


def _leaves(value: t.Any, path: Path = ()) -> t.Iterator[tuple[Path, t.Any]]:
    """Everything that is no mapping with something in it, with the keys that lead there."""
    if isinstance(value, t.Mapping) and (value or not path):
        for key, item in value.items():
            yield from _leaves(item, (*path, str(key)))
    else:
        yield path, value


def _begins_with_any(path: Path, others: t.Iterable[Path]) -> bool:
    return any(path[: len(other)] == other for other in others)
