# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe a running cache in variables, from its service, its C(config.yml) and DTR. Pure functions."""

from __future__ import annotations

import re
import typing as t
from decimal import Decimal

from ...module_utils.common.failure import Failure
from ...module_utils.common.redaction import HIDDEN
from ...module_utils.common.urls import canonical_server
from ...module_utils.dtr.model import ContentCache
from ...module_utils.swarm.compose import BYTES, duration, repository
from ...module_utils.swarm.live_cache import MIDDLEWARE, SECRET, downstream_options
from ...module_utils.swarm.views import wanted_service
from ..settings.cache import NEVER
from ..settings.config import (
    DEFAULT_VOLUME,
    OF_METRICS,
    Part,
    at,
    backends,
    config_problems,
    folder_of_layers,
    together,
)
from ..settings.credentials import way_without
from ..settings.image import PRODUCTS, VERSIONS
from ..settings.structures import parsed
from .find import Hints, Live, address_of, leads_to, main_port, metrics_port, public_address, section
from .host_vars import STORAGE, Draft, VaultVariable

Path = tuple[str, ...]

# A longer list makes the file unreadable, and Ansible reads it in each run.
MOST_ACCOUNTS = 2000
_MOST_NAMED = 20
_ON_A_LABEL = "node.labels."
_PLACED_BY = re.compile(r"node\.labels\.([A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?) *== *true")
_DEFAULT_STORAGE = {"filesystem": {"rootdirectory": "/var/lib/registry"}}
_DOWNSTREAM = ("middleware", "registry", MIDDLEWARE)
# Other variables have these, or a deployment always writes them.
_NOT_EXTRA: tuple[Path, ...] = (
    *(("version",), ("storage",), (*_DOWNSTREAM, "blobttl"), (*_DOWNSTREAM, "upstreams"), (*_DOWNSTREAM, "cas")),
    *(("http", "addr"), ("http", "host"), ("http", "secret"), ("http", "tls", "certificate"), ("http", "tls", "key")),
)
# UCP and MKE give services labels of this kind; people set the second one.
_OF_PLATFORM = "com.docker."
_ACCESS = "com.docker.ucp.access.label"
# Keys of dtr_cache_service_extra whose form in the view is that of the compose file.
_SAME_FORM = ("logging", "dns", "dns_search", "hostname", "sysctls", "cap_add", "cap_drop", "init")


class Accounts(t.NamedTuple):
    """The accounts that pull from the caches of a DTR.

    Args:
        by_cache: The names of active users, by the id of their cache.
        inactive: The number of inactive users, in the same way.
        active: The number of all active users of DTR.
    """

    by_cache: t.Mapping[str, t.Sequence[str]]
    inactive: t.Mapping[str, int]
    active: int


class Context(t.NamedTuple):
    """What is around a cache that is described.

    Args:
        defaults: All variables with their defaults.
        given: The variables that the host has already.
        hints: Those of them that choose the cache.
        registry_url: The DTR.
        others: The entries of DTR that lead to no cache of the host's Swarm.
        beside: The services of the other caches of its stack.
    """

    defaults: t.Mapping[str, t.Any]
    given: t.Mapping[str, t.Any]
    hints: Hints
    registry_url: str
    others: t.Sequence[ContentCache] = ()
    beside: t.Sequence[str] = ()


def leaves(value: t.Any, path: Path = ()) -> t.Iterator[tuple[Path, t.Any]]:
    """Yield everything in nested mappings with its path; the registry's middleware by its names."""
    if path == _DOWNSTREAM[:2] and isinstance(value, list):
        value = {
            str(each.get("name") if isinstance(each, dict) else each): each.get("options")
            if isinstance(each, dict)
            else {}
            for each in value
        }
    if isinstance(value, t.Mapping) and (value or not path):
        for key, item in value.items():
            yield from leaves(item, (*path, str(key)))
    else:
        yield path, value


def own_labels(labels: t.Mapping[str, str]) -> dict[str, str]:
    """Return the labels without those that the platform gives."""
    return {key: value for key, value in labels.items() if key == _ACCESS or not key.startswith(_OF_PLATFORM)}


# What DTR has.


def describe_registration(draft: Draft, live: Live, entries: t.Sequence[ContentCache], context: Context) -> None:
    """Describe name, host, ports and former names; the first entry keeps its name."""
    hints, public = context.hints, public_address(live)
    at_dtr = address_of(entries[0].host) if entries else None
    port = main_port(live, at_dtr.port if at_dtr else None, public.port, hints.port)
    published = port["published"] if port else None
    if at_dtr is None:
        draft.set("name", hints.name or hints.inventory_host, "DTR has no cache here. A deployment registers it.")
        named = ", ".join(f"{entry.name} ({entry.host})" for entry in context.others[:_MOST_NAMED])
        instead = f"if it is one of {named}, set dtr_cache_name for the host in the inventory and adopt it again"
        draft.note(
            f"{context.registry_url} has no cache registered at this address; "
            f"{instead if named else 'nobody is sent to it'}"
        )
        _describe_host(draft, hints.host or public.host)
        _describe_public_port(draft, published, public.port)
        return
    first, *also = entries
    draft.set("name", first.name)
    comment = []
    if public.host and public.host.lower() != at_dtr.host.lower():
        comment = [f"DTR sends its clients here, although http.host in config.yml says {public.host}."]
    elif not leads_to(live, first):
        comment = ["Taken from DTR, as nothing in the Swarm names the host. Check that it is this cache."]
    _describe_host(draft, at_dtr.host, *comment)
    _describe_public_port(draft, published, at_dtr.port)
    if not first.host.lower().startswith("https://"):
        draft.note(f"it is registered as {first.host}; dtr.cache registers https, so the entry is replaced")
    former = sorted({entry.name for entry in also} - {first.name})
    if former:
        draft.set("former_names", former, "DTR has the same address under these names, too.")


def _describe_host(draft: Draft, host: str, *comment: str) -> None:
    if host:
        draft.set("host", host, *comment)
    else:
        draft.ask("host", "cache.example.org", "The public host name: neither DTR nor config.yml names it.")


def _describe_public_port(draft: Draft, published: int | None, registered: int | None) -> None:
    draft.set("port", published or registered or 443)
    if published is None:
        draft.note("its service publishes no port, and a deployment publishes dtr_cache_port")
    elif registered not in (None, published):
        draft.set("public_port", registered, "That of the load balancer or of the address translation in front.")


def describe_accounts(draft: Draft, entries: t.Sequence[ContentCache], accounts: Accounts) -> int:
    """Describe the accounts that pull from the cache by any of its names, and return their number."""
    names = sorted({name for entry in entries for name in accounts.by_cache.get(entry.id, ())})
    inactive = sum(accounts.inactive.get(entry.id, 0) for entry in entries)
    pull = "1 inactive user pulls" if inactive == 1 else f"{inactive} inactive users pull"
    more = [f"{pull} from it, too, and cannot be claimed."] if inactive else []
    if names and len(names) == accounts.active:
        draft.set(
            "assignments", {"everyone": True}, f"All {len(names)} active users of DTR pull from this cache.", *more
        )
    elif len(names) > MOST_ACCOUNTS:
        draft.ask(
            "assignments",
            "{teams: [], orgs: [], accounts: []}",
            f"{len(names)} of {accounts.active} active users pull from this cache, too many to list. Those that no "
            "region claims are left as they are, unless dtr_cache_assignments_exclusive is set. Claim them by teams or "
            "organisations; playbook dtr.cache.backup writes the names of all of them.",
            *more,
        )
    else:
        draft.set_unless_default("assignments", {"accounts": names} if names else {}, *more)
    return len(names) + inactive


# Its config.yml.


def describe_config(draft: Draft, live: Live, registry_url: str) -> None:
    """Describe upstreams, CAs, the time to live and the storage; the rest is C(config_extra)."""
    file = live["config"]
    if not file["content"]:
        _ask_for_config(draft, file)
        return
    options = downstream_options(file["content"])
    _describe_ttl(draft, options.get("blobttl"))
    _describe_upstreams(draft, live, options, registry_url)
    storage = {key: value for key, value in section(live, "storage").items() if value is not None}
    if storage.get("delete") == {"enabled": True}:
        del storage["delete"]
    draft.set_unless_default("storage", {} if storage == _DEFAULT_STORAGE else _vaulted(storage, ("storage",)))
    if section(live, "http").get("secret"):
        own = "Needed only where the cache was deployed with one: otherwise it is derived from the private key."
        other = (
            "config.yml has one, which is not shown. Without the variable, one that is derived from the private key "
            "takes its place, which harms no pull."
        )
        draft.ask("http_secret", '"{{ vault_dtr_cache_http_secret }}"', own if live["own"] else other)
    if not section(live, "http", "tls"):
        draft.note("the cache speaks plain http; a deployment lets it speak https")


def describe_config_extra(
    draft: Draft, live: Live, rendered: t.Mapping[str, t.Any], published_metrics: int | None
) -> None:
    """Describe what C(config.yml) has beyond the one that the variables make without C(config_extra)."""
    extra: dict[str, t.Any] = {}
    elsewhere = (*_NOT_EXTRA, *(OF_METRICS if published_metrics else ()))
    for path, value in leaves(live["config"]["content"]):
        if (
            any(path[: len(other)] == other for other in elsewhere)
            or at(rendered, path) == value
            or value in (None, {})
        ):
            continue
        alone = together({}, [Part("config_extra", value, path)])
        problems = [problem for _variable, problem in config_problems([Part("config_extra", alone)])]
        if path[:2] == _DOWNSTREAM[:2]:
            problems = [f"{'.'.join(path)} is not kept: no variable sets it"]
        if problems:
            draft.note(f"config.yml: {'; '.join(problems)}")
        else:
            extra = together(extra, [Part("config_extra", _vaulted(value, ("config", *path)), path)])
    draft.set_unless_default("config_extra", extra)


def _ask_for_config(draft: Draft, file: t.Mapping[str, t.Any]) -> None:
    what = f"{file['kind']} {file['name']}" if file["name"] else "config.yml"
    why = f"Not known: {what} cannot be read ({file['problem']})."
    draft.ask("blob_ttl", "24h", why)
    draft.ask("upstreams", "[]", why, "The DTR itself is the default.")
    if file["kind"] == SECRET:
        # A deployment without it would leave the layers where they are, and begin in the container.
        draft.set(
            "storage", VaultVariable(STORAGE), why, "Give it from a vault, or set {} where the layers are on the node."
        )
    else:
        draft.ask("storage", "{}", why, "Without the variable, the layers are in the container's filesystem.")
    draft.ask("config_extra", "{}", why)
    draft.ask("http_secret", '"{{ vault_dtr_cache_http_secret }}"', why, "Leave it out where none was set.")


def _describe_ttl(draft: Draft, given: t.Any) -> None:
    if given is None:
        draft.set("blob_ttl", NEVER, "config.yml has no blobttl: layers never expire.")
        return
    try:
        nanoseconds = duration(given if isinstance(given, str) and not given.isdecimal() else int(given)) or 0
    except (Failure, TypeError, ValueError):
        nanoseconds = 0
    if nanoseconds <= 0:
        draft.ask("blob_ttl", "24h", "The one in config.yml is no time that can be kept.")
    elif re.fullmatch(r"[1-9][0-9]*[a-z]+", str(given)):
        draft.set("blob_ttl", given)
    else:
        units = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
        unit = next(unit for unit, size in units.items() if nanoseconds % size == 0)
        how = "without a unit, so in nanoseconds" if str(given).isdecimal() else f"as {given}"
        draft.set("blob_ttl", f"{nanoseconds // units[unit]}{unit}", f"config.yml has it {how}.")


def _list(given: t.Any) -> list[t.Any]:
    return given if isinstance(given, list) else []


def _describe_upstreams(draft: Draft, live: Live, options: t.Mapping[str, t.Any], registry_url: str) -> None:
    listed, cas = (_list(options.get(name)) for name in ("upstreams", "cas"))
    upstreams = [each for each in listed if isinstance(each, str)]
    if len(upstreams) < len(listed):
        draft.note("config.yml: an upstream with originhost, the form of DTR 2.2, has no variable")
    is_dtr = [canonical_server(each) == canonical_server(registry_url) for each in upstreams] == [True]
    draft.set_unless_default("upstreams", [] if is_dtr else upstreams)
    files = {str(path): str(path).rpartition("/")[2] for path in cas}
    # A DTR may have several names; the secret with its CA has the one of the vendor's documents.
    others = not set(files.values()) <= {product.ca_secret for product in PRODUCTS.values()}
    if len(files) > 1 or (upstreams and not is_dtr and others):
        secrets = [
            str(live["view"].get("secrets", {}).get(file) or path).partition(" ")[0] for path, file in files.items()
        ]
        draft.ask(
            "upstream_cas",
            f"[{', '.join(f'files/{file}' for file in files.values())}]",
            f"The CAs of the upstreams, as PEM texts or paths. Now they are in: {', '.join(secrets)}. The "
            "cache trusts no other than these, so the DTR's own belongs to them where the DTR is one of the upstreams.",
        )
    elif files and draft.given.get("registry_ca") in ("fetch", "system"):
        # The default, written only where the host has another: it would override a CA that the group names later.
        draft.set(
            "registry_ca",
            "fetch",
            "config.yml trusts a CA, which is taken from DTR. Name a file or a PEM text to pin it.",
        )
    elif not files and draft.given.get("registry_ca") in (None, "fetch", "system"):
        draft.set("registry_ca", "system", "config.yml names no CA: DTR's certificate is trusted everywhere.")


def _vaulted(value: t.Any, path: Path) -> t.Any:
    """Return the value with the name of a variable in the place of each credential."""
    if value == HIDDEN:
        words = re.sub(r"[^a-z0-9]+", "_", "_".join(path).lower()).strip("_")
        return VaultVariable(f"vault_dtr_cache_{words}")
    if isinstance(value, dict):
        return {key: _vaulted(item, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_vaulted(item, (*path, str(number))) for number, item in enumerate(value, start=1)]
    return value


# Its service.


def describe_software(draft: Draft, live: Live) -> None:
    """Describe the line of products and the image."""
    draft.set("product", _product(live))
    draft.set("image", live["image"], "As it runs. Without the variable, a deployment takes DTR's own version.")


def _product(live: Live) -> str:
    """Return the line of products: it decides the CA's secret, the node label and the default image."""
    cas = downstream_options(live["config"]["content"]).get("cas")
    files = {str(path).rpartition("/")[2] for path in cas} if isinstance(cas, list) else set()
    files |= set(live["view"].get("secrets", {}))
    labels = {constraint.partition("==")[0].strip() for constraint in live["constraints"]}
    running = repository(live["image"])
    documented = {versions.product for versions in VERSIONS if versions.repository == running}
    left = dict(PRODUCTS)
    for is_so in (
        lambda product: product.ca_secret in files,
        lambda product: _ON_A_LABEL + product.node_label in labels,
        lambda product: product.name in documented,
        lambda product: product.stack_name == live["stack"],
    ):
        left = {name: product for name, product in left.items() if is_so(product)} or left
    return next(iter(left))


def describe_service(draft: Draft, live: Live, beside: t.Sequence[str]) -> None:
    """Describe everything else of the service, which may have other caches beside it in its stack."""
    _describe_nodes(draft, live)
    port = main_port(live, draft.values["port"])
    draft.set("publish_mode", port["mode"] if port else "ingress")
    draft.set_unless_default("metrics_port", metrics_port(live))
    _describe_stack(draft, live, beside)
    environment = {}
    for key, value in live["environment"].items():
        if value == HIDDEN:
            draft.note(f"the environment variable {key} holds a credential and is not kept; {way_without(key)}")
        elif problems := draft.refusals("environment", {key: value}):
            draft.note(f"the environment variable {key} is not kept: {'; '.join(problems)}")
        else:
            environment[key] = value
    draft.set_unless_default("environment", environment)
    resources = {part: _amounts(live[part]) for part in ("limits", "reservations")}
    draft.set_unless_default("resources", {part: amounts for part, amounts in resources.items() if amounts})
    _describe_updates(draft, live)
    _describe_volume(draft, live)
    _describe_service_extra(draft, live)


def describe_grace_period(draft: Draft, live: Live, rendered: str) -> None:
    """Keep a longer time for the last requests than a deployment would give."""
    period = str(live["view"]["stop_grace_period"])
    if float(period.rstrip("s")) > float(rendered.rstrip("s")):
        draft.set("service_extra", {**draft.values.get("service_extra", {}), "stop_grace_period": period})


def _describe_nodes(draft: Draft, live: Live) -> None:
    label = PRODUCTS[draft.values["product"]].node_label
    placed = [constraint for constraint in live["constraints"] if constraint.startswith(_ON_A_LABEL)]
    nodes = list((live["nodes"] if placed else []) or live["running_on"] or live["nodes"])
    shown = ", ".join(live["constraints"]) or "none"
    own = [found[1] for found in map(_PLACED_BY.fullmatch, live["constraints"]) if found]
    comment = []
    if not any(constraint.partition("==")[0].strip() == _ON_A_LABEL + label for constraint in placed):
        if len(own) == len(live["constraints"]) == 1:
            draft.set("node_label", own[0])
        else:
            comment = [f"Its placement now: {shown}. A deployment gives these nodes the label {label}."]
    if nodes:
        draft.set("nodes", nodes, *comment)
    else:
        draft.ask("nodes", "[worker-1]", f"No node of the Swarm meets its placement ({shown}), and no replica runs.")
    if live["replicas"] is None:
        draft.set("replicas", max(1, len(nodes)), "It runs one replica on each node that its placement allows.")
        draft.note(
            "its service runs in mode global, which Swarm cannot change: remove it right before the deployment, with "
            f"docker service rm {live['service']}"
        )
    elif live["replicas"] == 0:
        draft.ask("replicas", "1", "It is scaled to no replica. The number of nodes is the default.")
    else:
        draft.set("replicas", live["replicas"])


def _describe_stack(draft: Draft, live: Live, beside: t.Sequence[str]) -> None:
    if live["stack"]:
        draft.set("stack_name", live["stack"])
    else:
        draft.note(
            f"service {live['service']} belongs to no stack; a deployment makes one, so remove the service before it "
            "(docker service rm), which ends its pulls"
        )
    if beside:
        draft.note(
            f"stack {live['stack']} also has the cache {', '.join(beside)}, and dtr.cache keeps one cache in a stack. "
            "Let one of them keep the stack. For each other one, set dtr_cache_stack_name to a name of its own, and "
            f"remove its service right before its first deployment (here: docker service rm {live['service']}). Its "
            "accounts stay, and cannot pull in between"
        )


def _amounts(given: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return processors and memory as C(dtr_cache_resources) has them."""
    kept = {}
    if given.get("cpus"):
        text = f"{Decimal(str(given['cpus'])):f}"
        kept["cpus"] = text.rstrip("0").rstrip(".") if "." in text else text
    if given.get("memory"):
        amount = given["memory"]
        size, unit = max((size, unit) for unit, size in BYTES.items() if amount % size == 0)
        kept["memory"] = f"{amount // size}{unit.upper()}"
    return kept


def _describe_updates(draft: Draft, live: Live) -> None:
    """Describe the policy of updates; Docker's own is left out, with which a failed update would end the pulls."""
    now = live["update_config"]
    default = parsed(draft.defaults["dtr_cache_update_config"])
    if now in (_update_view(default), _update_view({})) and draft.given.get("update_config") is None:
        return
    policy = {key: now[key] for key in ("parallelism", "delay", "failure_action", "monitor")}
    if now["max_failure_ratio"] != "0":
        policy["max_failure_ratio"] = float(now["max_failure_ratio"])
    if now["order"] != "stop-first":
        policy["order"] = now["order"]
    better = ", ".join(f"{key} {value}" for key, value in default.items())
    draft.set("update_config", policy, *([f"Without the variable, {better}."] if policy != default else []))


def _update_view(policy: t.Mapping[str, t.Any]) -> t.Any:
    definition = {"services": {"cache": {"image": "x", "deploy": {"update_config": policy}}}}
    return wanted_service("x", "cache", definition)["update_config"]


def _describe_volume(draft: Draft, live: Live) -> None:
    """Describe the mount of the folder with the layers."""
    config = live["config"]["content"]
    folder = folder_of_layers(config).rstrip("/")
    mounts = live["mounts"] if backends(config) in ([], ["filesystem"]) else []
    mount = next((mount for mount in mounts if mount["target"].rstrip("/") == folder and mount["source"]), None)
    if mount and mount["kind"] == "bind":
        draft.set("volume", mount["source"])
    elif mount and mount["kind"] == "volume" and HIDDEN not in mount["options"].values():
        name = mount["source"].removeprefix(f"{live['stack']}_")
        described = {"driver": mount["driver"]} if mount["driver"] not in ("", "local") else {}
        described = {**described, **({"driver_opts": dict(mount["options"])} if mount["options"] else {})}
        if described and name != DEFAULT_VOLUME:
            described = {"name": name, **described}
        kept = f"{live['stack']}_{name}"
        moved = f"The layers are in volume {mount['source']} now; a deployment begins an empty {kept}."
        draft.set("volume", described or name, *([] if mount["source"] == kept else [moved]))
    else:
        draft.set_unless_default("volume", None)
        if mount and HIDDEN in mount["options"].values():
            draft.note(
                f"the options of volume {mount['source']} hold a credential, which everybody who may inspect it reads; "
                "mount the storage on the nodes and set dtr_cache_volume to its path"
            )


def _describe_service_extra(draft: Draft, live: Live) -> None:
    """Describe the keys of the compose service that no other variable sets."""
    view: t.Mapping[str, t.Any] = live["view"]
    found = {key: view.get(key) for key in _SAME_FORM}
    found["extra_hosts"] = [":".join(reversed(each.split(" ", 1))) for each in view.get("extra_hosts", [])]
    found["labels"] = own_labels(view.get("labels", {}))
    labels = own_labels(view.get("service_labels", {}))
    found["deploy"] = {"labels": labels} if labels else {}
    found["ulimits"] = {
        name: dict(zip(("soft", "hard"), map(int, limits.split(":"))))
        for name, limits in view.get("ulimits", {}).items()
    }
    found["tmpfs"] = sorted(
        mount["target"] for mount in live["mounts"] if mount["kind"] == "tmpfs" and not mount["options"]
    )
    check = view.get("healthcheck", {})
    found["healthcheck"] = {"disable": True} if check.get("test") == ["NONE"] else check
    kept = {}
    for key, value in found.items():
        if value in (None, "", [], {}):
            continue
        if HIDDEN in str(value):
            draft.note(f"{key} of its service holds a credential, which everybody who may inspect the service reads")
        elif problems := draft.refusals("service_extra", {key: value}):
            draft.note(f"{key} of its service is not kept: {'; '.join(problems)}")
        else:
            kept[key] = value
    draft.set_unless_default("service_extra", kept)
