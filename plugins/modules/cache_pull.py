#!/usr/bin/python
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cache_pull
short_description: Pull images through a content cache, to verify or to warm it
version_added: 1.0.0
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
      - One of O(images), O(repositories) and O(proof_repository) is required.
    type: list
    elements: str
    default: []
  repositories:
    description:
      - Repositories of which all images are pulled whose tags match a pattern.
      - A pattern that no tag matches is a failure.
    type: list
    elements: dict
    default: []
    suboptions:
      repository:
        description: The repository, as C(namespace/repository).
        type: str
        required: true
      tags:
        description: A pattern as a shell has it, where V(*) stands for any characters and V(?) for one.
        type: str
        default: "*"
  platforms:
    description:
      - For which platforms to pull an image that exists for several, as C(os/architecture) or
        C(os/architecture/variant), or V(all).
      - An image that exists for one platform only is pulled whatever that is.
    type: list
    elements: str
    default: [linux/amd64]
  replicas:
    description:
      - How many replicas the cache has, so that all of them are warmed. Replicas that do not share their storage each
        have to get a blob once.
      - With more than one, the images are pulled by each address that the name of the cache has. Where there are fewer
        addresses than replicas, they are pulled again over new connections until nothing more is brought, at most as
        often as there are replicas; what remains unknown then is a warning.
      - RV(transferred) is the sum of all these pulls, RV(pulls) is about the first one.
    type: int
    default: 1
  addresses:
    description:
      - The addresses of the cache's replicas, such as those of RV(dtr.cache.cache_health#module:caches[].addresses),
        with a port where it is another one than the cache's.
      - The images are pulled by each of them, and each has to serve. Without it, they are pulled by the cache's name.
    type: list
    elements: str
    default: []
  concurrency:
    description: The most blobs to pull at a time, V(1) to V(128).
    type: int
    default: 4
  proof_repository:
    description:
      - After the images, prove with a new image in this repository that the cache fetches, keeps and serves, as
        M(dtr.cache.cache_proof) does with its O(dtr.cache.cache_proof#module:repository). In check mode nothing is
        pushed.
    type: str
  progress_path:
    description:
      - Filled in on the control node. The file in which the module reports how much has come.
      - Where people read the output, a line with these numbers is written to the standard error every five seconds.
        From another host than the control node no numbers come, and the line says only that the task still works.
    type: path
extends_documentation_fragment:
  - dtr.cache.registry
  - dtr.cache.pull
  - dtr.cache.attributes
attributes:
  check_mode:
    support: full
    details:
      - The manifests are read as O(username) and the cache is asked which blobs it has. No blob is requested and no
        access token is made, so RV(pulls[].via_cache) stays empty. RV(transferred) is what would be.
  diff_mode:
    support: full
    details:
      - Shows for each image how many of its blobs the cache has.
  idempotent:
    support: full
    details:
      - The task reports a change when it brought a blob into the cache, and none when the cache had all of them, or
        does not say (see RV(pulls[].cached_before)). A cache drops blobs after its C(blobttl); whether a pull prolongs
        that is not documented.
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

- name: Prove the same with an image that the cache cannot have
  dtr.cache.cache_pull:
    url: https://dtr.example.com
    username: admin
    password: "{{ dtr_admin_token }}"
    cache: region-asia
    account: alice
    proof_repository: engineering/cache-proof

- name: Warm a cache for two platforms
  dtr.cache.cache_pull:
    url: https://dtr.example.com
    username: warm-asia
    password: "{{ warm_asia_token }}"
    cache: https://cache-asia.example.com
    images: "{{ release_images }}"
    repositories:
      - repository: engineering/base
        tags: "2.*"
    platforms: [linux/amd64, linux/arm64]
    concurrency: 8
"""

RETURN = r"""
pulls:
  description: One entry for each image, also when the task failed.
  returned: when the images were read
  type: list
  elements: dict
  contains:
    image: {description: The image as it was given., type: str, sample: "engineering/app:1.0"}
    digest: {description: Digest of the manifest or index that the name stands for., type: str, sample: "sha256:9f2c…"}
    blobs: {description: How many different blobs the image has for the wanted platforms., type: int, sample: 4}
    bytes: {description: Size of these blobs together., type: int, sample: 7340032}
    foreign_layers:
      description: Layers that clients fetch from elsewhere than DTR (Windows base layers), and that were left out.
      type: int
      sample: 0
    seconds: {description: From the first request for the image to the end of its last blob., type: float, sample: 1.4}
    via_cache:
      description:
        - Whether the image came through the cache, with every digest right.
        - A configuration that DTR serves itself does not count, as long as there are layers and all of them came
          through the cache.
      type: bool
      sample: true
    cached_before:
      description:
        - How many of the blobs the cache had before, V(null) when that is unknown.
        - A cache that answers for a blob without DTR's signature has it. Where it refuses even for a blob that just
          came through it, its refusals mean nothing. In a chain, what the next cache has counts as well.
        - In check mode it is V(null) where the cache refuses all of them, as an empty cache does, and one that asks DTR
          before it serves what it has.
      type: int
      sample: 3
    elsewhere:
      description: The blobs that did not come through the cache.
      type: list
      elements: dict
      contains:
        digest: {description: The blob., type: str, sample: "sha256:3f1c…"}
        source:
          description: V(DTR itself) where DTR serves it, or the server that DTR sends to instead of the cache.
          type: str
          sample: DTR itself
    failure:
      description: Why the image failed, as in RV(failure), or V(null).
      type: dict
      sample: {code: MANIFEST_UNKNOWN, message: "DTR has no engineering/app:9.0.", http_status: 404}
transferred:
  description: What came from the cache in all; a blob that images share counts once.
  returned: when the images were read
  type: dict
  contains:
    blobs: {description: Number of blobs., type: int, sample: 12}
    bytes: {description: Number of bytes., type: int, sample: 41957990}
    seconds: {description: Time for all of them., type: float, sample: 1.2}
    wanted_bytes: {description: Size of all blobs of the images., type: int, sample: 83915980}
    cached_blobs:
      description:
        - Number of blobs that the cache had before, V(null) when that is unknown. Of several replicas, the one that had
          the least counts.
        - Each of them was read and its digest compared; in check mode it is what the cache says.
      type: int
      sample: 3
    cached_bytes: {description: Number of bytes of these blobs., type: int, sample: 10489497}
    brought_bytes:
      description: Number of bytes that the cache did not have before, of all replicas together.
      type: int
      sample: 31468493
proof:
  description: What the new image proved, in the form of RV(dtr.cache.cache_proof#module:proof).
  returned: success, with O(proof_repository) and not in check mode
  type: dict
  sample: {image: "engineering/app:dtr-cache-proof-1a2b", cold: {seconds: 0.8, hit: false}, warm: {hit: true}}
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  contains:
    code:
      description:
        - V(NOT_THROUGH_CACHE), V(NOT_AUTHORIZED), V(MANIFEST_UNKNOWN), V(PLATFORM_MISSING), V(UNSUPPORTED_MANIFEST),
          V(NO_TAG_MATCHES), V(NAME_UNKNOWN), V(SIGNATURE_REFUSED), V(BLOB_UNKNOWN),
          V(DIGEST_MISMATCH), V(NO_PROOF), V(NO_SUCH_CONTENT_CACHE), V(CONNECTION_FAILED),
          V(TIMEOUT), one that begins with C(TLS_), or DTR's own code. With O(proof_repository) those of
          M(dtr.cache.cache_proof).
      type: str
      sample: NOT_THROUGH_CACHE
    message:
      description: The failure in a sentence.
      type: str
      sample: "DTR served the layers of engineering/app:1.0 itself."
    http_status: {description: Status of the answer that showed it., type: int, sample: 200}
    url:
      description: Address of the request.
      type: str
      sample: "https://dtr.example.org/v2/engineering/app/blobs/sha256:3f1c…"
    hint: {description: What to do next., type: str, sample: "Assign the account to the cache."}
"""

import typing as t

from ..module_utils.module.of_dtr import DtrModule
from ..module_utils.module.of_pulls import pull_argument_spec
from ..module_utils.module.pulls import pull_images

ARGUMENT_SPEC: dict[str, t.Any] = {
    **pull_argument_spec(),
    "images": {"type": "list", "elements": "str", "default": []},
    "repositories": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "repository": {"type": "str", "required": True},
            "tags": {"type": "str", "default": "*"},
        },
    },
    "platforms": {"type": "list", "elements": "str", "default": ["linux/amd64"]},
    "replicas": {"type": "int", "default": 1},
    "addresses": {"type": "list", "elements": "str", "default": []},
    "concurrency": {"type": "int", "default": 4},
    "proof_repository": {"type": "str"},
    "progress_path": {"type": "path"},
}


MODULE = DtrModule(pull_images, ARGUMENT_SPEC)


def main() -> None:
    """Entry point."""
    MODULE.run()


if __name__ == "__main__":
    main()
