#!/usr/bin/python
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: awx_content
short_description: Put job templates for the playbooks of this collection into AWX or Controller
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Makes two credential types, a credential that is filled in later, a project, an inventory that comes from it, a job
    template with a survey for each playbook, a workflow (check, approve, deploy, verify), and schedules.
  - Writes by the modules of C(awx.awx) or C(ansible.controller). All of them are asked in check mode first, and nothing
    is changed when something stands against any of it. Then those run whose object differs.
  - Objects that are there under the same names are changed to what is described. No other object is touched, and none
    is deleted.
  - What is secret is filled in in AWX itself. This task neither reads nor writes it.
options:
  organization:
    description: The organisation that everything belongs to. It has to exist.
    type: str
    required: true
  prefix:
    description: What the names of all objects begin with.
    type: str
    required: true
  project_url:
    description: The git repository with the inventory, and one playbook for each job template.
    type: str
    required: true
  project_branch:
    description: The branch, tag or commit of it. Its default branch is the default.
    type: str
  project_credential:
    description: The credential of type Source Control for it, by its name in AWX.
    type: str
  inventory:
    description: The path of the inventory inside of the repository.
    type: str
    required: true
  image:
    description: The image of the execution environment. Without it none is made.
    type: str
  credentials:
    description: More credentials that each job template gets, by their names in AWX.
    type: list
    elements: str
    default: []
  certificate:
    description: Whether the job templates get a credential with the certificate and the key of all caches.
    type: bool
    default: false
  schedules:
    description: Whether the schedules are switched on.
    type: bool
    default: false
  collection:
    description: What writes, C(ansible.controller) or C(awx.awx). The first that is installed is the default.
    type: str
extends_documentation_fragment:
  - dtr.cache.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
notes:
  - The task runs on the control node. How the controller is reached is read from the environment, as by all modules of
    these collections, E(CONTROLLER_HOST), and E(CONTROLLER_OAUTH_TOKEN), or E(CONTROLLER_USERNAME) and
    E(CONTROLLER_PASSWORD). A credential of AWX's own type for it sets these in a job.
  - A new project is waited for until AWX has fetched it.
"""

EXAMPLES = r"""
- name: Put the job templates into AWX
  dtr.cache.awx_content:
    organization: Default
    prefix: dtr-cache
    project_url: https://git.example.org/dtr/caches.git
    inventory: inventory/hosts.yml
    credentials: [managers]
"""

RETURN = r"""
collection:
  description: The collection whose modules were used.
  returned: success
  type: str
  sample: awx.awx
objects:
  description: All objects.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: The module that makes it.
      type: str
      sample: job_template
    name:
      description: What it is called.
      type: str
      sample: dtr-cache deploy
    state:
      description: V(created), V(updated) or V(unchanged). In check mode, what a real run would do.
      type: str
      sample: created
changes:
  description: What was changed, or would be in check mode, one sentence each.
  returned: always
  type: list
  elements: str
  sample: ["job template dtr-cache deploy: created"]
"""
