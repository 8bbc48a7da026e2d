#!/usr/bin/python
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cache_proof
short_description: Prove with a new image that a content cache fetches, keeps and serves
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Pushes a tiny image with random content to DTR, pulls it twice through the cache as one of its accounts, and deletes
    it from DTR again, also after a failure.
  - The first pull is a miss for certain, since nothing but DTR has the content. So the cache has to go to DTR, which it
    need not for an image that it has already. The second pull is a hit, if the cache says what it has.
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
    image: {description: The image. It is gone again., type: str, sample: "engineering/app:dtr-cache-proof-1a2b"}
    bytes: {description: Size of its blobs., type: int, sample: 1234}
    cold:
      description: The first pull, for which the cache had to go to DTR.
      type: dict
      contains:
        seconds: {description: Time of the pull., type: float, sample: 0.8}
        hit: {description: Whether the cache had the image. It is always V(false)., type: bool, sample: false}
        evidence:
          description: How that is known.
          type: str
          sample: "Random content that only DTR had came through the cache."
    warm:
      description: The last pull of the same image.
      type: dict
      contains:
        seconds: {description: Time of the pull., type: float, sample: 0.1}
        hit:
          description:
            - Whether the cache had the image. V(null) when it does not say what it has; the pull itself was right.
          type: bool
          sample: true
        evidence:
          description: How that is known.
          type: str
          sample: "The cache answered without DTR's signature, which it can do only from its own storage."
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
      sample: NOT_KEPT
    message:
      description: The failure in a sentence.
      type: str
      sample: "The cache of region-asia does not keep what it serves."
    http_status: {description: Status of the answer that showed it., type: int, sample: 404}
    url:
      description: Address of the request.
      type: str
      sample: "https://cache-asia.example.org/v2/engineering/app/blobs/sha256:3f1c…"
    hint: {description: What to do next., type: str, sample: "Check the space on the volume of the cache."}
"""

from ..module_utils.module.of_dtr import DtrModule
from ..module_utils.module.of_pulls import pull_argument_spec
from ..module_utils.module.pulls import prove

MODULE = DtrModule(prove, {**pull_argument_spec(), "repository": {"type": "str", "required": True}})


def main() -> None:
    """Entry point."""
    MODULE.run()


if __name__ == "__main__":
    main()
