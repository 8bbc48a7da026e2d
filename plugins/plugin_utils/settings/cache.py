# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache itself: its name, its address, its image and what it is configured with besides its storage."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import hmac
import re
import typing as t

from ...module_utils.common.failure import Failure
from ...module_utils.common.urls import ascii_name, canonical_server
from ...module_utils.dtr.model import is_local
from . import values
from .addresses import https_url, is_host
from .certificate import read_authorities
from .image import PRODUCTS, TAG, Product, image_of_dtr, image_of_version, reference
from .model import CACHE, REGISTRY, Settings
from .reader import Reader

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
# Layers that stay for ever: config.yml has no blobttl.
NEVER = "never"
_DURATION = re.compile(r"[1-9][0-9]*(ns|us|ms|s|m|h)")


def read_address(reader: Reader, needs: t.Collection[str]) -> dict[str, t.Any]:
    name = _read_name(reader, CACHE in needs or REGISTRY in needs)
    port = reader.whole("port", 1, 65535)
    return {
        "name": name,
        "host": _read_host(reader, CACHE in needs),
        "port": port,
        "public_port": reader.whole("public_port", 1, 65535) or port,
        "metrics_port": _read_metrics_port(reader, port),
    }


def read_former_names(reader: Reader, name: str) -> tuple[str, ...]:
    """Names that the cache had in DTR before."""
    names = [reader.checked("former_names", _former_name, each, "") for each in reader.items("former_names")]
    if name and name in names:
        reader.problem("former_names", f"{name} is the name that the cache has now (dtr_cache_name); leave it out")
    return tuple(dict.fromkeys(each for each in names if each and each != name))


def read_software(reader: Reader) -> tuple[Product, str]:
    """The line of products, and the image; empty where its version is to be that of the DTR."""
    product = PRODUCTS[reader.choice("product", PRODUCTS)]
    version = reader.value("version", values.matching(TAG, "a version such as 2.7.6"), "")
    image = str(reader.value("image", reference, ""))
    if image or not version or reader.is_reported("product"):
        return product, image
    try:
        return product, image_of_version(product, version)
    except Failure as failure:
        variable, _colon, sentence = failure.message.partition(": ")
        reader.problem(variable, sentence)
        return product, ""


def read_configuration(
    reader: Reader,
    address: t.Mapping[str, t.Any],
    private_key: str,
    needs: t.Collection[str],
    now: datetime.datetime,
) -> dict[str, t.Any]:
    upstreams = read_upstreams(reader)
    for upstream in upstreams:
        if is_same_server(upstream, address):
            reader.problem("upstreams", f"{upstream} is the cache itself, which would ask itself without end")
    return {
        "blob_ttl": reader.value("blob_ttl", _blob_ttl, ""),
        "upstreams": tuple(upstreams),
        "upstream_cas": read_authorities(reader, "upstream_cas", needs, now),
        "http_secret": _read_http_secret(reader, address["host"], private_key),
    }


def read_upstreams(reader: Reader) -> list[str]:
    """What the cache pulls from in the place of the DTR."""
    return [reader.checked("upstreams", https_url, url, "") for url in reader.items("upstreams")]


def _read_name(reader: Reader, required: bool) -> str:
    name = reader.text("name", "the cache's name in DTR, such as region-asia" if required else "")
    if is_local(name):
        reader.problem("name", "'local' is what DTR calls pulling without a cache; choose another name")
    elif name and not _NAME.fullmatch(name):
        reader.problem("name", f"{values.quoted(name)} is not a cache's name: up to 128 letters, digits, dots, - and _")
    return name


def _read_metrics_port(reader: Reader, port: int | None) -> int | None:
    metrics_port = reader.whole("metrics_port", 1, 65535)
    if metrics_port and metrics_port == port:
        reader.problem("metrics_port", f"{port} is the cache's own port (dtr_cache_port); metrics need another one")
        return None
    return metrics_port


def _former_name(value: t.Any) -> str:
    """A name that somebody gave to the cache by hand may have letters that this collection would not take."""
    text = values.line(value)
    if is_local(text):
        raise values.invalid("'local' is what DTR calls pulling without a cache, and no cache's name")
    return text


def _read_host(reader: Reader, required: bool) -> str:
    host = reader.text("host", "the cache's public host name, such as cache-asia.example.org" if required else "")
    if host.startswith("[") and host.endswith("]") and ":" in host:  # an IPv6 address as an URL has it
        host = host[1:-1]
    host = _one_form(host)
    if not host or is_host(host):
        # With a dot at its end OpenSSL finds no name in a certificate.
        return host.removesuffix(".")
    if "/" in host:
        reader.problem("host", f"{values.quoted(host)} must be a host name alone, without scheme and path")
    else:
        hint = "; its port belongs in dtr_cache_port" if ":" in host else ""
        reader.problem("host", f"{values.quoted(host)} is not a host name{hint}")
    return ""


def _one_form(host: str) -> str:
    """A name as DNS has it, in small letters. One with letters that nobody sees stays as it is, and is refused."""
    try:
        visible = all(letter.isalnum() or letter in "-." for letter in host)
        return (ascii_name(host) if visible else host).lower()
    except ValueError:
        return host


def _blob_ttl(value: t.Any) -> str:
    ttl = values.scalar(value)
    if ttl == NEVER:
        return NEVER
    if re.fullmatch(r"[0-9]{1,18}", ttl):
        raise values.invalid(f"{ttl} has no unit and would mean nanoseconds; write {ttl}h, {ttl}m or {ttl}s")
    if not _DURATION.fullmatch(ttl):
        raise values.invalid(
            f"{values.quoted(ttl)} is not a positive whole number with a unit (ns, us, ms, s, m, h), nor never"
        )
    return values.time(ttl)


def _read_http_secret(reader: Reader, host: str, private_key: str) -> str:
    """The registry's C(http.secret): the given one, or one that only the holder of the private key can compute.

    Deriving it keeps it the same on each run and on each replica without storing it anywhere. It does not depend on the
    name in DTR, so that a cache with a new name need not be started again.
    """
    secret = reader.text("http_secret")
    if secret and len(secret) < 32:
        reader.problem("http_secret", "must have at least 32 characters; leave it out to have one derived")
    derived = hmac.new(private_key.encode(), f"dtr.cache http.secret {host}".encode(), hashlib.sha256).hexdigest()
    return secret or derived


def is_same_server(url: str, address: t.Mapping[str, t.Any]) -> bool:
    """Whether an address is that of the cache."""
    host = address["host"]
    shown = f"[{host}]" if ":" in host else host
    return bool(url and host) and canonical_server(url) == canonical_server(f"https://{shown}:{address['public_port']}")


SERVICE = "cache"
# What decides the image.
_OF_IMAGE = ("dtr_cache_version:", "dtr_cache_image:", "dtr_cache_product:")


def with_image_of_dtr(settings: Settings, version: str | None, problems: t.Iterable[str]) -> tuple[Settings, list[str]]:
    """The settings with the image of the DTR's version where they name none, and why there is none.

    Args:
        version: What DTR says; empty where it does not, and C(None) where it was not asked.
        problems: What is wrong already.
    """
    if settings.image or version is None or any(each.startswith(_OF_IMAGE) for each in problems):
        return settings, []
    if not version:
        place = f"{settings.registry_url}/api/v0/admin/version"
        return settings, [
            f"dtr_cache_version: the DTR does not say which version it has (GET {place}); set dtr_cache_version to it, "
            "such as 2.7.6"
        ]
    try:
        return dataclasses.replace(settings, image=image_of_dtr(settings.product, version)), []
    except Failure as failure:
        return settings, [failure.message]


def with_running_image(settings: Settings, running: t.Mapping[str, t.Any], warn: t.Callable[[str], None]) -> Settings:
    """The settings with the image that the cache has in the Swarm, which a rotation leaves as it is.

    Args:
        running: What M(dtr.cache.stack_plan) says of the stack.
    """
    image = next((each["image"] for each in running.get("services") or [] if each["name"] == SERVICE), None) or ""
    # One that goes by its digest alone has no tag by which it could be named again.
    if ":" not in image.rpartition("/")[2]:
        return settings
    warn(
        f"The version of the DTR does not say which image its caches have, so the cache keeps {image}. Set "
        "dtr_cache_version, or dtr_cache_image, for the next deployment."
    )
    return dataclasses.replace(settings, image=image)
