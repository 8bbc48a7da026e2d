# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache itself: its name, its address, its image and what it is configured with besides its storage."""

from __future__ import annotations

import hashlib
import hmac
import re
import typing as t

from ...module_utils.swarm.compose import duration
from . import values
from .addresses import https_url, is_host
from .certificate import read_authorities
from .model import CACHE, REGISTRY
from .presets import PRODUCTS, Product
from .reader import Reader

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_DURATION = re.compile(r"[1-9][0-9]*(ns|us|ms|s|m|h)")
# The registry counts nanoseconds in 64 bits.
_LONGEST_DURATION = 2**63 - 1
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_IMAGE = rf"([A-Za-z0-9.\[\]:-]+/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:{_TAG})?(@sha256:[0-9a-f]{{64}})?"


def read_address(reader: Reader, needs: t.Collection[str]) -> dict[str, t.Any]:
    return {
        "name": _read_name(reader, CACHE in needs or REGISTRY in needs),
        "host": _read_host(reader, CACHE in needs),
        "port": reader.whole("port", 1, 65535),
    }


def read_software(reader: Reader) -> tuple[Product, str]:
    """The line of products, and the image."""
    product = PRODUCTS[reader.choice("product", PRODUCTS)]
    version = reader.value("version", values.matching(_TAG, "a version such as 2.7.6"), product.version)
    image = reader.value("image", values.matching(_IMAGE, "the reference of an image"), "")
    return product, image or f"{product.image}:{version}"


def read_configuration(reader: Reader, name: str, private_key: str) -> dict[str, t.Any]:
    upstreams = [reader.checked("upstreams", https_url, url, "") for url in reader.items("upstreams")]
    return {
        "blob_ttl": reader.value("blob_ttl", _blob_ttl, ""),
        "upstreams": tuple(upstreams),
        "upstream_cas": read_authorities(reader, "upstream_cas"),
        "http_secret": _read_http_secret(reader, name, private_key),
        "config_extra": _read_config_extra(reader),
    }


def _read_name(reader: Reader, required: bool) -> str:
    name = reader.text("name", "the cache's name in DTR, such as region-asia" if required else "")
    if name.lower() == "local":
        reader.problem("name", "'local' is what DTR calls pulling without a cache; choose another name")
    elif name and not _NAME.fullmatch(name):
        reader.problem("name", f"{values.quoted(name)} is not a cache's name: up to 128 letters, digits, dots, - and _")
    return name


def _read_host(reader: Reader, required: bool) -> str:
    host = reader.text("host", "the cache's public host name, such as cache-asia.example.org" if required else "")
    if host.startswith("[") and host.endswith("]"):  # an IPv6 address as an URL has it
        host = host[1:-1]
    if not host or is_host(host):
        return host
    if "/" in host:
        reader.problem("host", f"{values.quoted(host)} must be a host name alone, without scheme and path")
    else:
        hint = "; its port belongs in dtr_cache_port" if ":" in host else ""
        reader.problem("host", f"{values.quoted(host)} is not a host name{hint}")
    return ""


def _blob_ttl(value: t.Any) -> str:
    ttl = values.line(value)
    if re.fullmatch(r"[0-9]+", ttl):
        raise values.invalid(f"{ttl} has no unit and would mean nanoseconds; write {ttl}h, {ttl}m or {ttl}s")
    if not _DURATION.fullmatch(ttl):
        raise values.invalid(f"{values.quoted(ttl)} is not a positive whole number with a unit (ns, us, ms, s, m, h)")
    if (duration(ttl) or 0) > _LONGEST_DURATION:
        raise values.invalid(f"{ttl} is longer than the cache can count, 292 years")
    return ttl


def _read_http_secret(reader: Reader, name: str, private_key: str) -> str:
    """The registry's C(http.secret): the given one, or one that only the holder of the private key can compute.

    Deriving it keeps it the same on each run and on each replica without storing it anywhere.
    """
    secret = reader.text("http_secret")
    if secret and len(secret) < 32:
        reader.problem("http_secret", "must have at least 32 characters; leave it out to have one derived")
    derived = hmac.new(private_key.encode(), f"dtr.cache http.secret {name}".encode(), hashlib.sha256).hexdigest()
    return secret or derived


def _read_config_extra(reader: Reader) -> dict[str, t.Any]:
    extra = reader.mapping("config_extra")
    for section in ("http", "storage"):
        if not isinstance(extra.get(section) or {}, dict):
            reader.problem("config_extra", f"{section} must be a mapping of keys to values")
            return {}
    delete = (extra.get("storage") or {}).get("delete")
    if delete is not None and not (isinstance(delete, dict) and delete.get("enabled") is True):
        reader.problem("config_extra", "storage.delete.enabled must stay true: without it a layer could never expire")
    drain = (extra.get("http") or {}).get("draintimeout")
    if drain is not None and (isinstance(drain, bool) or not (isinstance(drain, int) and drain >= 0)):
        reader.checked("config_extra", values.time, drain, None, "http.draintimeout: ")
    return extra
