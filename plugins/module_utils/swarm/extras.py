# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a compose service that a stack can do without, as C(docker stack deploy) understands them and as the
Engine reports them: both in the form that C(views) compares.

Source: cli/compose/convert/service.go and opts/capabilities.go of docker/cli.
"""

from __future__ import annotations

import typing as t

from .compose import NANOSECONDS, Raw, as_text, duration

View = dict[str, t.Any]

# What Docker itself writes to each service of a stack.
_OF_DOCKER = "com.docker.stack."
# What UCP and MKE write to services by themselves, besides what is declared.
_OF_PLATFORM = "com.docker."
# Other keys of a compose service, and what the Engine calls them.
_PLAIN = {
    "user": "User",
    "working_dir": "Dir",
    "stop_signal": "StopSignal",
    "read_only": "ReadOnly",
    "tty": "TTY",
    "stdin_open": "OpenStdin",
}
_ENDPOINT_MODE = "vip"
_TIMES = ("interval", "timeout", "start_period", "start_interval")


def wanted_extras(service: Raw) -> View:
    """These keys as a stack's definition declares them for a service."""
    add, drop = _capabilities(service.get("cap_add")), _capabilities(service.get("cap_drop"))
    deploy = service.get("deploy") or {}
    return {
        "logging": _logging(service.get("logging") or {}, "driver", "options"),
        "extra_hosts": sorted(_hosts(service.get("extra_hosts") or [])),
        "dns": _listed(service.get("dns")),
        "dns_search": _listed(service.get("dns_search")),
        # No stack can declare these.
        "dns_options": [],
        "groups": [],
        "labels": _pairs(service.get("labels")),
        "service_labels": _pairs(deploy.get("labels")),
        "healthcheck": _wanted_healthcheck(service.get("healthcheck") or {}),
        "hostname": service.get("hostname"),
        "sysctls": _pairs(service.get("sysctls")),
        "ulimits": {name: _limit(given) for name, given in (service.get("ulimits") or {}).items()},
        "cap_add": sorted(add),
        "cap_drop": sorted(drop - add),
        "init": service.get("init"),
        **{key: service.get(key) or None for key in _PLAIN},
        "endpoint_mode": _beyond(deploy.get("endpoint_mode"), _ENDPOINT_MODE),
        "placement_preferences": [
            str(each.get("spread")) for each in (deploy.get("placement") or {}).get("preferences") or []
        ],
    }


def live_extras(spec: Raw) -> View:
    """The same of a service as the Engine reports it."""
    task = spec["TaskTemplate"]
    container = task["ContainerSpec"]
    dns = container.get("DNSConfig") or {}
    return {
        "logging": _logging(task.get("LogDriver") or {}, "Name", "Options"),
        "extra_hosts": sorted(container.get("Hosts") or []),
        "dns": dns.get("Nameservers") or [],
        "dns_search": dns.get("Search") or [],
        "dns_options": dns.get("Options") or [],
        "groups": container.get("Groups") or [],
        "labels": _without_dockers(container.get("Labels")),
        "service_labels": _without_dockers(spec.get("Labels")),
        "healthcheck": _live_healthcheck(container.get("Healthcheck") or {}),
        "hostname": container.get("Hostname"),
        "sysctls": dict(container.get("Sysctls") or {}),
        "ulimits": {each["Name"]: f"{each['Soft']}:{each['Hard']}" for each in container.get("Ulimits") or []},
        "cap_add": sorted(container.get("CapabilityAdd") or []),
        "cap_drop": sorted(container.get("CapabilityDrop") or []),
        "init": container.get("Init"),
        **{key: container.get(name) or None for key, name in _PLAIN.items()},
        "endpoint_mode": _beyond((spec.get("EndpointSpec") or {}).get("Mode"), _ENDPOINT_MODE),
        "placement_preferences": [
            str((each.get("Spread") or {}).get("SpreadDescriptor"))
            for each in (task.get("Placement") or {}).get("Preferences") or []
        ],
    }


def without_labels_of_the_platform(live: View, wanted: View) -> View:
    """The view of a live service without labels that UCP or MKE gave it, unless they are declared as well."""
    found = dict(live)
    for kind in ("labels", "service_labels"):
        declared = wanted.get(kind) or {}
        kept = {
            key: value
            for key, value in (live.get(kind) or {}).items()
            if key in declared or not key.startswith(_OF_PLATFORM)
        }
        found.pop(kind, None)
        if kept:
            found[kind] = kept
    return found


def _beyond(value: t.Any, default: str) -> t.Any:
    return None if value == default else value


def _logging(given: Raw, driver: str, options: str) -> View:
    found = {"driver": given.get(driver), "options": _pairs(given.get(options))}
    return {key: value for key, value in found.items() if value}


def _hosts(given: t.Any) -> t.Iterator[str]:
    """Such as C(192.0.2.1 dtr.example.org), the form of the Engine."""
    pairs = given.items() if isinstance(given, t.Mapping) else (str(each).partition(":")[::2] for each in given)
    for host, address in pairs:
        yield f"{address} {host}"


def _listed(given: t.Any) -> list[str]:
    return [given] if isinstance(given, str) else [str(each) for each in given or []]


def _pairs(given: t.Any) -> dict[str, str]:
    """A mapping, also given as a list of C(KEY=VALUE)."""
    pairs = given.items() if isinstance(given, t.Mapping) else (str(each).partition("=")[::2] for each in given or [])
    return {str(key): as_text(value) for key, value in pairs}


def _limit(given: t.Any) -> str:
    if isinstance(given, t.Mapping):
        return f"{int(given['soft'])}:{int(given['hard'])}"
    return f"{int(given)}:{int(given)}"


def _capabilities(given: t.Any) -> set[str]:
    """As Docker's command writes them: in capitals and with their prefix."""
    names = {str(each).strip().upper() for each in given or []}
    return {"ALL"} if "ALL" in names else {each if each.startswith("CAP_") else f"CAP_{each}" for each in names}


def _wanted_healthcheck(given: Raw) -> View:
    if given.get("disable"):
        return {"test": ["NONE"]}
    test = given.get("test")
    command = ["CMD-SHELL", test] if isinstance(test, str) else [str(each) for each in test or []]
    times = {name: duration(given.get(name)) for name in _TIMES}
    return _healthcheck(command, times, int(given.get("retries") or 0))


def _live_healthcheck(given: Raw) -> View:
    names = dict(zip(_TIMES, ("Interval", "Timeout", "StartPeriod", "StartInterval")))
    times = {name: given.get(key) for name, key in names.items()}
    return _healthcheck(list(given.get("Test") or []), times, int(given.get("Retries") or 0))


def _healthcheck(test: list[str], times: t.Mapping[str, int | None], retries: int) -> View:
    """What is said of it; what is not said is the image's or the Engine's own."""
    found: View = {name: f"{time / NANOSECONDS['s']:g}s" for name, time in times.items() if time}
    return {**({"test": test} if test else {}), **found, **({"retries": retries} if retries else {})}


def _without_dockers(labels: t.Any) -> dict[str, str]:
    return {key: value for key, value in (labels or {}).items() if not key.startswith(_OF_DOCKER)}
