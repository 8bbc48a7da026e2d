#!/usr/bin/python
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Report what a playbook did or found at each region
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Makes one row for each host of the play from the facts that the roles of this collection left, shows them as a
    table, and exports them as statistics of the run.
  - The table is shown by the task itself, with every callback whose output is for people. Where the output is parsed
    (callback C(json), C(ansible -o)), nothing is shown and only the result has the rows.
  - The table fits the width of the terminal, of the environment variable E(COLUMNS), or else 120 columns. Where it is
    too wide, first the address is left out, then what was changed comes into a line of its own.
  - The task reports all hosts of the play, so it must have C(run_once). Put it last, and register its result as
    C(__dtr_cache_report). With C(serial), the statistics of a later batch include those of the earlier ones.
  - A step is the result of a module of this collection that a role, or a task of yours, has registered under the name
    that the module's page gives. In a playbook of your own, a step that failed is a failure of its region, also where a
    C(rescue) of yours goes on. The failure of any other task is only known where the host has left the play. Of the
    Swarm, roles that are used one by one have as changed what role C(stack) or C(removal) did.
  - The task itself never fails because of a region. The result names the hosts whose regions did not succeed. It fails
    where no host of the play has had its settings checked, as with C(--start-at-task).
options:
  of:
    description:
      - V(deployment) and V(removal) report what was changed, V(verification) what was proved, V(assignment) which
        accounts moved, V(warming) what was pulled, V(backup) what the file of a backup holds, V(restore) what was
        brought back, V(adoption) what of existing caches was written as variables, V(status) the state of each region
        and each DTR, and V(diagnosis) what is wrong and how to fix it.
      - The statistics are C(dtr_cache_regions), C(dtr_cache_regions), C(dtr_cache_verified), C(dtr_cache_assigned),
        C(dtr_cache_warmed), C(dtr_cache_backups), C(dtr_cache_restored), C(dtr_cache_adopted),
        C(dtr_cache_status) and C(dtr_cache_verdicts).
      - In check mode, V(deployment) also leaves C(dtr_cache_checked), the revision of the project of AWX or Controller
        and a fingerprint of each host's plan. A deployment that gets it as a variable refuses any other.
    type: str
    choices: [deployment, removal, verification, assignment, warming, backup, restore, adoption, status, diagnosis]
    required: true
extends_documentation_fragment:
  - dtr.cache.attributes
  - dtr.cache.attributes.info_module
notes:
  - The task runs on the control node. It connects to no host.
seealso:
  - module: dtr.cache.fleet_info
"""

EXAMPLES = r"""
- name: Report what was done
  dtr.cache.report:
    of: deployment
  run_once: true
  # Also where the first host has variables of which Ansible makes no connection.
  delegate_to: localhost
  register: __dtr_cache_report

- name: Fail where the region failed
  ansible.builtin.fail:
    msg: "{{ __dtr_cache_report.troubles[inventory_hostname] }}"
  when: inventory_hostname in __dtr_cache_report.troubles
"""

RETURN = r"""
troubles:
  description:
    - The hosts at which the run did not succeed, each with a sentence that does not repeat the reason. With V(status)
      and V(diagnosis), those whose regions are not healthy, and with V(status) also the first host of a DTR that is not
      well.
    - With C(serial), Ansible leaves out all later batches where all hosts of one have failed. So with V(status) and
      V(diagnosis) such a batch has none here, and the first host of the last batch has their sentences.
  returned: success
  type: dict
  sample: {region-asia: "region-asia failed at: Deploy the stack."}
rows:
  description:
    - One row a region. C(region) is the name of its host in the inventory, C(cache) that of its cache in DTR; the table
      has C(cache) only where they differ.
    - With O(of=deployment) and O(of=removal) they have C(region), C(cache), C(url), C(nodes), C(days left),
      C(accounts), C(pulled) (C(bytes) and C(seconds)), C(gap_seconds) (the time in which no replica took requests while
      they were exchanged, null where none was), C(cut_off) as RV(dtr.cache.stack_converged#module:cut_off), C(changed)
      (a list of V(node_label), V(config), V(secret), V(service), V(network), V(registration) and V(accounts)) and
      C(result).
    - With O(of=verification) they have C(region), C(cache), C(url), C(healthy), C(wrong) (a list of the checks that
      failed), C(registered), C(days left), C(pulled) (C(bytes) and C(seconds)), C(proof) (C(cold_seconds),
      C(warm_seconds) and C(hit)) and C(result).
    - With O(of=assignment) they have C(region), C(cache), C(accounts), C(arrived), C(left) and C(result). For each DTR
      a row V(local) follows when accounts were reset to no cache or came from there.
    - With O(of=warming) they have C(region), C(cache), C(images), C(size), C(already there) and C(brought) in bytes,
      C(seconds) and C(result). In check mode C(brought) is what a real run would bring.
    - With O(of=backup) and O(of=restore) there is one row a DTR, with C(dtr), C(caches), C(accounts), C(file) and
      C(result). With O(of=restore) caches and accounts are those that were changed.
    - With O(of=adoption) they have C(region), C(cache), C(url), C(stack), C(nodes), C(accounts), C(to set)
      (the variables that only the user knows), C(file) and C(result).
    - With O(of=diagnosis) they have C(region), C(cache), C(url), C(state) (V(healthy), V(unhealthy) or V(unknown)),
      C(verdict) (the most likely cause), C(fix), C(causes) (all of them, the most likely first) and C(notes) (what the
      logs also have, what is over, and what could not be read). Each cause has C(cause) (a name, as
      RV(dtr.cache.cache_logs_info#module:findings[].cause), or edge and check), C(edge), C(told) (one sentence),
      C(fix), C(evidence), and of the log C(count), C(last_seen) and C(nodes).
  returned: success, unless O(of=status)
  type: list
  elements: dict
  sample: [{region: region-asia, cache: region-asia, url: "https://cache-asia.example.org:443", result: ok}]
report:
  description:
    - The state of the fleet, C(time), C(well) (whether all regions are healthy and no DTR has a problem), C(regions) as
      RV(dtr.cache.fleet_info#module:regions) and C(registries) as RV(dtr.cache.fleet_info#module:registries).
    - A host that could not be observed has a region as well.
  returned: success, with O(of=status)
  type: dict
  sample: {time: "2026-11-24T01:49:14Z", well: true, regions: [], registries: []}
hosts:
  description: The hosts that this batch reports.
  returned: success
  type: list
  elements: str
  sample: [region-asia, region-europe]
play:
  description: What the batches of one play have in common.
  returned: success
  type: str
  sample: 7c2e
"""
