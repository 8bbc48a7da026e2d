# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of the lab, C(inventory/lab) in the checkout: also an example of what one looks like."""

from __future__ import annotations

from pathlib import Path

from . import certificates, registry, ssh
from .files import write_file
from .folders import PROJECT, Folders
from .topology import ASIA, EUROPE, REGIONS, REGISTRY_URL, Region

INVENTORY = PROJECT / "inventory" / "lab"

_HEADER = """\
# Written by `tests/lab/lab up`: changes are lost.
---"""

_EXPLANATION = {
    ASIA: """\
# A region whose Swarm has a manager and two workers. The cache gets one of the
# workers for itself.
""",
    EUROPE: """\
# A region whose whole Swarm is one node: manager and cache at once.
""",
}


def write(folders: Folders) -> bool:
    """Write the inventory into the checkout from which the lab runs. Returns whether something was written."""
    changed = False
    for name, content in files(folders).items():
        path = INVENTORY / name
        path.parent.mkdir(parents=True, exist_ok=True)
        changed |= write_file(path, content)
    return changed


def files(folders: Folders) -> dict[str, str]:
    """The inventory's files by their path in its folder."""
    return {
        "hosts.yml": _hosts(folders),
        "group_vars/dtr_caches.yml": _group_variables(folders),
        **{f"host_vars/{region.cache_name}.yml": _host_variables(region) for region in REGIONS},
    }


def _hosts(folders: Folders) -> str:
    hosts = "".join(f"    {region.cache_name}:\n      ansible_host: {region.manager.host_name}\n" for region in REGIONS)
    return f"""{_HEADER}
# One host a region: a manager of the region's Swarm, reached over SSH.
dtr_caches:
  hosts:
{hosts}  vars:
    lab_state: {folders.root}

    ansible_user: root
    ansible_ssh_private_key_file: "{{{{ lab_state }}}}/{_in(folders, ssh.key(folders))}"
    ansible_ssh_common_args: >-
      -o UserKnownHostsFile={{{{ lab_state }}}}/{_in(folders, ssh.known_hosts(folders))}
      -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes
    # The distribution's own Python: it has what community.docker needs.
    ansible_python_interpreter: /usr/bin/python3
"""


def _group_variables(folders: Folders) -> str:
    pin = certificates.fingerprint(certificates.dtr_ca(folders)).replace(":", "")
    return f"""{_HEADER}
# The DTR that all caches belong to. Its CA is fetched from /ca, and refused
# unless it has this SHA-256 fingerprint.
dtr_cache_registry_url: {REGISTRY_URL}
dtr_cache_registry_ca_fingerprint: >-
  {pin}
dtr_cache_registry_username: {registry.ADMIN}
# Read where it is needed and written nowhere. Elsewhere this would be a vaulted
# variable, or a look-up in a secrets manager.
dtr_cache_registry_password: >-
  {{{{ (lookup('ansible.builtin.file', lab_passwords) | from_json)['{registry.ADMIN}'] }}}}
lab_passwords: "{{{{ lab_state }}}}/{_in(folders, registry.passwords_file(folders))}"

# The image lies on each node; no registry has it to say which digest it has.
dtr_cache_resolve_image: never
# The routing mesh needs IPVS in the kernel, which not every machine has:
# publish on the caches' nodes themselves.
dtr_cache_publish_mode: host

# The cache's certificate and, after it in the same file, the intermediate that
# signed it.
dtr_cache_certificate: "{{{{ lab_state }}}}/certs/{{{{ dtr_cache_host }}}}.cert.pem"
dtr_cache_private_key: "{{{{ lab_state }}}}/certs/{{{{ dtr_cache_host }}}}.key.pem"
# The root above them, which clients have to trust.
dtr_cache_ca_certificate: "{{{{ lab_state }}}}/{_in(folders, certificates.cache_ca(folders))}"

# Pulled through each cache at the end, as one of its accounts, to prove that it
# serves.
dtr_cache_verify_image: engineering/app:1.0
"""


def _host_variables(region: Region) -> str:
    accounts = "".join(f"    - {account}\n" for account in region.accounts)
    return f"""{_HEADER}
{_EXPLANATION[region]}dtr_cache_name: {region.cache_name}
dtr_cache_host: {region.cache_host}
dtr_cache_nodes:
  - {region.cache_nodes[0].name}

# Who pulls from this cache. Teams (`org/team`), organisations and
# `everyone: true` can be named as well.
dtr_cache_assignments:
  accounts:
{accounts}"""


def _in(folders: Folders, path: Path) -> Path:
    return path.relative_to(folders.root)
