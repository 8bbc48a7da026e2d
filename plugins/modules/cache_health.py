#!/usr/bin/python
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cache_health
short_description: Judge whether content caches are healthy, edge by edge
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Checks each cache as a Docker client meets it, DTR, through the cache the cache's way to its upstream, and with
    O(image) whether DTR sends its accounts to the cache.
  - Every property is judged for itself, so that an expired certificate does not hide a wrong host name. Each failed
    check comes with what to do.
  - Fails when a cache is not healthy. The message names each such cache with its most likely cause.
  - All caches are checked side by side, and there is a result after O(timeout) seconds in any case.
  - Connections to the caches go straight, without the environment's proxy.
options:
  caches:
    description: The caches to check.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The cache's name in DTR.
        type: str
        required: true
      url:
        description: The URL at which clients reach it, such as V(https://cache-asia.example.com).
        type: str
        required: true
      ca_path:
        description:
          - File or folder with the CA that signed the cache's certificate.
          - Without it the system's trust store and DTR's CA are used, which is what a Docker client has where
            nobody configured the cache.
        type: path
      ca_certificate:
        description: The same as O(caches[].ca_path) as PEM text.
        type: str
      min_days:
        description: The same as O(min_days) for this cache alone.
        type: int
      image:
        description: The same as O(image) for this cache alone.
        type: str
      certificate:
        description:
          - The certificate that the cache should have, as PEM text or by its SHA-256 fingerprint in any usual notation.
          - Replicas that still run with another secret are found with it. Without it any certificate is right that
            clients accept.
        type: str
      port:
        description:
          - The port that the cache's stack has to publish, where a load balancer or an address translation before it
            has another one. By default it is that of O(caches[].url).
        type: int
      published_ports:
        description:
          - The ports that the cache's stack publishes; an empty list says that there is no such stack.
          - Without it only the cache's answers are judged.
        type: list
        elements: int
      publish_mode:
        description:
          - How the stack publishes them, V(ingress) being Swarm's routing mesh.
          - With it, the hint for a port that does not answer names what the mesh needs.
        type: str
        choices: [ingress, host]
      node_addresses:
        description:
          - The addresses of the nodes of the cache's Swarm.
          - With them, a cache that does not answer at an address of none of them is reported as a wrong host name.
            Where it answers, a load balancer may stand there.
        type: list
        elements: str
      replicas:
        description:
          - How many replicas the cache has. Without it, an address of its name that refuses connections
            says nothing of the cache while another one answers.
          - Where its name has fewer addresses, each address is probed over new connections twice as often as there are
            replicas, and at most eight times.
        type: int
      replica_addresses:
        description:
          - Where each replica takes connections itself, as V(ADDRESS:PORT), where O(caches[].publish_mode=host).
          - They are probed and asked for the O(image) beside the addresses of the cache's name. An address of the name
            that is none of them may refuse connections.
        type: list
        elements: str
        default: []
      account:
        description:
          - An account that is assigned to this cache, to pull O(image) with. The administrator O(username) makes an
            access token for it, which is deleted before the task ends.
          - Without it, it is one of O(caches[].account_of). Without that, this cache is not asked for O(image).
        type: str
      account_of:
        description:
          - The accounts that should pull from this cache, with C(accounts), C(teams) (C(org/team)), C(orgs),
            C(everyone) and C(except), as O(dtr.cache.cache_pull#module:account_of).
          - O(image) is pulled as the first active one.
          - With O(check_accounts), only these are checked for this cache.
        type: dict
        suboptions:
          accounts: &accounts
            description: Names of accounts, as a list or as text with commas. Numbers are refused.
            type: raw
            default: []
          teams: &teams
            description: Teams, as C(organisation/team).
            type: raw
            default: []
          orgs: &orgs
            description: Organisations.
            type: raw
            default: []
          everyone:
            description: Whether every account should.
            type: bool
            default: false
          except:
            description: Whom teams, organisations and C(everyone) leave out.
            type: dict
            suboptions:
              accounts: *accounts
              teams: *teams
              orgs: *orgs
  url:
    description:
      - Address of the DTR, such as V(https://dtr.example.org).
      - Without it only the caches are checked.
      - The environment variable E(DTR_URL) is used when the option is not given.
    type: str
    required: false
  username:
    description:
      - Account to read the registered caches with; any will do. Without it registrations are not checked.
      - The environment variable E(DTR_USERNAME) is used when the option is not given.
    type: str
  image:
    description:
      - Image in DTR, such as V(engineering/app:1.0). With it each cache that has an O(caches[].account) is asked
        with DTR's signature, as a Docker client has it, for the smallest layer and for a blob that exists nowhere.
      - Only that finds a full disk, a refused signature, a DTR that does not send its accounts to the cache, and a
        cache that does not reach DTR but refuses by itself what is not signed.
      - Caches are asked for it when nothing else is wrong. In check mode only those are whose O(caches[].account) is
        O(username), since the access token of another account would be a change in DTR.
    type: str
  check_accounts:
    description:
      - Whether no active account is assigned to a cache that is gone. O(username) has to be an administrator.
      - It costs DTR one request for each account, or for each of O(caches[].account_of) where that is given.
    type: bool
    default: false
  check_read_only:
    description:
      - Whether DTR's read-only mode counts as not healthy. Only an administrator can see it.
    type: bool
    default: true
  wait:
    description: Check again until all caches are healthy, at the longest for O(timeout) seconds.
    type: bool
    default: false
  timeout:
    description:
      - Seconds for the whole task. One connection or answer gets at most 10 seconds of it, the answer for which a cache
        has to ask its upstream 20.
      - A request for an access token that is under way then, and those that delete the tokens that were made, are
        waited for.
    type: float
    default: 60
  min_days:
    description: A certificate that expires in fewer days than this is not healthy any more.
    type: int
    default: 14
  check_registration:
    description:
      - Whether the caches have to be registered in DTR under O(caches[].name) with O(caches[].url).
      - Switch it off for a cache that is about to be registered.
    type: bool
    default: true
extends_documentation_fragment:
  - dtr.cache.registry
  - dtr.cache.attributes
  - dtr.cache.attributes.info_module
requirements:
  - cryptography
"""

EXAMPLES = r"""
- name: Wait until the caches of both regions are healthy
  dtr.cache.cache_health:
    url: https://dtr.example.com
    username: admin
    password: "{{ dtr_admin_token }}"
    ca_path: /etc/ssl/certs/dtr-ca.pem
    wait: true
    timeout: 120
    caches:
      - name: region-asia
        url: https://cache-asia.example.com
        ca_path: /etc/ssl/certs/caches-ca.pem
      - name: region-europe
        url: https://cache-europe.example.com
        ca_path: /etc/ssl/certs/caches-ca.pem

- name: Check a cache without DTR
  dtr.cache.cache_health:
    caches:
      - name: region-asia
        url: https://cache-asia.example.com
        ca_certificate: "{{ dtr_cache_ca_certificate }}"
    min_days: 30
"""

RETURN = r"""
healthy:
  description: Whether all caches are.
  returned: when the caches were checked
  type: bool
  sample: false
caches:
  description: What was found at each cache, in the order of O(caches); also when the task failed.
  returned: when the caches were checked
  type: list
  elements: dict
  contains:
    name: {description: The cache's name., type: str, sample: region-asia}
    url: {description: Its URL., type: str, sample: "https://cache-asia.example.com"}
    healthy:
      description:
        - Whether no check failed. What could not be known does not count; such a check has an C(ok) of V(null).
      type: bool
      sample: false
    serves:
      description:
        - Whether nothing was found at V(client->cache) that makes pulls fail at all addresses. An early reminder that
          a certificate expires, a clock that is off, an unusual order of certificates or an older certificate do not.
      type: bool
      sample: true
    addresses:
      description:
        - What was found at each address that was probed, those of the name and O(caches[].replica_addresses). C(ok) is
          V(null) where this machine could not find out anything.
      type: list
      elements: dict
      sample: [{"address": "192.0.2.22", "ok": false, "detail": "port 443 refuses connections."}]
    checks:
      description: Everything that was checked. What could not be reached because of a failed check is missing.
      type: list
      elements: dict
      contains:
        edge:
          description:
            - V(client->cache), V(cache->DTR), V(client->DTR) or V(DTR->cache). The client is the machine of this task.
          type: str
          sample: client->cache
        check:
          description:
            - V(name_resolution), V(tcp), V(addresses), V(tls), V(chain), V(host_name), V(validity), V(clock) (only
              when it is wrong), V(certificate) (O(caches[].certificate)), V(deployment)
              (O(caches[].published_ports)), V(api) (C(/v2/) of the cache, C(/_ping) of DTR), V(upstream), V(redirect)
              and V(pull) (O(image)), V(registration), V(read_only), V(assignments) (O(check_accounts)), V(answers)
              when DTR did not say what is registered or assigned, or V(finished) when there was no result in time.
          type: str
          sample: validity
        ok:
          description:
            - Whether it is right, V(null) where what was observed does not show that. C(hint) says then how to find
              out.
            - V(upstream) is not known without O(image), since a cache may refuse what is not signed without asking DTR.
          type: bool
          sample: false
        detail: {description: What was observed., type: str, sample: The certificate expires in 12 days.}
        hint: {description: What to do about it., type: str, sample: Renew the certificate and run dtr.cache.rotate.}
    certificate:
      description: The cache's own certificate, V(null) when the cache showed none.
      type: dict
      contains:
        subject: {description: RFC 4514 name., type: str, sample: CN=cache-asia.example.org}
        issuer: {description: RFC 4514 name of its issuer., type: str, sample: "CN=Example CA,O=Example"}
        not_before: {description: Beginning of its validity., type: str, sample: "2026-01-01T00:00:00Z"}
        not_after: {description: End of its validity., type: str, sample: "2027-01-01T00:00:00Z"}
        fingerprint:
          description: SHA-256 fingerprint.
          type: str
          sample: 6b0f1d449a7e35c280115dee923b7af0c468219d57ab03e67f881cd04eb5923a
    days_left: {description: Days until the first certificate of the chain expires., type: int, sample: 12}
    seconds:
      description:
        - How long the first answer took on each edge, connection and handshake included, as a dictionary of
          V(client->cache), V(cache->DTR) and V(client->DTR). V(null) where there was none.
        - That of V(cache->DTR) is measured through the cache, so it holds the way from the client to the cache as
          well. It is V(null) where the cache may have answered without asking DTR.
      type: dict
      sample: {"client->cache": 0.021, "cache->DTR": 0.034, "client->DTR": 0.012}
"""

import typing as t

from ansible.module_utils.basic import env_fallback

from ..module_utils.module.health import check_health
from ..module_utils.module.of_dtr import DtrModule
from ..module_utils.module.of_pulls import ACCOUNT_OF

ARGUMENT_SPEC: dict[str, t.Any] = {
    "caches": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "url": {"type": "str", "required": True},
            "ca_path": {"type": "path"},
            "ca_certificate": {"type": "str"},
            "min_days": {"type": "int"},
            "image": {"type": "str"},
            "certificate": {"type": "str"},
            "port": {"type": "int"},
            "published_ports": {"type": "list", "elements": "int"},
            "publish_mode": {"type": "str", "choices": ["ingress", "host"]},
            "node_addresses": {"type": "list", "elements": "str"},
            "replicas": {"type": "int"},
            "replica_addresses": {"type": "list", "elements": "str", "default": []},
            "account": {"type": "str"},
            "account_of": ACCOUNT_OF,
        },
        "mutually_exclusive": [("ca_path", "ca_certificate")],
    },
    "url": {"type": "str", "fallback": (env_fallback, ["DTR_URL"])},
    "image": {"type": "str"},
    "check_accounts": {"type": "bool", "default": False},
    "check_read_only": {"type": "bool", "default": True},
    "wait": {"type": "bool", "default": False},
    "timeout": {"type": "float", "default": 60},
    "min_days": {"type": "int", "default": 14},
    "check_registration": {"type": "bool", "default": True},
}

MODULE = DtrModule(check_health, ARGUMENT_SPEC, authenticated=False)


def main() -> None:
    """Entry point."""
    MODULE.run()


if __name__ == "__main__":
    main()
