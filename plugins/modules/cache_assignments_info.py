#!/usr/bin/python
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cache_assignments_info
short_description: Get which accounts pull from which content cache
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Reads the settings of all users, active or not, and counts the users of each cache.
  - With O(names), or where O(accounts) names some, the users themselves are in the result as well.
options:
  accounts:
    description: Only these users, instead of all; a list, or text with commas. Numbers are refused.
    type: raw
  names:
    description: Whether the result has the names of the users, of whom there may be many thousands.
    type: bool
    default: false
  assignments:
    description:
      - Who is to pull from which cache, as O(dtr.cache.cache_assignments#module:assignments). RV(elsewhere) then has
        the users that do not. Without effect together with O(accounts).
    type: list
    elements: dict
    default: []
    suboptions: &assignment
      cache:
        description: Name of the cache, V(local) for none.
        type: raw
        required: true
      accounts: &accounts
        description:
          - Names of users, as a list or as text. An element may hold several names separated by commas or line breaks.
          - A name that YAML would read as a number, such as V("004711"), needs quotes; a number is refused.
        type: raw
        default: []
      teams: &teams
        description: Teams as C(org/team), in the form of O(assignments[].accounts).
        type: raw
        default: []
      orgs: &orgs
        description: Names of organisations, in the form of O(assignments[].accounts).
        type: raw
        default: []
      everyone:
        description:
          - Whether the active users whom no other assignment claims pull from this cache. Assignments of one cache only
            may have it.
        type: bool
        default: false
      except:
        description:
          - Users whom O(assignments[].teams), O(assignments[].orgs) and O(assignments[].everyone) leave out. Who is
            named in O(assignments[].accounts) as well is an error.
        type: dict
        suboptions:
          accounts: *accounts
          teams: *teams
          orgs: *orgs
  others:
    description: What somebody else assigns; O(assignments[].everyone) leaves these users out.
    type: list
    elements: dict
    default: []
    suboptions: *assignment
extends_documentation_fragment:
  - dtr.cache.registry
  - dtr.cache.registry.concurrency
  - dtr.cache.attributes
  - dtr.cache.attributes.info_module
seealso:
  - module: dtr.cache.cache_assignments
"""

EXAMPLES = r"""
- name: How many pull from where?
  dtr.cache.cache_assignments_info:
    url: https://dtr.example.org
    username: admin
    password: "{{ vault_dtr_token }}"
  register: assigned

- name: Show the numbers
  ansible.builtin.debug:
    var: assigned.counts

- name: Who pulls from where?
  dtr.cache.cache_assignments_info:
    url: https://dtr.example.org
    username: admin
    password: "{{ vault_dtr_token }}"
    names: true
  register: named

- name: Show the accounts whose cache no longer exists
  ansible.builtin.debug:
    var: named.dangling
"""

RETURN = r"""
total:
  description: How many users were read.
  returned: success
  type: int
  sample: 10011
counts:
  description: How many users each cache and V(local) has.
  returned: success
  type: dict
  sample: {region-asia: 1200, local: 8800}
dangling_count:
  description: How many users have a cache that no longer exists.
  returned: success
  type: int
  sample: 11
inactive_count:
  description: How many users are not active, and so pull from nowhere.
  returned: success, when all users were read
  type: int
  sample: 3
accounts:
  description: The users, ordered by name.
  returned: success, with O(names) or O(accounts)
  type: list
  elements: dict
  contains:
    name:
      description: The user.
      type: str
      sample: alice
    cache:
      description: Name of the cache, V(local) for none, null where the cache no longer exists.
      type: str
      sample: region-asia
    id:
      description: Id of the cache as the user's settings have it, null for none.
      type: str
      sample: 9f5d0c5e-7d1b-4a35-8f0c-0d6f2b1c8f11
by_cache:
  description: The users of each cache and of V(local), as a dictionary of lists of names.
  returned: success, with O(names) or O(accounts)
  type: dict
  sample:
    region-asia: [alice]
    local: [bob]
left_out:
  description:
    - How many entries are missing in which of the other lists. Of a task that failed, Ansible shows the whole result,
      so that each list has 50 entries at most. With C(-v) nothing is left out.
  returned: failure with longer lists
  type: dict
  sample: {failed_accounts: 9880}
problems:
  description: Everything that is wrong with O(accounts).
  returned: when an account cannot have that name
  type: list
  elements: str
  sample: ["account bbo: DTR has no such account"]
dangling:
  description: The users whose cache no longer exists.
  returned: success, with O(names) or O(accounts)
  type: list
  elements: str
  sample: [carol, dave]
elsewhere:
  description:
    - How many users pull from another cache than the one to which O(assignments) gives them, by the name of that. Those
      in RV(dangling) are not among them.
  returned: success, when O(assignments) are given
  type: dict
  sample: {region-asia: 1}
elsewhere_accounts:
  description: Who they are, as a dictionary of lists of names.
  returned: success, when O(assignments) are given, with O(names)
  type: dict
  sample:
    region-asia: [bob]
elsewhere_problem:
  description: Why RV(elsewhere) is not known, such as a team that does not exist.
  returned: success, when O(assignments) are given
  type: str
  sample: "team engineering/backend: DTR has no such team"
inactive:
  description: The users that are not active, and so pull from nowhere.
  returned: success, with O(names), when all users were read
  type: list
  elements: str
  sample: [carol, dave]
"""

import typing as t

from ..module_utils.module.assignments import assigned
from ..module_utils.module.of_dtr import DtrModule, concurrency_argument_spec
from ..module_utils.module.options import ASSIGNMENTS

ARGUMENT_SPEC: dict[str, t.Any] = {
    "accounts": {"type": "raw"},
    "names": {"type": "bool", "default": False},
    "assignments": {**ASSIGNMENTS, "default": []},
    "others": {**ASSIGNMENTS, "default": []},
    **concurrency_argument_spec(),
}


MODULE = DtrModule(assigned, ARGUMENT_SPEC)


def main() -> None:
    """Entry point."""
    MODULE.run()


if __name__ == "__main__":
    main()
