# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images: their references, the product lines and the image that the vendor's documents name for a version.

Source of the form C([host[:port]/]repository[:tag][@digest]): the grammar in C(reference.go) of distribution/reference.
"""

from __future__ import annotations

import re
import typing as t

from ...module_utils.common.failure import Failure
from ...module_utils.dtr.images import COMPONENT, is_digest
from ...module_utils.dtr.model import release
from . import values
from .addresses import is_host

TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"

_REPOSITORY = re.compile(rf"{COMPONENT}(?:/{COMPONENT})*")
_TAG = re.compile(TAG)
_HOST = re.compile(r"(?P<name>[^:\[\]]+|\[[^\[\]]*\])(?::(?P<port>[1-9][0-9]{0,4}))?")
_ID = re.compile(r"[0-9a-f]{64}")
_LONGEST = 255


def reference(value: t.Any) -> str:
    """The whole reference of an image."""
    text = values.line(value)
    wrong = _mistake(text)
    if wrong:
        meant = "registry.example.org/team/image:tag"
        raise values.invalid(f"{values.quoted(text)} is not the reference of an image such as {meant}: {wrong}")
    return text


def is_registry(text: str) -> bool:
    """Whether this is what stands before the first slash of a reference: C(host[:port])."""
    match = _HOST.fullmatch(text)
    if not match or int(match["port"] or 1) > 65535:
        return False
    name = match["name"]
    host = name[1:-1] if name.startswith("[") else name
    return is_host(host) and name.startswith("[") == (":" in host) and not host.endswith(".")


def _mistake(text: str) -> str:
    name, at, digest = text.partition("@")
    if at and not is_digest(digest):
        return "a digest is sha256: and 64 digits from 0 to f"
    if _ID.fullmatch(name):
        return "this is the id of an image, not its name"
    first, slash, rest = name.partition("/")
    # As Docker tells a host from a repository of Docker Hub.
    has_host = slash and (first == "localhost" or any(letter in first for letter in ".:["))
    if has_host and not is_registry(first):
        return "what stands before the first slash is no host[:port]"
    path, colon, tag = (rest if has_host else name).partition(":")
    if colon and not _TAG.fullmatch(tag):
        return "a tag has up to 128 letters, digits, dots, - and _, and begins with no dot or -"
    if not _REPOSITORY.fullmatch(path):
        return "a repository has small letters and digits, with single . _ or - and slashes between them"
    return f"it is longer than {_LONGEST} characters" if len(name) - len(tag) > _LONGEST else ""


class Product(t.NamedTuple):
    """The names of one line of products."""

    name: str
    node_label: str
    ca_secret: str
    stack_name: str


class Versions(t.NamedTuple):
    """Versions of a product whose documents name the same repository for the cache's image; empty where they do not."""

    product: str
    first: tuple[int, int]
    last: tuple[int, int]
    repository: str

    def __str__(self) -> str:
        first, last = (".".join(map(str, each)) for each in (self.first, self.last))
        return first if first == last else f"{first} to {last}"


PRODUCTS = {
    "dtr": Product("dtr", "dtr.cache", "dtr.cert.pem", "dtr-cache"),
    "msr2": Product("msr2", "dtr.cache", "dtr.cert.pem", "dtr-cache"),
    "msr3": Product("msr3", "msr.cache", "msr.cert.pem", "msr-cache"),
}
VERSIONS = (
    Versions("dtr", (2, 5), (2, 7), "docker/dtr-content-cache"),
    Versions("msr2", (2, 8), (2, 9), "mirantis/dtr-content-cache"),
    Versions("msr2", (2, 10), (2, 10), ""),
    Versions("msr3", (3, 0), (3, 1), "registry.mirantis.com/msr/msr-content-cache"),
)


# A tag of a whole series, such as 2.9, is one of its versions, too.
_SERIES = re.compile(r"v?([0-9]{1,4})\.([0-9]{1,4})(?![0-9])")


def image_of_dtr(product: Product, version: str) -> str:
    """The cache's image for the version that a DTR says it has, which may end in the mark of a build.

    Raises:
        Failure: C(NO_DOCUMENTED_IMAGE), which names the variable to set.
    """
    known = release(version)
    if not known:
        raise _no_image(f"dtr_cache_version: the DTR calls its version {version[:40]!r}; set it, such as 2.7.6")
    return _image(product, known, f"dtr_cache_product: the DTR has version {known}, which", strict=True)


def image_of_version(product: Product, version: str) -> str:
    """The cache's image for a version that the user chose, which may be a tag that no document has.

    Raises:
        Failure: C(NO_DOCUMENTED_IMAGE), which names the variable to set.
    """
    return _image(product, version, f"dtr_cache_version: {version}", strict=False)


def _image(product: Product, version: str, subject: str, *, strict: bool) -> str:
    match = _SERIES.match(version)
    number = (int(match[1]), int(match[2])) if match else (0, 0)
    line = next((each for each in VERSIONS if each.first <= number <= each.last), None)
    if line and line.product != product.name:
        raise _no_image(
            f"{subject} is of {line.product} ({line}), and dtr_cache_product is {product.name}; set dtr_cache_product: "
            f"{line.product}, or the whole reference in dtr_cache_image"
        )
    if (line and not line.repository) or (strict and not line):
        raise _no_image(
            f"dtr_cache_image: no document of the vendor names the repository of the cache's image for version "
            f"{version}; ask the vendor, and set dtr_cache_image to the whole reference"
        )
    own = line or next(each for each in VERSIONS if each.product == product.name)
    return f"{own.repository}:{version}"


def _no_image(sentence: str) -> Failure:
    return Failure("NO_DOCUMENTED_IMAGE", sentence)
