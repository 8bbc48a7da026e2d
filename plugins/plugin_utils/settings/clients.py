# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The users of the cache: who pulls from it, what proves and warms it, and its client hosts."""

from __future__ import annotations

import datetime
import ipaddress
import typing as t
from urllib.parse import urlsplit

from ...module_utils.common.failure import Failure
from ...module_utils.common.urls import DEFAULT_PORTS, canonical_server
from ...module_utils.dtr import images
from ...module_utils.dtr.assignments_plan import Users, problems_of
from ...module_utils.dtr.model import LOCAL
from . import values
from .certificate import read_authorities
from .image import is_registry
from .model import Network
from .reader import Reader
from .structures import entries

CLIENT_RUNTIMES = ("docker", "containerd", "podman", "cri-o")


def read_clients(
    reader: Reader, registry_url: str, needs: t.Collection[str], now: datetime.datetime
) -> dict[str, t.Any]:
    return {
        "allowed_networks": _read_networks(reader),
        "client_registries": _read_registries(reader, registry_url),
        "client_runtimes": _read_runtimes(reader),
        "client_cas": read_authorities(reader, "client_cas", needs, now, ahead=True),
        "client_trust_state": reader.choice("client_trust_state", ("present", "absent")),
        "client_hosts": tuple(reader.items("client_hosts")),
        "firewall_hosts": tuple(reader.items("firewall_hosts")),
    }


def _read_networks(reader: Reader) -> tuple[Network, ...]:
    networks: dict[Network, None] = {}
    for text in reader.items("allowed_networks"):
        try:
            if "%" in text:
                raise ValueError("a zone is a network interface of one machine")
            networks[ipaddress.ip_network(text)] = None
        except ValueError as error:
            meant = ipaddress.ip_network(text, strict=False) if "host bits" in str(error) else None
            hint = f"; did you mean {meant}?" if meant else ""
            reader.problem("allowed_networks", f"{values.quoted(text)} is not a network such as 198.51.100.0/24{hint}")
    return tuple(networks)


def _read_registries(reader: Reader, registry_url: str) -> tuple[str, ...]:
    """What stands before the first slash of an image's reference, and is a folder below /etc/docker/certs.d."""
    names = reader.items("client_registries")
    for name in names:
        if not is_registry(name):
            reader.problem("client_registries", f"{values.quoted(name)} is not the host[:port] of an image's reference")
    if names or not registry_url:
        return tuple(dict.fromkeys(names))
    # The folder has the name as Docker has it, however the address is spelled.
    host = canonical_server(registry_url).partition("://")[2]
    # Who writes the usual port in the address may leave it out in a reference.
    return (f"{host}:443", host) if urlsplit(registry_url).port == DEFAULT_PORTS["https"] else (host,)


def _read_runtimes(reader: Reader) -> tuple[str, ...]:
    runtimes = reader.items("client_runtimes")
    for unknown in sorted(set(runtimes) - set(CLIENT_RUNTIMES)):
        reader.problem("client_runtimes", f"{values.quoted(unknown)} is none of {', '.join(CLIENT_RUNTIMES)}")
    if not runtimes and not reader.is_reported("client_runtimes"):
        # It would take the trust of all of them back.
        reader.problem(
            "client_runtimes",
            f"names none of {', '.join(CLIENT_RUNTIMES)}; leave it out for docker (trust is taken back by "
            "dtr_cache_client_trust_state=absent)",
        )
    return tuple(runtimes)


_USERS: dict[str, values.Kind] = dict.fromkeys(Users._fields, values.items)


def read_accounts(reader: Reader) -> dict[str, t.Any]:
    return {
        "assignments": read_assignments(reader),
        "assignments_exclusive": reader.switch("assignments_exclusive"),
        "max_resets": reader.whole("max_resets", 0, 10_000_000),
        "verify_image": reader.value("verify_image", _exact_image, None),
        "verify_repository": reader.value("verify_repository", _repository, None),
        "verify_account": reader.text("verify_account"),
    }


def read_warming(reader: Reader) -> dict[str, t.Any]:
    names, repositories = _read_images(reader)
    return {
        "warm_images": names,
        "warm_repositories": repositories,
        "warm_platforms": _read_platforms(reader),
        "warm_concurrency": reader.whole("warm_concurrency", 1, 128),
    }


def read_assignments(reader: Reader) -> dict[str, t.Any]:
    exceptions = reader.part("assignments", "except.", _USERS)
    kinds = {**_USERS, "everyone": values.switch, "except": exceptions}
    before = len(reader.problems)
    read = reader.known("assignments", reader.mapping("assignments"), kinds)
    left_out = {kind: names for kind, names in (read.pop("except", None) or {}).items() if names}
    wanted = {**{kind: [] for kind in Users._fields}, "everyone": False, **read}
    if left_out:
        wanted["except"] = {**{kind: [] for kind in Users._fields}, **left_out}
    if len(reader.problems) == before:
        for problem in problems_of({**wanted, "cache": LOCAL}):
            reader.problem("assignments", problem)
    return wanted


def _repository(value: t.Any) -> str:
    text = values.line(value)
    try:
        return images.parse_repository(text, "")
    except Failure:
        raise values.invalid(
            f"{values.quoted(text)} is not a repository in the DTR, written namespace/repository"
        ) from None


def _image(value: t.Any) -> str:
    text = values.line(value)
    try:
        images.parse_name(text)
    except Failure:
        raise values.invalid(
            f"{values.quoted(text)} is not an image in the DTR, written namespace/repository:tag without the host"
        ) from None
    return text


def _exact_image(value: t.Any) -> str:
    """One with its tag or its digest: what C(latest) is, nobody said."""
    text = _image(value)
    if ":" not in text:
        raise values.invalid(f"{values.quoted(text)} has no tag; write namespace/repository:tag")
    return text


def _read_images(reader: Reader) -> tuple[tuple[str, ...], tuple[dict[str, str], ...]]:
    """Images by their names, and repositories with a pattern of tags."""
    names: dict[str, None] = {}
    repositories: list[dict[str, str]] = []
    for entry in reader.checked("warm_images", entries, reader.raw("warm_images"), []):
        if isinstance(entry, dict):
            repositories += _warm_repository(reader, entry)
        elif values.is_set(entry):
            names[reader.checked("warm_images", _image, entry, "")] = None
    return tuple(names), tuple(repositories)


def _warm_repository(reader: Reader, entry: dict[str, t.Any]) -> list[dict[str, str]]:
    unknown = sorted(set(entry) - {"repository", "tags"})
    if unknown or not values.is_set(entry.get("repository")):
        wrong = f"has {', '.join(map(values.shown, unknown))}" if unknown else "has no repository"
        reader.problem("warm_images", f"an entry {wrong}; write {{repository: namespace/repository, tags: '1.*'}}")
        return []
    repository = reader.checked("warm_images", _repository, entry["repository"], "")
    patterns = reader.checked("warm_images", values.items, entry.get("tags"), [], "tags: ")
    return [{"repository": repository, "tags": pattern} for pattern in patterns or ["*"]]


def _read_platforms(reader: Reader) -> tuple[str, ...]:
    platforms = reader.items("warm_platforms")
    try:
        return images.parse_platforms(platforms)
    except Failure:
        given = ", ".join(platforms) or "an empty list"
        reader.problem("warm_platforms", f"{values.shown(given)}: write for example linux/amd64, or all")
        return ()
