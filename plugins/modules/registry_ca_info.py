#!/usr/bin/python
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_ca_info
short_description: Fetch the certificate authority of DTR
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Fetches from C(/ca) the certificate authority that DTR's clients and caches have to trust, and checks it. All of it
    has to be certificates of authorities that are in date, and it has to verify the connection that it came over.
  - Without O(fingerprint), O(ca_path) and O(ca_certificate), and where the system does not trust DTR's certificate
    either, the first answer has to be taken on trust. A warning says so and names the fingerprint to pin.
  - With O(validate_certs=false) the name and the dates of DTR's certificate are not checked. The authority still has to
    have signed it, since nothing else would let a cache or a client trust DTR.
  - The credentials are not sent.
options:
  fingerprint:
    description:
      - SHA-256 fingerprint of the authority to expect, in any usual notation. Anything that this authority is not, or
        has not signed, makes the task fail.
    type: str
extends_documentation_fragment:
  - dtr.cache.registry
  - dtr.cache.attributes
  - dtr.cache.attributes.info_module
requirements:
  - cryptography
"""

EXAMPLES = r"""
- name: Fetch DTR's CA and check it against a known fingerprint
  dtr.cache.registry_ca_info:
    url: https://dtr.example.org
    fingerprint: sha256:6b0f1d449a7e35c280115dee923b7af0c468219d57ab03e67f881cd04eb5923a
  register: dtr_ca

- name: Use it
  dtr.cache.content_caches_info:
    url: https://dtr.example.org
    username: admin
    password: "{{ vault_dtr_token }}"
    ca_certificate: "{{ dtr_ca.pem }}"
"""

RETURN = r"""
pem:
  description: The certificates as PEM text.
  returned: success
  type: str
  sample: "-----BEGIN CERTIFICATE-----…"
certificates:
  description: The same, described.
  returned: success
  type: list
  elements: dict
  contains:
    subject:
      description: Whose certificate it is, as in RFC 4514.
      type: str
      sample: CN=dtr.example.org
    issuer:
      description: Who signed it, as in RFC 4514.
      type: str
      sample: CN=dtr.example.org
    not_before:
      description: Beginning of its validity.
      type: str
      sample: "2020-01-01T00:00:00Z"
    not_after:
      description: End of its validity.
      type: str
      sample: "2030-01-01T00:00:00Z"
    fingerprint:
      description: SHA-256 fingerprint.
      type: str
      sample: 6b0f1d449a7e35c280115dee923b7af0c468219d57ab03e67f881cd04eb5923a
trusted_by:
  description:
    - What makes the answer trustworthy, V(fingerprint) for the pin, V(ca) for O(ca_path) or O(ca_certificate),
      V(system) for the system's trust store, V(first_use) for nothing.
  returned: success
  type: str
  sample: fingerprint
"""

from ..module_utils.module.authority import fetch_authority
from ..module_utils.module.of_dtr import DtrModule

MODULE = DtrModule(fetch_authority, {"fingerprint": {"type": "str"}}, authenticated=False)


def main() -> None:
    """Entry point."""
    MODULE.run()


if __name__ == "__main__":
    main()
