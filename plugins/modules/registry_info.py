#!/usr/bin/python
# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_info
short_description: Tell the state of DTR
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Reads health, version, features and replicas of Docker Trusted Registry or Mirantis Secure Registry.
  - Some of it is only told to administrators, and null for others. What a version does not tell is null as well.
extends_documentation_fragment:
  - dtr.cache.registry
  - dtr.cache.attributes
  - dtr.cache.attributes.info_module
"""

EXAMPLES = r"""
- name: Wait until DTR is healthy
  dtr.cache.registry_info:
    url: https://dtr.example.org
    username: admin
    password: "{{ vault_dtr_token }}"
  register: dtr
  until: dtr is success and dtr.healthy
  retries: 10
  delay: 6
"""

RETURN = r"""
healthy:
  description: Whether the replica that answered is healthy, from C(/_ping).
  returned: success
  type: bool
  sample: true
error:
  description: Why it is not healthy, empty if it is.
  returned: success
  type: str
  sample: ""
version:
  description: The version, or null where DTR does not tell it.
  returned: success
  type: str
  sample: 2.7.4
read_only:
  description: Whether the registry or one of its replicas is read only. Null for others than administrators.
  returned: success
  type: bool
  sample: false
features:
  description: What is switched on and licensed, as DTR names it. Null where it does not tell.
  returned: success
  type: dict
  sample:
    scanningEnabled: false
    mirroringLicensed: true
replicas:
  description:
    - The replicas, ordered by id. Null for others than administrators, or when DTR is not healthy enough to answer.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The replica's id.
      type: str
      sample: f4c1e1a0b2d3
    health:
      description: DTR's word for its health.
      type: str
      sample: OK
    read_only:
      description: Whether it is read only.
      type: bool
      sample: false
    timestamp:
      description: When it last reported.
      type: str
      sample: "2020-06-01T12:00:00Z"
"""

import typing as t

from ..module_utils.common.failure import Failure
from ..module_utils.dtr.api import Registry
from ..module_utils.module.base import Module
from ..module_utils.module.of_dtr import Connection, RegistryModule

# Not there, another method, or another media type.
_NO_SUCH_QUESTION = (404, 405, 406)

_Told = t.TypeVar("_Told")


def work(module: Module) -> dict[str, t.Any]:
    """Read the state. A DTR that says it is unhealthy is an answer, not a failure, whatever else it cannot tell."""
    with Connection(module) as registry:
        health = registry.ping()
        if health.healthy:
            return {**health._asdict(), **_details(registry)}
        details: dict[str, t.Any] = dict.fromkeys(("version", "read_only", "features", "replicas"))
        try:
            details.update(_details(registry))
        except Failure as failure:
            if failure.http_status in (401, 403):
                raise
    return {**health._asdict(), **details}


def _details(registry: Registry) -> dict[str, t.Any]:
    # The first question shows whether the credentials are good, and that DTR itself answers at this address.
    features = _where_there_is_one(registry.features, unless_redirected=False)
    status = _where_there_is_one(registry.cluster_status)
    settings = _where_there_is_one(registry.settings)
    version = _where_there_is_one(registry.version)
    replicas = None if status is None else _replicas(status)
    read_only = None
    if replicas is not None or settings is not None:
        read_only = bool((settings or {}).get("readOnlyRegistry")) or any(each["read_only"] for each in replicas or [])
    return {"version": version, "read_only": read_only, "features": features, "replicas": replicas}


def _where_there_is_one(read: t.Callable[[], _Told | None], *, unless_redirected: bool = True) -> _Told | None:
    """An answer, or C(None) of a version that does not have this question or asks it elsewhere."""
    try:
        return read()
    except Failure as failure:
        if failure.http_status in _NO_SUCH_QUESTION or (unless_redirected and failure.code == "UNEXPECTED_REDIRECT"):
            return None
        raise


def _replicas(status: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    health, read_only, times = (status.get(f"replica_{each}") or {} for each in ("health", "readonly", "timestamp"))
    return [
        {
            "id": replica,
            "health": health.get(replica),
            "read_only": bool(read_only.get(replica)),
            "timestamp": times.get(replica),
        }
        for replica in sorted({*health, *read_only, *times})
    ]


MODULE = RegistryModule(work)


def main() -> None:
    """Entry point."""
    MODULE.run()


if __name__ == "__main__":
    main()
