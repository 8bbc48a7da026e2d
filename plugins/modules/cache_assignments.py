#!/usr/bin/python
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cache_assignments
short_description: Declare which accounts pull from which content cache
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Sets from which content cache the images of an account's pulls come. DTR keeps this per user, so teams and
    organisations are resolved to their members at the time of the run.
  - Current settings are read side by side, and only those that differ are written. Each write is checked against what
    DTR says afterwards.
  - Inactive accounts are left out.
  - Unknown caches, accounts, teams and organisations, and accounts that two caches claim, are all reported in one
    failure before anything is changed.
  - When single accounts fail, the others are still done, and the task fails with a list of those that did not succeed.
    Running it again finishes the work.
options:
  assignments:
    description: Who pulls from which cache. Several assignments may name the same cache.
    type: list
    elements: dict
    required: true
    suboptions: &assignment
      cache:
        description: Name of a registered cache, or V(local) for none.
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
    description:
      - Assignments that somebody else makes, such as those of other regions. Nobody is set for them. The users whom
        they claim are left out of C(everyone) and of O(exclusive), and one who would have to be set although they claim
        that user for another cache is reported in the failure. Names that DTR does not have count for nothing here, and
        C(everyone) claims nobody.
    type: list
    elements: dict
    default: []
    suboptions: *assignment
  exclusive:
    description: Whether active users whom no assignment covers are reset to no cache.
    type: bool
    default: false
  max_resets:
    description:
      - How many accounts O(exclusive) may reset at the most. When it would be more, the task fails with their number,
        in check mode as well, and nothing is changed. A list that was filtered or cut short looks like a small fleet.
      - Without it, any number may be reset. Accounts of an assignment to V(local) do not count.
    type: int
  planned_caches:
    description:
      - Names of caches that an earlier task of the same play registers. In check mode they count as registered although
        that task only announced them; otherwise this option has no effect.
    type: list
    elements: str
    default: []
  planned_moves:
    description:
      - Names of caches whose accounts an earlier task of the same play moves, each with the name of the cache to which
        it moves them. In check mode these accounts count as moved although that task only announced it; otherwise this
        option has no effect.
    type: dict
    default: {}
  progress_path:
    description:
      - Filled in on the control node. The file in which the module reports how many accounts it has listed, read and
        written.
      - Where people read the output, a line with these numbers is written to the standard error every five seconds.
        From another host than the control node no numbers come, and the line says only that the task still works.
    type: path
extends_documentation_fragment:
  - dtr.cache.registry
  - dtr.cache.registry.concurrency
  - dtr.cache.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: dtr.cache.cache_assignments_info
  - module: dtr.cache.content_caches
"""

EXAMPLES = r"""
- name: Teams and single users to the caches of their regions
  dtr.cache.cache_assignments:
    url: https://dtr.example.org
    username: admin
    password: "{{ vault_dtr_token }}"
    assignments:
      - cache: region-asia
        teams: [engineering/backend]
        accounts: [alice, bob]
      - cache: region-europe
        orgs: [research]
        except:
          accounts: [bob]

- name: These users and nobody else
  dtr.cache.cache_assignments:
    url: https://dtr.example.org
    username: admin
    password: "{{ vault_dtr_token }}"
    assignments:
      - cache: region-asia
        accounts: [alice, bob]
    exclusive: true
    max_resets: 20

- name: Nobody pulls from any cache
  dtr.cache.cache_assignments:
    url: https://dtr.example.org
    username: admin
    password: "{{ vault_dtr_token }}"
    assignments:
      - cache: local
        everyone: true
"""

RETURN = r"""
changed_accounts:
  description: The accounts whose setting was changed, or would be in check mode, ordered by name.
  returned: success, and after a partial failure
  type: list
  elements: dict
  contains:
    name:
      description: The account.
      type: str
      sample: alice
    before:
      description:
        - Name of the cache that it pulled from, V(local) for none. An id that no cache has any more is shown with the
          word C(dangling) behind it.
      type: str
      sample: local
    after:
      description: Name of the cache that it pulls from now, V(local) for none.
      type: str
      sample: region-asia
ways:
  description: How many accounts changed from which cache to which, the most first.
  returned: success, and after a partial failure
  type: list
  elements: dict
  contains:
    before: {description: "Name of the cache that they pulled from, V(local) for none.", type: str, sample: local}
    after: {description: "Name of the cache that they pull from now, V(local) for none.", type: str, sample: asia}
    count: {description: How many accounts., type: int, sample: 122}
unchanged:
  description: How many of the accounts concerned had the right setting already.
  returned: success, and after a partial failure
  type: int
  sample: 9998
covered:
  description: How many accounts the assignments give to each cache, V(local) for none.
  returned: success, and after a partial failure
  type: dict
  sample: {region-asia: 1200, local: 8800}
failed_accounts:
  description: The accounts that could not be read or changed.
  returned: success, and after a partial failure
  type: list
  elements: dict
  contains:
    name:
      description: The account.
      type: str
      sample: bob
    code:
      description: DTR's or this collection's code for the reason.
      type: str
      sample: INTERNAL_ERROR
    message:
      description: The reason in words.
      type: str
      sample: "DTR answered 500 for the settings of bob."
left_out:
  description:
    - How many entries are missing in which of the other lists. Of a task that failed, Ansible shows the whole result,
      so that each list has 50 entries at most. With C(-v) nothing is left out.
  returned: failure with longer lists
  type: dict
  sample: {failed_accounts: 9880}
inactive:
  description: The accounts that are named one by one and left out because they are inactive.
  returned: success, and after a partial failure
  type: list
  elements: str
  sample: [carol, dave]
problems:
  description: Everything that is wrong with O(assignments).
  returned: when the assignments cannot be carried out
  type: list
  elements: str
  sample: ["cache region-asai: DTR has no such cache"]
"""

import typing as t

from ..module_utils.module.assignments import assign
from ..module_utils.module.of_dtr import DtrModule, concurrency_argument_spec
from ..module_utils.module.options import ASSIGNMENTS

ARGUMENT_SPEC: dict[str, t.Any] = {
    "assignments": {**ASSIGNMENTS, "required": True},
    "others": {**ASSIGNMENTS, "default": []},
    "exclusive": {"type": "bool", "default": False},
    "max_resets": {"type": "int"},
    "planned_caches": {"type": "list", "elements": "str", "default": []},
    "planned_moves": {"type": "dict", "default": {}},
    "progress_path": {"type": "path"},
    **concurrency_argument_spec(),
}


MODULE = DtrModule(assign, ARGUMENT_SPEC)


def main() -> None:
    """Entry point."""
    MODULE.run()


if __name__ == "__main__":
    main()
