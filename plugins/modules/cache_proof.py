#!/usr/bin/python
# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cache_proof
short_description: Prove with a new image that a content cache fetches, keeps and serves
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Pushes a tiny image with random content to DTR, pulls it twice through the cache as one of its accounts, and deletes
    it from DTR again, also after a failure.
  - The first pull is a miss for certain, since nothing but DTR has the content. So the cache has to go to DTR, which it
    need not for an image that it has already. The second pull is a hit, if the cache tells what it has.
  - Fails when a blob does not come through the cache, and when the cache does not keep it.
  - It runs where users are, or on the control node. This machine has to reach both DTR and the cache.
options:
  repository:
    description:
      - The repository to push to, as C(namespace/repository). It has to exist, unless DTR creates one on a push.
      - O(username) has to have the right to push to it and to delete from it, and the account that pulls to read it.
      - Tags of proofs whose run was killed more than an hour ago are deleted as well.
    type: str
    required: true
extends_documentation_fragment:
  - dtr.cache.registry
  - dtr.cache.pull
  - dtr.cache.attributes
attributes:
  check_mode:
    support: full
    details:
      - Only the options are checked, and that DTR knows the cache. Nothing is pushed or pulled.
  diff_mode:
    support: N/A
    details:
      - Nothing changes that a diff could show.
  idempotent:
    support: full
    details:
      - Never reports a change. A kilobyte stays in the cache until its C(blobttl) ends, and in DTR until its garbage
        collection.
  action_group:
    support: full
"""

EXAMPLES = r"""
- name: Prove that the cache of Asia fetches, keeps and serves
  dtr.cache.cache_proof:
    url: https://dtr.example.com
    username: admin
    password: "{{ dtr_admin_token }}"
    ca_path: /etc/ssl/certs/dtr-ca.pem
    cache: region-asia
    cache_ca_certificate: "{{ dtr_cache_ca_certificate }}"
    account: alice
    repository: engineering/cache-proof
"""

RETURN = r"""
proof:
  description: What was proved, and by what.
  returned: success, when not in check mode
  type: dict
  contains:
    image: {description: The image. It is gone again., type: str}
    bytes: {description: Size of its blobs., type: int, sample: 1234}
    cold:
      description: The first pull, for which the cache had to go to DTR.
      type: dict
      contains:
        seconds: {description: Time of the pull., type: float}
        hit: {description: Whether the cache had the image. It is always V(false)., type: bool}
        evidence: {description: How that is known., type: str}
    warm:
      description: The last pull of the same image.
      type: dict
      contains:
        seconds: {description: Time of the pull., type: float}
        hit:
          description:
            - Whether the cache had the image. V(null) when it does not tell what it has; the pull itself was right.
          type: bool
        evidence: {description: How that is known., type: str}
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  contains:
    code:
      description:
        - V(NOT_KEPT), V(NOT_DELETED), V(READ_ONLY), V(NAME_UNKNOWN), V(NOT_AUTHORIZED), or a code of
          M(dtr.cache.cache_pull).
      type: str
    message: {description: The failure in a sentence., type: str}
    http_status: {description: Status of the answer that showed it., type: int}
    url: {description: Address of the request., type: str}
    hint: {description: What to do next., type: str}
"""

import contextlib
import datetime
import os
import secrets
import typing as t

from ..module_utils.common.failure import Failure
from ..module_utils.common.urls import Origin
from ..module_utils.dtr import images
from ..module_utils.dtr.api import Registry
from ..module_utils.http.transport import Transport
from ..module_utils.module.base import Module
from ..module_utils.module.of_dtr import (
    Connection,
    RegistryModule,
)
from ..module_utils.module.of_pulls import (
    lost_cache,
    pull_argument_spec,
    pulling_account,
    why_elsewhere,
)
from ..module_utils.pulling import proof, pull
from ..module_utils.pulling.cache_transport import cache_connector
from ..module_utils.pulling.distribution import Distribution

RANDOM_BYTES = 1024


def prove(module: Module) -> dict[str, t.Any]:
    """Push, pull, pull again, and delete."""
    params = module.params
    # One connection, so that the second pull meets the replica that the first one has filled.
    params["concurrency"] = 1
    repository = images.parse_repository(params["repository"], "repository")
    connect = cache_connector(params)
    connection = Connection(module)
    with connection as registry:
        origins = pull.registered_origins(params["cache"], registry.content_caches())
        if module.check_mode:
            return {"changed": False}
        own = Distribution(connection.transport, params["username"], actions=proof.PUSH_ACTIONS)
        shelf = proof.Shelf(registry, connection.transport, own, repository)
        now = datetime.datetime.now(datetime.timezone.utc)
        for tag in proof.left_behind(shelf.tags(), now):
            shelf.take_away(tag)
        image = proof.tiny_image(os.urandom(RANDOM_BYTES))
        tag = proof.new_tag(now, secrets.token_hex(4))
        with on_shelf(module, shelf, tag, image):
            pulls = pulled_twice(module, registry, connect, origins, f"{repository}:{tag}")
    return {"changed": False, "proof": proof.result_of(pulls, image, f"{repository}:{tag}")}


@contextlib.contextmanager
def on_shelf(module: Module, shelf: proof.Shelf, tag: str, image: proof.TinyImage) -> t.Iterator[None]:
    """The image is in DTR while this lasts; one that cannot be deleted is told beside an earlier failure."""
    try:
        shelf.put(tag, image)
        yield
    except BaseException:
        try:
            shelf.take_away(tag)
        except Failure as failure:
            module.warn(failure.message)
        raise
    shelf.take_away(tag)


def pulled_twice(
    module: Module,
    registry: Registry,
    connect: t.Callable[[str, bool], Transport],
    origins: t.Sequence[Origin],
    name: str,
) -> proof.Pulls:
    """Pull the image cold and warm, as the account that the options name."""
    cache = module.params["cache"]
    with pulling_account(module, registry) as (account, distribution):
        puller = pull.Puller(
            distribution,
            cache,
            origins,
            connect,
            platforms=(images.ALL_PLATFORMS,),
            concurrency=1,
            why_elsewhere=lambda: why_elsewhere(registry, account, origins, puller.trouble),
            lost_cache=lambda: lost_cache(registry, account),
        )
        try:
            return proof.pull_twice(puller, name, cache)
        finally:
            for warning in puller.warnings:
                module.warn(warning)


MODULE = RegistryModule(prove, {**pull_argument_spec(), "repository": {"type": "str", "required": True}})


def main() -> None:
    """Entry point."""
    MODULE.run()


if __name__ == "__main__":
    main()
