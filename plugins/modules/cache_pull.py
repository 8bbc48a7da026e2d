#!/usr/bin/python
# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cache_pull
short_description: Pull images through a content cache, to verify or to warm it
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Pulls images as a user does whose account is assigned to the cache. DTR gives the token and the manifest, and sends
    to the cache for each blob.
  - Every blob is read to its end and its digest verified. Nothing is kept on disk, and memory does not grow with the
    size of a layer.
  - Fails when a blob does not come through the cache, and says where it comes from instead.
  - It runs where users are, or on the control node. This machine has to reach both DTR and the cache.
options:
  images:
    description:
      - The images, as C(namespace/repository:tag) or C(namespace/repository@sha256:digest), without a host name.
      - A blob that several of them share is pulled once.
    type: list
    elements: str
    required: true
  cache:
    description:
      - The cache's name in DTR, or the URL under which it is registered there.
      - DTR has to send to this cache's registered host.
    type: str
    required: true
  cache_ca_certificate:
    description:
      - The CA that signed the cache's certificate, as PEM text, or as the path of a PEM file or a folder of such files.
      - It replaces the default, which is the system's trust store together with DTR's CA in O(ca_path) or
        O(ca_certificate). That default is what a Docker Engine trusts that knows nothing of the cache.
      - O(validate_certs=false) switches the check of the cache's certificate off as well.
    type: str
  platforms:
    description:
      - For which platforms to pull an image that exists for several, as C(os/architecture) or
        C(os/architecture/variant), or V(all).
      - An image that exists for one platform only is pulled whatever that is.
    type: list
    elements: str
    default: [linux/amd64]
  account:
    description:
      - Pull as this account.
      - O(username) has to be an administrator. A temporary access token is made for the account, and deleted at the
        end, also after a failure.
      - Without this option O(username) itself pulls.
    type: str
  skip_cached:
    description:
      - Do not transfer a blob that the cache says it has. DTR is still asked to send to the cache for it.
      - Makes a repeated warming cheap; the content of such a blob is not verified.
    type: bool
    default: false
  concurrency:
    description: The most blobs to pull at a time, V(1) to V(128).
    type: int
    default: 4
extends_documentation_fragment:
  - dtr.cache.registry
  - dtr.cache.attributes
attributes:
  check_mode:
    support: full
    details:
      - The manifests are read as O(username) and the cache is asked which blobs it has. No blob is requested and no
        access token is made, so RV(pulls[].via_cache) stays empty.
  diff_mode:
    support: full
    details:
      - Shows for each image how many of its blobs the cache has.
  idempotent:
    support: full
    details:
      - The task reports a change when it brought a blob into the cache, and none when the cache had all of them, or
        does not tell (see RV(pulls[].cached_before)). A cache drops blobs after its C(blobttl).
  action_group:
    support: full
"""

EXAMPLES = r"""
- name: Prove that the cache serves the users of Asia
  dtr.cache.cache_pull:
    url: https://dtr.example.com
    username: admin
    password: "{{ dtr_admin_token }}"
    ca_path: /etc/ssl/certs/dtr-ca.pem
    cache: region-asia
    cache_ca_certificate: "{{ dtr_cache_ca_certificate }}"
    account: alice
    images:
      - engineering/app:1.0

- name: Warm a cache for two platforms, without reading again what it has
  dtr.cache.cache_pull:
    url: https://dtr.example.com
    username: warm-asia
    password: "{{ warm_asia_token }}"
    cache: https://cache-asia.example.com
    images: "{{ release_images }}"
    platforms: [linux/amd64, linux/arm64]
    concurrency: 8
    skip_cached: true
"""

RETURN = r"""
pulls:
  description: One entry for each image, also when the task failed.
  returned: when the images were looked at
  type: list
  elements: dict
  contains:
    image: {description: The image as it was given., type: str, sample: "engineering/app:1.0"}
    digest: {description: Digest of the manifest or index that the name stands for., type: str}
    blobs: {description: How many different blobs the image has for the wanted platforms., type: int, sample: 4}
    bytes: {description: Size of these blobs together., type: int, sample: 7340032}
    foreign_layers:
      description: Layers that clients fetch from elsewhere than DTR (Windows base layers), and that were left out.
      type: int
    seconds: {description: From the first request for the image to the end of its last blob., type: float}
    via_cache:
      description:
        - Whether the image came through the cache, with every digest right.
        - A configuration that DTR serves itself does not count, as long as there are layers and all of them came
          through the cache.
      type: bool
    cached_before:
      description:
        - How many of the blobs the cache had before, V(null) when it cannot be told.
        - A cache that answers for a blob without DTR's signature has it. Where it refuses even for a blob that just
          came through it, its refusals tell nothing. In a chain, what the next cache has counts as well.
      type: int
    elsewhere:
      description: The blobs that did not come through the cache.
      type: list
      elements: dict
      contains:
        digest: {description: The blob., type: str}
        source: {description: The server that DTR sends to instead., type: str, sample: DTR itself}
    failure:
      description: Why the image failed, as in RV(failure), or V(null).
      type: dict
transferred:
  description: What came from the cache in all; a blob that images share counts once.
  returned: when the images were looked at
  type: dict
  contains:
    blobs: {description: Number of blobs., type: int}
    bytes: {description: Number of bytes., type: int}
    seconds: {description: Time for all of them., type: float}
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  contains:
    code:
      description:
        - V(NOT_THROUGH_CACHE), V(NOT_AUTHORIZED), V(MANIFEST_UNKNOWN), V(PLATFORM_MISSING), V(UNSUPPORTED_MANIFEST),
          V(SIGNATURE_REFUSED), V(BLOB_UNKNOWN), V(DIGEST_MISMATCH), V(NO_SUCH_CONTENT_CACHE), V(CONNECTION_FAILED),
          V(TIMEOUT), one that begins with C(TLS_), or DTR's own code.
      type: str
    message: {description: The failure in a sentence., type: str}
    http_status: {description: Status of the answer that showed it., type: int}
    url: {description: Address of the request., type: str}
    hint: {description: What to do next., type: str}
"""

import contextlib
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.dtr.cache.plugins.module_utils import images, pull
from ansible_collections.dtr.cache.plugins.module_utils.cache_transport import cache_connector
from ansible_collections.dtr.cache.plugins.module_utils.distribution import Distribution
from ansible_collections.dtr.cache.plugins.module_utils.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.registry import Registry
from ansible_collections.dtr.cache.plugins.module_utils.registry_module import Connection, run_registry_module
from ansible_collections.dtr.cache.plugins.module_utils.transport import Transport

TRUST = ("ca_path", "ca_certificate", "validate_certs")
REQUESTS = ("timeout", "retries", "concurrency")
CREDENTIALS = ("username", "password", "client_cert", "client_key")


def main() -> None:
    """Pull images."""
    run_registry_module(
        pull_images,
        {
            "images": {"type": "list", "elements": "str", "required": True},
            "cache": {"type": "str", "required": True},
            "cache_ca_certificate": {"type": "str"},
            "platforms": {"type": "list", "elements": "str", "default": ["linux/amd64"]},
            "account": {"type": "str"},
            "skip_cached": {"type": "bool", "default": False},
            "concurrency": {"type": "int", "default": 4},
        },
    )


def pull_images(module: AnsibleModule) -> dict[str, t.Any]:
    """Pull the images, or in check mode say what would be pulled."""
    params = module.params
    names = list(dict.fromkeys(params["images"]))
    for name in names:
        images.parse_name(name)
    platforms = images.parse_platforms(params["platforms"])
    connect = cache_connector(params)
    with contextlib.ExitStack() as stack:
        registry = stack.enter_context(Connection(module))
        caches = registry.content_caches()
        origins = pull.registered_origins(params["cache"], caches)
        account = params["account"] or params["username"]
        transport = as_account(module, registry, stack)
        puller = pull.Puller(
            Distribution(transport, account),
            params["cache"],
            origins,
            connect,
            platforms=platforms,
            concurrency=params["concurrency"],
            skip_cached=params["skip_cached"],
            why_elsewhere=lambda: why_elsewhere(registry, account, origins),
        )
        try:
            report = (puller.preview if module.check_mode else puller.pull)(names)
        finally:
            for warning in (*transport.warnings, *puller.warnings):
                module.warn(warning)
    failure = pull.failure_of_report(report, params["cache"])
    if failure:
        raise failure
    return {**pull.result_of(report), **({"diff": pull.diff_of(report)} if module._diff else {})}


def as_account(module: AnsibleModule, registry: Registry, stack: contextlib.ExitStack) -> Transport:
    """Connections to DTR as the account that pulls."""
    params = module.params
    credentials = {name: params[name] for name in CREDENTIALS}
    account = params["account"]
    if account and account != params["username"] and not module.check_mode:
        token = stack.enter_context(pull.temporary_token(registry, account, module.warn))
        module.no_log_values.add(token)
        # With a client certificate DTR would take the certificate's account.
        credentials = {"username": account, "password": token}
    return Transport(params["url"], **credentials, **{name: params[name] for name in (*TRUST, *REQUESTS)})


def why_elsewhere(registry: Registry, account: str | None, origins: t.Sequence[t.Any]) -> str:
    """Why DTR does not send the account to the cache, as far as the account's setting tells."""
    if account is None:
        return "Check which cache the client certificate's account is assigned to."
    try:
        setting = registry.user_cache(account)
        return pull.likely_cause(account, setting, registry.content_caches(), origins)
    except Failure:
        return f"Check which cache account {account} is assigned to, with dtr.cache.cache_assignments_info."


if __name__ == "__main__":
    main()
